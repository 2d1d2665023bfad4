//! A real project with some thirty mistakes, and what skep itself says of
//! them in JSON.

use crate::findings::{Seen, WIDE};
use crate::support::Place;
use serde_json::Value;

const COUNT: &str = r#"#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "with space.h"

struct stats {
	int seen;
};

SEC("xdp")
int count(struct xdp_md *ctx)
{
	struct stats stats = {};
	char *pointer = 1;
	stats.sen = 3;
	if (ctx = 0)
		return 1;
	stats.seen == 4;
	unknown_t unknown;
	missing();
	return missing_value;
}

int twice(void) { return 1; }
int twice(void) { return 2; }

int three(int a)
{
	return a(1);
}

int four(void)
{
	struct stats stats;
	return stats;
}

int five(int a)
{
	break;
}

int six(int a)
{
	1 = a;
	return *a;
}

int seven(int a)
{
	goto nowhere;
}

char LICENSE[] SEC("license") = "GPL";
"#;

const MORE: &str = r#"struct stats {
	int seen;
};

struct nothing;

int eight(struct nothing *none)
{
	none->size = 1;
	struct nothing another;
	return none[1];
}

int nine(int a, int b)
{
	const int fixed = 1;
	fixed = 2;
	case 3:
	return a & 1 == b;
}

int ten(void)
{
	struct stats stats = { .sen = 1 };
	return &stats;
}
"#;

const NAIVE: &str = r#"#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

_Static_assert(sizeof(int) == 8, "a message\nof several\nlines");
int old(void) __attribute__((deprecated("two\nlines")));
#warning "größer als 漢字: 3:4: error[E0999]: not one of ours"

SEC("xdp")
int first(struct xdp_md *ctx)
{
	int größe = "漢字";
	/* größer: 漢字 */ missing_one();
	return missing_two + old();
}

int second(int a)
{
	switch (a) {
	case 1:
	case 1:
		return sizeof(struct nothing);
	}
	return a.b;
}

int third(int a, int a)
{
	return 1 +;
}
"#;

const HEADER: &str = r#"#pragma once

static inline int in_a_header(void)
{
	return undeclared_in_header;
}

#warning "a warning in a header"
"#;

/// Writes the project.
pub fn write() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/count.bpf.c", COUNT);
    place.file("src/more.bpf.c", MORE);
    place.file(WIDE, NAIVE);
    place.file("include/with space.h", HEADER);
    place
}

/// A project that compiles, and whose object is wrong: programs of no type,
/// helpers that the license forbids.
pub fn write_checked() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file(
        WIDE,
        r#"#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprob/do_unlinkat")
int one(void *ctx)
{
	return 0;
}

SEC("kprobe/do_unlinkat")
int two(void *ctx)
{
	/* größer: 漢字 */ bpf_trace_printk("x", 2);
	long unused = bpf_get_current_task();
	return 0;
}

char LICENSE[] SEC("license") = "MIT";
"#,
    );
    place
}

/// What `skep check` says of [`write_checked`].
pub fn expected_of_check(place: &Place) -> Vec<Seen> {
    let seen = found(place, "check");
    let codes: Vec<&str> = seen.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["E0404", "E0305", "W0201", "E0305"]);
    seen
}

/// What `skep build` says of [`write`].
pub fn expected(place: &Place) -> Vec<Seen> {
    let seen = found(place, "build");
    assert!(seen.len() >= 30, "only {} findings: {seen:#?}", seen.len());
    for file in ["src/count.bpf.c", WIDE, "include/with space.h"] {
        assert!(seen.iter().any(|one| one.file == file), "nothing in {file}");
    }
    seen
}

/// What is wrong, as a command says in JSON; the columns are made of byte
/// offsets, and so owe nothing to the short format.
fn found(place: &Place, command: &str) -> Vec<Seen> {
    let run = place.skep(&[command, "--message-format", "json"]).expect(1);
    let mut seen: Vec<Seen> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["reason"] == "compiler-message")
        .map(|line| {
            let message = &line["message"];
            let span = &message["spans"][0];
            let file = span["file_name"].as_str().unwrap();
            let text = place.read(file);
            let start = usize::try_from(span["byte_start"].as_u64().unwrap()).unwrap();
            let before = &text.as_bytes()[..start];
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            Seen {
                file: file.to_owned(),
                line: span["line_start"].as_u64().unwrap(),
                column: u64::try_from(column).unwrap(),
                severity: message["level"].as_str().unwrap().to_owned(),
                code: message["code"]["code"].as_str().unwrap().to_owned(),
            }
        })
        .collect();
    seen.sort();
    seen
}
