//! `skep vmlinux [--from SRC] [--module M]… [--type NAME]… [-o FILE]`.

use super::CommandResult;
use crate::shell::Shell;
use skep::base::fs;
use skep::ops::Session;
use skep::ops::vmlinux::{self, Request};
use std::path::PathBuf;

/// Arguments of `skep vmlinux`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the BTF is: raw BTF, an ELF file, a kernel image, package or reference
    /// [default: /sys/kernel/btf/vmlinux]
    #[arg(long, value_name = "SRC")]
    from: Option<PathBuf>,
    /// Add a module's types: its name below /sys/kernel/btf, or a file
    #[arg(long = "module", value_name = "MODULE")]
    modules: Vec<String>,
    /// Write only this type and what it needs
    #[arg(long = "type", value_name = "NAME")]
    types: Vec<String>,
    /// Write to this file and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the header.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let Args { from, modules, types, output } = args;
    let header = vmlinux::run(session, &Request { from, modules, types })?;
    match output {
        Some(path) => fs::write_atomic(&session.absolute(path), &header)?,
        None => shell.raw(&header),
    }
    Ok(())
}
