//! Workflow commands that GitHub turns into annotations:
//! `::error file=…,line=…,title=…::message`. What else is printed must not
//! look like one.

use super::source::{Extent, Lines, Region};
use super::table::Table;
use super::text::{escape, one_line};
use super::{Context, human};
use crate::diagnostics::{Diagnostic, Severity};

/// One diagnostic, one command.
pub fn diagnostic(diagnostic: &Diagnostic, cx: &Context) -> String {
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(label) = &diagnostic.primary {
        properties.push(format!("file={}", property(&one_line(&cx.path(&label.span.file)))));
        if label.span.start.line > 0 {
            let lines = Lines::of(&label.span, cx.sources);
            let region = Region::of(&label.span, Extent::of(&label.span, &lines), &lines);
            properties.push(format!("line={}", region.line_start));
            properties.push(format!("endLine={}", region.line_end));
            if region.line_start == region.line_end {
                // GitHub takes columns only of one line; its end is inclusive.
                let last = region.column_end.saturating_sub(1).max(region.column_start);
                properties.push(format!("col={}", region.column_start));
                properties.push(format!("endColumn={last}"));
            }
        }
    }
    properties.push(format!("title={}", property(&diagnostic.code.to_string())));
    let mut text = diagnostic.message.clone();
    let labels = diagnostic.primary.iter().filter(|label| !label.message.is_empty());
    for label in labels {
        text.push_str(&format!(": {}", label.message));
    }
    for label in &diagnostic.secondary {
        let (file, line) = (cx.path(&label.span.file), label.span.start.line);
        text.push_str(&format!("\n{file}:{line}: {}", label.message));
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("\nnote: {}", note.trim_end()));
    }
    for help in &diagnostic.helps {
        text.push_str(&format!("\nhelp: {}", help.message));
    }
    if let Some(program) = &diagnostic.program {
        text.push_str(&format!("\nprogram: {program}"));
    }
    if !diagnostic.kernels.is_empty() {
        text.push_str(&format!("\nkernels: {}", diagnostic.kernels.join(", ")));
    }
    format!("::{command} {}::{}\n", properties.join(","), data(&escape(&text)))
}

/// A table for the job's log, disarmed.
pub fn table(table: &Table, cx: &Context) -> String {
    // The runner looks for `::` at a line's start, and for the older `##[`
    // anywhere.
    human::table(table, &cx.plain()).replace("::", ": :").replace("##[", "## [")
}

/// Escapes a message, as the runner's own toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property's value.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
