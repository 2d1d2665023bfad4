//! `skep diagnose [LOGFILE|-]`.

use super::CommandResult;
use crate::shell::Shell;
use skep::base::fs;
use skep::ops::Session;
use skep::ops::diagnose::{self, Input, Request};
use std::io::Read as _;
use std::path::PathBuf;

/// Arguments of `skep diagnose`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The log, or what a loader printed around it; `-` reads standard input
    #[arg(value_name = "LOGFILE", default_value = "-")]
    log: PathBuf,
    /// The object that was loaded, for the C lines of older kernels' logs
    #[arg(long, value_name = "OBJ")]
    object: Option<PathBuf>,
    /// The program the log is about [default: the one the log names or quotes]
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
}

/// Explains and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let log = if args.log.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|source| fs::Error {
            action: "read",
            path: PathBuf::from("standard input"),
            source,
        })?;
        Input::Text(bytes)
    } else {
        Input::File(args.log)
    };
    let request = Request { log, object: args.object, program: args.program };
    let outcome = diagnose::diagnose(session, &request)?;
    shell.diagnostics(&outcome.diagnostics);
    if outcome.accepted > 0 {
        session.note(match outcome.accepted {
            1 => "the log ends without an error: the program was accepted".to_owned(),
            count => format!("{count} logs end without an error: the programs were accepted"),
        });
    }
    Ok(())
}
