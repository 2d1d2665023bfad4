//! The user's own program on this machine's own kernel. It runs as root, and
//! what it attaches is attached here; so it is asked before.

use super::program::Front;
use super::{Outcome, Request};
use crate::base::process::{self, Command};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::ops::Session;
use crate::ops::build::UserProgram;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

/// There is nothing to run there.
pub(super) fn no_program() -> Failure {
    let message =
        "there is no user program, and skep attaches programs by itself only in a machine";
    Diagnostic::new(codes::USAGE, Origin::Command, message)
        .help("leave `--host` out; `skep verify --host` asks this machine's kernel for its verdict")
        .into()
}

/// Runs a program here, if the user agrees.
pub(super) fn run(
    session: &Session,
    request: &Request,
    program: &UserProgram,
    front: &mut dyn Front,
) -> Result<Outcome, Failure> {
    let name = &program.name;
    let find = |helper: &str| -> Result<PathBuf, Failure> {
        session.programs.find(helper).ok_or_else(|| {
            let message = format!(
                "`{name}` needs root on this machine's own kernel, and `{helper}` was not found"
            );
            Diagnostic::new(codes::OWN_KERNEL_DENIED, Origin::Command, message)
                .help("run skep as root, or leave `--host` out: a virtual machine needs no root")
                .into()
        })
    };
    let command = match process::is_root() {
        true => {
            let command = Command::new(&program.path);
            request
                .environment
                .iter()
                .fold(command, |command, (name, value)| command.env(name, value))
        }
        false => {
            let command = Command::new(find("sudo")?).arg("--");
            let command = match request.environment.is_empty() {
                true => command,
                // sudo takes the environment away.
                false => command.arg(find("env")?).args(
                    request.environment.iter().map(|(name, value)| format!("{name}={value}")),
                ),
            };
            command.arg(&program.path)
        }
    };
    let command = command.args(&request.arguments);
    if !request.is_agreed {
        let how = if process::is_root() { "as root" } else { "as root, by sudo" };
        let refused = |message: String| {
            Failure::from(Diagnostic::new(codes::OWN_KERNEL_NOT_AGREED, Origin::Command, message))
        };
        match front.agree(&format!("Run {name} {how} on this machine's own kernel?"))? {
            Some(true) => {}
            Some(false) => return Err(refused(format!("{name} is not run"))),
            None => {
                return Err(Diagnostic::new(
                    codes::OWN_KERNEL_NOT_AGREED,
                    Origin::Command,
                    format!(
                        "{name} would run {how} on this machine's own kernel, and there is no \
                         terminal to ask on"
                    ),
                )
                .help("say `--yes`, or leave `--host` out: then it runs in a virtual machine")
                .into());
            }
        }
    }
    let status = command.run_through(&session.cancel).map_err(|error| {
        Diagnostic::new(codes::PROGRAM_FAILED, Origin::Command, error.to_string())
    })?;
    let exit = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(Outcome { exit: Some(exit), ..Outcome::default() })
}
