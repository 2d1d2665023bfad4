//! For programs: one JSON object a line. Findings have the shape of cargo's
//! `compiler-message`, so that what reads cargo's messages (editors, CI)
//! reads ours; tables become one object a row. `docs/json.md` describes it.

use super::source::{Extent, Lines, Region, character_column};
use super::table::{Cell, Table};
use super::{Context, human};
use crate::diagnostics::{Diagnostic, Edit, Label, Severity, Span};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

/// The version of the format. It rises when a key is taken away or changes
/// its meaning; new keys may come at any time.
pub const FORMAT_VERSION: u32 = 1;

/// The first line of a command's output.
pub fn opening() -> String {
    #[derive(Serialize)]
    struct Opening {
        reason: &'static str,
        format_version: u32,
        version: &'static str,
    }
    line(&Opening {
        reason: "skep",
        format_version: FORMAT_VERSION,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The last line of a command's output.
pub fn closing(success: bool) -> String {
    #[derive(Serialize)]
    struct Closing {
        reason: &'static str,
        success: bool,
    }
    line(&Closing { reason: "build-finished", success })
}

/// The line in front of one run of `skep watch`.
pub fn run_begins(run: u64) -> String {
    #[derive(Serialize)]
    struct Begins {
        reason: &'static str,
        run: u64,
    }
    line(&Begins { reason: "run-begins", run })
}

/// The line behind it.
pub fn run_ended(run: u64, errors: usize, warnings: usize) -> String {
    #[derive(Serialize)]
    struct Ended {
        reason: &'static str,
        run: u64,
        errors: usize,
        warnings: usize,
    }
    line(&Ended { reason: "run-ended", run, errors, warnings })
}

/// One diagnostic, one line.
pub fn diagnostic(diagnostic: &Diagnostic, cx: &Context) -> String {
    let place = diagnostic.place.as_ref();
    let source = diagnostic.primary.as_ref().map(|label| cx.path(&label.span.file));
    let name = (diagnostic.program.clone())
        .or_else(|| place.map(|place| cx.path(&place.object)))
        .or_else(|| source.clone());
    line(&Finding {
        reason: "compiler-message",
        package_id: "",
        manifest_path: "",
        target: Target {
            kind: ["bpf"],
            crate_types: ["bpf"],
            name: name.unwrap_or_else(|| "skep".to_owned()),
            src_path: source.unwrap_or_default(),
            edition: "2024",
            doc: false,
            doctest: false,
            test: false,
        },
        message: message(diagnostic, cx),
        skep: About {
            origin: diagnostic.origin.as_str(),
            slug: diagnostic.code.slug(),
            program: diagnostic.program.as_deref(),
            test: diagnostic.test.as_deref(),
            object: place.map(|place| Object {
                path: cx.path(&place.object),
                section: place.section.as_deref(),
                instruction: place.instruction,
            }),
            kernels: &diagnostic.kernels,
            raw_log: diagnostic.raw_log.as_ref().map(|path| cx.path(path)),
        },
    })
}

/// A table, one line a row.
pub fn table(table: &Table) -> String {
    table.rows.iter().map(|cells| line(&Row { table, cells })).collect()
}

fn line(value: &impl Serialize) -> String {
    // Our values have string keys and no fallible parts; were one to fail,
    // the reader gets a line that says so instead of nothing.
    let text = serde_json::to_string(value)
        .unwrap_or_else(|error| format!("{{\"reason\":\"unprintable\",\"error\":\"{error:?}\"}}"));
    text + "\n"
}

/// The keys are cargo's, see the chapter "External tools" of its book;
/// `skep` is our own.
#[derive(Serialize)]
struct Finding<'a> {
    reason: &'static str,
    package_id: &'static str,
    manifest_path: &'static str,
    target: Target,
    message: Message,
    skep: About<'a>,
}

#[derive(Serialize)]
struct Target {
    kind: [&'static str; 1],
    crate_types: [&'static str; 1],
    name: String,
    src_path: String,
    edition: &'static str,
    doc: bool,
    doctest: bool,
    test: bool,
}

#[derive(Serialize)]
struct About<'a> {
    origin: &'static str,
    slug: &'static str,
    program: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<&'a str>,
    object: Option<Object<'a>>,
    kernels: &'a [String],
    raw_log: Option<String>,
}

#[derive(Serialize)]
struct Object<'a> {
    path: String,
    section: Option<&'a str>,
    instruction: Option<u32>,
}

/// The keys are rustc's, see the chapter "JSON Output" of its book.
#[derive(Serialize)]
struct Message {
    #[serde(rename = "$message_type")]
    message_type: &'static str,
    message: String,
    code: Option<CodeOf>,
    level: &'static str,
    spans: Vec<SpanOf>,
    children: Vec<Message>,
    rendered: Option<String>,
}

#[derive(Serialize)]
struct CodeOf {
    code: &'static str,
    explanation: &'static str,
}

#[derive(Serialize)]
struct SpanOf {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    line_start: u32,
    line_end: u32,
    column_start: u32,
    column_end: u32,
    is_primary: bool,
    text: Vec<LineOf>,
    label: Option<String>,
    suggested_replacement: Option<String>,
    suggestion_applicability: Option<&'static str>,
    expansion: Option<()>,
}

#[derive(Serialize)]
struct LineOf {
    text: String,
    highlight_start: u32,
    highlight_end: u32,
}

fn message(diagnostic: &Diagnostic, cx: &Context) -> Message {
    let primary = diagnostic.primary.iter().map(|label| span(label, true, cx));
    let secondary = diagnostic.secondary.iter().map(|label| span(label, false, cx));
    let notes = diagnostic
        .notes
        .iter()
        .chain(&diagnostic.details)
        .map(|note| child("note", note, Vec::new()));
    let helps = diagnostic.helps.iter().map(|help| {
        let edit = help.edit.iter().map(|edit| suggestion(edit, cx)).collect();
        child("help", &help.message, edit)
    });
    Message {
        message_type: "diagnostic",
        message: diagnostic.message.clone(),
        code: Some(CodeOf { code: diagnostic.code.id(), explanation: diagnostic.code.summary() }),
        level: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        spans: primary.chain(secondary).collect(),
        children: notes.chain(helps).collect(),
        rendered: Some(human::diagnostic(diagnostic, &cx.plain())),
    }
}

fn child(level: &'static str, text: &str, spans: Vec<SpanOf>) -> Message {
    Message {
        message_type: "diagnostic",
        message: text.to_owned(),
        code: None,
        level,
        spans,
        children: Vec::new(),
        rendered: None,
    }
}

fn span(label: &Label, is_primary: bool, cx: &Context) -> SpanOf {
    let message = Some(label.message.clone()).filter(|message| !message.is_empty());
    let lines = Lines::of(&label.span, cx.sources);
    place(&label.span, &lines, Extent::of(&label.span, &lines), is_primary, message, cx)
}

fn suggestion(edit: &Edit, cx: &Context) -> SpanOf {
    let lines = Lines::of(&edit.span, cx.sources);
    let place = place(&edit.span, &lines, Extent::of_edit(&edit.span, &lines), true, None, cx);
    SpanOf {
        suggested_replacement: Some(edit.replacement.clone()),
        suggestion_applicability: Some("MaybeIncorrect"),
        ..place
    }
}

/// A longer stretch's text is left out.
const MOST_LINES: u32 = 64;

fn place(
    span: &Span,
    lines: &Lines,
    extent: Extent,
    is_primary: bool,
    label: Option<String>,
    cx: &Context,
) -> SpanOf {
    let Region { line_start, line_end, column_start, column_end } = Region::of(span, extent, lines);
    let text = (line_start..=line_end.min(line_start.saturating_add(MOST_LINES)))
        .map_while(|number| {
            let line = lines.get(number)?;
            Some(LineOf {
                text: String::from_utf8_lossy(line).into_owned(),
                highlight_start: if number == line_start { column_start } else { 1 },
                highlight_end: if number == line_end {
                    column_end
                } else {
                    character_column(line, line.len())
                },
            })
        })
        .collect();
    let (byte_start, byte_end) = lines.byte_range(extent).unwrap_or_default();
    SpanOf {
        file_name: cx.path(&span.file),
        byte_start,
        byte_end,
        line_start,
        line_end,
        column_start,
        column_end,
        is_primary,
        text,
        label,
        suggested_replacement: None,
        suggestion_applicability: None,
        expansion: None,
    }
}

/// A row as an object: `reason` is the table's kind of row.
struct Row<'a> {
    table: &'a Table,
    cells: &'a [Cell],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("reason", self.table.row)?;
        let named = self.table.columns.iter().zip(self.cells);
        for (column, cell) in named.filter(|(column, _)| !column.key.is_empty()) {
            match cell {
                Cell::Text(text) | Cell::Good(text) | Cell::Bad(text) | Cell::Caution(text) => {
                    map.serialize_entry(column.key, text)?;
                }
                Cell::Words(words) => map.serialize_entry(column.key, words)?,
                Cell::Count(number)
                | Cell::Number(number)
                | Cell::Micros(number)
                | Cell::Bytes(number) => {
                    map.serialize_entry(column.key, number)?;
                }
                Cell::Range(low, high) => map.serialize_entry(column.key, &[low, high])?,
                // Two digits are what anybody compares.
                Cell::Percent(percent) | Cell::Share(percent) => {
                    map.serialize_entry(column.key, &((percent * 100.0).round() / 100.0))?;
                }
                Cell::List(texts) => map.serialize_entry(column.key, texts)?,
                Cell::Flag(flag) => map.serialize_entry(column.key, flag)?,
                Cell::Unknown => map.serialize_entry(column.key, &())?,
            }
        }
        map.end()
    }
}
