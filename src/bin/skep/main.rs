//! The `skep` binary: parses the command line, runs one operation, reports.

mod cli;
mod commands;
mod shell;

use std::process::ExitCode;

unsafe extern "C" {
    /// libbpf's `btf__free`: under this name it is the linker's to find
    /// (`--wrap`, in build.rs).
    fn __real_btf__free(btf: *mut skep::guest::Btf);
}

fn main() -> ExitCode {
    skep::guest::frees_with(__real_btf__free);
    // In the guest there is no command line, no terminal and no user.
    if skep::guest::is_guest() {
        skep::guest::run();
    }
    cli::main()
}
