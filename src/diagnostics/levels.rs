//! What becomes of findings: the levels of `[lints]`, a comment on the line
//! (`// skep: allow(E0404)`), `--deny warnings`. The same for every source of
//! findings.

use super::{Class, Code, Diagnostic, Origin, Severity};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// What becomes of the findings of one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// They are not shown.
    Allow,
    /// They are warnings.
    Warn,
    /// They are errors.
    Deny,
}

/// The levels that hold for a project.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels<'m> {
    /// By code or readable name.
    pub named: Option<&'m BTreeMap<String, Level>>,
    /// Warnings that nothing is said of are errors.
    pub deny_warnings: bool,
}

/// Gives the text of a source file, if it can be had.
pub type Text<'t> = &'t dyn Fn(&Path) -> Option<String>;

impl Levels<'_> {
    /// The findings that are left, at their levels, and how many were
    /// allowed. Only findings about programs have levels: a manifest that is
    /// wrong, a machine that does not come up and source that does not
    /// compile stay what they are.
    pub fn apply(&self, findings: Vec<Diagnostic>, text: Text<'_>) -> (Vec<Diagnostic>, usize) {
        let before = findings.len();
        let left: Vec<_> =
            findings.into_iter().filter_map(|finding| self.level(finding, text)).collect();
        let allowed = before - left.len();
        (left, allowed)
    }

    fn level(&self, mut finding: Diagnostic, text: Text<'_>) -> Option<Diagnostic> {
        let does_not_compile = finding.origin == Origin::Clang && finding.is_error();
        if finding.code.class() != Class::Finding || does_not_compile {
            return Some(finding);
        }
        if is_allowed_by_comment(&finding, text) {
            return None;
        }
        match self.of(finding.code) {
            Some(Level::Allow) => return None,
            Some(Level::Warn) => finding.severity = Severity::Warning,
            Some(Level::Deny) => finding.severity = Severity::Error,
            None => {}
        }
        if self.deny_warnings && finding.severity == Severity::Warning {
            finding.severity = Severity::Error;
            finding.notes.push("`--deny warnings` makes this an error".to_owned());
        }
        Some(finding)
    }

    fn of(&self, code: Code) -> Option<Level> {
        let mut named = self.named?.iter();
        named.find_map(|(name, level)| is_named(code, name).then_some(*level))
    }
}

fn is_named(code: Code, name: &str) -> bool {
    name.eq_ignore_ascii_case(code.id()) || name == code.slug()
}

/// Whether the line a finding stands on, or a comment alone on the line
/// above, allows it.
fn is_allowed_by_comment(finding: &Diagnostic, text: Text<'_>) -> bool {
    let Some(span) = finding.primary.as_ref().map(|label| &label.span) else { return false };
    if span.line_text.as_deref().is_some_and(|line| allows(line, finding.code)) {
        return true;
    }
    let Some(text) = text(&span.file) else { return false };
    let Some(at) = usize::try_from(span.start.line).ok().and_then(|line| line.checked_sub(1))
    else {
        return false;
    };
    let line = |at: usize| text.lines().nth(at);
    let above = at.checked_sub(1).and_then(line).map(str::trim);
    // What was compiled counts; the file may have changed since.
    span.line_text.is_none() && line(at).is_some_and(|line| allows(line, finding.code))
        || above.is_some_and(|line| {
            (line.starts_with("//") || line.starts_with("/*")) && allows(line, finding.code)
        })
}

/// What begins a comment's list of codes, which ends at a parenthesis.
const ALLOW: &str = "skep: allow(";

/// Whether a line has a comment that allows a code, by itself or its readable
/// name; several are separated by commas.
fn allows(line: &str, code: Code) -> bool {
    let Some(at) = line.find(ALLOW) else { return false };
    names_from(line, at).any(|(_, name)| is_named(code, name))
}

/// The names in all comments of a text that allow something, with the bytes
/// they stand on.
pub fn names_allowed(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    text.match_indices(ALLOW).flat_map(|(at, _)| names_from(text, at))
}

/// The names in the list of a comment that begins at a byte; none if it does
/// not end on its line.
fn names_from(text: &str, at: usize) -> impl Iterator<Item = (Range<usize>, &str)> {
    let from = at + ALLOW.len();
    let line = text[from..].lines().next().unwrap_or_default();
    let list = line.split_once(')').map_or("", |(list, _)| list);
    let mut next = from;
    list.split(',').filter_map(move |part| {
        let start = next + (part.len() - part.trim_start().len());
        next += part.len() + 1;
        let name = part.trim();
        (!name.is_empty()).then(|| (start..start + name.len(), name))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Span, codes};
    use super::*;

    fn finding(line: u32) -> Diagnostic {
        Diagnostic::new(codes::UNKNOWN_SECTION, Origin::Object, "m").at(Span::line("a.c", line))
    }

    #[test]
    fn codes_and_names_are_allowed_on_the_line_or_above() {
        let on = |text: &str, line| {
            let text = |_: &Path| Some(text.to_owned());
            is_allowed_by_comment(&finding(line), &text)
        };
        assert!(on("SEC(\"x\") // skep: allow(E0404)\n", 1));
        assert!(on("SEC(\"x\") /* skep: allow(large-stack, unknown-section) */", 1));
        assert!(on("// skep: allow(e0404): known\nSEC(\"x\")\n", 2));
        assert!(!on("int x; // skep: allow(E0404)\nSEC(\"x\")\n", 2));
        assert!(!on("SEC(\"x\") // skep: allow(E0406)", 1));
        assert!(!on("SEC(\"x\") // skep: allow(E0404", 1));
        assert!(!on("", 1));
    }

    #[test]
    fn all_names_of_a_text_with_their_places() {
        let text = "a // skep: allow(E0404, large-stack )\nskep: allow(x\n/* skep: allow( é) */";
        let names: Vec<_> = names_allowed(text).collect();
        assert_eq!(
            names.iter().map(|(_, name)| *name).collect::<Vec<_>>(),
            ["E0404", "large-stack", "é"]
        );
        for (range, name) in names {
            assert_eq!(&text[range], name);
        }
    }

    #[test]
    fn levels_by_code_and_by_name() {
        let no_text = |_: &Path| None;
        let severity = |named: &[(&str, Level)], deny_warnings, finding: Diagnostic| {
            let named = named.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect();
            let levels = Levels { named: Some(&named), deny_warnings };
            levels.apply(vec![finding], &no_text).0.first().map(|left| left.severity)
        };
        let warning = || finding(1).severity(Severity::Warning);
        assert_eq!(severity(&[], false, warning()), Some(Severity::Warning));
        assert_eq!(severity(&[], true, warning()), Some(Severity::Error));
        assert_eq!(severity(&[("E0404", Level::Allow)], true, warning()), None);
        assert_eq!(
            severity(&[("unknown-section", Level::Deny)], false, warning()),
            Some(Severity::Error)
        );
        assert_eq!(severity(&[("e0404", Level::Warn)], false, finding(1)), Some(Severity::Warning));
        let usage = Diagnostic::new(codes::MANIFEST_KEY, Origin::Manifest, "m");
        assert_eq!(severity(&[("E0103", Level::Allow)], false, usage), Some(Severity::Error));
        let clang = Diagnostic::new(codes::CLANG_ERROR, Origin::Clang, "m");
        assert_eq!(severity(&[("E0201", Level::Allow)], false, clang), Some(Severity::Error));
    }
}
