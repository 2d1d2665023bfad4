//! SARIF 2.1.0, the format of code scanners (OASIS standard of 27 March
//! 2020): one document with one run. Tables have no place in it.

use super::Context;
use super::source::{Extent, Lines, Region};
use crate::diagnostics::{Code, Diagnostic, Edit, Label, Severity, Span};
use serde::Serialize;
use std::path::Path;

/// The document of a command's findings.
pub fn document(diagnostics: &[Diagnostic], cx: &Context) -> String {
    let mut codes: Vec<Code> = Vec::new();
    let results = diagnostics
        .iter()
        .map(|diagnostic| {
            let known = codes.iter().position(|code| *code == diagnostic.code);
            let index = known.unwrap_or_else(|| {
                codes.push(diagnostic.code);
                codes.len() - 1
            });
            result(diagnostic, index, cx)
        })
        .collect();
    let log = Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "skep",
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules: codes.into_iter().map(rule).collect(),
                },
            },
            column_kind: "unicodeCodePoints",
            results,
        }],
    };
    let text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text + "\n"
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<ResultOf>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    name: String,
    short_description: Text,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultOf {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Fix>,
    properties: Properties,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<RegionOf>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionOf {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    name: String,
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fix {
    description: Text,
    artifact_changes: [Change; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    artifact_location: Artifact,
    replacements: [Replacement; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement {
    deleted_region: RegionOf,
    inserted_content: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    origin: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    kernels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<u32>,
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn rule(code: Code) -> Rule {
    Rule {
        id: code.id(),
        name: camel_case(code.slug()),
        short_description: Text { text: code.summary().to_owned() },
        default_configuration: Configuration { level: level(code.severity()) },
    }
}

/// `map-value-maybe-null` as `MapValueMaybeNull`, which is how SARIF wants
/// rules named.
fn camel_case(slug: &str) -> String {
    slug.split('-')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}

fn result(diagnostic: &Diagnostic, rule_index: usize, cx: &Context) -> ResultOf {
    let mut text = diagnostic.message.clone();
    if let Some(Label { message, .. }) = &diagnostic.primary
        && !message.is_empty()
    {
        text.push_str(&format!(": {message}"));
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("\n\nnote: {note}"));
    }
    for help in &diagnostic.helps {
        text.push_str(&format!("\n\nhelp: {}", help.message));
    }
    let place = diagnostic.place.as_ref();
    let physical = match (&diagnostic.primary, place) {
        (Some(label), _) => Some(physical(&label.span, cx)),
        (None, Some(place)) => Some(Physical {
            artifact_location: Artifact { uri: uri(&place.object, cx) },
            region: None,
        }),
        (None, None) => None,
    };
    let logical: Vec<Logical> = diagnostic
        .program
        .iter()
        .map(|name| Logical { name: name.clone(), kind: "function" })
        .collect();
    let has_location = physical.is_some() || !logical.is_empty();
    let location = Location {
        id: None,
        physical_location: physical,
        logical_locations: logical,
        message: None,
    };
    let related = diagnostic.secondary.iter().enumerate().map(|(index, label)| Location {
        id: Some(index + 1),
        physical_location: Some(self::physical(&label.span, cx)),
        logical_locations: Vec::new(),
        message: Some(Text { text: label.message.clone() }),
    });
    let fixes = diagnostic.helps.iter().filter_map(|help| {
        let edit = help.edit.as_ref()?;
        Some(fix(&help.message, edit, cx))
    });
    ResultOf {
        rule_id: diagnostic.code.id(),
        rule_index,
        level: level(diagnostic.severity),
        message: Text { text },
        locations: if has_location { vec![location] } else { Vec::new() },
        related_locations: related.collect(),
        fixes: fixes.collect(),
        properties: Properties {
            origin: diagnostic.origin.as_str(),
            kernels: diagnostic.kernels.clone(),
            instruction: place.and_then(|place| place.instruction),
        },
    }
}

fn physical(span: &Span, cx: &Context) -> Physical {
    let lines = Lines::of(span, cx.sources);
    let extent = Extent::of(span, &lines);
    let region = (span.start.line > 0).then(|| Region::of(span, extent, &lines).into());
    Physical { artifact_location: Artifact { uri: uri(&span.file, cx) }, region }
}

fn fix(message: &str, edit: &Edit, cx: &Context) -> Fix {
    let lines = Lines::of(&edit.span, cx.sources);
    let extent = Extent::of_edit(&edit.span, &lines);
    Fix {
        description: Text { text: message.to_owned() },
        artifact_changes: [Change {
            artifact_location: Artifact { uri: uri(&edit.span.file, cx) },
            replacements: [Replacement {
                deleted_region: Region::of(&edit.span, extent, &lines).into(),
                inserted_content: Text { text: edit.replacement.clone() },
            }],
        }],
    }
}

impl From<Region> for RegionOf {
    fn from(region: Region) -> Self {
        Self {
            start_line: region.line_start,
            start_column: region.column_start,
            end_line: region.line_end,
            end_column: region.column_end,
        }
    }
}

/// A URI reference (RFC 3986): relative for what lies below the current
/// directory, `file:` for the rest.
fn uri(path: &Path, cx: &Context) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let path = path.strip_prefix(cx.cwd).unwrap_or(path);
    let mut uri = String::new();
    if path.is_absolute() {
        uri.push_str("file://");
    }
    for (index, &byte) in path.as_os_str().as_bytes().iter().enumerate() {
        // A colon in the first segment would look like a scheme.
        let is_plain = byte.is_ascii_alphanumeric() || b"/-._~+@".contains(&byte);
        if is_plain && !(index == 0 && byte == b'/' && !path.is_absolute()) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
