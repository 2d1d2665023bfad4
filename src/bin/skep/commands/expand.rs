//! `skep expand FILE`.

use super::CommandResult;
use super::build::arch;
use crate::shell::Shell;
use skep::build::Arch;
use skep::ops::Session;
use skep::ops::build::{Profile, Request};
use skep::ops::expand;
use std::path::PathBuf;

/// Arguments of `skep expand`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take the options of the profile `release`
    #[arg(long)]
    release: bool,
    /// Preprocess for another architecture than this machine's
    #[arg(long, value_name = "ARCH", value_parser = arch())]
    target_arch: Option<Arch>,
}

/// Writes the preprocessed source to standard output.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    let request = Request { profile, target_arch: args.target_arch, ..Request::default() };
    let outcome = expand::run(session, args.file, request)?;
    if outcome.diagnostics.iter().any(|diagnostic| diagnostic.is_error()) {
        shell.diagnostics(&outcome.diagnostics);
    } else {
        shell.raw(&outcome.text);
    }
    Ok(())
}
