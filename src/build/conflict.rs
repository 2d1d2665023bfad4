//! Where the sources have what does not fit together, when libbpf's linker
//! refuses their objects: it names what, and not where.

use crate::diagnostics::{Diagnostic, Span};
use std::path::PathBuf;

/// Puts a finding on the lines that declare what the linker's last words
/// name, in each of the linked sources.
pub(super) fn placed(finding: Diagnostic, said: &str, sources: &[(PathBuf, String)]) -> Diagnostic {
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let Some(name) = named(last) else { return finding };
    let mut spans: Vec<Span> = sources.iter().filter_map(|source| declared(source, name)).collect();
    // The linker stumbles over the later one.
    let Some(span) = spans.pop() else { return finding };
    let finding = finding.at_with(span, format!("`{name}` is declared here"));
    spans.into_iter().fold(finding, |finding, span| finding.label(span, "and here"))
}

/// What libbpf names: `global 'NAME': …`, `… symbol #3 (NAME) …`.
fn named(said: &str) -> Option<&str> {
    let within = |open: &str, close: char| {
        let (_, rest) = said.split_once(open)?;
        let (name, _) = rest.split_once(close)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (!name.is_empty() && name.chars().all(is_name)).then_some(name)
    };
    match said.contains("symbol #") {
        true => within("(", ')'),
        false => within("'", '\''),
    }
}

/// The first line outside of functions that has a name.
fn declared((path, text): &(PathBuf, String), name: &str) -> Option<Span> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    for (index, line) in text.lines().enumerate() {
        if line.starts_with([' ', '\t', '#', '*', '/']) {
            continue;
        }
        let mut places = line.match_indices(name).map(|(at, _)| at);
        let Some(at) = places.find(|at| {
            !line[..*at].ends_with(is_letter) && !line[at + name.len()..].starts_with(is_letter)
        }) else {
            continue;
        };
        let number = u32::try_from(index + 1).ok()?;
        let column = |at: usize| u32::try_from(at + 1).ok();
        let span = Span::point(path, number, column(at)?);
        return Some(span.to(number, column(at + name.len())?).with_line_text(line));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_declarations_are_found() {
        assert_eq!(named("global 'm': map max_entries mismatch"), Some("m"));
        assert_eq!(
            named("conflicting non-weak symbol #12 (m) definition in '/x y/b.o'"),
            Some("m")
        );
        assert_eq!(named("failed to open '/x/b.o'"), None);
        let source =
            (PathBuf::from("a"), "struct mm;\n// m\nint f(void) {\n  m;\n}\nint m = 3;".into());
        let span = declared(&source, "m").unwrap();
        assert_eq!((span.start.line, span.start.column), (6, 5));
    }
}
