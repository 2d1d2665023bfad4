//! `skep disasm` and `skep inspect OBJ`: names instead of numbers.

use crate::support::{Place, Run};
use serde_json::Value;

/// Something of everything that instructions refer to.
const SOURCE: &str = r#"#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
struct task_struct { int pid; int tgid; } __attribute__((preserve_access_index));
extern void bpf_rcu_read_lock(void) __ksym;
extern const int runqueues __ksym __weak;
extern unsigned LINUX_KERNEL_VERSION __kconfig;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 7); __uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); __type(value, __u64); } counts SEC(".maps");
const volatile int wanted = 1;
long seen[4];
char LICENSE[] SEC("license") = "GPL";
static __attribute__((noinline)) int twice(int x)
{
	return x * 2 + (int)seen[1];
}
SEC("raw_tp/sched_switch") int on_switch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 key = BPF_CORE_READ(task, tgid);
	__u64 *count = bpf_map_lookup_elem(&counts, &key);
	bpf_rcu_read_lock();
	if (count && wanted)
		seen[2] += twice(LINUX_KERNEL_VERSION);
	return &runqueues != 0;
}
"#;

fn place() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/all.bpf.c", SOURCE);
    place.skep(&["build"]).expect(0);
    place
}

fn rows(run: &Run, reason: &str) -> Vec<Value> {
    let rows = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["reason"] == reason).collect()
}

const OBJECT: &str = "target/skep/dev/all.bpf.o";

#[test]
fn instructions_stand_below_their_lines_and_names_for_numbers() {
    let place = place();
    let run = place.skep(&["disasm", OBJECT]).expect(0);
    let text = &run.stdout;
    assert!(text.starts_with("on_switch (raw_tracepoint, SEC(\"raw_tp/sched_switch\"), "), "{run}");
    assert!(
        text.contains("; __u64 *count = bpf_map_lookup_elem(&counts, &key); @ src/all.bpf.c:21\n")
    );
    let line = |part: &str| {
        let found = text.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no {part:?} in {run}")).to_owned()
    };
    assert!(line("= &counts").ends_with("; map"), "{run}");
    assert!(line("= &wanted").ends_with("; global"), "{run}");
    assert!(line("call bpf_rcu_read_lock").ends_with("; kfunc"), "{run}");
    assert!(line("call twice").ends_with("; subprogram"), "{run}");
    assert!(line("= &runqueues").ends_with("; ksym"), "{run}");
    assert!(line("= &LINUX_KERNEL_VERSION").ends_with("; kconfig"), "{run}");
    line("call bpf_map_lookup_elem#1");
    line("CO-RE byte_off(struct task_struct.tgid)");
    // Jumps lead somewhere.
    let jump = line(" goto pc+");
    let to = jump.split("; to ").nth(1).unwrap();
    assert!(text.lines().any(|line| line.trim_start().starts_with(&format!("{to}: "))), "{run}");
    // The subprogram follows.
    assert!(text.contains("\ntwice (subprogram of on_switch)\n"), "{run}");
    assert_eq!(text.matches("return x * 2").count(), 1, "{run}");
}

#[test]
fn a_program_is_chosen_and_a_source_is_built_first() {
    let place = place();
    let run = place.skep(&["disasm", OBJECT, "nix"]).expect(2);
    assert!(run.stderr.contains("no program is called `nix`"), "{run}");
    assert!(run.stderr.contains("there are: on_switch"), "{run}");
    place.skep(&["clean"]).expect(0);
    let named = place.skep(&["disasm", "src/all.bpf.c", "on_switch"]).expect(0);
    assert_eq!(named.stdout, place.skep(&["disasm", OBJECT]).expect(0).stdout);
    place.file("junk.o", "junk");
    let run = place.skep(&["disasm", "junk.o"]).expect(1);
    assert!(run.stderr.contains("E0401") && run.stderr.contains("junk.o"), "{run}");
    place.skep(&["disasm", "gone.o"]).expect(2);
}

#[test]
fn relocations_are_resolved_for_a_kernel() {
    let place = place();
    let btf = "/sys/kernel/btf/vmlinux";
    let run = place.skep(&["disasm", OBJECT, "--kernel", btf]).expect(0);
    let line = run.stdout.lines().find(|line| line.contains("CO-RE")).unwrap();
    let there = place.skep(&["inspect", "btf", btf, "task_struct", "--message-format", "json"]);
    let there = rows(&there.expect(0), "btf-member");
    let tgid = there.iter().find(|row| row["name"] == "tgid").unwrap();
    let offset = tgid["bit_offset"].as_u64().unwrap() / 8;
    assert!(
        line.ends_with(&format!("struct task_struct.tgid): 4, on the kernel {offset}")),
        "{line}"
    );
}

#[test]
fn rows_for_programs() {
    let place = place();
    let run = place.skep(&["disasm", OBJECT, "--message-format", "json"]).expect(0);
    let rows = rows(&run, "instruction");
    let row = rows.iter().find(|row| row["name"] == "counts").unwrap();
    assert_eq!((&row["refers_to"], &row["program"]), (&"map".into(), &"on_switch".into()));
    assert_eq!((&row["file"], &row["line"]), (&"src/all.bpf.c".into(), &21.into()));
    let row = rows.iter().find(|row| row["core_of"] == "struct task_struct.tgid").unwrap();
    assert_eq!((&row["core_question"], &row["core_local"]), (&"byte_off".into(), &4.into()));
    assert!(rows.iter().filter(|row| row["function"] == "twice").count() > 2);
}

#[test]
fn inspect_lists_what_is_in_an_object() {
    let place = place();
    let run = place.skep(&["inspect", OBJECT, "--message-format", "json"]).expect(0);
    let row = |reason: &str, key: &str, value: &str| {
        let found = rows(&run, reason).into_iter().find(|row| row[key] == value);
        found.unwrap_or_else(|| panic!("no {reason} with {key} {value} in {run}"))
    };
    let object = row("object", "path", OBJECT);
    assert_eq!((&object["license"], &object["big_endian"]), (&"GPL".into(), &false.into()));
    let size = std::fs::metadata(place.path().join(OBJECT)).unwrap().len();
    assert_eq!(object["bytes"], size);
    assert!(object["btf_bytes"].as_u64().unwrap() > 500);
    let program = row("object-program", "name", "on_switch");
    assert_eq!((&program["type"], &program["line"]), (&"raw_tracepoint".into(), &19.into()));
    assert_eq!(row("object-program", "name", "twice")["type"], "subprogram");
    let map = row("object-map", "name", "counts");
    assert_eq!((&map["key"], &map["value"]), (&"__u32".into(), &"__u64".into()));
    assert_eq!((&map["max_entries"], &map["flags"]), (&7.into(), &"BPF_F_NO_PREALLOC".into()));
    assert_eq!(row("object-global", "name", "wanted")["constant"], true);
    assert_eq!(row("object-global", "name", "seen")["declaration"], "long seen[4]");
    let kfunc = row("object-extern", "name", "bpf_rcu_read_lock");
    assert_eq!((&kfunc["kind"], &kfunc["weak"]), (&"kfunc".into(), &false.into()));
    assert_eq!(row("object-extern", "name", "runqueues")["weak"], true);
    let core = row("object-reference", "kind", "core");
    assert_eq!(core["name"], "struct task_struct.tgid");
    assert_eq!(row("object-reference", "name", "bpf_map_lookup_elem")["count"], 1);
    // For people, the same in tables.
    let run = place.skep(&["inspect", OBJECT]).expect(0);
    for words in ["on_switch", "NO_PREALLOC", "long seen[4]", "void bpf_rcu_read_lock(void)"] {
        assert!(run.stdout.contains(words), "{words}: {run}");
    }
    assert!(run.stdout.contains("__u32 (4 B)"), "{run}");
    place.skep(&["inspect"]).expect(2);
}
