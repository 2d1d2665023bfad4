//! `skep check`: objects made by the real clang, good and bad.

use crate::support::{Place, Run};
use skep::base::Cancel;
use skep::base::programs::Programs;
use std::path::Path;
use std::process::Command;

/// A program that counts, with nothing wrong.
const GOOD: &str = r#"
typedef unsigned int __u32; typedef unsigned long long __u64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) __typeof__(val) *name
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *) 1;
static long (*bpf_trace_printk)(const char *fmt, __u32 size, ...) = (void *) 6;

struct {
	__uint(type, 1);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("kprobe/do_unlinkat")
int count(void *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	if (value)
		(*value)++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

/// The clang that skep itself would take.
fn clang() -> std::path::PathBuf {
    let programs = Programs::new(std::env::var_os("PATH").unwrap(), "/".into());
    let answers = tempfile::tempdir().unwrap();
    let file = answers.path().join("clang.json");
    let clang = skep::build::clang::find(Default::default(), &programs, &file, &Cancel::new());
    clang.expect("clang is installed").path
}

/// Compiles `source` to `name` in the place, from a file of the same stem.
fn compile_with(place: &Place, name: &str, source: &str, flags: &[&str]) {
    let file = name.replace(".o", ".c");
    place.file(&file, source);
    let status = Command::new(clang())
        .args(["-target", "bpf", "-g", "-O2", "-mcpu=v3", "-c", &file, "-o", name])
        .args(flags)
        .current_dir(place.path())
        .status()
        .unwrap();
    assert!(status.success());
}

fn compile(place: &Place, name: &str, source: &str) {
    compile_with(place, name, source, &[]);
}

/// The run's findings, with what differs from place to place taken out.
fn said(place: &Place, run: &Run) -> String {
    place.redact(&run.stdout)
}

#[test]
fn a_good_object_is_listed() {
    let place = Place::new();
    compile(&place, "good.bpf.o", GOOD);
    let run = place.skep(&["check", "good.bpf.o"]).expect(0);
    insta::assert_snapshot!(said(&place, &run), @r#"
    OBJECT  PROGRAMS  MAPS  INSNS  RESULT
    good           1     1     13  ok
    "#);
    assert!(run.stderr.contains("Checked 1 object: nothing found"), "{run}");
    let run = place.skep(&["check", "good.bpf.o", "--message-format", "json"]).expect(0);
    let record = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let record: Option<serde_json::Value> =
        record.into_iter().find(|record: &serde_json::Value| record["reason"] == "object-check");
    let record = record.unwrap_or_else(|| panic!("{run}"));
    assert_eq!((&record["programs"], &record["maps"]), (&1.into(), &1.into()), "{run}");
}

#[test]
fn findings_stand_on_the_c_line() {
    let place = Place::new();
    let bad = GOOD
        .replace("kprobe/do_unlinkat", "kprob/do_unlinkat")
        .replace("\"GPL\"", "\"GPL-2.0\"")
        .replace("return 0;", "{ char text[] = \"hit\"; bpf_trace_printk(text, 4); } return 0;")
        .replace("__uint(type, 1)", "__uint(type, 11)");
    compile(&place, "bad.bpf.o", &bad);
    let run = place.skep(&["check", "bad.bpf.o"]).expect(1);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0305]: `bpf_trace_printk` needs a GPL-compatible license, and the object's is "GPL-2.0" [gpl-only-helper]
        ╭─[bad.bpf.c:24:25]
     23 │         (*value)++;
     24 │     { char text[] = "hit"; bpf_trace_printk(text, 4); } return 0;
        ·                            ────────────────
     25 │ }
        ╰────
      help: write `char LICENSE[] SEC("license") = "GPL";`; the kernel also takes "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual
            MIT/GPL" and "Dual MPL/GPL", spelled like this
      program: count
      object: bad.bpf.o, section kprob/do_unlinkat, instruction 16

    error[E0406]: map `counts`: an lpm_trie map has keys of 5 to 260 bytes, not 4 bytes [bad-map]
        ╭─[bad.bpf.c:14:3]
     13 │     __type(value, __u64);
     14 │ } counts SEC(".maps");
        ·   ──────
        ╰────
      object: bad.bpf.o, section .maps

    error[E0406]: map `counts`: an lpm_trie map needs the flag BPF_F_NO_PREALLOC [bad-map]
        ╭─[bad.bpf.c:14:3]
     13 │     __type(value, __u64);
     14 │ } counts SEC(".maps");
        ·   ──────
        ╰────
      help: write __uint(map_flags, BPF_F_NO_PREALLOC)
      object: bad.bpf.o, section .maps

    error[E0404]: libbpf knows no program type for SEC("kprob/do_unlinkat") [unknown-section]
        ╭─[bad.bpf.c:17]
     16 │ SEC("kprob/do_unlinkat")
     17 │ int count(void *ctx)
        · ────────────────────
     18 │ {
        ╰────
      help: write SEC("kprobe/do_unlinkat")
      program: count
      object: bad.bpf.o, section kprob/do_unlinkat

    OBJECT  PROGRAMS  MAPS  INSNS  RESULT
    bad            1     1     19  4 errors
    "#);
    assert!(run.stderr.contains("Checked 1 object: 4 errors"), "{run}");
}

#[test]
fn an_empty_file_is_no_object() {
    let place = Place::new();
    place.file("empty.bpf.o", "");
    let run = place.skep(&["check", "empty.bpf.o"]).expect(1);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0401]: the file is empty [not-an-object]
      --> empty.bpf.o
      help: name an object made by `clang -target bpf -c`, or its source, to `skep build`

    OBJECT  RESULT
    empty   1 error
    "#);
}

#[test]
fn a_text_file_is_no_object() {
    let place = Place::new();
    place.file("notes.txt", "remember the milk\n");
    let run = place.skep(&["check", "notes.txt"]).expect(1);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0401]: the file is a text file, not an ELF object [not-an-object]
      --> notes.txt
      help: name an object made by `clang -target bpf -c`, or its source, to `skep build`

    OBJECT     RESULT
    notes.txt  1 error
    "#);
}

#[test]
fn a_truncated_object_is_cut_off() {
    let place = Place::new();
    compile(&place, "good.bpf.o", GOOD);
    let bytes = std::fs::read(place.path().join("good.bpf.o")).unwrap();
    place.file("part.bpf.o", &bytes[..bytes.len() / 2]);
    let run = place.skep(&["check", "part.bpf.o"]).expect(1);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0403]: the object file is cut off: the table of sections lies beyond its end [object-corrupt]
      --> part.bpf.o
      help: build it again

    OBJECT  RESULT
    part    1 error
    "#);
    place.file("stub.bpf.o", &bytes[..40]);
    let run = place.skep(&["check", "stub.bpf.o", "--message-format", "short"]).expect(1);
    assert!(run.stdout.contains("E0403") && run.stdout.contains("the ELF header"), "{run}");
}

#[test]
fn an_x86_object_is_named_as_one() {
    let place = Place::new();
    place.file("native.c", "int f(void) { return 1; }");
    let target = ["--target=x86_64-linux-gnu", "-c", "native.c", "-o", "native.o"];
    let status = Command::new(clang()).args(target).current_dir(place.path()).status().unwrap();
    assert!(status.success());
    let run = place.skep(&["check", "native.o"]).expect(1);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0402]: the file is an x86-64 object, not a BPF object [not-bpf]
      --> native.o
      help: compile it with `-target bpf`

    OBJECT  RESULT
    native  1 error
    "#);
}

#[test]
fn an_object_without_btf_is_told_how_to_get_it() {
    let place = Place::new();
    compile_with(&place, "plain.bpf.o", GOOD, &["-g0"]);
    let run = place.skep(&["check", "plain.bpf.o"]).expect(1);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0412]: the object has no BTF, and libbpf cannot load the maps in section .maps without it [object-without-btf]
      --> plain.bpf.o
      help: compile with `-g`; to strip debug info, use `llvm-strip -g`, which keeps BTF

    OBJECT  PROGRAMS  MAPS  INSNS  RESULT
    plain          1     0     13  1 error
    "#);
}

#[test]
fn a_directory_without_a_project_is_wrong_usage() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let run = place.skep(&["check", "empty"]).expect(2);
    insta::assert_snapshot!(place.redact(&run.stderr), @r#"
    error[E0111]: empty is a directory without a project [wrong-input]
      help: name a project, a source (`.bpf.c`) or an object (`.bpf.o`)
    "#);
    assert_eq!(run.stdout, "");
    std::fs::create_dir(place.path().join("out")).unwrap();
    compile(&place, "out/good.bpf.o", GOOD);
    let run = place.skep(&["check", "out"]).expect(2);
    assert!(run.stderr.contains("skep check out/good.bpf.o"), "{run}");
}

#[test]
fn a_missing_file_is_wrong_usage() {
    let place = Place::new();
    let run = place.skep(&["check", "gone.bpf.o"]).expect(2);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0601]: gone.bpf.o is not there [file-not-found]
    "#);
}

#[test]
fn one_bad_file_does_not_hide_another_object() {
    let place = Place::new();
    place.file("empty.bpf.o", "");
    compile(&place, "good.bpf.o", GOOD);
    let run = place.skep(&["check", "empty.bpf.o", "good.bpf.o"]).expect(1);
    assert!(run.stdout.contains("E0401") && run.stdout.contains("good"), "{run}");
}

#[test]
fn what_is_allowed_is_not_shown() {
    let place = Place::new();
    let section = "SEC(\"decap\") // skep: allow(unknown-section)\nint count";
    let source =
        GOOD.replace("SEC(\"kprobe/do_unlinkat\")\nint count", "SEC(\"decap\")\nint count");
    compile(&place, "odd.bpf.o", &source);
    let run = place.skep(&["check", "odd.bpf.o"]).expect(0);
    assert!(run.stdout.contains("W0404"), "{run}");
    let commented =
        source.replace("int count(void *ctx)", "int count(void *ctx) // skep: allow(W0404)");
    assert!(!commented.contains(section));
    compile(&place, "odd.bpf.o", &commented);
    let run = place.skep(&["check", "odd.bpf.o"]).expect(0);
    assert!(!run.stdout.contains("W0404") && run.stderr.contains("1 allowed"), "{run}");
}

#[test]
fn a_project_is_built_and_its_lints_hold() {
    let place = Place::new();
    place.file("src/count.bpf.c", GOOD.replace("kprobe/do_unlinkat", "decap"));
    let manifest = "[bpf]\nvmlinux = \"none\"\n";
    place.file("Skep.toml", manifest);
    let run = place.skep(&["check", "--message-format", "short"]).expect(0);
    assert!(run.stdout.contains("src/count.bpf.c:17: warning[W0404]"), "{run}");
    place.file("Skep.toml", format!("{manifest}[lints]\nunknown-section = \"deny\"\n"));
    let run = place.skep(&["check", "--message-format", "short"]).expect(1);
    assert!(run.stdout.contains("src/count.bpf.c:17: error[W0404]"), "{run}");
    place.file("Skep.toml", format!("{manifest}[lints]\nW0404 = \"allow\"\n"));
    let run = place.skep(&["check", "--message-format", "short"]).expect(0);
    assert!(!run.stdout.contains("W0404"), "{run}");
    let run = place.skep(&["check", "src/count.bpf.c"]).expect(0);
    assert!(run.stdout.contains("count"), "{run}");
    assert!(Path::new(&place.path().join("target/skep")).is_dir());
}

#[test]
fn kernels_are_compared_by_their_types_and_versions() {
    let place = Place::new();
    let reads = GOOD.replace(
        "SEC(\"kprobe/do_unlinkat\")\nint count(void *ctx)\n{",
        "struct task { int pid; } __attribute__((preserve_access_index));\n\n\
         SEC(\"kprobe/do_unlinkat\")\nint count(struct task *ctx)\n{\n\tif (ctx->pid == 0)\n\t\treturn 1;",
    );
    compile(&place, "reads.bpf.o", &reads);
    compile(&place, "old.o", "struct task { long flags; int pid; } t;");
    compile(&place, "new.o", "struct task { long flags; int tgid; } t;");
    let run = place.skep(&["check", "reads.bpf.o", "--kernel", "old.o"]).expect(0);
    assert!(run.stderr.contains("nothing found"), "{run}");
    let run = place.skep(&["check", "reads.bpf.o", "-k", "old.o", "-k", "new.o"]).expect(1);
    insta::assert_snapshot!(said(&place, &run), @r#"
    error[E0358]: struct task has no member `pid` in the kernel [core-relocation]
        ╭─[reads.bpf.c:21:11]
     20 │ {
     21 │     if (ctx->pid == 0)
        ·              ───
     22 │         return 1;
        ╰────
      help: ask before: `if (bpf_core_field_exists(…->pid))`, and read a flavour of the type (`struct task___old`) where it is not there
      program: count
      object: reads.bpf.o, section kprobe/do_unlinkat, instruction 1
      kernels: new.o

    OBJECT  PROGRAMS  MAPS  INSNS  RESULT
    reads          1     1     16  1 error
    "#);
    let run = place.skep(&["check", "reads.bpf.o", "-k", "gone.btf"]).expect(2);
    assert!(run.stderr.contains("gone.btf"), "{run}");
}

#[test]
fn the_oldest_kernel_of_a_project_counts() {
    let place = Place::new();
    let source = GOOD
        .replace("__uint(type, 1)", "__uint(type, 1); __uint(map_flags, 0)")
        .replace("kprobe/do_unlinkat", "fentry/do_unlinkat");
    place.file("src/count.bpf.c", source);
    let manifest = |min: &str| format!("[bpf]\nvmlinux = \"none\"\n[kernels]\nmin = \"{min}\"\n");
    place.file("Skep.toml", manifest("5.4"));
    let run = place.skep(&["check", "--message-format", "short"]).expect(1);
    let line = "src/count.bpf.c:17: error[E0413]: `count` is a program of type tracing, which came \
                with Linux 5.5 (program count) (on linux 5.4) [kernel-too-old]";
    assert!(run.stdout.contains(line), "{run}");
    place.file("Skep.toml", manifest("5.10"));
    place.skep(&["check", "--message-format", "short"]).expect(0);
}

#[test]
fn a_call_into_a_programs_section_is_told_where() {
    let place = Place::new();
    let calling = |section: &str| {
        let functions = format!(
            "static __attribute__((noinline)) {section} int inner(int *n) {{ return *n; }}\n\
             SEC(\"xdp\") int outer(void *ctx) {{ int n = 1; return inner(&n); }}\n\nchar LICENSE"
        );
        GOOD.replace("char LICENSE", &functions)
    };
    let check = ["check", "--message-format", "short", "calls.bpf.o"];
    compile(&place, "calls.bpf.o", &calling("SEC(\"xdp\")"));
    let run = place.skep(&check).expect(1);
    let found = run.stdout.lines().find(|line| line.contains("error[E0408]"));
    let found = found.unwrap_or_else(|| panic!("{run}"));
    assert!(found.starts_with("calls.bpf.c:28:"), "{found}");
    assert!(found.contains("a call leads to no function"), "{found}");
    compile(&place, "calls.bpf.o", &calling(""));
    place.skep(&check).expect(0);
}

#[test]
fn line_records_beyond_the_code_are_told() {
    let place = Place::new();
    compile(&place, "good.bpf.o", GOOD);
    place.skep(&["check", "good.bpf.o"]).expect(0);
    let mut bytes = std::fs::read(place.path().join("good.bpf.o")).unwrap();
    // .BTF.ext: magic, version, flags and the header's size; then the places
    // of function records and of line records behind it.
    let magic = [0x9f, 0xeb, 1, 0, 32, 0, 0, 0];
    let at = bytes.windows(8).position(|window| window == magic).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    // The records' size, the section's name and their count stand first.
    let offset = at + 32 + number(at + 16) + 12;
    bytes[offset..offset + 4].copy_from_slice(&80_000u32.to_le_bytes());
    place.file("bad.bpf.o", bytes);
    let run = place.skep(&["check", "--message-format", "short", "bad.bpf.o"]).expect(0);
    assert!(run.stdout.contains("warning[W0411]: 1 line record lies beyond"), "{run}");
}

#[test]
fn a_relocation_that_libbpf_would_refuse_is_told() {
    let place = Place::new();
    let asking = |of: &str| {
        let program = format!(
            "struct task_struct {{ int pid; char comm[16]; }} __attribute__((preserve_access_index));\n\
             SEC(\"kprobe/do_unlinkat\") int is_signed(struct task_struct *task)\n\
             {{ return __builtin_preserve_field_info({of}, 3); }}\n\nchar LICENSE"
        );
        GOOD.replace("char LICENSE", &program)
    };
    let check = ["check", "--message-format", "short", "--kernel", "debian/trixie", "core.bpf.o"];
    compile(&place, "core.bpf.o", &asking("task->comm[2]"));
    let run = place.skep(&check).expect(1);
    assert!(run.stdout.contains("error[E0505]") && run.stdout.contains("comm[2]"), "{run}");
    compile(&place, "core.bpf.o", &asking("task->pid"));
    place.skep(&check).expect(0);
}

#[test]
fn extensions_are_held_against_the_other_objects() {
    let place = Place::new();
    let head = "#define SEC(name) __attribute__((section(name), used))\n\
                struct xdp_md { int data; };\n\
                char LICENSE[] SEC(\"license\") = \"GPL\";\n";
    let target = "__attribute__((noinline)) int decide(struct xdp_md *ctx, int n)\n\
                  { volatile int x = n; return x; }\n\
                  SEC(\"xdp\") int entry(struct xdp_md *ctx) { return decide(ctx, 1); }\n";
    let better = "SEC(\"freplace/decide\")\nint better(struct xdp_md *ctx) { return 1; }\n";
    compile(&place, "target.bpf.o", &format!("{head}{target}"));
    compile(&place, "better.bpf.o", &format!("{head}{better}"));
    let args = ["check", "better.bpf.o", "target.bpf.o", "--message-format", "short"];
    let run = place.skep(&args).expect(1);
    let expected = "better.bpf.c:5:34: error[E0354]: `better` cannot replace `decide`: the numbers of \
                    arguments differ, in `int better(struct xdp_md *ctx)` and `int decide(struct \
                    xdp_md *ctx, int n)` (program better) [extension-mismatch]";
    assert!(run.stdout.starts_with(expected), "{run}");
    assert!(run.stdout.contains("\nbetter\tbetter.bpf.o\t1\t0\t0\t2\t1\t0"), "{run}");
    // Where it is alone, the function is one of another object.
    place.skep(&["check", "better.bpf.o"]).expect(0);
}
