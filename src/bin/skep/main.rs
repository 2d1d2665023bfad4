//! The `skep` binary: parses the command line, runs one operation, reports.

mod cli;
mod commands;
mod shell;

use std::process::ExitCode;

fn main() -> ExitCode {
    // In the guest there is no command line, no terminal and no user.
    if skep::guest::is_guest() {
        skep::guest::run();
    }
    cli::main()
}
