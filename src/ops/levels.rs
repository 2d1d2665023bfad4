//! The levels of findings, as a project and the command line set them.

use super::Session;
use crate::base::fs;
use crate::diagnostics::{Code, Diagnostic, Edit, Levels, Origin, Span, codes, names_allowed};
use crate::project::{Project, Source};
use std::path::Path;

/// Findings at their levels, and how many were allowed. Files are read
/// relative to `root`.
pub(super) fn apply(
    session: &Session,
    project: Option<&Project>,
    root: &Path,
    findings: Vec<Diagnostic>,
) -> (Vec<Diagnostic>, usize) {
    let levels = Levels {
        named: project.map(|project| &project.manifest.lints),
        deny_warnings: session.deny_warnings,
    };
    let text = |file: &Path| text(&root.join(file));
    levels.apply(findings, &text)
}

/// A finding for each name in `[lints]` and in the comments of some sources that
/// is neither a code nor the readable name of one: it would have no effect, and
/// nobody would know.
pub(super) fn unknown_names<'s>(
    project: &Project,
    sources: impl Iterator<Item = &'s Source>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let names = project.manifest.lint_names.iter();
    for name in names.filter(|name| Code::find(&name.value).is_none()) {
        found.extend(project.span(name).map(|span| unknown(&name.value, span)));
    }
    for source in sources {
        let path = project.root.join(&source.path);
        let Some(text) = text(&path) else { continue };
        for (range, name) in names_allowed(&text).filter(|(_, name)| Code::find(name).is_none()) {
            found.push(unknown(name, Span::of_bytes(&path, &text, range)));
        }
    }
    found
}

fn unknown(name: &str, span: Span) -> Diagnostic {
    let message = format!("no finding is called `{name}`");
    let diagnostic =
        Diagnostic::new(codes::UNKNOWN_LINT, Origin::Manifest, message).at(span.clone());
    match Code::nearest(name) {
        Some(code) => {
            // As it was written: a number, or a name.
            let is_number = name.ends_with(|c: char| c.is_ascii_digit());
            let replacement = if is_number { code.id() } else { code.slug() }.to_owned();
            let edit = Edit { span, replacement };
            diagnostic.help_edit(format!("did you mean {code}?"), edit)
        }
        None => diagnostic.help("`skep explain --list` shows the names of all findings"),
    }
}

fn text(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}
