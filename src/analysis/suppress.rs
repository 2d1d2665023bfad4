//! `// skep: allow(E0404)`: a comment that says that a finding on its line is
//! known and meant.

use crate::diagnostics::Diagnostic;

/// Whether the line a finding stands on carries a comment that allows it, by
/// code or by readable name; several are separated by commas.
pub fn is_allowed_by_comment(finding: &Diagnostic) -> bool {
    let text = finding.primary.as_ref().and_then(|label| label.span.line_text.as_deref());
    let Some((_, rest)) = text.and_then(|text| text.split_once("skep: allow(")) else {
        return false;
    };
    let Some((names, _)) = rest.split_once(')') else { return false };
    names
        .split(',')
        .map(str::trim)
        .any(|name| name.eq_ignore_ascii_case(finding.code.id()) || name == finding.code.slug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Origin, Span, codes};

    #[test]
    fn codes_and_names_are_allowed() {
        let on = |text: &str| {
            let span = Span::line("a.bpf.c", 1).with_line_text(text);
            let finding = Diagnostic::new(codes::UNKNOWN_SECTION, Origin::Object, "m").at(span);
            is_allowed_by_comment(&finding)
        };
        assert!(on("SEC(\"x\") // skep: allow(E0404)"));
        assert!(on("SEC(\"x\") /* skep: allow(large-stack, unknown-section) */"));
        assert!(!on("SEC(\"x\") // skep: allow(E0406)"));
        assert!(!on("SEC(\"x\") // skep: allow(E0404"));
    }
}
