//! `skep vmlinux --min-core`: what is written, and that bpftool reads it.

use crate::support::Place;
use std::process::Command;

const TASK: &str = r#"
typedef unsigned long long u64; typedef int pid_t;
struct task_struct { pid_t tgid; struct task_struct *parent; int no_such_field; }
    __attribute__((preserve_access_index));
#define SEC(name) __attribute__((section(name), used))
SEC("kprobe") int parent(struct task_struct *task) {
    return __builtin_preserve_field_info(task->parent, 0) + task->tgid;
}
"#;

/// Compiles an object of its own.
fn compile(place: &Place, name: &str, source: &str) -> String {
    let file = place.file(&format!("{name}.bpf.c"), source);
    let object = format!("{name}.bpf.o");
    let clang = Command::new("clang-19")
        .args(["-target", "bpf", "-O2", "-g", "-mcpu=v3", "-Wno-everything", "-c"])
        .arg(&file)
        .args(["-o", &object])
        .current_dir(place.path())
        .status()
        .unwrap();
    assert!(clang.success());
    object
}

/// How bpftool writes a BTF file of the place.
fn dump(place: &Place, file: &str) -> String {
    let run = Command::new("bpftool")
        .args(["btf", "dump", "file", file])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn one_kernel_gives_one_file_with_what_the_object_reads() {
    let place = Place::new();
    let object = compile(&place, "task", TASK);
    let run = place.skep(&["vmlinux", "--min-core", &object, "-o", "min.btf"]).expect(0);
    assert!(run.stdout.contains("min.btf"), "{run}");
    let text = dump(&place, "min.btf");
    assert!(text.contains("STRUCT 'task_struct' size="), "{text}");
    for name in ["'tgid'", "'parent'"] {
        assert!(text.contains(name), "{text}");
    }
    assert!(!text.contains("'comm'"), "{text}");
    assert!(text.lines().count() < 10, "{text}");
}

#[test]
fn several_kernels_give_a_directory_with_a_file_for_each_release() {
    let place = Place::new();
    let object = compile(&place, "task", TASK);
    let btf = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    place.file("vmlinux-9.8.7-other", &btf);
    let from = ["--from", "host", "--from", "vmlinux-9.8.7-other", "--from", "vmlinux-9.8.7-other"];
    let args = [&["vmlinux", "--min-core", &object][..], &from, &["-o", "bundle"]].concat();
    place.skep(&args).expect(0);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let host = format!("bundle/{}.btf", release.trim());
    assert_eq!(dump(&place, &host), dump(&place, "bundle/9.8.7-other.btf"));
    assert_eq!(dump(&place, &host), dump(&place, "bundle/9.8.7-other-2.btf"));
    assert_eq!(std::fs::read_dir(place.path().join("bundle")).unwrap().count(), 3);
    // One kernel and a directory that is there.
    place.skep(&["vmlinux", "--min-core", &object, "-o", "bundle"]).expect(0);
    assert!(place.path().join(host).is_file());
}

#[test]
fn what_is_missing_is_counted_and_named_on_request() {
    let place = Place::new();
    let source = TASK.replace("+ task->tgid", "+ task->no_such_field");
    let object = compile(&place, "task", &source);
    let args = ["vmlinux", "-v", "--message-format", "json", "--min-core", &object, "-o", "m"];
    let run = place.skep(&args).expect(0);
    assert!(run.stdout.contains("\"unresolved\":1"), "{run}");
    assert!(run.stderr.contains("host has no struct task_struct.no_such_field"), "{run}");
}

#[test]
fn a_number_of_a_type_cannot_be_kept() {
    let place = Place::new();
    let source =
        TASK.replace("return", "return __builtin_btf_type_id(*(struct task_struct *)0, 1) +");
    let object = compile(&place, "task", &source);
    let args = ["vmlinux", "--message-format", "short", "--min-core", &object, "-o", "m"];
    let run = place.skep(&args).expect(0);
    assert!(run.stdout.contains("task.bpf.c:6: "), "{run}");
    assert!(run.stdout.contains("warning[W0507]: the kernel's number"), "{run}");
}

#[test]
fn wrong_use_and_wrong_input_are_told() {
    let place = Place::new();
    let object = compile(&place, "task", TASK);
    let run = place.skep(&["vmlinux", "--min-core", &object]).expect(2);
    assert!(run.stderr.contains("--output"), "{run}");
    let run = place.skep(&["vmlinux", "--from", "a", "--from", "b"]).expect(2);
    assert!(run.stderr.contains("E0101"), "{run}");
    place.file("no.bpf.o", "not ELF");
    let run = place.skep(&["vmlinux", "--min-core", "no.bpf.o", "-o", "m"]).expect(1);
    assert!(run.stdout.contains("E0401"), "{run}");
    assert!(!place.path().join("m").exists());
    let run = place.skep(&["vmlinux", "--min-core", &object, "--from", "no.bpf.o", "-o", "m"]);
    let run = run.expect(2);
    assert!(run.stderr.contains("E0503"), "{run}");
}
