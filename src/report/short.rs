//! One line a finding, in the form of the GNU coding standards, which every
//! editor reads: `file:line:column: error[E0301]: message [slug]`. Columns
//! count bytes, as clang's do. Tables are separated by tabs, numbers are
//! plain.

use super::Context;
use super::table::{Cell, Table};
use super::text::one_line;
use crate::diagnostics::{Diagnostic, ObjectPlace, Span};

/// One diagnostic, one line.
pub fn diagnostic(diagnostic: &Diagnostic, cx: &Context) -> String {
    let place = match (&diagnostic.primary, &diagnostic.place) {
        (Some(label), _) => location(&label.span, cx),
        (None, Some(place)) => object_place(place, cx),
        (None, None) => "skep".to_owned(),
    };
    let mut line = format!(
        "{place}: {}[{}]: {}",
        diagnostic.severity.as_str(),
        diagnostic.code.id(),
        one_line(&diagnostic.message)
    );
    if let Some(program) = &diagnostic.program {
        line.push_str(&format!(" (program {})", one_line(program)));
    }
    if !diagnostic.kernels.is_empty() {
        line.push_str(&format!(" (on {})", one_line(&diagnostic.kernels.join(", "))));
    }
    format!("{line} [{}]\n", diagnostic.code.slug())
}

fn location(span: &Span, cx: &Context) -> String {
    let file = one_line(&cx.path(&span.file));
    match (span.start.line, span.start.column) {
        (0, _) => file,
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    }
}

/// A place in an object, parted from the file's name by a colon: a comma would
/// be taken for a part of the name.
fn object_place(place: &ObjectPlace, cx: &Context) -> String {
    let object = one_line(&cx.path(&place.object));
    let section = place.section.iter().map(|section| format!("section {}", one_line(section)));
    let instruction = place.instruction.iter().map(|index| format!("instruction {index}"));
    let inside: Vec<String> = section.chain(instruction).collect();
    if inside.is_empty() { object } else { format!("{object}: {}", inside.join(", ")) }
}

/// A table: a line of keys, then a line a row, separated by tabs.
pub fn table(table: &Table) -> String {
    let named: Vec<usize> =
        (0..table.columns.len()).filter(|&at| !table.columns[at].key.is_empty()).collect();
    let keys: Vec<&str> = named.iter().map(|&at| table.columns[at].key).collect();
    let mut out = keys.join("\t");
    out.push('\n');
    for row in &table.rows {
        let cells: Vec<String> = named.iter().map(|&at| words(&row[at])).collect();
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    out
}

fn words(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Good(text) | Cell::Bad(text) | Cell::Caution(text) => {
            // Foreign tabs were turned into spaces by the escaping.
            one_line(text)
        }
        Cell::Words(words) => one_line(&words.join(",")),
        Cell::Count(number) | Cell::Number(number) | Cell::Micros(number) | Cell::Bytes(number) => {
            number.to_string()
        }
        Cell::Range(low, high) => format!("{low}-{high}"),
        Cell::Percent(percent) => format!("{percent:+.1}%"),
        Cell::Share(percent) => format!("{percent:.1}%"),
        Cell::List(texts) if texts.is_empty() => "-".to_owned(),
        Cell::List(texts) => one_line(&texts.join("; ")),
        Cell::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Cell::Unknown => "-".to_owned(),
    }
}
