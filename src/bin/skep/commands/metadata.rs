//! `skep metadata`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::{Packages, Session, metadata};
use skep::report;

/// Arguments of `skep metadata`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The version of the document
    #[arg(long, value_name = "VERSION", default_value_t = report::metadata::VERSION,
          value_parser = clap::value_parser!(u32).range(1..=1))]
    format_version: u32,
    /// The package of that name in the workspace [default: all of them]
    #[arg(short, long = "package", value_name = "NAME")]
    packages: Vec<String>,
}

/// Writes the description to standard output.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let packages = Packages { names: args.packages, all: false };
    match metadata::run(session, &packages) {
        Ok(outcome) => shell.raw(report::metadata::document(&outcome).as_bytes()),
        Err(mistakes) => shell.diagnostics(&mistakes),
    }
    Ok(())
}
