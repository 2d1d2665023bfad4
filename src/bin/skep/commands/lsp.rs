//! `skep lsp`.

use super::CommandResult;
use skep::ops::Session;

/// Arguments of `skep lsp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Speak on standard input and output, as it always does
    #[arg(long, hide = true)]
    stdio: bool,
}

/// Serves until the editor is done.
pub fn run(Args { stdio: _ }: &Args, session: &Session) -> CommandResult {
    skep::lsp::serve(session)
}
