//! `skep kernel run`: a look around in a kernel's machine.

use super::brought::Luggage;
use super::machines::{Machines, Wish};
use super::{Session, kernel};
use crate::diagnostics::Failure;
use crate::vm::{self, Output, Visit, Visitor};
use std::path::PathBuf;

/// What is to be run, and where.
#[derive(Debug, Default)]
pub struct Request {
    /// The kernel.
    pub kernel: String,
    /// The command's words; a shell if there are none.
    pub words: Vec<String>,
    /// Files and directories that it finds in `/bring`.
    pub bring: Vec<PathBuf>,
    /// Modules that the kernel is to have.
    pub modules: Vec<String>,
    /// Words for the kernel's command line.
    pub append: Vec<String>,
    /// Boot instead of restoring a snapshot.
    pub cold: bool,
    /// What the command reads, if nobody is at a terminal.
    pub input: Vec<u8>,
}

/// Runs a command in a kernel's machine; its exit code. `visitor` is asked who
/// is at the terminal when the machine is up.
pub fn run(
    session: &Session,
    request: &Request,
    visitor: &mut dyn FnMut() -> Option<Visitor>,
    output: Output<'_>,
) -> Result<i32, Failure> {
    let mut luggage = Luggage::new(session);
    luggage.add(&request.bring)?;
    let brought = luggage.into_files();
    let machines = Machines::new(session)?;
    let kernel = kernel::named(session, &request.kernel)?;
    let mut modules = Vec::new();
    for name in &request.modules {
        kernel.add_module(name, &mut modules)?;
    }
    let modules: Vec<vm::Module> =
        modules.into_iter().map(|module| (module.name, module.bytes)).collect();
    let wish = Wish { append: request.append.clone(), cold: request.cold, ..Wish::default() };
    let look_around = |settings: &vm::Settings| {
        let visit = Visit {
            words: request.words.clone(),
            modules: modules.clone(),
            brought: brought.clone(),
            input: request.input.clone(),
        };
        let blueprint = machines.blueprint(&wish, settings, &kernel);
        vm::visit(&blueprint, visit, visitor, output, &session.cancel)
    };
    let failed =
        |result: &Result<i32, vm::Error>| matches!(result, Err(vm::Error::NotBooted { .. }));
    Ok(machines.with(&wish, look_around, failed)?)
}
