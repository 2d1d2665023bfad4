//! `skep metadata`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::{Session, metadata};
use skep::report;

/// Arguments of `skep metadata`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The version of the document
    #[arg(long, value_name = "VERSION", default_value_t = report::metadata::VERSION,
          value_parser = clap::value_parser!(u32).range(1..=1))]
    format_version: u32,
}

/// Writes the description to standard output.
pub fn run(_: &Args, session: &Session, shell: &Shell) -> CommandResult {
    match metadata::run(session) {
        Ok(package) => shell.raw(report::metadata::document(&package).as_bytes()),
        Err(mistakes) => shell.diagnostics(&mistakes),
    }
    Ok(())
}
