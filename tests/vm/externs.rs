//! Variables of the kernel (`extern … __ksym`): what `skep check -k` says of an
//! object is what libbpf makes of it on that kernel.

use crate::objects::object;
use crate::support::{Place, debian};
use std::collections::BTreeSet;

/// Declarations, and what the program makes of them.
const OBJECTS: &[(&str, &str, &str)] = &[
    (
        "good",
        "struct rq { int x; }; extern const struct rq runqueues __ksym;",
        "per_cpu(&runqueues, 0) != 0",
    ),
    ("number", "extern const int bpf_prog_active __ksym;", "per_cpu(&bpf_prog_active, 0) != 0"),
    (
        "misspelled",
        "struct rq { int x; }; extern const struct rq runqueue __ksym;",
        "per_cpu(&runqueue, 0) != 0",
    ),
    ("typed", "extern const int runqueues __ksym;", "per_cpu(&runqueues, 0) != 0"),
    (
        "weak",
        "extern const int runqueue __ksym __attribute__((weak));",
        "&runqueue ? per_cpu(&runqueue, 0) != 0 : 0",
    ),
    (
        "weak_typed",
        "extern const int runqueues __ksym __attribute__((weak));",
        "&runqueues ? per_cpu(&runqueues, 0) != 0 : 0",
    ),
    (
        "flavour",
        "struct rq { int x; }; extern const struct rq runqueues___x __ksym;",
        "per_cpu(&runqueues___x, 0) != 0",
    ),
    ("global", "extern const u64 jiffies __ksym;", "jiffies & 1"),
    ("untyped", "extern const void runqueues __ksym;", "((u64)&runqueues >> 40) & 1"),
];

#[test]
fn variables_of_the_kernel_are_as_libbpf_finds_them() {
    let place = Place::new();
    let mut files = Vec::new();
    for (name, declaration, expression) in OBJECTS {
        let c = format!(
            "#define __ksym __attribute__((section(\".ksyms\")))\n\
             static void *(*per_cpu)(const void *, u32) = (void *)153;\n{declaration}\n\
             SEC(\"raw_tp/sys_enter\") int p(void *ctx) {{\n\treturn {expression};\n}}\n"
        );
        object(&place, name, &c);
        files.push(format!("{name}.bpf.o"));
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let kernels: Vec<&str> = debian::KERNELS.iter().flat_map(|kernel| ["-k", kernel]).collect();
    let rows = |command: &str| {
        let args = [&[command, "--message-format", "json"], &files[..], &kernels[..]].concat();
        let run = place.skep(&args).expect(1);
        let rows = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.collect::<Vec<serde_json::Value>>()
    };
    // Which objects are refused on which kernels.
    let mut predicted: BTreeSet<(String, String)> = BTreeSet::new();
    for row in rows("check").iter().filter(|row| row["message"]["code"]["code"] == "E0334") {
        let path = row["skep"]["object"]["path"].as_str().unwrap().to_owned();
        assert_eq!(row["message"]["level"], "error", "{row}");
        assert_eq!(row["message"]["spans"][0]["line_start"], 5, "{row}");
        for kernel in row["skep"]["kernels"].as_array().unwrap() {
            predicted.insert((path.clone(), kernel.as_str().unwrap().to_owned()));
        }
    }
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows("verify").iter().filter(|row| row["reason"] == "program-verdict") {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let is_refused = row["verdict"] != "accepted";
        let key = (text("object"), text("kernel"));
        count += 1;
        if predicted.contains(&key) != is_refused {
            wrong.push(row.to_string());
        }
    }
    assert_eq!(count, OBJECTS.len() * debian::KERNELS.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(predicted.len() > 16 && predicted.len() < count, "{predicted:?}");
}
