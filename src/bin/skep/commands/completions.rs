//! `skep completions SHELL`.

use super::CommandResult;
use crate::cli::Cli;
use crate::shell::Shell;
use clap::CommandFactory as _;

/// Arguments of `skep completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to write for
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Writes the script.
pub fn run(args: &Args, shell: &Shell) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "skep", &mut script);
    shell.raw(&script);
    Ok(())
}
