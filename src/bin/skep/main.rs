//! The `skep` binary: parses the command line, runs one operation, reports.

mod cli;
mod commands;
mod shell;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
