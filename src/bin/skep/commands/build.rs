//! `skep build [PATH]…`.

use super::CommandResult;
use super::packages::BuildArgs;
use crate::shell::Shell;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use skep::build::Arch;
use skep::ops::build::{self, Outcome, Request};
use skep::ops::{Packages, Session, cargo};
use skep::report::{Cell, Table};
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `skep build`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Projects, directories in them, or BPF sources [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    building: BuildArgs,
    /// Compile for another architecture than this machine's
    #[arg(long, value_name = "ARCH", value_parser = arch())]
    target_arch: Option<Arch>,
    /// Be called by a Cargo build script: write `NAME.skel.rs` into OUT_DIR, and tell cargo what to
    /// watch
    #[arg(long, conflicts_with = "target_arch")]
    cargo: bool,
}

impl Args {
    /// The paths and packages it is for.
    pub fn inputs(&self) -> (Vec<PathBuf>, Packages) {
        (self.paths.clone(), self.building.packages.clone().into())
    }
}

/// Reads the name of an architecture.
pub fn arch() -> impl TypedValueParser<Value = Arch> {
    let names: Vec<&str> = Arch::ALL.iter().map(|arch| arch.as_str()).collect();
    PossibleValuesParser::new(names).map(|name| {
        Arch::ALL.iter().copied().find(|arch| arch.as_str() == name).unwrap_or_else(Arch::host)
    })
}

/// Builds, and lists the objects.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let started = Instant::now();
    let profile = args.building.profile();
    let request = Request {
        paths: args.paths,
        packages: args.building.packages.into(),
        profile,
        target_arch: args.target_arch,
        user: !args.cargo,
        files_read: false,
    };
    if args.cargo {
        return for_build_script(session, shell, &request);
    }
    let outcome = build::run(session, &request)?;
    shell.diagnostics(&outcome.diagnostics);
    shell.pass_on(&outcome.cargo_messages, &outcome.cargo_diagnostics);
    if !outcome.artifacts.is_empty() {
        shell.table(&table(session, &outcome));
    }
    if !outcome.programs.is_empty() {
        shell.table(&programs(session, &outcome));
    }
    let all = [&outcome.diagnostics[..], &outcome.cargo_diagnostics].concat();
    match (outcome.failed(), build::summary(&all)) {
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

/// Standard output belongs to cargo then; findings go where it shows them.
fn for_build_script(session: &Session, shell: &Shell, request: &Request) -> CommandResult {
    let directives = cargo::for_build_script(session, request)?;
    let mut text = directives.lines.join("\n");
    text.push('\n');
    shell.raw(text.as_bytes());
    for diagnostic in directives.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()) {
        shell.fatal(diagnostic);
    }
    Ok(())
}

fn table(session: &Session, outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "artifact",
        &[
            ("name", "object"),
            ("path", "path"),
            ("source", ""),
            ("package", ""),
            ("fresh", ""),
            ("", "state"),
        ],
    );
    for artifact in &outcome.artifacts {
        let path = |path: &PathBuf| session.display(path).display().to_string();
        let project = artifact.project.and_then(|index| outcome.projects.get(index));
        let package = project.map(|project| project.name.clone());
        table.push(vec![
            Cell::Text(artifact.name.clone()),
            Cell::Text(path(&artifact.object)),
            match &artifact.sources[..] {
                [source] => Cell::Text(path(source)),
                _ => Cell::Unknown,
            },
            package.map_or(Cell::Unknown, Cell::Text),
            Cell::Flag(artifact.fresh),
            Cell::Text(if artifact.fresh { "fresh" } else { "built" }.to_owned()),
        ]);
    }
    table
}

fn programs(session: &Session, outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "program",
        &[("name", "program"), ("path", "path"), ("fresh", ""), ("", "state")],
    );
    for program in &outcome.programs {
        table.push(vec![
            Cell::Text(program.name.clone()),
            Cell::Text(session.display(&program.path).display().to_string()),
            Cell::Flag(program.fresh),
            Cell::Text(if program.fresh { "fresh" } else { "built" }.to_owned()),
        ]);
    }
    table
}
