//! `skep watch [build|check|verify]`.

use super::{Command, CommandResult, build, check, verify};
use crate::shell::Shell;
use clap::Subcommand;
use skep::diagnostics::{Class, Diagnostic, Failure, Origin, codes};
use skep::ops::watch::Watcher;
use skep::ops::{Packages, Session};
use skep::report::Format;
use std::path::PathBuf;

/// Arguments of `skep watch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do after every change [default: check]
    #[command(subcommand)]
    command: Option<Watched>,
}

/// The commands that can be watched.
#[derive(Clone, Debug, Subcommand)]
enum Watched {
    /// Build after every change
    Build(build::Args),
    /// Check after every change
    Check(check::Args),
    /// Verify after every change
    Verify(Box<verify::Args>),
}

impl Watched {
    fn inputs(&self) -> (Vec<PathBuf>, Packages) {
        match self {
            Self::Build(args) => args.inputs(),
            Self::Check(args) => args.inputs(),
            Self::Verify(args) => args.inputs(),
        }
    }
}

impl From<Watched> for Command {
    fn from(watched: Watched) -> Self {
        match watched {
            Watched::Build(args) => Self::Build(args),
            Watched::Check(args) => Self::Check(args),
            Watched::Verify(args) => Self::Verify(args),
        }
    }
}

/// Runs the command, and again whenever a file changes, until Ctrl-C.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    if matches!(shell.format(), Format::Sarif | Format::Junit) {
        return Err(endless());
    }
    let watched = args.command.unwrap_or_else(|| Watched::Check(check::Args::default()));
    let (paths, packages) = watched.inputs();
    let mut watcher = Watcher::new(session, paths, packages)?;
    let mut number = 1;
    loop {
        shell.run_begins(number);
        if let Err(failure) = super::run(watched.clone().into(), session, shell) {
            if failure.diagnostic().code.class() == Class::Interrupted {
                return Err(failure);
            }
            shell.fatal(failure.diagnostic());
        }
        if session.cancel.is_cancelled() {
            return Ok(());
        }
        shell.run_ended(number);
        number += 1;
        watcher.update()?;
        let changed = watcher.wait()?;
        let Some((first, rest)) = changed.split_first() else { return Ok(()) };
        let more = match rest.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        shell.status("Changed", &format!("{}{more}", first.display()));
    }
}

fn endless() -> Failure {
    let message = "a SARIF or JUnit document has an end, and watching has none";
    Diagnostic::new(codes::USAGE, Origin::Command, message)
        .help("take `--message-format json`, or run the command once")
        .into()
}
