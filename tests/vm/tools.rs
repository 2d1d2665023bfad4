//! libbpf-tools without their user programs: a handful, each with another way
//! to speak. `benches/libbpf-tools/sweep.py` runs all of them by the same rule.

use crate::support::{Place, Run, debian};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// What is beside a tool's name on the command line, and what is to come out:
/// events, or a map or global variable of that name.
const TOOLS: [(&str, &[&str], Option<&str>); 8] = [
    // A ring buffer, or a perf buffer where the kernel has none.
    ("mountsnoop", &[], None),
    // A perf buffer.
    ("exitsnoop", &[], None),
    // A histogram in a hash, from a module's disk.
    (
        "biolatency",
        &[
            "--module",
            "null_blk",
            "-e",
            "workload block",
            "--attach",
            "block_rq_{insert,issue,complete}=none",
        ],
        Some("hists"),
    ),
    // A hash of counts.
    ("syscount", &[], Some("data")),
    // Stacks, in maps whose size the user program would say.
    ("offcputime", &["--attach", "*_raw=none"], Some("info")),
    // Global variables, and two ways to count.
    ("vfsstat", &["--attach", "kprobe_*=none"], Some("stats")),
    // Programs that are aimed before they are loaded.
    (
        "funclatency",
        &[
            "--attach",
            "dummy_fentry=vfs_read",
            "--attach",
            "dummy_fexit=vfs_read",
            "--attach",
            "dummy_k*=none",
        ],
        Some("hist"),
    ),
    // A program in the workload.
    ("bashreadline", &["--attach", "printret=/bring/workload:readline"], None),
];

/// Whether a value holds anything.
fn says(value: &Value) -> bool {
    match value {
        Value::Object(parts) => parts.values().any(says),
        Value::Array(parts) => parts.iter().any(says),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Bool(is_set) => *is_set,
        Value::Null => false,
    }
}

/// Whether a tool spoke.
fn spoke(run: &Run, wanted: Option<&str>) -> bool {
    let rows = run.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let sensible = |row: Value| match (row["reason"].as_str(), wanted) {
        (Some("event"), None) => row["value"].is_object() && says(&row["value"]),
        (Some("map-entry"), Some(name)) => {
            let is_data = row["data"] == Value::Bool(true);
            let value = if is_data { &row["value"][name] } else { &row["value"] };
            (is_data || row["map"] == name) && row["last"] == Value::Bool(true) && says(value)
        }
        _ => false,
    };
    rows.into_iter().any(sensible)
}

#[test]
fn libbpf_tools_speak_without_their_user_programs() {
    let source = debian::source("bpfcc").join("libbpf-tools");
    let place = Place::new();
    for path in fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".h") || TOOLS.iter().any(|(tool, ..)| name == format!("{tool}.bpf.c")) {
            place.file(name, fs::read(&path).unwrap());
        }
    }
    compile_workload(&place);
    for (tool, more, wanted) in TOOLS {
        let run = speak(&place, tool, more);
        assert!(spoke(&run, wanted), "{tool}: {run}");
        // What a user program would choose is chosen.
        assert!(!run.stderr.contains("both run at"), "{tool}: {run}");
    }
}

/// Runs a tool beside the workload.
fn speak(place: &Place, tool: &str, more: &[&str]) -> Run {
    let file = format!("{tool}.bpf.c");
    let mut words = vec!["run", &file, "-k", "debian/trixie", "--message-format", "json"];
    words.extend(["--bring", "workload"]);
    if !more.contains(&"-e") {
        words.extend(["-e", "workload"]);
    }
    words.extend(more);
    place.skep(&words).expect(0)
}

fn compile_workload(place: &Place) {
    let workload = place.path().join("workload");
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/libbpf-tools/workload.c");
    let compiled = Command::new("gcc")
        .args(["-w", "-O1", "-static", "-pthread", "-o"])
        .args([workload.as_os_str(), text.as_ref()])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
}

#[test]
fn probes_that_an_author_left_in_a_program_are_attached() {
    let place = Place::new();
    compile_workload(&place);
    let source = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

long collections;

SEC("usdt") int collected(struct pt_regs *ctx) { collections++; return 0; }

char LICENSE[] SEC("license") = "GPL";
"#;
    place.file("collections.bpf.c", source);
    let place_of = "collected=/bring/workload:hotspot:gc__end";
    let run = speak(&place, "collections", &["--attach", place_of]);
    assert!(spoke(&run, Some("collections")), "{run}");
}

#[test]
fn programs_that_count_twice_are_told() {
    let place = Place::new();
    let source = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

long reads;

SEC("fentry/vfs_read") int now(void *ctx) { reads++; return 0; }
SEC("kprobe/vfs_read") int then(void *ctx) { reads++; return 0; }
SEC("fentry/vfs_write") int aimed(void *ctx) { reads += 1000000; return 0; }

char LICENSE[] SEC("license") = "GPL";
"#;
    place.file("reads.bpf.c", source);
    let run = |more: &[&str]| {
        let words = ["run", "reads.bpf.c", "-k", "debian/trixie", "-e", "cat /proc/version"];
        place.skep(&[&words[..], more].concat()).expect(0)
    };
    let both = run(&["--attach", "aimed=none"]);
    let said =
        "now and then both run at vfs_read: if one stands in for the other, `--attach then=none`";
    assert!(both.stderr.contains(said), "{both}");
    assert!(!both.stderr.contains("aimed"), "{both}");
    let one = run(&["--attach", "t*=none", "--attach", "aimed=vfs_rmdir"]);
    assert!(!one.stderr.contains("both run") && !one.stderr.contains("then"), "{one}");
    assert!(one.stderr.contains("Attached aimed to vfs_rmdir"), "{one}");
    let elsewhere = run(&["--attach", "aimed=no_such_function"]);
    assert!(
        elsewhere.stderr.contains("Left out aimed: the kernel has no no_such_function"),
        "{elsewhere}"
    );
}
