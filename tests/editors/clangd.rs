//! clangd with the files that skep writes: right about BPF code.

use crate::support::Place;
use crate::tools;
use std::process::{Command, Stdio};

const SOURCE: &str = r#"#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "now.bpf.h"

struct task_struct {
	int tgid;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

#ifndef __TARGET_ARCH_x86
#error "the architecture is not known"
#endif

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(count, int dfd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 key = BPF_CORE_READ(task, tgid);
	__u64 *value = bpf_map_lookup_elem(&counts, &key);
	_Static_assert(sizeof(void *) == 8, "BPF has 64 bits");

	if (value)
		*value += now();
	/* An instruction that only BPF has. */
	asm volatile("%[key] s>>= 1" : [key] "+r"(key));
	return dfd;
}

char LICENSE[] SEC("license") = "GPL";
"#;

const HEADER: &str = r#"#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

static __always_inline __u64 now(void)
{
	return bpf_ktime_get_ns();
}
"#;

/// The complaints of clangd about a file: its own way to check a project.
fn complaints(place: &Place, file: &str) -> Vec<String> {
    let output = Command::new(tools::find("clangd"))
        .arg(format!("--check={file}"))
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("All checks completed"), "{said}");
    // Lines of diagnostics: `E[time] [code] Line 3: message`.
    said.lines()
        .filter(|line| line.contains("] [") && line.contains("] Line "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn clangd_is_right_about_a_project() {
    let place = Place::new();
    place.file("Skep.toml", "[bpf]\nsources = [\"src/*.bpf.c\"]\n");
    place.file("src/größer.bpf.c", SOURCE);
    place.file("include/now.bpf.h", HEADER);
    place.skep(&["ide", "emacs"]).expect(0);
    let before = complaints(&place, "src/größer.bpf.c");
    assert!(!before.is_empty(), "clangd needs no help, so this test shows nothing");
    place.skep(&["build"]).expect(0);
    for file in ["src/größer.bpf.c", "include/now.bpf.h"] {
        assert_eq!(complaints(&place, file), [""; 0], "{file}");
    }
    // It still sees what is wrong.
    place.file("src/größer.bpf.c", SOURCE.replace("return dfd;", "return dfx;"));
    let wrong = complaints(&place, "src/größer.bpf.c");
    assert!(wrong.len() == 1 && wrong[0].contains("'dfx'"), "{wrong:?}");
}
