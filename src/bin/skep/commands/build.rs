//! `skep build [PATH]…`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::build::{self, Outcome, Profile, Request};
use skep::report::{Cell, Table};
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `skep build`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Projects, directories in them, or BPF sources [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Build with the profile `release`
    #[arg(long)]
    release: bool,
}

/// Builds, and lists the objects.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let started = Instant::now();
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    let outcome = build::run(session, &Request { paths: args.paths, profile })?;
    shell.diagnostics(&outcome.diagnostics);
    if !outcome.artifacts.is_empty() {
        shell.table(&table(session, &outcome));
    }
    match (outcome.failed(), build::summary(&outcome.diagnostics)) {
        (true, Some(summary)) => session.note(format!("the build failed: {summary}")),
        (_, summary) => {
            let warnings = summary.map(|summary| format!(", {summary}")).unwrap_or_default();
            let seconds = started.elapsed().as_secs_f64();
            let text = format!("`{}`{warnings} in {seconds:.2} s", profile.as_str());
            shell.status("Finished", &text);
        }
    }
    Ok(())
}

fn table(session: &Session, outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "artifact",
        &[("name", "object"), ("path", "path"), ("source", ""), ("fresh", ""), ("", "state")],
    );
    for artifact in &outcome.artifacts {
        let path = |path: &PathBuf| session.display(path).display().to_string();
        table.push(vec![
            Cell::Text(artifact.name.clone()),
            Cell::Text(path(&artifact.object)),
            artifact.source.as_ref().map_or(Cell::Unknown, |source| Cell::Text(path(source))),
            Cell::Flag(artifact.fresh),
            Cell::Text(if artifact.fresh { "fresh" } else { "built" }.to_owned()),
        ]);
    }
    table
}
