//! Targets in modules (`fentry/MODULE:FUNCTION`): what `skep check -k` says of a
//! program is what libbpf and the kernel make of it.

use crate::objects::object;
use crate::support::{Place, debian};
use std::collections::BTreeSet;

/// Sections, among them such as libbpf finds although they look wrong: it
/// takes the beginning of a module's name for the name.
const SECTIONS: [&str; 13] = [
    "fentry/nf_conntrack:__nf_conntrack_confirm",
    "fexit/nf_conntrack:__nf_conntrack_confirm",
    "fentry/nf_conntrack:__nf_conntrack_confrim",
    "fentry/nf-conntrack:__nf_conntrack_confirm",
    "fentry/nf_conntrac:__nf_conntrack_confirm",
    "fentry/nf_nothing:__nf_conntrack_confirm",
    "fentry/nf_conntrack:vfs_read",
    "fentry/vmlinux:vfs_read",
    "fentry/vmlinux:__nf_conntrack_confirm",
    "fentry/vm:vfs_read",
    "fentry/vfs:vfs_read",
    "tp_btf/nf_conntrack:sched_switch",
    "tp_btf/nf_conntrack:sched_swich",
];

#[test]
fn targets_in_modules_are_as_libbpf_and_the_kernel_find_them() {
    let place = Place::new();
    let programs: Vec<String> = SECTIONS
        .iter()
        .enumerate()
        .map(|(at, section)| format!("SEC(\"{section}\") int p{at}(void *ctx) {{ return 0; }}\n"))
        .collect();
    object(&place, "targets", &programs.concat());
    let kernels: Vec<&str> = debian::KERNELS.iter().flat_map(|kernel| ["-k", kernel]).collect();
    let rows = |command: &str| {
        let args = [&[command, "--message-format", "json", "targets.bpf.o"], &kernels[..]].concat();
        let run = place.skep(&args);
        let rows = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.collect::<Vec<serde_json::Value>>()
    };
    // Which programs are refused on which kernels.
    let mut predicted: BTreeSet<(String, String)> = BTreeSet::new();
    for row in rows("check").iter().filter(|row| row["message"]["code"]["code"] == "E0351") {
        let program = row["skep"]["program"].as_str().unwrap();
        for kernel in row["skep"]["kernels"].as_array().unwrap() {
            predicted.insert((program.to_owned(), kernel.as_str().unwrap().to_owned()));
        }
    }
    let mut refused = BTreeSet::new();
    for row in rows("verify").iter().filter(|row| row["reason"] == "program-verdict") {
        if row["verdict"] != "accepted" {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            refused.insert((text("program"), text("kernel")));
        }
    }
    assert_eq!(predicted, refused);
    assert!(refused.len() > 24 && refused.len() < 52 - 16, "{refused:?}");
}
