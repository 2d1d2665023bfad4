//! `skep clean [PATH]…`.

use super::CommandResult;
use super::packages::PackageArgs;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::build::Profile;
use skep::ops::clean::{self, Removed, Request};
use skep::ops::kernel;
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
    /// Remove all kernels from the cache instead, with what was made of them
    #[arg(long, conflicts_with_all = ["paths", "release"])]
    kernels: bool,
}

/// Removes what builds have made.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    if args.kernels {
        let removed = kernel::clean(session)?;
        return report(&removed, shell);
    }
    let profile = args.release.then_some(Profile::Release);
    let request = Request { paths: args.paths, packages: args.packages.into(), profile };
    let removed = clean::run(session, &request)?;
    report(&removed, shell)
}

fn report(removed: &Removed, shell: &Shell) -> CommandResult {
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
