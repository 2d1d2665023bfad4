//! `skep kernel run`: a look around in a kernel's machine.

use super::machines::{Machines, Wish};
use super::{Session, kernel};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::vm::{self, Brought, Output, Visit, Visitor};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// No more is taken into a guest: it has no disk.
const MAX_BROUGHT: u64 = 64 << 20;

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
    let brought = brought(session, &request.bring)?;
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

/// Reads what is to be brought: a file under its name, a directory with all
/// that is below it.
pub(super) fn brought(session: &Session, paths: &[PathBuf]) -> Result<Vec<Brought>, Failure> {
    let mut all = Vec::new();
    let mut size = 0;
    for path in paths {
        let path = session.absolute(path);
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        let files = match fs::is_dir(&path) {
            true => fs::files_below(&path),
            false => vec![path.clone()],
        };
        for file in files {
            let metadata = fs::metadata(&file)?;
            size += metadata.len();
            if size > MAX_BROUGHT {
                let message = format!(
                    "what is to be brought is larger than {} MiB, and the guest has no disk",
                    MAX_BROUGHT >> 20
                );
                return Err(Diagnostic::new(codes::USAGE, Origin::Command, message).into());
            }
            let below = file.strip_prefix(&path).unwrap_or(Path::new(""));
            let place = match below.as_os_str().is_empty() {
                true => name.clone(),
                false => name.join(below),
            };
            all.push(Brought {
                path: place.to_string_lossy().into_owned(),
                executable: metadata.permissions().mode() & 0o111 != 0,
                bytes: fs::read(&file)?,
            });
        }
    }
    Ok(all)
}
