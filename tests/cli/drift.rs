//! `skep vmlinux --check` and `--pin`: differences of used types between
//! kernels, which are objects here.

use crate::support::Place;
use std::process::Command;

const PROGRAM: &str = r#"
#define KEEP __attribute__((preserve_access_index))
struct task { int pid; int state; long moved; char name[16]; int unused; } KEEP;
struct quiet { int a; } KEEP;
struct gone { int a; } KEEP;
enum flag { FLAG_A, FLAG_B };
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
/* struct unrelated in a comment */
SEC("socket") int f(struct task *t, struct quiet *q, struct gone *g) {
    return t->pid + t->state + t->moved + t->name[2] + q->a + g->a
        + __builtin_preserve_enum_value(*(enum flag *)FLAG_B, 1);
}
"#;

const OLD: &str = r#"
struct task { int pid; int state; long moved; char name[16]; int unused; };
struct quiet { int a; int other; }; struct gone { int a; }; struct unrelated { int a; };
enum flag { FLAG_A, FLAG_B };
int keep(struct task *t, struct quiet *q, struct gone *g, enum flag f, struct unrelated *u) { return 0; }
"#;

const NEW: &str = r#"
struct task { unsigned pid; int __state; int more; char name[32]; long moved; };
struct quiet { int a; long other; }; struct unrelated { long a; };
enum flag { FLAG_A, FLAG_C, FLAG_B };
int keep(struct task *t, struct quiet *q, enum flag f, struct unrelated *u) { return 0; }
"#;

fn compile(place: &Place, name: &str, source: &str) {
    place.file(&format!("{name}.c"), source);
    let run = Command::new("clang-19")
        .args(["-target", "bpf", "-O2", "-g", "-mcpu=v3", "-Wno-everything", "-c", "-o"])
        .args([format!("{name}.o"), format!("{name}.c")])
        .current_dir(place.path())
        .status()
        .unwrap();
    assert!(run.success());
}

fn place() -> Place {
    let place = Place::new();
    compile(&place, "program.bpf", PROGRAM);
    compile(&place, "old", OLD);
    compile(&place, "new", NEW);
    place
}

#[test]
fn every_used_field_that_differs_is_told() {
    let place = place();
    let args = ["vmlinux", "--check", "program.bpf.o", "--from", "old.o", "--against", "new.o"];
    let run = place.skep(&args).expect(1);
    let table: Vec<Vec<&str>> = run
        .stdout
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let rows: Vec<String> = table.iter().map(|cells| cells[1..].join("|")).collect();
    assert_eq!(
        rows,
        [
            "struct gone|-|removed|-|-",
            "struct task|pid|retyped|int|unsigned int",
            "struct task|state|renamed|-|__state",
            "struct task|moved|moved|byte 8|byte 48",
            "struct task|name|retyped|char[16]|char[32]",
            "struct task|name|resized|16 bytes|32 bytes",
            "struct task|name|moved|byte 16|byte 12",
            "enum flag|FLAG_B|renumbered|1|2",
        ],
        "{run}"
    );
    for words in [
        "error[E0508]: `struct gone` is gone on new.o",
        "error[E0508]: `struct task` is different in 6 places on new.o",
        "error[E0508]: `FLAG_B` of `enum flag` is 2, not 1 on new.o",
        "warning[W0508]: `struct quiet` is different on new.o, but not in what is used",
        "program.bpf.c:11:",
    ] {
        assert!(run.stdout.contains(words), "no {words:?} in {run}");
    }
    assert!(!run.stdout.contains("unrelated"), "{run}");
    let all = [&args[..], &["--all"]].concat();
    let run = place.skep(&all).expect(1);
    for words in ["more", "unused", "other", "FLAG_C"] {
        assert!(run.stdout.contains(words), "no {words:?} in {run}");
    }
}

#[test]
fn the_same_types_are_no_finding() {
    let place = place();
    let args = ["vmlinux", "--check", "program.bpf.o", "--from", "old.o", "--against", "old.o"];
    let run = place.skep(&args).expect(0);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("all 4 types that are used are as on old.o"), "{run}");
    // Only what is not used differs: worth knowing, no reason to fail.
    compile(&place, "padded", &OLD.replace("int other;", "long other;"));
    let args = ["vmlinux", "--check", "program.bpf.o", "--from", "old.o", "--against", "padded.o"];
    let run = place.skep(&args).expect(0);
    assert!(run.stdout.contains("W0508"), "{run}");
}

#[test]
fn a_project_is_pinned_and_checked_on_its_matrix() {
    let place = place();
    place.file("Skep.toml", "[package]\nname = \"p\"\n[kernels]\nmatrix = [\"./new.o\"]\n");
    place.file("src/p.bpf.c", format!("#include \"types.h\"\n{PROGRAM}"));
    // Named in a header only, and no relocation asks for it.
    place.file("include/types.h", "struct unrelated;\n");
    let run = place.skep(&["vmlinux", "--pin", "--from", "old.o"]).expect(0);
    assert!(run.stderr.contains("pinned to the BTF of old.o, "), "{run}");
    let lock = place.read("Skep.lock");
    assert!(lock.contains("[btf]\nreference = \"old.o\"\nsha256 = \""), "{lock}");
    place.skep(&["--locked", "vmlinux", "--pin", "--from", "old.o"]).expect(0);
    let run = place.skep(&["--locked", "vmlinux", "--pin", "--from", "new.o"]).expect(2);
    assert!(run.stderr.contains("E0113"), "{run}");
    assert_eq!(place.read("Skep.lock"), lock);
    let run = place.skep(&["vmlinux", "--check", "--against", "new.o"]).expect(1);
    assert!(run.stdout.contains("`struct gone` is gone on new.o"), "{run}");
    assert!(run.stdout.contains("`struct unrelated` has 3 differences"), "{run}");
    // The file that it is pinned to has become another one.
    compile(&place, "old", &OLD.replace("int other", "short other"));
    let run = place.skep(&["vmlinux", "--check", "--against", "old.o"]).expect(1);
    assert!(run.stdout.contains("E0509"), "{run}");
}

#[test]
fn wrong_use_is_told() {
    let place = place();
    let run = place.skep(&["vmlinux", "--check", "program.bpf.o", "--from", "old.o"]).expect(2);
    assert!(run.stderr.contains("--against"), "{run}");
    place.skep(&["vmlinux", "--against", "old.o"]).expect(2);
    let run = place.skep(&["vmlinux", "--pin"]).expect(2);
    assert!(run.stderr.contains("E0105"), "{run}");
    place.file("Skep.toml", "[package]\nname = \"p\"\n");
    place.file("Skep.lock", "version = 9\n");
    let run = place.skep(&["vmlinux", "--pin", "--from", "old.o"]).expect(2);
    assert!(run.stderr.contains("Skep.lock cannot be used: it has version 9"), "{run}");
}
