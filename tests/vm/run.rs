//! `skep run`: programs at work. What comes out is read as a user reads it.

use crate::objects::object;
use crate::support::{Place, Run};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A program with every way out: events, prints, counts, a histogram, a
/// global variable, an option.
const OPENS: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

enum how { HOW_NONE, HOW_OPEN = 7 };

struct event {
	int pid;
	enum how how;
	char comm[16];
	char path[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} old_events SEC(".maps");

struct who { char comm[16]; };
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 128);
	__type(key, struct who);
	__type(value, long);
} counts SEC(".maps");

struct hist { unsigned int slots[20]; };
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct hist);
} lengths SEC(".maps");

struct small { unsigned long long id; unsigned short port; };

const volatile int factor = 1;
long total;

SEC("tracepoint/syscalls/sys_enter_openat")
int on_open(struct trace_event_raw_sys_enter *ctx)
{
	struct small small = { .id = 1ULL << 40, .port = 53 };
	struct who key = {};
	struct event *e;
	struct hist *hist;
	long one = 1, *count;
	int zero = 0;

	if (bpf_get_current_pid_tgid() >> 32 == 1)
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	if (!bpf_strncmp(key.comm, 5, "nobody"))
		return 0;
	count = bpf_map_lookup_elem(&counts, &key);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	total += factor;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->how = HOW_OPEN;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	int length = bpf_probe_read_user_str(e->path, sizeof(e->path), (void *)ctx->args[1]);
	hist = bpf_map_lookup_elem(&lengths, &zero);
	if (hist && length > 0)
		hist->slots[length & 15]++;
	bpf_ringbuf_submit(e, 0);
	bpf_perf_event_output(ctx, &old_events, BPF_F_CURRENT_CPU, &small, sizeof(small));
	bpf_printk("open by %d", 42);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

fn opens() -> Place {
    let place = Place::new();
    place.file("opens.bpf.c", OPENS);
    place
}

fn run(place: &Place, args: &[&str]) -> Run {
    place.skep(&[&["run", "opens.bpf.c", "-k", "debian/bookworm"], args].concat())
}

#[test]
fn events_prints_and_maps_come_out_as_they_were_declared() {
    let place = opens();
    let run = run(&place, &["--set", "factor=10", "-e", "repeat 3 cat /proc/version; touch /new"]);
    let run = run.expect(0);
    let rows: Vec<Vec<&str>> =
        run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let has = |row: &[&str]| rows.iter().any(|known| known == row || known.get(1..) == Some(row));
    assert!(has(&["PID", "HOW", "COMM", "PATH"]), "{run}");
    assert!(has(&["HOW_OPEN", "sh", "/proc/version"]), "{run}");
    assert!(has(&["HOW_OPEN", "sh", "/new"]), "{run}");
    assert!(has(&["ID", "PORT"]), "{run}");
    assert!(has(&["1099511627776", "53"]), "{run}");
    assert!(run.stdout.contains(": open by 42\n"), "{run}");
    assert!(run.stdout.contains("Linux version 6.1"), "{run}");
    // Four opens, of processors that were summed.
    assert!(has(&["counts", "(1", "entry)"]) && has(&["COMM", "VALUE"]), "{run}");
    assert!(has(&["sh", "4"]), "{run}");
    assert!(has(&["total", "=", "40"]), "{run}");
    // "/proc/version" has 14 bytes, "/new" five.
    let slot = |row: &[&str]| rows.iter().any(|known| known.starts_with(row));
    assert!(has(&["lengths"]) && slot(&["32", "..", "63", "1"]), "{run}");
    assert!(slot(&["16384", "..", "32767", "3"]), "{run}");
    // Constants, and the string that lies in a section of its own.
    assert!(!run.stdout.contains("rodata") && !run.stdout.contains("factor"), "{run}");
    assert!(run.stderr.contains("Attached on_open"), "{run}");
}

#[test]
fn programs_get_lines_of_json_or_of_keys_and_values() {
    let place = opens();
    let line = "cat /proc/version";
    let json = run(&place, &["--message-format", "json", "-e", line]).expect(0);
    for part in [
        r#"{"reason":"attached","program":"on_open","section":"tracepoint/syscalls/sys_enter_openat","place":"#,
        r#""how":"HOW_OPEN","comm":"sh","path":"/proc/version"}}"#,
        r#"{"reason":"event","map":"old_events","value":{"id":1099511627776,"port":53}}"#,
        r#"{"reason":"map-entry","map":"counts","key":{"comm":"sh"},"value":1,"cut":false,"last":true}"#,
        r#""text":"open by 42"}"#,
    ] {
        assert!(json.stdout.contains(part), "no {part} in {json}");
    }
    let short = run(&place, &["--message-format", "short", "-e", line]).expect(0);
    assert!(short.stdout.contains("event map=old_events id=1099511627776 port=53\n"), "{short}");
    assert!(short.stdout.contains(" comm=sh path=/proc/version\n"), "{short}");
}

#[test]
fn it_ends_after_a_time_or_a_number_of_events_or_when_it_is_asked_to() {
    let place = opens();
    let counted = run(&place, &["--count", "2", "-e", "repeat 1000000 cat /proc/uptime"]).expect(0);
    let events = counted.stdout.lines().filter(|line| line.contains("/proc/uptime")).count();
    assert!((1..=2).contains(&events), "{counted}");
    let timed = run(&place, &["--for", "300ms", "--interval", "100ms", "-q"]).expect(0);
    assert_eq!(timed.stderr, "", "{timed}");
    let mut child = place
        .command(&["run", "opens.bpf.c", "-k", "debian/bookworm", "--message-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    loop {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        std::thread::sleep(Duration::from_secs(1));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        // It was too early to be heard by anything but the build; the second
        // signal ends it in any case.
    }
    let code = child.wait().unwrap().code();
    assert!(code == Some(0) || code == Some(130), "{code:?}");
}

/// Programs of the types that need a place, each counting.
const PLACES: &str = r#"
struct { __uint(type, 2); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } seen SEC(".maps");
static __attribute__((always_inline)) void count(u32 key) {
	u64 *value = lookup(&seen, &key);
	if (value)
		__sync_fetch_and_add(value, 1);
}
SEC("xdp") int on_xdp(struct ctx *ctx) { count(0); return 2; }
SEC("socket") int on_socket(struct ctx *ctx) { count(1); return 0; }
SEC("cgroup_skb/egress") int on_cgroup(struct ctx *ctx) { count(2); return 1; }
SEC("tc") int on_filter(struct ctx *ctx) { count(3); return 0; }
SEC("perf_event") int on_clock(struct ctx *ctx) { count(4); return 0; }
SEC("raw_tp/sys_enter") int on_call(struct ctx *ctx) { count(5); return 0; }
SEC("kprobe") int on_function(struct ctx *ctx) { count(6); return 0; }
SEC("sockops") int on_sockops(struct ctx *ctx) { count(7); return 1; }
"#;

#[test]
fn programs_that_need_a_place_get_one() {
    let place = Place::new();
    object(&place, "places", PLACES);
    for kernel in ["debian/bullseye", "debian/trixie"] {
        let run = place
            .skep(&[
                "run",
                "places.bpf.o",
                "-k",
                kernel,
                "--attach",
                "on_function=vfs_read",
                "--attach",
                "on_clock=cpu-clock:1000",
                "-e",
                "udp 127.0.0.1:9 hello; tcp 127.0.0.1:80 x; ping 127.0.0.1; ping 10.0.0.1; cat /proc/version; sleep 0.1",
            ])
            .expect(0);
        assert_eq!(run.stderr.matches("Attached ").count(), 8, "{run}");
        assert!(run.stdout.contains("127.0.0.1 answers"), "{run}");
        assert!(run.stdout.contains("seen (8 entries)"), "{run}");
    }
}

#[test]
fn what_cannot_run_is_told_and_the_rest_runs() {
    let place = Place::new();
    let some = r#"
SEC("kprobe/there_is_no_such_function") int missing(struct ctx *ctx) { return 0; }
SEC("fentry/there_is_none_either") int also(struct ctx *ctx) { return 0; }
SEC("kprobe") int where(struct ctx *ctx) { return 0; }
SEC("kprobe/vfs_read") int reads(struct ctx *ctx) { return 0; }
"#;
    object(&place, "some", some);
    let run = |file: &str, args: &[&str]| {
        place.skep(
            &[&["run", file, "-k", "debian/bookworm", "-e", "cat /proc/version"], args].concat(),
        )
    };
    let result = run("some.bpf.o", &[]).expect(0);
    for part in [
        "Left out missing: ",
        "Left out also: ",
        "Left out where: section `kprobe` does not say where; `--attach where=PLACE` does",
        "Attached reads",
    ] {
        assert!(result.stderr.contains(part), "no {part} in {result}");
    }
    // A rejected program is an error, told like one.
    let bad = "SEC(\"kprobe/vfs_read\") int bad(struct ctx *ctx) { u32 key = 0; u64 *v = lookup(&m, &key); return *v; }";
    let map = "struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(\".maps\");\n";
    object(&place, "bad", &format!("{map}{bad}"));
    let result = run("bad.bpf.o", &[]).expect(1);
    assert!(result.stdout.contains("error[E0301]"), "{result}");
    assert!(!result.stdout.contains("Linux version"), "{result}");
    // Nothing at all to attach.
    object(&place, "none", "SEC(\"kprobe\") int nowhere(struct ctx *ctx) { return 0; }");
    let result = run("none.bpf.o", &[]).expect(1);
    assert!(result.stdout.contains("error[E0801]"), "{result}");
    // Wrong words end it before anything boots.
    for (args, said) in [
        (&["--attach", "other=lo"][..], "no program is called `other`"),
        (&["--attach", "reads"], "PROGRAM=PLACE"),
        (&["--event", "m=u64"], "no ring buffer"),
        (&["--set", "x=1"], "no object has a global variable `x`"),
        (&["--for", "5 hours"], "write a number"),
    ] {
        let result = run("some.bpf.o", args).expect(2);
        assert!(result.stderr.contains(said), "no {said:?} in {result}");
        assert!(!result.stderr.contains("Attached"), "{result}");
    }
    // The workload's exit code is the run's.
    let result =
        place.skep(&["run", "some.bpf.o", "-k", "debian/bookworm", "-e", "exit 7"]).expect(7);
    assert!(result.stderr.contains("Exited with 7"), "{result}");
}

/// An iterator that writes text, and one that writes records.
const ITERATORS: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct task { int pid; char comm[16]; };

SEC("iter/task") int words(struct bpf_iter__task *ctx)
{
	static const char line[] = "a task\n";
	struct task_struct *task = ctx->task;

	if (task && task->pid == 1)
		bpf_seq_write(ctx->meta->seq, line, sizeof(line) - 1);
	return 0;
}

SEC("iter/task") int records(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct task told = {};

	if (!task)
		return 0;
	told.pid = task->pid;
	bpf_probe_read_kernel_str(told.comm, sizeof(told.comm), task->comm);
	bpf_seq_write(ctx->meta->seq, &told, sizeof(told));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

#[test]
fn iterators_are_read() {
    let place = Place::new();
    place.file("tasks.bpf.c", ITERATORS);
    let run = place.skep(&["run", "tasks.bpf.c", "-k", "debian/bookworm", "-e", "true"]).expect(0);
    assert!(run.stdout.contains("a task\n"), "{run}");
    let is_init = |line: &str| line.split_whitespace().eq(["1", "init"]);
    assert!(run.stdout.lines().any(is_init), "{run}");
}
