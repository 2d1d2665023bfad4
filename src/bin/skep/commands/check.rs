//! `skep check [PATH…]`.

use super::CommandResult;
use super::packages::PackageArgs;
use crate::shell::Shell;
use skep::ops::build::{self, Profile};
use skep::ops::check::{self, Checked, Outcome, Request};
use skep::ops::{Packages, Session};
use skep::report::{Cell, Table};
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `skep check`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Projects, directories in them, BPF sources, or objects [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    packages: PackageArgs,
    /// Build with the profile `release`
    #[arg(long)]
    release: bool,
    /// Compare with this kernel too: host, debian/SUITE, a version, or a path to an image, .deb or
    /// file of BTF
    #[arg(short, long = "kernel", value_name = "REF")]
    kernels: Vec<PathBuf>,
}

impl Args {
    /// The paths and packages it is for.
    pub fn inputs(&self) -> (Vec<PathBuf>, Packages) {
        (self.paths.clone(), self.packages.clone().into())
    }
}

/// Checks, and lists the objects.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let started = Instant::now();
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    let request = Request {
        paths: args.paths,
        packages: args.packages.into(),
        profile,
        kernels: args.kernels,
    };
    let outcome = check::run(session, &request)?;
    shell.diagnostics(&outcome.diagnostics);
    if !outcome.objects.is_empty() {
        shell.table(&table(&outcome));
        shell.status("Checked", &summary(&outcome, started));
    }
    Ok(())
}

fn summary(outcome: &Outcome, started: Instant) -> String {
    let objects = match outcome.objects.len() {
        1 => "1 object".to_owned(),
        count => format!("{count} objects"),
    };
    let found = build::summary(&outcome.diagnostics).unwrap_or_else(|| "nothing found".to_owned());
    let allowed = match outcome.allowed {
        0 => String::new(),
        count => format!(", {count} allowed"),
    };
    format!("{objects}: {found}{allowed}, in {:.2} s", started.elapsed().as_secs_f64())
}

fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "object-check",
        &[
            ("object", "OBJECT"),
            ("path", ""),
            ("programs", "PROGRAMS"),
            ("subprograms", ""),
            ("maps", "MAPS"),
            ("instructions", "INSNS"),
            ("errors", ""),
            ("warnings", ""),
            ("", "RESULT"),
        ],
    );
    for object in &outcome.objects {
        let count = |number: usize| Cell::Count(number as u64);
        let content = |part: fn(&check::Content) -> usize| {
            object.content.as_ref().map_or(Cell::Unknown, |content| count(part(content)))
        };
        table.push(vec![
            Cell::Text(object.name.clone()),
            Cell::Text(object.path.display().to_string()),
            content(|content| content.programs),
            content(|content| content.subprograms),
            content(|content| content.maps),
            content(|content| content.instructions),
            count(object.errors),
            count(object.warnings),
            result(object),
        ]);
    }
    table
}

fn result(object: &Checked) -> Cell {
    let words = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    match (object.errors, object.warnings) {
        (0, 0) => Cell::Good("ok".to_owned()),
        (0, warnings) => Cell::Caution(words(warnings, "warning")),
        (errors, 0) => Cell::Bad(words(errors, "error")),
        (errors, warnings) => {
            Cell::Bad(format!("{}, {}", words(errors, "error"), words(warnings, "warning")))
        }
    }
}
