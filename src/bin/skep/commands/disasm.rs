//! `skep disasm OBJ [PROG]`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::build::Profile;
use skep::ops::disasm::{self, Request};
use std::path::PathBuf;

/// Arguments of `skep disasm`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An object; or a source or project, which is built first
    #[arg(value_name = "OBJ")]
    object: PathBuf,
    /// The program [default: all of them]
    #[arg(value_name = "PROG")]
    program: Option<String>,
    /// Build with the profile `release`
    #[arg(long)]
    release: bool,
    /// Resolve CO-RE relocations for this kernel: host, debian/SUITE, a version, or a path to an
    /// image, .deb or file of BTF
    #[arg(short, long, value_name = "REF")]
    kernel: Option<PathBuf>,
}

/// Lists the programs on standard output.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let request = Request {
        path: args.object,
        profile: if args.release { Profile::Release } else { Profile::Dev },
        program: args.program,
        kernel: args.kernel,
    };
    let outcome = disasm::run(session, &request)?;
    shell.diagnostics(&outcome.diagnostics);
    for (index, listing) in outcome.listings.iter().enumerate() {
        shell.listing(listing, index == 0);
    }
    Ok(())
}
