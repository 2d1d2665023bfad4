//! `skep inspect btf`: layouts, records as bpftool dumps them, users.

use crate::support::Place;
use skep::btf::{Builder, Endian, Kind, TypeId};
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

/// A BTF in which every kind of type has a number that is known.
fn kinds() -> Vec<u8> {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1); // 1
    let flag = b.int("_Bool", 1, 4); // 2
    let link = b.reference(Kind::Ptr, "", TypeId(7)); // 3
    let list = b.array(link, int, 2); // 4
    let color = b.enumeration("color", 4, false, &[("RED", 0), ("GREEN", 7)]); // 5
    let word = b.composite(Kind::Union, "", 4, &[("i", int, 0, 0), ("b", flag, 0, 0)]); // 6
    let members = [
        ("links", list, 0, 0),
        ("on", flag, 128, 0),
        ("", word, 160, 0),
        ("low", int, 192, 3),
        ("high", int, 195, 5),
        ("color", color, 256, 0),
    ];
    let node = b.composite(Kind::Struct, "node", 40, &members); // 7
    let alias = b.reference(Kind::Typedef, "node_t", node); // 8
    let fixed = b.reference(Kind::Const, "", alias); // 9
    let fixed = b.reference(Kind::Ptr, "", fixed); // 10
    let proto = b.proto(int, &[("node", fixed), ("", TypeId::VOID)]); // 11
    let func = b.raw("visit", Kind::Func, false, 1, proto.0, &[]); // 12
    let var = b.raw("root", Kind::Var, false, 0, node.0, &[1]); // 13
    b.raw(".data", Kind::Datasec, false, 1, 40, &[var.0, 0, 40]); // 14
    b.raw("hot", Kind::DeclTag, false, 0, node.0, &[1]); // 15
    b.raw("bpf_kfunc", Kind::DeclTag, false, 0, func.0, &[u32::MAX]); // 16
    b.raw("other", Kind::Fwd, true, 0, 0, &[]); // 17
    b.enumeration("wide", 8, true, &[("LEAST", i64::MIN), ("MOST", i64::MAX)]); // 18
    b.reference(Kind::TypeTag, "user", int); // 19
    b.raw("double", Kind::Float, false, 0, 8, &[]); // 20
    b.finish(Endian::Little)
}

/// What is shown of types of that BTF, by number and by name.
fn shown(args: &[&str]) -> String {
    let place = Place::new();
    place.file("kinds.btf", kinds());
    let args = [&["inspect", "btf", "kinds.btf"], args].concat();
    let run = place.skep(&args).expect(0);
    assert_eq!(run.stderr, "");
    run.stdout
}

#[test]
fn a_type_is_shown_the_same_by_number_and_by_name() {
    for (number, name) in [
        ("1", "int"),
        ("5", "enum color"),
        ("7", "struct node"),
        ("8", "node_t"),
        ("12", "visit"),
        ("13", "root"),
        ("14", ".data"),
        ("17", "other"),
        ("18", "wide"),
        ("20", "double"),
    ] {
        for form in ["layout", "c", "raw"] {
            let by_number = shown(&[number, "--as", form]);
            assert_eq!(by_number, shown(&[name, "--as", form]), "{name} as {form}");
        }
        assert_eq!(shown(&[number, "--users"]), shown(&[name, "--users"]), "{name}");
    }
}

#[test]
fn golden_layout() {
    insta::assert_snapshot!(shown(&["7"]));
}

#[test]
fn golden_types_without_a_layout() {
    let numbers: Vec<String> = (1..=20).filter(|n| *n != 7).map(|n| n.to_string()).collect();
    insta::assert_snapshot!(shown(&numbers.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn golden_c() {
    insta::assert_snapshot!(shown(&["7", "8", "18", "--as", "c"]));
}

#[test]
fn golden_raw() {
    insta::assert_snapshot!(shown(&["--as", "raw"]));
}

#[test]
fn golden_users() {
    insta::assert_snapshot!(shown(&["--users", "7", "2"]));
}

#[test]
fn golden_json() {
    let json = ["--message-format", "json"];
    let text = [
        shown(&[&json[..], &["7", "5"]].concat()),
        shown(&[&json[..], &["7", "--users"]].concat()),
    ];
    insta::assert_snapshot!(text.concat());
}

#[test]
fn golden_kinds() {
    insta::assert_snapshot!(shown(&[]));
}
