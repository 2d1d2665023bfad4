//! `skep vmlinux --check [OBJ]… [--against SRC]…` and `skep vmlinux --pin`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::drift::{self, Outcome, Request, Row};
use skep::report::{Cell, Table};
use std::path::Path;

/// Compares and reports.
pub fn check(request: &Request, session: &Session, shell: &Shell) -> CommandResult {
    let outcome = drift::check(session, request)?;
    if !outcome.rows.is_empty() {
        shell.table(&table(&outcome));
    }
    shell.diagnostics(&outcome.diagnostics);
    if outcome.diagnostics.is_empty() {
        let (types, pinned) = (outcome.types, &outcome.pinned);
        session.note(format!("all {types} types that are used are as on {pinned}"));
    }
    Ok(())
}

/// Pins and says to what.
pub fn pin(from: Option<&Path>, session: &Session) -> CommandResult {
    let (pinned, is_new) = drift::pin(session, from)?;
    let already = if is_new { "" } else { " already" };
    session.note(format!("pinned{already} to the BTF of {}, {}", pinned.reference, pinned.sha256));
    Ok(())
}

fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "type-drift",
        &[
            ("kernel", "KERNEL"),
            ("type", "TYPE"),
            ("field", "FIELD"),
            ("used", ""),
            ("change", "CHANGE"),
            ("from", "FROM"),
            ("to", "TO"),
        ],
    );
    for Row { kernel, ty, difference, used } in &outcome.rows {
        let change = difference.change.as_str().to_owned();
        let (from, to) = drift::values(&difference.change);
        let cell = |text: Option<String>| text.map_or(Cell::Unknown, Cell::Text);
        table.push(vec![
            Cell::Text(kernel.clone()),
            Cell::Text(ty.clone()),
            cell(Some(difference.field.clone()).filter(|field| !field.is_empty())),
            Cell::Flag(*used),
            if *used { Cell::Caution(change) } else { Cell::Text(change) },
            cell(from),
            cell(to),
        ]);
    }
    table
}
