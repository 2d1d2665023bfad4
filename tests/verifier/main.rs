//! Literate cases: C programs in Markdown that say themselves what each
//! kernel's verifier must make of them, and the runner that asks real kernels.
//!
//! The files beside this one and the pages of `docs/diagnostics` about the
//! verifier are read. A
//! block of C is a case if it has a `SEC(`. Comments at the end of its lines
//! say which finding is expected there:
//!
//! - `// error[E0301]`: on every kernel of the case;
//! - `// error[E0313] on 5.10 6.1`: on these; on the others none is expected
//!   there. Several may follow each other, separated by commas.
//! - `// kernels: 6.1 6.12` on a line of its own: the case runs on these only.
//!
//! A case without an expected finding must be accepted.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod coverage;
mod golden;
mod kfuncs;
mod pages;
mod run;

use cases::Case;
use support::Place;

/// The kernels that verdicts are asked of: the name that cases use, and the
/// reference.
const KERNELS: [(&str, &str); 3] =
    [("5.10", "debian/bullseye"), ("6.1", "debian/bookworm"), ("6.12", "debian/trixie")];

/// Linux 7 moves on under its name; what it says is asked for on its own.
const NEWEST: [(&str, &str); 1] = [("7", "debian/sid")];

#[test]
fn every_case_has_the_verdicts_it_names() {
    judge(&cases::all(), &KERNELS);
}

#[test]
fn every_case_has_the_verdicts_it_names_on_the_newest_kernel() {
    judge(&cases::all(), &NEWEST);
}

/// Fails with every case whose findings are not those it names, or are not
/// shown as they were.
fn judge(cases: &[Case], kernels: &[(&str, &str)]) {
    let place = Place::new();
    let mut wrong = String::new();
    for (kernel, reference) in kernels {
        let said = run::verify(&place, cases, kernel, reference);
        for case in cases.iter().filter(|case| case.runs_on(kernel)) {
            let expected = case.expected(kernel);
            let found = said.get(&case.name).map(|said| said.found.clone()).unwrap_or_default();
            if expected != found {
                wrong.push_str(&format!(
                    "{} ({}:{}) on {kernel}:\n  expected {expected:?}\n  found    {found:?}\n",
                    case.title, case.file, case.line
                ));
            }
        }
        wrong.push_str(&golden::differences(cases, kernel, &said));
    }
    assert!(wrong.is_empty(), "some verdicts are not as the cases say:\n{wrong}");
}
