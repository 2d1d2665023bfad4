//! JUnit's XML, which CI servers show as tests: a suite a kernel, a test case
//! a program on it, with the findings that are about it as its failure. What
//! is about no program is a case of the suite `skep`.
//!
//! There is no standard; this is the shape of the Ant task's reports that
//! Jenkins, GitLab and others read.

use super::table::{Cell, Table};
use super::{Context, human, short};
use crate::diagnostics::Diagnostic;
use std::fmt::Write as _;

/// A test case.
struct Case {
    class: String,
    name: String,
    seconds: f64,
    /// The text, and whether it is the program's fault or the machine's.
    failure: Option<(Fault, String, String)>,
    /// Why it was not run, if it was not.
    skipped: Option<String>,
    /// What is worth knowing though it passed.
    remarks: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Failure,
    Error,
}

impl Fault {
    fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// The document of a command's tables and findings.
pub fn document(tables: &[Table], diagnostics: &[Diagnostic], cx: &Context) -> String {
    let cx = cx.plain();
    let mut suites: Vec<(String, Vec<Case>)> = Vec::new();
    let mut told = vec![false; diagnostics.len()];
    for (table, row) in
        tables.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)))
    {
        let Some((suite, case)) = of_row(table, row, diagnostics, &mut told, &cx) else { continue };
        match suites.iter_mut().find(|(name, _)| *name == suite) {
            Some((_, cases)) => cases.push(case),
            None => suites.push((suite, vec![case])),
        }
    }
    let others = diagnostics.iter().zip(&told).filter(|(_, told)| !**told);
    let others: Vec<Case> = others.map(|(diagnostic, _)| of_finding(diagnostic, &cx)).collect();
    if !others.is_empty() {
        suites.push(("skep".to_owned(), others));
    }
    write(&suites)
}

/// The case of a row that says what became of something.
fn of_row(
    table: &Table,
    row: &[Cell],
    diagnostics: &[Diagnostic],
    told: &mut [bool],
    cx: &Context,
) -> Option<(String, Case)> {
    let cell = |keys: &[&str]| {
        let of = |key: &&str| table.columns.iter().position(|column| column.key == *key);
        keys.iter().find_map(of).and_then(|at| row.get(at))
    };
    let text = |keys: &[&str]| match cell(keys) {
        Some(Cell::Text(text) | Cell::Good(text) | Cell::Bad(text) | Cell::Caution(text)) => {
            Some(text.clone())
        }
        _ => None,
    };
    let outcome = cell(&["verdict", "outcome"])?;
    let test = text(&["test"]);
    let name = test.clone().or_else(|| text(&["program", "name"]))?;
    let object = text(&["object", "file"]).unwrap_or_default();
    let kernel = text(&["kernel"]);
    let seconds = match cell(&["load_micros", "micros"]) {
        Some(Cell::Micros(micros)) => std::time::Duration::from_micros(*micros).as_secs_f64(),
        _ => 0.0,
    };
    let mut about = String::new();
    let mut said = None;
    for (diagnostic, told) in diagnostics.iter().zip(told) {
        let same_object =
            diagnostic.place.as_ref().is_none_or(|place| cx.path(&place.object) == object);
        let same_kernel = kernel.as_ref().is_none_or(|kernel| {
            diagnostic.kernels.is_empty() || diagnostic.kernels.contains(kernel)
        });
        let of = if test.is_some() { &diagnostic.test } else { &diagnostic.program };
        if of.as_ref() == Some(&name) && same_object && same_kernel {
            *told = true;
            about.push_str(&human::diagnostic(diagnostic, cx));
            let line = || short::diagnostic(diagnostic, cx).trim_end().to_owned();
            said = said.or_else(|| diagnostic.is_error().then(line));
        }
    }
    let fault = match outcome {
        Cell::Bad(word) => Some((Fault::Failure, word)),
        Cell::Caution(word) => Some((Fault::Error, word)),
        _ => None,
    };
    let skipped = text(&["skipped_because"]);
    let mut case =
        Case { class: object, name, seconds, failure: None, skipped, remarks: String::new() };
    match (fault, said) {
        (Some((fault, word)), said) => {
            let message = said.unwrap_or_else(|| word.clone());
            case.failure = Some((fault, message, about));
        }
        // Accepted, and yet wrong: a budget, a warning that is denied.
        (None, Some(said)) => case.failure = Some((Fault::Failure, said, about)),
        (None, None) => case.remarks = about,
    }
    Some((kernel.unwrap_or_else(|| table.row.to_owned()), case))
}

fn of_finding(diagnostic: &Diagnostic, cx: &Context) -> Case {
    let line = short::diagnostic(diagnostic, cx).trim_end().to_owned();
    let text = human::diagnostic(diagnostic, cx);
    let (failure, remarks) = match diagnostic.is_error() {
        true => (Some((Fault::Failure, line.clone(), text)), String::new()),
        false => (None, text),
    };
    let class = diagnostic.code.to_string();
    Case { class, name: line, seconds: 0.0, failure, skipped: None, remarks }
}

fn write(suites: &[(String, Vec<Case>)]) -> String {
    let count = |cases: &[Case], fault| {
        let faults = cases.iter().filter_map(|case| case.failure.as_ref());
        faults.filter(|failure| failure.0 == fault).count()
    };
    let numbers = |cases: &[&[Case]]| {
        format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"",
            cases.iter().map(|cases| cases.len()).sum::<usize>(),
            cases.iter().map(|cases| count(cases, Fault::Failure)).sum::<usize>(),
            cases.iter().map(|cases| count(cases, Fault::Error)).sum::<usize>(),
            cases.iter().flat_map(|cases| *cases).filter(|case| case.skipped.is_some()).count(),
            cases.iter().flat_map(|cases| *cases).map(|case| case.seconds).sum::<f64>(),
        )
    };
    let all: Vec<&[Case]> = suites.iter().map(|(_, cases)| cases.as_slice()).collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"skep\" {}>", numbers(&all));
    for (name, cases) in suites {
        let _ = writeln!(out, "  <testsuite name=\"{}\" {}>", xml(name), numbers(&[cases]));
        for case in cases {
            let _ = write!(
                out,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                xml(&case.class),
                xml(&case.name),
                case.seconds
            );
            let inside = match (&case.failure, &case.skipped) {
                (Some((fault, message, text)), _) => format!(
                    "      <{0} message=\"{1}\">{2}</{0}>\n",
                    fault.as_str(),
                    xml(message),
                    xml(text)
                ),
                (None, Some(reason)) => {
                    format!("      <skipped message=\"{}\"/>\n", xml(reason))
                }
                (None, None) if !case.remarks.is_empty() => {
                    format!("      <system-out>{}</system-out>\n", xml(&case.remarks))
                }
                (None, None) => String::new(),
            };
            if inside.is_empty() {
                out.push_str("/>\n");
            } else {
                let _ = write!(out, ">\n{inside}    </testcase>\n");
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text as XML takes it; what XML 1.0 cannot hold at all is replaced.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Origin, Severity, Span, codes};

    #[test]
    fn programs_are_cases_and_kernels_suites() {
        let mut table = Table::new(
            "program-verdict",
            &[
                ("object", ""),
                ("program", "P"),
                ("kernel", "K"),
                ("verdict", "V"),
                ("load_micros", "T"),
                ("skipped_because", ""),
            ],
        );
        let text = |text: &str| Cell::Text(text.to_owned());
        let row = |program: &str, verdict| {
            let micros = Cell::Micros(1500);
            vec![text("a.bpf.o"), text(program), text("6.1"), verdict, micros, Cell::Unknown]
        };
        let mut old = row("old", text("SKIP"));
        old[5] = text("Linux 6.1 runs no such program");
        table.push(old);
        table.push(row("good", Cell::Good("accepted".to_owned())));
        table.push(row("bad", Cell::Bad("rejected".to_owned())));
        let finding = |severity| {
            Diagnostic::new(codes::UNBOUNDED_LOOP, Origin::Verifier, "a <loop> & \u{1b}\"more\"")
                .severity(severity)
                .at(Span::point("a.bpf.c", 3, 4))
        };
        let findings = [
            finding(Severity::Error).program("bad").kernel("6.1"),
            finding(Severity::Warning).program("good").kernel("5.10"),
        ];
        let cx = Context::bare();
        let shown = document(&[table], &findings, &cx);
        insta::assert_snapshot!(shown);
    }
}
