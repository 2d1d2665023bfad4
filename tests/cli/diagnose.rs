//! `skep diagnose`: logs of other loaders, with and without the object.

use crate::support::Place;
use std::io::Write as _;
use std::process::Stdio;

/// What libbpf prints when Linux 6.12 rejects a program.
const LIBBPF: &str = "\
libbpf: prog 'count': BPF program load failed: Permission denied
libbpf: prog 'count': -- BEGIN PROG LOAD LOG --
0: R1=ctx() R10=fp0
; __u32 key = 1; @ count.bpf.c:14
0: (b4) w1 = 1                        ; R1_w=1
1: (63) *(u32 *)(r10 -4) = r1         ; R1_w=1 R10=fp0 fp-8=mmmm????
2: (bf) r2 = r10                      ; R2_w=fp0 R10=fp0
3: (07) r2 += -4                      ; R2_w=fp-4
; value = bpf_map_lookup_elem(&counts, &key); @ count.bpf.c:17
4: (18) r1 = 0xffff888005d7e000       ; R1_w=map_ptr(map=counts,ks=4,vs=8)
6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=counts,ks=4,vs=8)
; *value += 1; @ count.bpf.c:18
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
libbpf: prog 'count': failed to load: -13
libbpf: failed to load object 'count.bpf.o'
";

const SHORT: &str = "count.bpf.c:18: error[E0301]: `value` may be NULL here (program count) [map-value-maybe-null]\n";

#[test]
fn a_log_in_libbpfs_frame() {
    let place = Place::new();
    place.file("load.log", LIBBPF);
    let run = place.skep(&["diagnose", "--message-format", "short", "load.log"]).expect(1);
    assert!(run.stdout.starts_with(SHORT), "{run}");
}

#[test]
fn standard_input_and_time_stamps() {
    let place = Place::new();
    let stamped: String = LIBBPF.lines().map(|line| format!("[   12.345678] {line}\n")).collect();
    let mut child = place
        .command(&["diagnose", "--message-format", "short", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stamped.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(SHORT));
}

#[test]
fn a_log_that_ends_well_is_no_finding() {
    let place = Place::new();
    let log = "0: (95) exit\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";
    place.file("good.log", log);
    let run = place.skep(&["diagnose", "good.log"]).expect(0);
    assert!(run.stderr.contains("accepted"), "{run}");
    assert_eq!(run.stdout, "");
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let place = Place::new();
    for (name, text) in
        [("empty", ""), ("prose", "Dear sir or madam,\n"), ("bytes", "\0\u{1}\u{2}")]
    {
        place.file(name, text);
        let run = place.skep(&["diagnose", name]).expect(2);
        assert!(run.stderr.contains("E0111") && run.stderr.contains(name), "{run}");
    }
    let run = place.skep(&["diagnose", "nowhere.log"]).expect(2);
    assert!(run.stderr.contains("E0601"), "{run}");
    let run = place.skep(&["diagnose", "."]);
    assert!(matches!(run.code, 2 | 3), "{run}");
    place.file("load.log", LIBBPF);
    place.file("not.o", "no object");
    let run = place.skep(&["diagnose", "load.log", "--object", "not.o"]).expect(1);
    assert!(run.stdout.contains("E0401") || run.stderr.contains("E0401"), "{run}");
}

#[test]
fn the_words_of_a_loader_alone_are_explained_too() {
    let place = Place::new();
    let text = "libbpf: prog 'trace': failed to find kernel BTF type ID of 'no_such_fn': -3\n\
                libbpf: prog 'trace': failed to prepare load attributes: -3\n\
                libbpf: prog 'trace': failed to load: -3\n";
    place.file("load.log", text);
    let run = place.skep(&["diagnose", "--message-format", "short", "load.log"]).expect(1);
    assert!(run.stdout.contains("E0351") && run.stdout.contains("`no_such_fn`"), "{run}");
}

/// The same rejection by Linux 5.10, whose logs name no file.
const OLD: &str = "\
; int count(struct xdp_md *ctx)
0: (b7) r1 = 1
; __u32 key = 1;
1: (63) *(u32 *)(r10 -4) = r1
last_idx 1 first_idx 0
regs=2 stack=0 before 0: (b7) r1 = 1
2: (bf) r2 = r10
; 
3: (07) r2 += -4
; value = bpf_map_lookup_elem(&counts, &key);
4: (18) r1 = 0xffff888005d7e000
6: (85) call bpf_map_lookup_elem#1
; *value += 1;
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";

/// The verifier's own text in [`LIBBPF`].
fn new() -> &'static str {
    let from = LIBBPF.find("0: R1=ctx()").unwrap();
    &LIBBPF[from..LIBBPF.find("-- END").unwrap()]
}

/// A log as each loader prints it.
fn frames(log: &str) -> Vec<(&'static str, String)> {
    let prefixed =
        |prefix: &str| -> String { log.lines().map(|line| format!("{prefix}{line}\n")).collect() };
    let libbpf = format!(
        "libbpf: prog 'count': BPF program load failed: Permission denied\n\
         libbpf: prog 'count': -- BEGIN PROG LOAD LOG --\n{log}-- END PROG LOAD LOG --\n\
         libbpf: prog 'count': failed to load: -13\n"
    );
    vec![
        (
            "libbpf 0.x",
            format!(
                "libbpf: load bpf program failed: Permission denied\n\
                 libbpf: -- BEGIN DUMP LOG ---\nlibbpf: \n{log}\nlibbpf: -- END LOG --\n\
                 libbpf: failed to load program 'count'\n"
            ),
        ),
        ("bpftool", format!("{libbpf}Error: failed to load object file\n")),
        (
            "libbpf-rs",
            format!(
                "{libbpf}Error: failed to load BPF object\n\nCaused by:\n    \
                 Permission denied (os error 13)\n"
            ),
        ),
        (
            "aya",
            format!(
                "Error: the BPF_PROG_LOAD syscall failed. Verifier output: {log}\n\n\
                 Caused by:\n    Permission denied (os error 13)\n"
            ),
        ),
        (
            "cilium/ebpf",
            format!(
                "2026/11/25 12:00:00 loading objects: field Count: program count: load program: \
                 permission denied:\n{}",
                prefixed("\t")
            ),
        ),
        (
            "bcc",
            format!(
                "bpf: Failed to load program: Permission denied\n{log}\n\
                 HINT: The 'map_value_or_null' error can happen if you dereference a pointer \
                 value from a map lookup without first checking if that pointer is NULL.\n"
            ),
        ),
        ("dmesg", prefixed("[  312.456789] ")),
        ("journald", prefixed("Nov 25 12:00:00 host loader[4711]: ")),
        ("nothing", log.to_owned()),
    ]
}

#[test]
fn every_loader_with_and_without_object_and_source() {
    let place = Place::new();
    let cases = include_str!("../verifier/classics.md");
    let from = cases.find("```c\n").unwrap() + 5;
    let source = &cases[from..from + cases[from..].find("```").unwrap()];
    place.file("count.bpf.c", source.replace(" // error[E0301]", ""));
    let run = place.skep(&["build", "--message-format", "json", "count.bpf.c"]).expect(0);
    let artifact = run.stdout.lines().find(|line| line.contains("\"artifact\"")).unwrap();
    let artifact: serde_json::Value = serde_json::from_str(artifact).unwrap();
    let object = artifact["path"].as_str().unwrap();
    let object = place.path().join(object);
    place.file("count.bpf.o", std::fs::read(object).unwrap());
    let short = |args: &[&str]| {
        let mut all = vec!["diagnose", "--message-format", "short", "load.log"];
        all.extend(args);
        place.skep(&all).expect(1).stdout
    };
    let with_object = ["--object", "count.bpf.o"];
    for (log, names_files) in [(new(), true), (OLD, false)] {
        for (loader, text) in frames(log) {
            place.file("load.log", &text);
            let said = short(&[]);
            assert_eq!(said.lines().count(), 1, "{loader}: {said}");
            assert!(said.contains("error[E0301]: `value` may be NULL here"), "{loader}: {said}");
            assert_eq!(said.starts_with("count.bpf.c:18: "), names_files, "{loader}: {said}");
            let said = short(&with_object);
            assert!(
                said.starts_with(
                    "count.bpf.c:18:9: error[E0301]: `value` may be NULL here (program count)"
                ),
                "{loader}: {said}"
            );
        }
    }
    // The object keeps the lines.
    std::fs::remove_file(place.path().join("count.bpf.c")).unwrap();
    place.file("load.log", OLD);
    let shown = place.skep(&["diagnose", "load.log", "--object", "count.bpf.o"]).expect(1).stdout;
    assert!(shown.contains("*value += 1;") && shown.contains("count.bpf.c:18"), "{shown}");
}

#[test]
fn the_last_line_alone_as_cilium_shortens_it() {
    let place = Place::new();
    place.file(
        "load.log",
        "field Count: program count: load program: permission denied: 7: (79) r1 = *(u64 *)(r0 +0): \
         R0 invalid mem access 'map_value_or_null' (15 line(s) omitted)\n",
    );
    let run = place.skep(&["diagnose", "--message-format", "short", "load.log"]).expect(1);
    assert!(run.stdout.contains("error[E0301]"), "{run}");
}
