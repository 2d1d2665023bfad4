//! `skep run` on two kernels at once, and what it keeps.

use crate::objects::object;
use crate::support::Place;
use std::process::{Command, Stdio};
use std::time::Duration;

const READS: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct event { int pid; char comm[16]; };
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, char[16]);
	__type(value, long);
} counts SEC(".maps");
long total;

SEC("kprobe/vfs_read")
int on_read(struct pt_regs *ctx)
{
	char comm[16] = {};
	long one = 1, *count;
	struct event *e;

	if (bpf_get_current_pid_tgid() >> 32 == 1)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	count = bpf_map_lookup_elem(&counts, comm);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&counts, comm, &one, BPF_ANY);
	total++;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

const BOTH: [&str; 4] = ["-k", "debian/bookworm", "-k", "debian/trixie"];

#[test]
fn two_kernels_speak_side_by_side() {
    let place = Place::new();
    place.file("reads.bpf.c", READS);
    let line = ["-e", "cat /proc/version", "--record", "out.jsonl", "--report", "out.html"];
    let run = place.skep(&[&["run", "reads.bpf.c"], &BOTH[..], &line].concat()).expect(0);
    for kernel in ["debian/bookworm │ ", "debian/trixie   │ "] {
        let own: Vec<&str> =
            run.stdout.lines().filter_map(|line| line.strip_prefix(kernel)).collect();
        assert!(own.iter().any(|line| line.split_whitespace().eq(["PID", "COMM"])), "{run}");
        assert!(own.iter().any(|line| line.trim_end().ends_with(" sh")), "{run}");
        assert!(own.iter().any(|line| line.contains("Linux version 6.1")), "{run}");
    }
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = run.stdout.lines().map(words).collect();
    let heading = ["KEY", "DEBIAN/BOOKWORM", "DEBIAN/TRIXIE"];
    let at = rows.iter().position(|row| *row == heading).expect("maps stand side by side");
    assert!(rows[at + 1][0] == "sh" && rows[at + 1].len() == 3, "{run}");
    assert!(rows.iter().any(|row| row[0] == "total" && row.len() == 3), "{run}");
    // The record tells the same, and can be drawn again.
    let record = place.read("out.jsonl");
    for kernel in ["debian/bookworm", "debian/trixie"] {
        let events = record.lines().filter(|line| {
            line.contains("\"reason\":\"event\"")
                && line.contains(&format!("\"kernel\":\"{kernel}\""))
        });
        let shown =
            run.stdout.lines().filter(|line| line.starts_with(kernel) && line.ends_with(" sh"));
        assert_eq!(events.count(), shown.count(), "{record}\n{run}");
    }
    assert!(place.read("out.html").contains("<h3>counts on debian/trixie</h3>"));
    let again = place.skep(&["run", "--replay", "out.jsonl", "--report", "again.html"]);
    again.expect(0);
    assert!(place.read("again.html").contains("<h3>counts on debian/trixie</h3>"));
    // For programs.
    let line = ["-e", "cat /proc/version; exit 7", "--message-format", "json"];
    let run = place.skep(&[&["run", "reads.bpf.c"], &BOTH[..], &line].concat()).expect(7);
    for kernel in ["debian/bookworm", "debian/trixie"] {
        let end = format!("\"kernel\":\"{kernel}\"}}");
        let has = |reason: &str| {
            run.stdout.lines().any(|line| line.contains(reason) && line.ends_with(&end))
        };
        assert!(has("\"event\"") && has("\"map-entry\"") && has("\"attached\""), "{run}");
    }
}

#[test]
fn two_kernels_have_columns_on_a_wide_terminal() {
    let place = Place::new();
    place.file("reads.bpf.c", READS);
    let line = ["-e", "cat /proc/version", "--color", "never", "-q"];
    let args = [&["run", "reads.bpf.c"], &BOTH[..], &line].concat();
    let mut session = place.on_terminal_of(123, &args);
    assert_eq!(session.finish(), 0, "{}", session.shown);
    let shown = session.shown.replace("\r\n", "\n");
    let (columns, maps) = shown.split_once("\n\n").expect("an empty line");
    let mut lines = columns.lines();
    let sides = |line: &str| {
        line.split_once('│').map(|(left, right)| {
            assert!(left.chars().count() == 61 && right.chars().count() <= 61, "{shown}");
            [left.trim().to_owned(), right.trim().to_owned()]
        })
    };
    let heading = lines.next().and_then(sides);
    assert_eq!(heading, Some(["debian/bookworm".to_owned(), "debian/trixie".to_owned()]));
    assert_eq!(lines.next(), Some(&*format!("{0}─┼─{0}", "─".repeat(60))));
    let rows: Vec<[String; 2]> = lines.map(|line| sides(line).expect("two columns")).collect();
    assert!(rows.iter().all(|row| row.iter().any(String::is_empty)), "{shown}");
    for (side, release) in [(0, "Linux version 6.1."), (1, "Linux version 6.12.")] {
        let has = |what: &dyn Fn(&str) -> bool| rows.iter().any(|row| what(&row[side]));
        assert!(has(&|row| row.split_whitespace().eq(["PID", "COMM"])), "{shown}");
        assert!(has(&|row| row.ends_with(" sh")), "{shown}");
        assert!(has(&|row| row.starts_with(release) && row.ends_with('…')), "{shown}");
    }
    assert!(maps.contains("KEY  DEBIAN/BOOKWORM  DEBIAN/TRIXIE"), "{shown}");
}

#[test]
fn one_kernel_that_fails_does_not_keep_the_other() {
    let place = Place::new();
    // Programs of netfilter are new in 6.4; both kernels know the other one.
    let source = r#"
SEC("netfilter") int on_packet(struct ctx *ctx) { return 1; }
"#;
    object(&place, "new", source);
    let line = ["-e", "ping 127.0.0.1"];
    let run = place.skep(&[&["run", "new.bpf.o"], &BOTH[..], &line].concat()).expect(1);
    assert!(run.stdout.contains("debian/trixie   │ 127.0.0.1 answers"), "{run}");
    assert!(!run.stdout.contains("debian/bookworm │ 127.0.0.1 answers"), "{run}");
    assert!(run.stdout.contains("error["), "{run}");
    let twice = place.skep(&["run", "new.bpf.o", "-k", "debian/trixie", "-k", "debian/trixie"]);
    assert!(twice.expect(2).stderr.contains("named twice"));
}

#[test]
fn a_signal_ends_both_and_the_record_is_whole() {
    let place = Place::new();
    place.file("reads.bpf.c", READS);
    let args = [&["run", "reads.bpf.c"], &BOTH[..], &["--record", "out.jsonl"]].concat();
    let mut child =
        place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let record = place.path().join("out.jsonl");
    let ready = || {
        let text = std::fs::read_to_string(&record).unwrap_or_default();
        text.matches("\"reason\":\"ready\"").count() == 2
    };
    for _ in 0..600 {
        if ready() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(ready(), "both are running");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let text = place.read("out.jsonl");
    assert!(text.ends_with("}\n") && text.starts_with("{\"reason\":\"skep-record\""), "{text}");
    place.skep(&["run", "--replay", "out.jsonl"]).expect(0);
}

#[test]
fn a_full_disk_ends_the_run_and_leaves_whole_lines() {
    let place = Place::new();
    place.file("reads.bpf.c", READS);
    let run = place.skep(&[
        "run",
        "reads.bpf.c",
        "-k",
        "debian/bookworm",
        "--record",
        "/dev/full",
        "-e",
        "cat /proc/version",
    ]);
    let run = run.expect(3);
    assert!(run.stderr.contains("error[E0603]") && run.stderr.contains("/dev/full"), "{run}");
}

/// More in one go than a perf buffer holds.
const FLOOD: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct event { int number; char rest[3000]; };
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct event);
} scratch SEC(".maps");
int calls;

SEC("tracepoint/syscalls/sys_enter_openat")
int on_open(void *ctx)
{
	struct event *e;
	int zero = 0, most;

	if (bpf_get_current_pid_tgid() >> 32 == 1)
		return 0;
	most = calls++ & 1 ? 1 : 400;
	e = bpf_map_lookup_elem(&scratch, &zero);
	if (!e)
		return 0;
	for (int i = 0; i < 400 && i < most; i++) {
		e->number = i;
		bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e, sizeof(*e));
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

#[test]
fn events_that_are_lost_are_counted() {
    let place = Place::new();
    place.file("flood.bpf.c", FLOOD);
    let args = [
        "run",
        "flood.bpf.c",
        "-k",
        "debian/bookworm",
        "-e",
        "repeat 2 cat /proc/version; cat /proc/uptime",
    ];
    let run = place.skep(&[&args[..], &["--message-format", "json"]].concat());
    let sum: u64 = run
        .stdout
        .lines()
        .filter_map(|line| {
            line.split_once("\"reason\":\"lost-events\",\"map\":\"events\",\"count\":")
        })
        .map(|(_, rest)| rest.trim_end_matches('}').parse::<u64>().unwrap())
        .sum();
    let came =
        run.stdout.lines().filter(|line| line.contains("\"map\":\"events\",\"value\"")).count();
    assert!(sum > 0 && came > 0, "{}", run.stderr);
    assert_eq!(sum + came as u64, 801, "each is told or counted: {}", run.stderr);
    assert!(run.stderr.contains(&format!("Lost {sum} events of events")), "{}", run.stderr);
}
