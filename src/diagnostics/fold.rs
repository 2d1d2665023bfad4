//! One finding on three kernels is one diagnostic that names the three.

use super::Diagnostic;

/// Merges diagnostics that differ only in the kernels they hold for, keeping
/// the order in which they first came. Of several, the first one's notes,
/// labels and raw log stand.
pub fn fold(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut folded: Vec<Diagnostic> = Vec::new();
    for diagnostic in diagnostics {
        match folded.iter_mut().find(|known| is_same(known, &diagnostic)) {
            Some(known) => {
                for kernel in diagnostic.kernels {
                    if !known.kernels.contains(&kernel) {
                        known.kernels.push(kernel);
                    }
                }
            }
            None => folded.push(diagnostic),
        }
    }
    folded
}

/// Whether two findings differ at most in the kernels they hold for.
pub fn is_same(a: &Diagnostic, b: &Diagnostic) -> bool {
    let line = |d: &Diagnostic| {
        d.primary.as_ref().map(|label| (label.span.file.clone(), label.span.start.line))
    };
    // The words of a message may hold numbers that differ between kernels;
    // cause, program and line are what make a finding the same.
    a.code == b.code
        && a.severity == b.severity
        && a.program == b.program
        && a.test == b.test
        && line(a) == line(b)
        && a.place.as_ref().map(|p| &p.object) == b.place.as_ref().map(|p| &p.object)
        && (a.message == b.message || (!a.kernels.is_empty() && a.primary.is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::{Origin, Span, codes};
    use super::*;

    fn finding(line: u32, kernel: &str) -> Diagnostic {
        Diagnostic::new(codes::MAP_VALUE_MAYBE_NULL, Origin::Verifier, "value may be null")
            .at(Span::line("a.bpf.c", line))
            .kernel(kernel)
    }

    #[test]
    fn the_same_line_on_two_kernels_is_one() {
        let folded = fold(vec![finding(3, "a"), finding(4, "a"), finding(3, "b")]);
        let kernels: Vec<_> = folded.iter().map(|d| d.kernels.join(" ")).collect();
        assert_eq!(kernels, ["a b", "a"]);
    }
}
