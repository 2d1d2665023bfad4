//! `skep inspect btf`: layouts, records as bpftool dumps them, users.

use crate::support::Place;
use std::process::Command;

const TYPES: &str = r#"
struct inner { short s; };
typedef struct inner inner_t;
struct outer {
    char first;
    long second;
    unsigned low : 3, high : 5;
    union { int in; struct { char x; int y; }; };
    inner_t *list[2];
    int (*handler)(const struct inner *, ...);
} outer;
enum color { RED, GREEN = 7 } color;
int use(inner_t *inner) { return inner->s; }
"#;

fn compile(place: &Place) {
    let source = place.file("t.c", TYPES);
    let run = Command::new("clang-19")
        .args(["-target", "bpf", "-O2", "-g", "-c", "-o", "t.o"])
        .arg(&source)
        .current_dir(place.path())
        .status()
        .unwrap();
    assert!(run.success());
}

#[test]
fn a_layout_has_offsets_sizes_and_holes() {
    let place = Place::new();
    compile(&place);
    let run = place.skep(&["inspect", "btf", "t.o", "struct outer"]).expect(0);
    let lines: Vec<_> = run.stdout.lines().map(str::trim_end).collect();
    let place_of = |text: &str| {
        lines
            .iter()
            .position(|line| *line == text)
            .unwrap_or_else(|| panic!("no line {text:?} in\n{}", run.stdout))
    };
    let expected = [
        "OFFSET  SIZE  MEMBER",
        "0       1     char first",
        "1       7     (hole)",
        "8       8     long second",
        "16:0    0:3   unsigned int low : 3",
        "16:3    0:5   unsigned int high : 5",
        "17      3     (hole)",
        "20      8     union {…}",
        "20      4         int in",
        "20      8         struct {…}",
        "20      1             char x",
        "21      3             (hole)",
        "24      4             int y",
        "28      4     (hole)",
        "32      16    inner_t *list[2]",
        "48      8     int (*handler)(const struct inner *, ...)",
    ];
    let first = place_of(expected[0]);
    assert_eq!(lines[first..], expected);
    // Holes in inner structs are theirs.
    assert!(lines[first - 1].ends_with("struct outer    56      8        7      3"), "{run}");
}

#[test]
fn an_enumeration_has_its_values_and_a_number_names_a_type() {
    let place = Place::new();
    compile(&place);
    let run = place.skep(&["inspect", "btf", "t.o", "enum color"]).expect(0);
    assert!(run.stdout.contains("GREEN  7"), "{run}");
    let raw = place.skep(&["inspect", "btf", "t.o", "enum color", "--as", "raw"]).expect(0).stdout;
    let number = raw.split(['[', ']']).nth(1).unwrap();
    assert_eq!(place.skep(&["inspect", "btf", "t.o", number]).expect(0).stdout, run.stdout);
}

#[test]
fn json_has_numbers() {
    let place = Place::new();
    compile(&place);
    let args = ["--message-format", "json", "inspect", "btf", "t.o", "struct outer"];
    let run = place.skep(&args).expect(0);
    let row = run.stdout.lines().find(|line| line.contains("\"name\":\"second\"")).unwrap();
    assert!(row.contains("\"bit_offset\":64,\"bits\":64,\"depth\":0,\"hole\":false"), "{row}");
}

#[test]
fn records_are_dumped_as_bpftool_does() {
    let place = Place::new();
    compile(&place);
    for file in ["t.o", "/sys/kernel/btf/vmlinux"] {
        let ours = place.skep(&["inspect", "btf", file, "--as", "raw"]).expect(0).stdout;
        let theirs = Command::new("bpftool")
            .args(["btf", "dump", "file", file])
            .current_dir(place.path())
            .output()
            .unwrap();
        assert!(theirs.status.success());
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        let differs = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "{file}");
        assert_eq!(ours.len(), theirs.len(), "{file}");
    }
}

#[test]
fn c_is_what_the_header_has() {
    let place = Place::new();
    let inspected = place.skep(&["inspect", "btf", "host", "list_head", "--as", "c"]).expect(0);
    let header = place.skep(&["vmlinux", "--type", "list_head"]).expect(0);
    assert_eq!(inspected.stdout, header.stdout);
}

#[test]
fn users_are_found_through_pointers_and_qualifiers() {
    let place = Place::new();
    compile(&place);
    let run = place.skep(&["inspect", "btf", "t.o", "--users", "struct inner"]).expect(0);
    assert!(run.stdout.contains("typedef inner_t"), "{run}");
    // The handler's signature, of which only a parameter has the type.
    assert!(run.stdout.contains("const struct inner *"), "{run}");
    let run = place.skep(&["inspect", "btf", "t.o", "--users", "inner_t"]).expect(0);
    assert!(run.stdout.contains("inner_t *list[2]"), "{run}");
    assert!(run.stdout.contains("use()"), "{run}");
}

#[test]
fn without_a_type_kinds_are_counted_and_wrong_ones_are_named() {
    let place = Place::new();
    compile(&place);
    let run = place.skep(&["inspect", "btf", "t.o"]).expect(0);
    assert!(run.stdout.contains("STRUCT"), "{run}");
    let run = place.skep(&["inspect", "btf", "t.o", "struct color"]).expect(2);
    assert!(run.stderr.contains("E0504"), "{run}");
    let run = place.skep(&["inspect", "btf", "t.o", "4000000000"]).expect(2);
    assert!(run.stderr.contains("types are numbered from 1 to "), "{run}");
    place.skep(&["inspect"]).expect(2);
}
