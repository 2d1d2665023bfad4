//! Programs as listings: instructions below the C lines they come from.

use super::table::{Cell, Table};
use super::text::{self, one_line};
use super::{Context, Paint};
use crate::diagnostics::Span;
use crate::ops::disasm::{Core, Instruction, Listing};
use std::fmt::Write as _;
use std::path::Path;

/// What is said of an instruction begins in this column, if it fits.
const REMARKS: usize = 40;

/// A listing for people.
pub fn human(listing: &Listing, cx: &Context) -> String {
    let mut out = String::new();
    let kind = listing.program_type.map(|kind| format!("{kind}, ")).unwrap_or_default();
    let count = listing.instructions.last().map_or(0, |last| last.index + 1);
    let title = one_line(&listing.program);
    let facts = format!(" ({kind}SEC(\"{}\"), {count} instructions)", one_line(&listing.section));
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}{facts}", Paint::Strong.on(&title, cx.color));
    let mut function = listing.program.as_str();
    let mut line: Option<(&Path, u32)> = None;
    for instruction in &listing.instructions {
        if instruction.function != function {
            function = &instruction.function;
            line = None;
            let name = Paint::Strong.on(&one_line(function), cx.color);
            let _ = writeln!(out, "\n{name} (subprogram of {title})");
        }
        if let Some(span) = &instruction.span {
            let here = (span.file.as_path(), span.start.line);
            if line != Some(here) {
                line = Some(here);
                let _ = writeln!(out, "{}", c_line(span, cx));
            }
        }
        let text = format!("{:>6}: {}", instruction.index, one_line(&instruction.text));
        let remark = remark(instruction);
        if remark.is_empty() {
            let _ = writeln!(out, "{text}");
        } else {
            let room = REMARKS.saturating_sub(text::width(&text)).max(2);
            let remark = Paint::Faint.on(&format!("; {remark}"), cx.color);
            let _ = writeln!(out, "{text}{:room$}{remark}", "");
        }
    }
    out
}

/// A C line, as the verifier's log writes it.
fn c_line(span: &Span, cx: &Context) -> String {
    let place = format!("{}:{}", cx.shown_path(&span.file), span.start.line);
    let code = one_line(span.line_text.as_deref().unwrap_or_default().trim());
    let code = Paint::Note.on(&code, cx.color);
    format!("; {code}{}{}", if code.is_empty() { "@ " } else { " @ " }, place)
}

fn remark(instruction: &Instruction) -> String {
    let mut remarks = Vec::new();
    if let Some(refers) = &instruction.refers {
        match (refers.kind, refers.offset) {
            ("helper", _) => {}
            (kind, _) => remarks.push(kind.to_owned()),
        }
    }
    remarks.extend(instruction.jumps_to.map(|to| format!("to {to}")));
    remarks.extend(instruction.core.as_ref().map(core));
    one_line(&remarks.join(", "))
}

fn core(core: &Core) -> String {
    let Core { question, of, local, value } = core;
    match (local, value) {
        (Some(local), Some(value)) if local != value => {
            format!("CO-RE {question}({of}): {local}, on the kernel {value}")
        }
        (_, Some(value)) => format!("CO-RE {question}({of}): on the kernel {value}"),
        _ => format!("CO-RE {question}({of})"),
    }
}

/// A listing's instructions as rows, for machines.
pub fn rows(listing: &Listing) -> Table {
    let mut table = Table::new(
        "instruction",
        &[
            ("object", ""),
            ("program", ""),
            ("index", ""),
            ("function", ""),
            ("section", ""),
            ("offset", ""),
            ("text", ""),
            ("file", ""),
            ("line", ""),
            ("column", ""),
            ("source", ""),
            ("refers_to", ""),
            ("name", ""),
            ("data_offset", ""),
            ("jumps_to", ""),
            ("core_question", ""),
            ("core_of", ""),
            ("core_local", ""),
            ("core_kernel", ""),
        ],
    );
    let text = |text: &str| Cell::Text(text.to_owned());
    let number = |number: Option<u64>| number.map_or(Cell::Unknown, Cell::Number);
    for instruction in &listing.instructions {
        let span = instruction.span.as_ref();
        let refers = instruction.refers.as_ref();
        let core = instruction.core.as_ref();
        let line = span.map(|span| u64::from(span.start.line));
        let column = span.map(|span| u64::from(span.start.column));
        let source = span.and_then(|span| span.line_text.as_deref());
        table.push(vec![
            Cell::Text(listing.object.display().to_string()),
            text(&listing.program),
            Cell::Number(instruction.index as u64),
            text(&instruction.function),
            text(&instruction.origin.0),
            Cell::Number(instruction.origin.1 as u64 * 8),
            text(&instruction.text),
            span.map_or(Cell::Unknown, |span| Cell::Text(span.file.display().to_string())),
            number(line),
            number(column.filter(|&column| column > 0)),
            source.map_or(Cell::Unknown, text),
            refers.map_or(Cell::Unknown, |refers| text(refers.kind)),
            refers.map_or(Cell::Unknown, |refers| text(&refers.name)),
            number(refers.and_then(|refers| refers.offset)),
            number(instruction.jumps_to.map(|to| to as u64)),
            core.map_or(Cell::Unknown, |core| text(core.question)),
            core.map_or(Cell::Unknown, |core| text(&core.of)),
            number(core.and_then(|core| core.local)),
            number(core.and_then(|core| core.value)),
        ]);
    }
    table
}
