//! `vmlinux.h` in a build: what a source uses of it, the whole one where that
//! is not enough, and the BTF that both are made of.

use crate::support::{Place, Run, debian, shared_cache};
use serde_json::{Value, json};
use std::process::Command;

/// A program that reads a process's number, by a function in a header.
const PROGRAM: &str = "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\n\
    #include \"pid.h\"\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n\
    SEC(\"tp_btf/sched_switch\") int a(unsigned long long *ctx)\n\
    { return number((struct task_struct *)ctx[1]); }\n";

const HEADER: &str = "#ifndef NUMBER\n#define NUMBER pid\n#endif\n\
    static inline int number(struct task_struct *t) { return t->NUMBER; }\n";

/// One whose names only the preprocessor knows.
const PASTED: &str = "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\n#define PASTE(a, b) a##b\n\
    SEC(\"tp_btf/sched_switch\") int b(unsigned long long *ctx)\n\
    { struct PASTE(task, _struct) *t = (void *)ctx[1]; return t->PASTE(p, id); }\n";

const A: &str = "target/skep/dev/vmlinux/src/a.bpf.c/vmlinux.h";
const WHOLE: &str = "target/skep/include/vmlinux.h";

fn project() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("include/pid.h", HEADER);
    place.file("src/a.bpf.c", PROGRAM);
    place
}

fn build(place: &Place) -> Run {
    place.skep(&["build", "-v"]).expect(0)
}

/// The directories of the system's headers that editors are told of.
fn told(place: &Place, index: usize) -> Vec<String> {
    let commands: Value = serde_json::from_str(&place.read("compile_commands.json")).unwrap();
    let words: Vec<String> = serde_json::from_value(commands[index]["arguments"].clone()).unwrap();
    words.windows(2).filter(|pair| pair[0] == "-isystem").map(|pair| pair[1].clone()).collect()
}

fn exists(place: &Place, path: &str) -> bool {
    place.path().join(path).exists()
}

#[test]
fn a_source_gets_what_it_uses_and_keeps_it() {
    let place = project();
    let run = build(&place);
    assert!(run.stderr.contains("reading the BTF of host"), "{run}");
    let header = place.read(A);
    // What only the included header names is there.
    assert!(header.contains("struct task_struct {") && header.contains("pid_t pid;"), "{header}");
    assert!(header.lines().count() < 1000 && !exists(&place, WHOLE));
    let dir = A.strip_suffix("/vmlinux.h").unwrap();
    assert_eq!(told(&place, 0), [dir, "target/skep/include"]);
    let run = build(&place);
    assert!(!run.stderr.contains("Compiling") && !run.stderr.contains("reading"), "{run}");
    // Touched, but no word is new.
    place.file("include/pid.h", format!("/* The number. */\n{HEADER}"));
    let run = build(&place);
    assert!(run.stderr.contains("Compiling") && !run.stderr.contains("reading"), "{run}");
    assert_eq!(place.read(A), header);
    // Damaged, it is made anew.
    place.file(A, "");
    build(&place);
    assert_eq!(place.read(A), header);
    // A new word, behind a macro of the manifest's.
    place.file("Skep.toml", "[bpf]\ndefines = [\"NUMBER=tgid\"]\n");
    let run = build(&place);
    assert!(run.stderr.contains("reading the BTF of host"), "{run}");
    assert!(place.read(A).contains("pid_t tgid;"));
}

#[test]
fn a_header_that_appears_where_none_was_is_seen() {
    let place = project();
    // The second build finds nothing to do, and leaves what the third reads.
    (0..3).for_each(|_| drop(build(&place)));
    assert!(exists(&place, "target/skep/.state/dev/summary"));
    assert!(!build(&place).stderr.contains("Compiling"));
    place.skep(&["vmlinux", "-o", "include/vmlinux.h"]).expect(0);
    let run = build(&place);
    assert!(run.stderr.contains("Compiling src/a.bpf.c"), "{run}");
    assert_eq!(told(&place, 0), ["target/skep/include"], "the pruned one is out of use");
}

#[test]
fn where_words_are_not_enough_the_whole_header_is_taken() {
    let place = project();
    place.file("src/b.bpf.c", PASTED);
    // Making the whole header is work within the work on a source.
    let quiet = place.skep(&["build", "-j", "1"]).expect(0);
    assert!(!quiet.stderr.contains("needs more of vmlinux.h"), "{quiet}");
    assert!(exists(&place, WHOLE));
    assert_eq!(told(&place, 0).len(), 2);
    assert_eq!(told(&place, 1), ["target/skep/include"]);
    let run = build(&place);
    assert!(!run.stderr.contains("Compiling"), "{run}");
    // clang is not asked a second time about the words it has refused.
    place.file("src/b.bpf.c", format!("{PASTED}\n"));
    let run = build(&place);
    assert_eq!(run.stderr.matches(" -c src/b.bpf.c").count(), 1, "{run}");
    let said = "src/b.bpf.c needs more of vmlinux.h than it names; compiled with all of it";
    assert!(run.stderr.contains(said), "{run}");
    // Other words are another try.
    place.file("src/b.bpf.c", PASTED.replace("t->PASTE(p, id)", "t->pid"));
    place.file(
        "src/b.bpf.c",
        place.read("src/b.bpf.c").replace("PASTE(task, _struct)", "task_struct"),
    );
    build(&place);
    assert_eq!(told(&place, 1).len(), 2);
}

#[test]
fn what_is_wrong_is_said_as_with_the_whole_header() {
    let place = project();
    let wrong = PROGRAM.replace("number(", "((struct task_struct *)ctx[1])->tgit + (");
    place.file("src/a.bpf.c", wrong);
    let run = |manifest: &str| {
        place.file("Skep.toml", manifest);
        let run = place.skep(&["build", "--message-format", "short"]).expect(1);
        assert!(run.stdout.contains("did you mean 'tgid'?"), "{run}");
        run.stdout
    };
    let pruned = run("");
    assert_eq!(told(&place, 0), ["target/skep/include"], "the one that was complained with");
    assert_eq!(pruned, run("[bpf]\nvmlinux = \"full\"\n"));
}

#[test]
fn the_whole_header_can_be_asked_for() {
    let place = project();
    place.file("Skep.toml", "[bpf]\nvmlinux = \"full\"\n");
    let run = build(&place);
    assert!(run.stderr.contains("Generating vmlinux.h from the running kernel's BTF"), "{run}");
    assert!(place.read(WHOLE).lines().count() > 100_000 && !exists(&place, A));
    assert_eq!(told(&place, 0), ["target/skep/include"]);
}

/// An object whose BTF stands for a kernel's.
fn kernel(place: &Place, name: &str, members: &str) {
    let types = "typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned __u32;\
        typedef unsigned long long __u64; typedef int __s32; typedef long long __s64;\
        typedef __u16 __be16; typedef __u32 __be32; typedef __u32 __wsum;";
    let all = "__u8 a; __u16 b; __u32 c; __u64 d; __s32 e; __s64 f; __be16 g; __be32 h; __wsum i;";
    let source = format!(
        "{types}\nenum bpf_map_type {{ BPF_MAP_TYPE_HASH }};\nstruct task_struct {{ {members} }};\n\
         struct all {{ {all} enum bpf_map_type j; }};\n\
         int keep(struct all *a, struct task_struct *t) {{ return 0; }}\n"
    );
    place.file(&format!("{name}.c"), source);
    let clang = Command::new("clang-19")
        .args(["-target", "bpf", "-g", "-O2", "-c", &format!("{name}.c"), "-o", name])
        .current_dir(place.path())
        .status();
    assert!(clang.unwrap().success());
}

#[test]
fn the_btf_is_the_one_that_is_pinned() {
    let place = project();
    kernel(&place, "one.o", "int pid;");
    kernel(&place, "two.o", "long long pid;");
    place.skep(&["vmlinux", "--pin", "--from", "one.o"]).expect(0);
    let run = build(&place);
    assert!(run.stderr.contains("reading the BTF of one.o"), "{run}");
    assert!(place.read(A).contains("int pid;"), "{}", place.read(A));
    // The manifest outweighs the lock.
    place.file("Skep.toml", "[bpf]\nbtf = \"two.o\"\n");
    build(&place);
    assert!(place.read(A).contains("long long pid;"), "{}", place.read(A));
    // What the pin stands for has become something else.
    place.file("Skep.toml", "");
    build(&place);
    kernel(&place, "one.o", "char pid;");
    let run = place.skep(&["build", "--message-format", "short"]).expect(1);
    assert!(run.stdout.contains("E0509") || run.stderr.contains("E0509"), "{run}");
    let hash = "00".repeat(32);
    place.file("Skep.toml", format!("[bpf.btf]\nfrom = \"two.o\"\nsha256 = \"{hash}\"\n"));
    let run = place.skep(&["build", "--message-format", "short"]).expect(1);
    assert!(format!("{run}").contains("Skep.toml:2:8: error[E0509]"), "{run}");
    place.file("Skep.toml", "[bpf]\nbtf = \"three.o\"\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert!(run.stderr.contains("`btf` names three.o, which is no file"), "{run}");
}

#[test]
fn a_kernel_that_was_updated_has_its_headers_made_anew() {
    // A store in which a reference means one kernel, then another.
    let cache = Place::new();
    let shared = shared_cache();
    std::fs::create_dir_all(cache.path().join("kernels")).unwrap();
    std::fs::create_dir_all(shared.join("btf")).unwrap();
    std::os::unix::fs::symlink(shared.join("btf"), cache.path().join("btf")).unwrap();
    let keys = ["debian/bookworm", "debian/trixie"].map(|reference| {
        let key = debian::kernel_key(reference);
        let path = format!("kernels/{key}");
        std::os::unix::fs::symlink(shared.join(&path), cache.path().join(&path)).unwrap();
        key
    });
    let mean = |key: &String| {
        let meaning = json!({ "reference": "debian/trixie", "key": key, "fetched": 1 });
        cache.file("kernels/debian-trixie.json", meaning.to_string());
    };
    let place = project().env("SKEP_CACHE_DIR", cache.path());
    let manifest = "[bpf]\nbtf = \"debian/trixie\"\n";
    let mut headers = Vec::new();
    // The whole header too, from which the step back leads.
    for (key, more, header) in [
        (&keys[0], "", A),
        (&keys[1], "", A),
        (&keys[1], "vmlinux = \"full\"\n", WHOLE),
        (&keys[0], "vmlinux = \"full\"\n", WHOLE),
    ] {
        mean(key);
        place.file("Skep.toml", format!("{manifest}{more}"));
        let run = place.skep(&["build", "-v", "--offline"]).expect(0);
        assert!(run.stderr.contains("reading the BTF of debian/trixie"), "{run}");
        headers.push(place.read(header));
        let run = place.skep(&["build", "-v", "--offline"]).expect(0);
        assert!(!run.stderr.contains("reading") && !run.stderr.contains("Compiling"), "{run}");
    }
    assert!(headers[0] != headers[1] && headers[2] != headers[3]);
}
