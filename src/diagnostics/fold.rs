//! One finding on three kernels is one diagnostic that names the three.

use super::{Diagnostic, Origin};

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
    // What kernels say of one fault differs in numbers and words; cause,
    // program and line are what make it the same. Our own predictions of them
    // are in the same words where they mean the same.
    let is_said = matches!(a.origin, Origin::Verifier | Origin::Vm);
    a.code == b.code
        && a.severity == b.severity
        && a.program == b.program
        && a.test == b.test
        && line(a) == line(b)
        && a.place.as_ref().map(|p| &p.object) == b.place.as_ref().map(|p| &p.object)
        && (a.message == b.message || (is_said && !a.kernels.is_empty() && a.primary.is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::{Span, codes};
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

    #[test]
    fn one_fault_in_the_words_of_two_kernels_is_one_and_two_predictions_are_two() {
        let folded = |origin| {
            let (mut one, mut other) = (finding(3, "a"), finding(3, "b"));
            (one.origin, other.origin) = (origin, origin);
            other.message = "R0 may be null".to_owned();
            fold(vec![one, other]).len()
        };
        assert_eq!((folded(Origin::Verifier), folded(Origin::Core)), (1, 2));
    }
}
