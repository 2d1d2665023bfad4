//! `skep vmlinux [--from SRC] [--module M]… [--type NAME]… [-o FILE]`, and what
//! else it does with a kernel's types: `--min-core`, `--check`, `--pin`.

use super::{CommandResult, drift, min_core};
use crate::shell::Shell;
use skep::diagnostics::{Diagnostic, Origin, codes};
use skep::ops::Session;
use skep::ops::vmlinux::{self, Request};
use std::path::PathBuf;

/// Arguments of `skep vmlinux`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the BTF is: raw BTF, an ELF file, a kernel image, package or reference
    /// [default: /sys/kernel/btf/vmlinux]
    #[arg(long, value_name = "SRC")]
    from: Vec<PathBuf>,
    /// Add a module's types: its name below /sys/kernel/btf, or a file
    #[arg(long = "module", value_name = "MODULE")]
    modules: Vec<String>,
    /// Write only this type and what it needs
    #[arg(long = "type", value_name = "NAME")]
    types: Vec<String>,
    /// Write only what this source, and the headers it includes, use
    #[arg(long = "for", value_name = "SOURCE", conflicts_with = "types")]
    sources: Vec<PathBuf>,
    /// Where to look for headers that a source includes
    #[arg(short = 'I', long = "include", value_name = "DIR", requires = "sources")]
    include: Vec<PathBuf>,
    /// Write to this file and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the smallest BTF that resolves the CO-RE relocations of these objects (or of the
    /// project's), for libbpf's `btf_custom_path`; with several --from, one for each kernel,
    /// named by its release in the directory that -o names
    #[arg(long, value_name = "OBJ", num_args = 0.., requires = "output", conflicts_with = "types")]
    min_core: Option<Vec<PathBuf>>,
    /// Say whether the types that these objects (or the project's) use are different on other
    /// kernels than on the one the project is pinned to, or --from
    #[arg(
        long, value_name = "OBJ", num_args = 0..,
        conflicts_with_all = ["types", "sources", "min_core", "output", "modules"]
    )]
    check: Option<Vec<PathBuf>>,
    /// With --check: another kernel [default: those of the project's matrix]
    #[arg(long, value_name = "SRC", requires = "check")]
    against: Vec<PathBuf>,
    /// With --check: list fields that the project does not use, too
    #[arg(long, requires = "check")]
    all: bool,
    /// Pin the project to this BTF, in Skep.lock [default: what `vmlinux` in the manifest names,
    /// else the running kernel's]
    #[arg(
        long,
        conflicts_with_all = ["types", "sources", "min_core", "output", "modules", "check"]
    )]
    pin: bool,
}

/// Writes the header.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let Args { mut from, modules, types, sources, include, output, min_core, .. } = args;
    if let (Some(paths), Some(output)) = (min_core, &output) {
        return min_core::run(
            &skep::ops::min_core::Request { paths, from, modules },
            output,
            session,
            shell,
        );
    }
    let from = match from.len() {
        0 | 1 => from.pop(),
        _ => return Err(one_source().into()),
    };
    if args.pin {
        return drift::pin(from.as_deref(), session);
    }
    if let Some(paths) = args.check {
        let Args { against, all, .. } = args;
        let request = skep::ops::drift::Request { paths, from, against, all };
        return drift::check(&request, session, shell);
    }
    let request = Request { from, modules, types, sources, include, output };
    if let Some(header) = vmlinux::run(session, &request)? {
        shell.raw(&header);
    }
    Ok(())
}

fn one_source() -> Diagnostic {
    Diagnostic::new(codes::USAGE, Origin::Command, "only one kernel's BTF can be meant here")
        .help("name one `--from`; several are for `--min-core`, and `--against` for `--check`")
}
