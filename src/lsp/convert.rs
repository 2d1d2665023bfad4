//! From skep's diagnostics to the protocol's.

use super::text::Text;
use super::uri;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Severity, Span};
use lsp_types as lsp;
use lsp_types::{
    DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString, Range,
};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longer notes, such as the end of a verifier's log, are cut in an editor.
const MAX_NOTE_LINES: usize = 20;

/// What was found in a project, by file.
#[derive(Debug, Default)]
pub struct Findings {
    /// The findings of each file, by its absolute path.
    pub files: BTreeMap<PathBuf, Vec<Found>>,
    /// The texts that findings and fixes speak of.
    texts: Texts,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Found {
    /// As the editor shows it.
    pub shown: lsp::Diagnostic,
    /// Edits that mend it.
    pub fixes: Vec<Fix>,
}

/// An edit that mends a finding.
#[derive(Clone, Debug)]
pub struct Fix {
    /// What it does, in the imperative.
    pub title: String,
    /// The file it changes, absolute.
    pub file: PathBuf,
    /// The change.
    pub edit: lsp::TextEdit,
}

impl Findings {
    /// Puts diagnostics on the files they lie in. Their paths are relative to
    /// `cwd`; what lies in no file lies in `home`, as a whole.
    pub fn new(diagnostics: &[Diagnostic], cwd: &Path, home: &Path) -> Self {
        let mut findings = Self::default();
        for diagnostic in diagnostics {
            let file = match &diagnostic.primary {
                Some(label) => cwd.join(&label.span.file),
                None => home.to_owned(),
            };
            let found = findings.texts.found(diagnostic, cwd, home);
            findings.files.entry(file).or_default().push(found);
        }
        findings
    }

    /// The text of a file as it was when the findings were made.
    pub fn text(&self, file: &Path) -> Option<&str> {
        self.texts.0.get(file).map(|text| text.as_str())
    }
}

/// The files that were looked at; those that cannot be read are empty.
#[derive(Debug, Default)]
struct Texts(HashMap<PathBuf, Arc<Text>>);

impl Texts {
    fn get(&mut self, file: &Path) -> Arc<Text> {
        if let Some(text) = self.0.get(file) {
            return Arc::clone(text);
        }
        let bytes = fs::read(file).unwrap_or_default();
        let text = Arc::new(Text::new(String::from_utf8_lossy(&bytes).into_owned()));
        self.0.insert(file.to_owned(), Arc::clone(&text));
        text
    }

    fn found(&mut self, diagnostic: &Diagnostic, cwd: &Path, home: &Path) -> Found {
        let range = match &diagnostic.primary {
            Some(label) => self.range(&label.span, cwd),
            None => Range::default(),
        };
        let related = diagnostic.secondary.iter().filter_map(|label| {
            let file = cwd.join(&label.span.file);
            let location =
                Location { uri: uri::of_path(&file)?, range: self.range(&label.span, cwd) };
            Some(DiagnosticRelatedInformation { location, message: label.message.clone() })
        });
        let related: Vec<_> = related.collect();
        let mut fixes = Vec::new();
        for help in &diagnostic.helps {
            if let Some(edit) = &help.edit {
                fixes.push(Fix {
                    title: help.message.clone(),
                    file: cwd.join(&edit.span.file),
                    edit: lsp::TextEdit {
                        range: self.exact(&edit.span, cwd),
                        new_text: edit.replacement.clone(),
                    },
                });
            }
        }
        Found {
            shown: lsp::Diagnostic {
                range,
                severity: Some(match diagnostic.severity {
                    Severity::Error => DiagnosticSeverity::ERROR,
                    Severity::Warning => DiagnosticSeverity::WARNING,
                    Severity::Note => DiagnosticSeverity::INFORMATION,
                }),
                code: Some(NumberOrString::String(diagnostic.code.id().to_owned())),
                source: Some("skep".to_owned()),
                message: message(diagnostic, cwd, home),
                related_information: Some(related).filter(|related| !related.is_empty()),
                ..lsp::Diagnostic::default()
            },
            fixes,
        }
    }

    /// What to underline: as much as is known, else the word that begins
    /// there, the whole line, or the file's first line.
    fn range(&mut self, span: &Span, cwd: &Path) -> Range {
        let text = self.get(&cwd.join(&span.file));
        let Some(line) = index(span.start.line) else { return text.whole_line(0) };
        let Some(column) = index(span.start.column) else { return text.whole_line(line) };
        match span.end {
            Some(end) if (end.line, end.column) > (span.start.line, span.start.column) => {
                self.exact(span, cwd)
            }
            _ => text.word_from(line, column),
        }
    }

    /// Exactly what a span covers, for edits; a whole line without its end
    /// where it has no column.
    fn exact(&mut self, span: &Span, cwd: &Path) -> Range {
        let text = self.get(&cwd.join(&span.file));
        let place = |position: crate::diagnostics::Position| {
            text.position(index(position.line).unwrap_or(0), index(position.column).unwrap_or(0))
        };
        let start = place(span.start);
        Range::new(start, span.end.map_or(start, place))
    }
}

/// From a number that counts from 1, where 0 stands for all, to an index.
fn index(number: u32) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

/// The finding in words: the sentence, what is wrong at the place, the notes
/// and the ways out that no edit does.
fn message(diagnostic: &Diagnostic, cwd: &Path, home: &Path) -> String {
    let mut text = diagnostic.message.clone();
    let mut add = |line: String| {
        text.push('\n');
        text.push_str(&line);
    };
    if let Some(label) = diagnostic.primary.as_ref().filter(|label| !label.message.is_empty()) {
        add(label.message.clone());
    } else if let (None, Some(place)) = (&diagnostic.primary, &diagnostic.place) {
        let object = cwd.join(&place.object);
        let shown = home.parent().and_then(|dir| object.strip_prefix(dir).ok()).unwrap_or(&object);
        let mut line = format!("in {}", shown.display());
        if let Some(section) = &place.section {
            line.push_str(&format!(", section {section}"));
        }
        if let Some(instruction) = place.instruction {
            line.push_str(&format!(", instruction {instruction}"));
        }
        add(line);
    }
    for note in &diagnostic.notes {
        let lines: Vec<&str> = note.lines().collect();
        match lines.len().checked_sub(MAX_NOTE_LINES) {
            None | Some(0) => add(format!("note: {note}")),
            Some(more) => {
                add(format!("note: {}\n({more} more lines)", lines[..MAX_NOTE_LINES].join("\n")));
            }
        }
    }
    for help in &diagnostic.helps {
        add(format!("help: {}", help.message));
    }
    if let Some(program) = &diagnostic.program {
        add(format!("program: {program}"));
    }
    if !diagnostic.kernels.is_empty() {
        add(format!("kernels: {}", diagnostic.kernels.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Edit, ObjectPlace, Origin, codes};

    #[test]
    fn spans_become_ranges_and_edits_stay_exact() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("größe.c");
        fs::write_atomic(&file, "\t/* ö */ *value += 1;\n".as_bytes()).unwrap();
        let at = Span::point("größe.c", 1, 11).to(1, 17);
        let edit = Edit {
            span: Span::point("größe.c", 1, 1).to(1, 1),
            replacement: "\tif (!value)\n\t\treturn 0;\n".into(),
        };
        let null = Diagnostic::new(codes::MAP_VALUE_MAYBE_NULL, Origin::Verifier, "may be null")
            .at_with(at, "dereferenced here")
            .label(Span::line("größe.c", 1), "looked up here")
            .help_edit("check it first", edit)
            .note("a\nb");
        let nowhere = Diagnostic::new(codes::OBJECT_CORRUPT, Origin::Object, "damaged")
            .object_place(ObjectPlace {
                object: "x.bpf.o".into(),
                section: Some("xdp".into()),
                instruction: Some(3),
            });
        let home = dir.path().join("Skep.toml");
        let findings = Findings::new(&[null, nowhere], dir.path(), &home);
        let found = &findings.files[&file][0];
        let range = found.shown.range;
        assert_eq!((range.start.character, range.end.character), (9, 15));
        assert_eq!(
            found.shown.message,
            "may be null\ndereferenced here\nnote: a\nb\nhelp: check it first"
        );
        let related = &found.shown.related_information.as_ref().unwrap()[0];
        assert_eq!(related.location.range.start.character, 1);
        let fix = &found.fixes[0];
        assert_eq!((fix.title.as_str(), fix.edit.range), ("check it first", Range::default()));
        let other = &findings.files[&home][0].shown;
        assert_eq!(other.message, "damaged\nin x.bpf.o, section xdp, instruction 3");
    }
}
