//! `skep vmlinux --min-core [OBJ]… [--from SRC]… -o FILE|DIR`.

use super::CommandResult;
use crate::shell::Shell;
use skep::base::fs;
use skep::ops::Session;
use skep::ops::min_core::{self, Made, Request};
use skep::report::{Cell, Table};
use std::path::Path;

/// Makes the BTF, writes it and lists what was written.
pub fn run(request: &Request, output: &Path, session: &Session, shell: &Shell) -> CommandResult {
    // Before any work is done.
    let is_dir = request.from.len() > 1
        || output.as_os_str().as_encoded_bytes().ends_with(b"/")
        || fs::is_dir(&session.absolute(output));
    let outcome = min_core::run(session, request)?;
    let mut table = Table::new(
        "minimal-btf",
        &[
            ("kernel", "KERNEL"),
            ("file", "FILE"),
            ("size", "SIZE"),
            ("types", "TYPES"),
            ("relocations", "RELOCATIONS"),
            ("unresolved", "UNRESOLVED"),
        ],
    );
    if is_dir && !outcome.made.is_empty() {
        fs::create_dir_all(&session.absolute(output))?;
    }
    for made in &outcome.made {
        let path = if is_dir { output.join(&made.file_name) } else { output.to_owned() };
        fs::write_atomic(&session.absolute(&path), &made.bytes)?;
        table.push(row(made, &path));
    }
    if !outcome.made.is_empty() {
        shell.table(&table);
    }
    shell.diagnostics(&outcome.diagnostics);
    Ok(())
}

fn row(made: &Made, path: &Path) -> Vec<Cell> {
    vec![
        Cell::Text(made.kernel.clone()),
        Cell::Text(path.display().to_string()),
        Cell::Bytes(made.bytes.len() as u64),
        Cell::Count(made.types.into()),
        Cell::Count(made.relocations as u64),
        Cell::Count(made.unresolved as u64),
    ]
}
