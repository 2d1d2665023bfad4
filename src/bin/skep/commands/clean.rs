//! `skep clean [PATH]…`.

use super::CommandResult;
use super::packages::PackageArgs;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::build::Profile;
use skep::ops::clean::{self, Request};
use skep::report::{Cell, Table};
use std::path::PathBuf;

/// Arguments of `skep clean`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Projects, or directories in them [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    packages: PackageArgs,
    /// Remove only what was built with the profile `release`
    #[arg(long)]
    release: bool,
}

/// Removes what builds have made.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let profile = args.release.then_some(Profile::Release);
    let request = Request { paths: args.paths, packages: args.packages.into(), profile };
    let removed = clean::run(session, &request)?;
    if shell.format().is_for_machines() {
        let mut table = Table::new("removed", &[("files", "files"), ("bytes", "size")]);
        table.push(vec![Cell::Count(removed.files), Cell::Bytes(removed.bytes)]);
        shell.table(&table);
    }
    let files =
        if removed.files == 1 { "1 file".into() } else { format!("{} files", removed.files) };
    shell.status("Removed", &format!("{files}, {} KiB", removed.bytes.div_ceil(1024)));
    Ok(())
}
