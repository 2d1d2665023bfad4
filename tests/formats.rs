//! Every format over one set of diagnostics that has all there is: several
//! lines, several files, no place, only a place in the object, tabs, wide
//! characters, CRLF, and text that would do harm to a terminal.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use proptest::prelude::*;
use skep::diagnostics::{Diagnostic, Edit, ObjectPlace, Origin, Severity, Span, codes};
use skep::report::{Cell, Context, Source, Sources, Table, github, human, json, sarif, short};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files in memory.
#[derive(Default)]
struct Files(HashMap<PathBuf, Arc<Source>>);

impl Files {
    fn with(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), Arc::new(Source::new(text)));
        self
    }
}

impl Sources for Files {
    fn get(&self, file: &Path) -> Option<Arc<Source>> {
        self.0.get(file).cloned()
    }
}

const MAIN: &str = "\
#include \"vmlinux.h\"

SEC(\"tp/syscalls/sys_enter_openat\")
int count(void *ctx)
{
\t__u64 *value;
\t__u32 key = 0;

\tvalue = bpf_map_lookup_elem(&counts, &key);
\t*value += 1; /* größer: 漢字 */
\treturn 0;
}
";

const HEADER: &str = "static __always_inline int parse(\r\n\tvoid *data,\r\n\tvoid *end)\r\n{\r\n";

fn files() -> Files {
    Files::default()
        .with("/p/src/count.bpf.c", MAIN)
        .with("/p/include/parse.h", HEADER)
        .with("/p/src/long.bpf.c", format!("int a = {}; int b;\n", "1 + ".repeat(300)))
        .with("/p/src/raw.bpf.c", b"int caf\xe9; \x1b[31m\xe2\x80\xae int x;\n".to_vec())
}

fn context(files: &Files) -> Context<'_> {
    Context {
        cwd: Path::new("/p"),
        sources: files,
        color: false,
        unicode: true,
        width: Some(80),
        verbose: false,
    }
}

fn null_deref() -> Diagnostic {
    let file = "/p/src/count.bpf.c";
    Diagnostic::new(
        codes::MAP_VALUE_MAYBE_NULL,
        Origin::Verifier,
        "`value` may be null when it is dereferenced",
    )
    .at_with(Span::point(file, 10, 2).to(10, 8), "dereferenced here without a check")
    .label(Span::point(file, 9, 10).to(9, 29), "null if the map has no such key")
    .note("a lookup in a hash or array map returns null where there is no element")
    .help_edit(
        "check it first",
        Edit {
            span: Span::point(file, 10, 1).to(10, 1),
            replacement: "\tif (!value)\n\t\treturn 0;\n".into(),
        },
    )
    .program("count")
    .object_place(ObjectPlace {
        object: "/p/target/skep/count.bpf.o".into(),
        section: Some("tp/syscalls/sys_enter_openat".into()),
        instruction: Some(12),
    })
    .kernel("debian/bullseye")
    .kernel("debian/bookworm")
}

fn fixed_set() -> Vec<(&'static str, Diagnostic)> {
    let main = "/p/src/count.bpf.c";
    let object = ObjectPlace {
        object: "/p/target/skep/count.bpf.o".into(),
        section: Some("xdp".into()),
        instruction: Some(3),
    };
    let mut logged = Diagnostic::new(
        codes::VERIFIER_REJECTED,
        Origin::Verifier,
        "the kernel's verifier rejects the program",
    )
    .at(Span::point("/p/include/parse.h", 2, 8))
    .note("the last lines of the log:\n0: (b7) r0 = 0\n\tR1 !read_ok\n")
    .program("parse");
    logged.raw_log = Some("/p/target/skep/verify.log".into());
    vec![
        ("null dereference", null_deref()),
        (
            "several lines, CRLF, another file",
            Diagnostic::new(
                codes::CLANG_ERROR,
                Origin::Clang,
                "too few arguments to function call",
            )
            .at_with(Span::point("/p/include/parse.h", 1, 28).to(3, 11), "declared with two")
            .label(Span::point(main, 4, 5), "called here"),
        ),
        (
            "an edit that replaces",
            Diagnostic::new(codes::CLANG_WARNING, Origin::Clang, "unused variable 'key'")
                .at(Span::point(main, 7, 8))
                .help_edit(
                    "remove it",
                    Edit { span: Span::point(main, 7, 1).to(8, 1), replacement: String::new() },
                ),
        ),
        ("far apart", null_deref().label(Span::line(main, 1), "the types come from here")),
        ("a log with lines of its own", logged),
        (
            "wide characters before the place",
            Diagnostic::new(codes::CLANG_WARNING, Origin::Clang, "a comment in two languages")
                .at_with(Span::point(main, 10, 26).to(10, 32), "here"),
        ),
        (
            "a file that is not at hand",
            Diagnostic::new(codes::UNBOUNDED_LOOP, Origin::Verifier, "the loop does not end")
                .at(Span::point("/build/x.bpf.c", 41, 3).with_line_text("\tfor (;;) {"))
                .label(Span::point("/build/x.bpf.c", 12, 1), "the subprogram begins here"),
        ),
        (
            "a file that was changed",
            Diagnostic::new(codes::STACK_OVERFLOW, Origin::Verifier, "600 bytes of stack")
                .at(Span::point(main, 7, 2).with_line_text("\tchar buffer[600];")),
        ),
        (
            "only the object",
            Diagnostic::new(codes::OBJECT_CORRUPT, Origin::Object, "a jump leaves the program")
                .object_place(object)
                .help("compile it again"),
        ),
        (
            "no place",
            Diagnostic::new(codes::QEMU_MISSING, Origin::Vm, "QEMU is not installed")
                .help("install it: apt-get install qemu-system-x86"),
        ),
        (
            "a whole file, a note",
            Diagnostic::new(codes::MANIFEST_SYNTAX, Origin::Manifest, "empty")
                .in_file("/p/Skep.toml")
                .severity(Severity::Note),
        ),
        (
            "a long line",
            Diagnostic::new(codes::CLANG_ERROR, Origin::Clang, "no such thing")
                .at_with(Span::point("/p/src/long.bpf.c", 1, 609).to(1, 610), "in the middle"),
        ),
        (
            "foreign text",
            Diagnostic::new(codes::NOT_BPF, Origin::Object, "\x1b]0;title\x07 is\nno\tname")
                .at_with(Span::point("/p/src/raw.bpf.c", 1, 22), "\x1b[2J\u{202e}here\r")
                .program("a\nb\x08"),
        ),
        (
            "one place twice and one within",
            Diagnostic::new(codes::CLANG_ERROR, Origin::Clang, "overlapping")
                .at_with(Span::point(main, 9, 10).to(9, 44), "the whole call")
                .label(Span::point(main, 9, 30).to(9, 37), "the map")
                .label(Span::point(main, 9, 30).to(9, 37), "is not a hash"),
        ),
    ]
}

fn table() -> Table {
    let mut table = Table::new(
        "program-verdict",
        &[
            ("program", "program"),
            ("object", ""),
            ("verdict", "verdict"),
            ("instructions", "insns"),
            ("time_us", "time"),
            ("log_bytes", "log"),
            ("sleepable", "sleepable"),
            ("stack", "stack"),
            ("", "for people"),
        ],
    );
    table.push(vec![
        Cell::Text("count_every_single_open_of_a_file".into()),
        Cell::Text("count.bpf.o".into()),
        Cell::Good("accepted".into()),
        Cell::Count(1_234_567),
        Cell::Micros(1_250),
        Cell::Bytes(34_000),
        Cell::Flag(false),
        Cell::Unknown,
        Cell::Caution("look".into()),
    ]);
    table.push(vec![
        Cell::Text("x\x1b[31m\t::error::".into()),
        Cell::Text("count.bpf.o".into()),
        Cell::Bad("rejected".into()),
        Cell::Count(12),
        Cell::Unknown,
        Cell::Bytes(0),
        Cell::Flag(true),
        Cell::Unknown,
        Cell::Text(String::new()),
    ]);
    table
}

fn golden(render: impl Fn(&Diagnostic) -> String) -> String {
    fixed_set()
        .into_iter()
        .map(|(name, diagnostic)| format!("## {name}\n{}", render(&diagnostic)))
        .collect()
}

#[test]
fn for_people() {
    let files = files();
    insta::assert_snapshot!(golden(|d| human::diagnostic(d, &context(&files))));
}

#[test]
fn for_people_with_ascii_only() {
    let files = files();
    let cx = Context { unicode: false, width: None, ..context(&files) };
    insta::assert_snapshot!(golden(|d| human::diagnostic(d, &cx)));
}

#[test]
fn for_people_in_colour() {
    let files = files();
    let cx = Context { color: true, ..context(&files) };
    let text = human::diagnostic(&null_deref(), &cx) + &human::table(&table(), &cx);
    insta::assert_snapshot!(text.replace('\x1b', "␛"));
}

#[test]
fn in_short() {
    let files = files();
    let short = golden(|d| short::diagnostic(d, &context(&files)));
    assert_eq!(short.lines().count(), 2 * fixed_set().len(), "one line a finding");
    insta::assert_snapshot!(short);
}

#[test]
fn for_github() {
    let files = files();
    let cx = context(&files);
    let text = golden(|d| github::diagnostic(d, &cx));
    assert_eq!(text.lines().count(), 2 * fixed_set().len(), "one line a finding");
    insta::assert_snapshot!(text + &github::table(&table(), &cx));
}

#[test]
fn as_json() {
    let files = files();
    let cx = context(&files);
    let mut text = json::opening().replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    // A key a line, so that a change is seen in a line.
    text += &golden(|d| json::diagnostic(d, &cx).replace(",\"", ",\n \""));
    insta::assert_snapshot!(text + &json::table(&table()) + &json::closing(true));
}

#[test]
fn as_sarif() {
    let files = files();
    let diagnostics: Vec<_> = fixed_set().into_iter().map(|(_, d)| d).collect();
    let document = sarif::document(&diagnostics, &context(&files));
    insta::assert_snapshot!(document.replace(env!("CARGO_PKG_VERSION"), "[VERSION]"));
}

#[test]
fn tables() {
    let files = files();
    let cx = context(&files);
    let narrow = Context { width: Some(60), ..cx };
    let rendered = [
        human::table(&table(), &cx),
        human::table(&table(), &narrow),
        short::table(&table()).replace('\t', "→"),
        json::table(&table()),
    ];
    insta::assert_snapshot!(rendered.join("\n"));
    assert_eq!(human::table(&Table::new("none", &[("a", "a")]), &cx), "");
}

/// Our lines are read by the very code with which tools read cargo's.
#[test]
fn tools_that_read_cargo_read_our_json() {
    use cargo_metadata::Message;
    use cargo_metadata::diagnostic::{Applicability, DiagnosticLevel};
    let files = files();
    let cx = context(&files);
    let text: String = fixed_set().iter().map(|(_, d)| json::diagnostic(d, &cx)).collect();
    let text = text + &json::table(&table()) + &json::closing(false);
    let mut messages = Message::parse_stream(text.as_bytes()).map(Result::unwrap);
    for (name, diagnostic) in fixed_set() {
        let Some(Message::CompilerMessage(read)) = messages.next() else { panic!("{name}") };
        assert_eq!(read.message.message, diagnostic.message);
        assert_eq!(read.message.code.unwrap().code, diagnostic.code.id());
        let spans = diagnostic.primary.iter().count() + diagnostic.secondary.len();
        assert_eq!(read.message.spans.len(), spans, "{name}");
        assert_eq!(
            read.message.children.len(),
            diagnostic.notes.len() + diagnostic.helps.len(),
            "{name}"
        );
        assert!(!read.message.rendered.unwrap().contains('\x1b'), "{name}");
    }
    for _ in &table().rows {
        assert!(matches!(messages.next(), Some(Message::TextLine(_))));
    }
    let Some(Message::BuildFinished(finished)) = messages.next() else { panic!("no end") };
    assert!(!finished.success);

    let line = json::diagnostic(&null_deref(), &cx);
    let Some(Ok(Message::CompilerMessage(read))) = Message::parse_stream(line.as_bytes()).next()
    else {
        panic!("{line}")
    };
    assert!(matches!(read.message.level, DiagnosticLevel::Error));
    let primary = read.message.spans.iter().find(|span| span.is_primary).unwrap();
    assert_eq!(primary.file_name, "src/count.bpf.c");
    assert_eq!((primary.line_start, primary.column_start, primary.column_end), (10, 2, 8));
    assert_eq!(&MAIN[primary.byte_start as usize..primary.byte_end as usize], "*value");
    assert_eq!(primary.text[0].highlight_start, 2);
    let fix = &read.message.children[1].spans[0];
    assert_eq!(fix.suggested_replacement.as_deref(), Some("\tif (!value)\n\t\treturn 0;\n"));
    assert!(matches!(fix.suggestion_applicability, Some(Applicability::MaybeIncorrect)));
    assert_eq!((fix.byte_start, fix.byte_end), (158, 158), "it inserts");
}

/// What a harmful text may turn a terminal into is up to nobody.
fn is_harmless(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\n' || c == '\u{202e}') {
        // The only sequences that are ours: colours.
        let Some(sequence) = rest[at..].strip_prefix("\x1b[") else { return false };
        let parameters = sequence.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        let Some(after) = parameters.strip_prefix('m') else { return false };
        rest = after;
    }
    true
}

fn any_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just('a'),
            Just(' '),
            Just('\t'),
            Just('\n'),
            Just('\r'),
            Just('\x1b'),
            Just('['),
            Just('m'),
            Just('ß'),
            Just('漢'),
            Just('\u{202e}'),
            Just('\u{301}'),
            any::<char>(),
        ],
        0..60,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn any_span() -> impl Strategy<Value = Span> {
    let number = || prop_oneof![0u32..8, 0u32..60, Just(u32::MAX)];
    (
        prop_oneof![Just("/p/a"), Just("/p/b"), Just("/p/c")],
        (number(), number()),
        proptest::option::of((number(), number())),
        proptest::option::of(any_text()),
    )
        .prop_map(|(file, (line, column), end, text)| {
            let span = Span::point(file, line, column);
            let span = end.into_iter().fold(span, |span, (line, column)| span.to(line, column));
            text.into_iter().fold(span, Span::with_line_text)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn nothing_panics_and_nothing_foreign_reaches_the_terminal(
        (a, b) in (proptest::collection::vec(any::<u8>(), 0..200), any_text()),
        primary in proptest::option::of((any_span(), any_text())),
        labels in proptest::collection::vec((any_span(), any_text()), 0..4),
        edit in proptest::option::of((any_span(), any_text())),
        texts in (any_text(), any_text(), any_text()),
        (color, unicode, width) in (any::<bool>(), any::<bool>(), proptest::option::of(0usize..200)),
    ) {
        let files = Files::default().with("/p/a", a).with("/p/b", b);
        let cx = Context { color, unicode, width, ..context(&files) };
        let (message, note, program) = texts;
        let mut diagnostic =
            Diagnostic::new(codes::CLANG_ERROR, Origin::Clang, message).note(note).program(program);
        if let Some((span, message)) = primary {
            diagnostic = diagnostic.at_with(span, message);
        }
        for (span, message) in labels {
            diagnostic = diagnostic.label(span, message);
        }
        if let Some((span, replacement)) = edit {
            diagnostic = diagnostic.help_edit("do", Edit { span, replacement });
        }
        prop_assert!(is_harmless(&human::diagnostic(&diagnostic, &cx)));
        let line = short::diagnostic(&diagnostic, &cx);
        prop_assert!(is_harmless(&line) && line.matches('\n').count() == 1, "{}", line);
        prop_assert_eq!(github::diagnostic(&diagnostic, &cx).matches('\n').count(), 1);
        let read: serde_json::Value =
            serde_json::from_str(&json::diagnostic(&diagnostic, &cx)).unwrap();
        prop_assert_eq!(read["message"]["message"].as_str(), Some(diagnostic.message.as_str()));
        let document = sarif::document(&[diagnostic], &cx);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
    }
}
