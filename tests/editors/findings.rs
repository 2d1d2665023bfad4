//! Findings of every shape, and what an editor must see of each.

use skep::diagnostics::{Diagnostic, ObjectPlace, Origin, Severity, Span, codes};
use skep::report::{Context, NoSources, short};
use std::path::Path;

/// What an editor knows of a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Relative to the project; empty where it lies in no file.
    pub file: String,
    /// From 1; 0 for the whole file.
    pub line: u64,
    /// From 1; 0 for the whole line.
    pub column: u64,
    pub severity: String,
    pub code: String,
}

/// A file with a space and letters beyond ASCII in its name, and in that of
/// its directory.
pub const WIDE: &str = "src/größe und mehr/naïve 漢字.bpf.c";

/// Findings as every source of them makes them.
pub fn all(root: &Path) -> Vec<Diagnostic> {
    let wide = root.join(WIDE);
    let plain = root.join("src/count.bpf.c");
    let header = root.join("include/with space.h");
    let object = |section: Option<&str>, instruction| ObjectPlace {
        object: root.join("target/skep/count und mehr.bpf.o"),
        section: section.map(str::to_owned),
        instruction,
    };
    let clang = |message: &str| Diagnostic::new(codes::CLANG_ERROR, Origin::Clang, message);
    let warning = |message: &str| Diagnostic::new(codes::CLANG_WARNING, Origin::Clang, message);
    let verifier = |code| Diagnostic::new(code, Origin::Verifier, "value may be null");
    let mut findings = vec![
        clang("use of undeclared identifier 'größer'").at(Span::point(&wide, 1, 1)),
        clang("expected ';' after expression").at(Span::point(&wide, 2, 17).to(2, 18)),
        clang("expected expression").at(Span::point(&wide, 1234, 321)),
        warning("unused variable 'x'").at(Span::point(&wide, 3, 6)),
        warning("a message\nof several\n\tlines").at(Span::point(&wide, 4, 2)),
        warning("with: colons:7:8: and error[E0999]: in it").at(Span::point(&wide, 5, 3)),
        warning("in brackets [-Wunused], (4, 5) and \"quotes\"").at(Span::point(&wide, 6, 1)),
        clang("nothing but a line").at(Span::line(&plain, 9)),
        clang("a whole file").at(Span::file(&plain)),
        clang("in a header").at(Span::point(&header, 12, 34)),
        warning("in a header").at(Span::line(&header, 13)),
        clang("only worth knowing").severity(Severity::Note).at(Span::point(&header, 14, 1)),
        Diagnostic::new(codes::MANIFEST_KEY, Origin::Manifest, "unknown key `bfp`")
            .at(Span::point(root.join("Skep.toml"), 1, 2).to(1, 5)),
        Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, "`mcpu` cannot be `v5`")
            .at(Span::point(root.join("Skep.toml"), 4, 8)),
        clang("outside the project").at(Span::point("/usr/include/bpf/a b.h", 3, 4)),
        clang("not on the disk any more").at(Span::point(root.join("src/gone.bpf.c"), 3, 4)),
        Diagnostic::new(codes::OBJECT_CORRUPT, Origin::Object, "a jump leaves the program")
            .object_place(object(Some("kprobe/do sys:openat"), Some(7))),
        Diagnostic::new(codes::NOT_BPF, Origin::Object, "the machine is x86-64")
            .object_place(object(None, None)),
        Diagnostic::new(codes::BTF_CORRUPT, Origin::Object, "a type refers to none")
            .object_place(object(Some(".BTF"), None)),
        Diagnostic::new(codes::NOT_AN_OBJECT, Origin::Object, "an instruction without a section")
            .object_place(object(None, Some(70))),
        // In no file at all: shown, but nothing to go to.
        Diagnostic::new(codes::QEMU_MISSING, Origin::Vm, "QEMU is not installed; see a/b.c"),
        Diagnostic::new(codes::NO_PROJECT, Origin::Command, "there is no project in /tmp/x"),
    ];
    for (index, code) in codes::ALL.iter().filter(|code| code.id().starts_with("E03")).enumerate() {
        let line = 20 + u32::try_from(index).unwrap();
        findings.push(
            verifier(*code)
                .at(Span::point(&plain, line, 3 + line))
                .program("count")
                .kernel("debian/bullseye")
                .kernel("debian/trixie"),
        );
    }
    assert!(findings.len() >= 28);
    findings
}

/// The short format of findings, as seen in `root`.
pub fn short(findings: &[Diagnostic], root: &Path) -> String {
    let cx = Context {
        cwd: root,
        sources: &NoSources,
        color: false,
        unicode: true,
        width: None,
        verbose: false,
    };
    let lines: Vec<String> =
        findings.iter().map(|finding| short::diagnostic(finding, &cx)).collect();
    // Among what else stands on a terminal.
    let mut text = "   Compiling src/count.bpf.c\nnote: nothing: really\n".to_owned();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line.matches('\n').count(), 1, "one line each: {line:?}");
        text.push_str(line);
        if index % 5 == 4 {
            text.push_str("program\ttype\tverdict\n\n   Compiling 3 of 4: error in 0 files\n");
        }
    }
    text + "    Finished in 0.3 s: 3 errors\n"
}

/// What is to be seen of findings that lie in a file, in a stable order.
pub fn expected(findings: &[Diagnostic], root: &Path) -> Vec<Seen> {
    let mut seen: Vec<Seen> = findings
        .iter()
        .filter_map(|finding| {
            let place = |path: &Path, line: u32, column: u32| Seen {
                file: path.strip_prefix(root).unwrap_or(path).to_str().unwrap().to_owned(),
                line: line.into(),
                column: column.into(),
                severity: finding.severity.as_str().to_owned(),
                code: finding.code.id().to_owned(),
            };
            match (&finding.primary, &finding.place) {
                (Some(label), _) => {
                    let start = label.span.start;
                    Some(place(&label.span.file, start.line, start.column))
                }
                (None, Some(object)) => Some(place(&object.object, 0, 0)),
                (None, None) => None,
            }
        })
        .collect();
    seen.sort();
    seen
}

/// Fails with only what differs.
#[track_caller]
pub fn assert_same(mut seen: Vec<Seen>, expected: &[Seen]) {
    seen.sort();
    let missing: Vec<_> = expected.iter().filter(|one| !seen.contains(one)).collect();
    let invented: Vec<_> = seen.iter().filter(|one| !expected.contains(one)).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing: {missing:#?}\nseen instead: {invented:#?}"
    );
    assert_eq!(seen.len(), expected.len(), "one was seen twice");
}
