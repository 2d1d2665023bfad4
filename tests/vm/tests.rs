//! `skep test`: programs run with given input. What is said of a test that
//! passes, and of every way in which one can fail.

use crate::support::{Place, Run};
use std::fmt::Write as _;

const SOURCE: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

struct rule { __u32 hits; __u32 action : 3; __u32 rest : 5; };
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u16);
	__type(value, struct rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct event { __be32 saddr; __be16 dport; __u16 length; };
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

const volatile __u32 verbose = 0;
__u64 seen;
struct { int low, high; } limits = { 3, 4 };

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 kind = 1;
	struct rule *rule;
	struct event *e;
	__u64 *count;
	__u16 port;

	seen++;
	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(0x0800) || ip->protocol != 6)
		return XDP_PASS;
	count = bpf_map_lookup_elem(&counts, &kind);
	if (count)
		*count += limits.low;
	port = bpf_ntohs(tcp->dest);
	rule = bpf_map_lookup_elem(&rules, &port);
	if (!rule) {
		ip->ttl--;
		return XDP_TX;
	}
	rule->hits++;
	rule->action = 5;
	if (verbose)
		bpf_printk("dropped %d", port);
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (e) {
		e->saddr = ip->saddr;
		e->dport = tcp->dest;
		e->length = end - data;
		bpf_ringbuf_submit(e, 0);
	}
	return XDP_DROP;
}

// skep: test
// name = "marks"
// context = { mark = 7, cb = [0, 9] }
// expect = { retval = "TC_ACT_UNSPEC", context = { mark = 16 } }
SEC("tc")
int marker(struct __sk_buff *skb)
{
	skb->mark += skb->cb[1];
	return -1;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	struct iphdr ip;

	/* What is read directly is there for TEST_RUN from Linux 7 on only. */
	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return 0;
	return ip.daddr == bpf_htonl(0x0a000009);
}

SEC("kprobe/do_unlinkat")
int traced(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

const GOOD: &str = r#"
[[test]]
name = "lets other traffic pass"
program = "filter"
packet = "eth/arp"
repeat = 3
expect = { retval = "XDP_PASS", packet = "eth/arp", globals = { seen = 3 } }

[[test]]
name = "drops what a rule names"
program = "filter"
packet = "eth/ip(src=10.1.2.3)/tcp(dport=22)/\"SSH-2.0\""
maps.rules = [{ key = 22, value = { hits = 4 } }]
maps.counts = [{ key = 1, value = 10 }]
globals = { verbose = 1, "limits.low" = 7 }

[test.expect]
retval = "XDP_DROP"
maps.rules = [{ key = 22, value = { hits = 5, action = 5 } }, { key = 23, absent = true }]
maps.counts = [{ key = 1, value = 17 }]
globals = { seen = 1, limits = { high = 4 } }
prints = ["dropped 22"]
events.events = [{ saddr = "10.1.2.3", dport = 22, length = 61 }]

[[test]]
name = "finds nothing of the test before"
program = "filter"
packet = "eth/ip/tcp(dport=22)"

[test.expect]
retval = "XDP_TX"
maps.rules = [{ key = 22, absent = true }]
maps.counts = [{ key = 1, value = 3 }]
globals = { seen = 1, limits = { low = 3 } }
prints = []
events.events = []

[[test]]
name = "sees what follows the Ethernet header"
program = "egress"
packet = "eth/ip(dst=10.0.0.9)/udp"
expect = { retval = 1, packet = "eth/ip(dst=10.0.0.9)/udp" }
"#;

fn place(tests: &str) -> Place {
    let place = Place::new();
    place.file("Skep.toml", "[package]\nname = \"filter\"\n");
    place.file("src/filter.bpf.c", SOURCE);
    place.file("tests/filter.toml", tests);
    place
}

fn test(place: &Place, args: &[&str]) -> Run {
    place.skep(&[&["test"], args].concat())
}

/// Times differ from run to run.
fn untimed(text: &str) -> String {
    let words = |line: &str| {
        let mut line = line.to_owned();
        for unit in [" ms ", " µs ", " us ", " s "] {
            if let Some(end) = line.find(unit)
                && let Some(start) = line[..end].rfind(' ')
            {
                line.replace_range(start..end + unit.len(), " TIME ");
            }
        }
        if line.starts_with("RESULT") {
            line = line.split_whitespace().collect::<Vec<_>>().join("  ");
        }
        line.replace("    TIME", " TIME").replace("  TIME", " TIME").replace("  TIME", " TIME")
    };
    text.lines().map(words).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_comes_out_is_as_expected_on_every_kernel() {
    let place = place(GOOD);
    let kernels = ["debian/bullseye", "debian/bookworm", "debian/trixie", "debian/sid"];
    let kernels: Vec<&str> = kernels.iter().flat_map(|kernel| ["-k", kernel]).collect();
    let run = test(&place, &kernels).expect(0);
    let passed = run.stdout.lines().filter(|line| line.starts_with("PASS"));
    assert_eq!(passed.filter(|line| line.ends_with("all 4")).count(), 5, "{run}");
    assert!(run.stderr.contains("Tested 20 passed\n"), "{run}");
}

#[test]
fn failures_are_told_on_what_was_expected() {
    let place = place(
        r#"
program = "filter"

[[test]]
name = "value"
packet = "eth/ip/tcp(dport=22)"
maps.rules = [{ key = 22, value = { hits = 4 } }]
globals.verbose = 1

[test.expect]
retval = "XDP_PASS"
maps.rules = [
    { key = 22, value = { hits = 4, action = 4 } },
    { key = 80, value = { hits = 1 } },
    { key = 22, absent = true },
]
globals.seen = 2
prints = ["dropped 23", "and more"]
events.events = [{ saddr = "10.0.0.2" }, { dport = 1 }]

[[test]]
name = "packet"
packet = "eth/ip/tcp(dport=80)/\"GET\""
expect.packet = "eth/ip(ttl=64)/tcp(dport=81)/\"PUT\""

[[test]]
name = "verdict"
expect.rejected = "E0301"

[[test]]
name = "log"
expect.messages = ["processed", "never said"]
"#,
    );
    let run = test(&place, &["-k", "debian/bookworm"]).expect(1);
    insta::assert_snapshot!(untimed(&run.stdout));
    assert_eq!(run.stdout.matches("error[E0802]").count(), 4, "{run}");
    // Others pass; with a filter they are not run at all.
    assert!(run.stderr.contains("Tested 1 passed, 4 failed\n"), "{run}");
    let some = test(&place, &["-k", "debian/bookworm", "-f", "m*", "--retries", "1"]).expect(0);
    assert!(some.stderr.contains("Tested 1 passed\n"), "{some}");
    let none = test(&place, &["-f", "nothing"]).expect(2);
    assert!(none.stderr.contains("no test is called `nothing`"), "{none}");
    let parts: usize = ["1/2", "2/2"]
        .iter()
        .map(|part| {
            let run = test(&place, &["-k", "debian/bookworm", "--partition", part]).expect(1);
            run.stdout.lines().filter(|line| line.contains("filter::")).count()
        })
        .sum();
    assert!(parts >= 5, "{parts}");
}

/// A file of captured packets, raw IP as of a tunnel: so many to port 22, then
/// so many to port 80.
fn captured(ssh: usize, web: usize) -> Vec<u8> {
    let packet = |port: u16| {
        let mut packet = vec![0_u8; 40];
        (packet[0], packet[3], packet[8], packet[9]) = (0x45, 40, 64, 6);
        (packet[15], packet[19]) = (9, 1);
        packet[22..24].copy_from_slice(&port.to_be_bytes());
        packet[32] = 0x50;
        packet
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut file: Vec<u8> = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101]);
    let all = std::iter::repeat_n(22, ssh).chain(std::iter::repeat_n(80, web));
    for bytes in all.map(packet) {
        let head: Vec<u8> = words(&[7, 0, 40, 40]);
        file.extend([head, bytes].concat());
    }
    file
}

#[test]
fn packets_come_from_files() {
    let place = place(
        r#"
program = "filter"
[[test]]
name = "one"
packet = { pcap = "of a day.pcap", frame = 4 }
expect = { retval = "XDP_TX", packet = { pcap = "after.pcap", frame = 1 } }
[[test]]
name = "all"
packet = { pcap = "of a day.pcap" }
maps.rules = [{ key = 22, value = { hits = 0 } }]
[test.expect]
retvals = { XDP_DROP = 3, XDP_TX = 2 }
maps.rules = [{ key = 22, value = { hits = 3 } }]
globals.seen = 5
events.events = [{ dport = 22 }, { dport = 22, length = 54 }, { dport = 22 }]
[[test]]
name = "each"
packet = { pcap = "of a day.pcap" }
expect.retval = "XDP_TX"
"#,
    );
    std::fs::write(place.path().join("tests/of a day.pcap"), captured(3, 2)).unwrap();
    let mut after = captured(0, 1);
    // The time to live.
    after[24 + 16 + 8] = 63;
    std::fs::write(place.path().join("tests/after.pcap"), after).unwrap();
    let kernels = ["filter", "-k", "debian/bullseye", "-k", "debian/sid"];
    let run = test(&place, &kernels).expect(0);
    assert!(run.stderr.contains("Tested 6 passed\n"), "{run}");

    let text = place.read("tests/filter.toml");
    let text = text.replace("XDP_DROP = 3, XDP_TX = 2", "XDP_DROP = 4, XDP_PASS = 1");
    let text = text.replace("retval = \"XDP_TX\"\n", "retval = \"XDP_DROP\"\n");
    place.file("tests/filter.toml", text);
    let run = test(&place, &["-k", "debian/sid", "-f", "filter"]).expect(1);
    insta::assert_snapshot!("captured_differ", untimed(&run.stdout));

    // What is wrong with a file is told before anything runs.
    std::fs::write(place.path().join("tests/after.pcap"), &captured(1, 1)[..120]).unwrap();
    place.file(
        "tests/more.toml",
        r#"
program = "filter"
[[test]]
name = "a"
packet = { pcap = "of a day.pcap", frame = 6 }
expect.retval = 1
[[test]]
name = "b"
packet = { pcap = "not there.pcap", frame = 1 }
expect.retval = 1
[[test]]
name = "c"
packet = { pcap = "of a day.pcap" }
context.ingress_ifindex = 1
expect = { retvals = { XDP_DORP = 1 } }
[[test]]
name = "d"
packet = "eth/arp"
expect = { retvals = { XDP_DROP = 1 } }
"#,
    );
    let run = test(&place, &["--message-format", "short"]).expect(2);
    let here = place.path().to_str().unwrap();
    insta::assert_snapshot!("captured_mistakes", run.stdout.replace(here, "HERE"));
}

#[test]
fn machines_read_results() {
    let place = place(
        "program = 'filter'\n[[test]]\nname = 'a'\nexpect.retval = 'XDP_PASS'\n\
         [[test]]\nname = 'b'\nexpect.retval = 'XDP_DROP'\n\
         [[test]]\nname = 'c'\ncontext.ingress_ifindex = 1\nexpect.retval = 2\n",
    );
    let kernel = ["-k", "debian/bullseye", "-f", "filter"];
    let json = test(&place, &[&kernel[..], &["--message-format", "json"]].concat()).expect(1);
    let rows: Vec<serde_json::Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|row: &serde_json::Value| row["reason"] == "test-result")
        .collect();
    let outcomes: Vec<&str> = rows.iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    // Linux 5.10 takes no context for XDP.
    assert_eq!(outcomes, ["PASS", "FAIL", "SKIP"], "{json}");
    assert_eq!(rows[1]["differences"][0], "expected XDP_DROP (1), got XDP_PASS (2)");
    assert!(rows[2]["skipped_because"].as_str().unwrap().ends_with("from Linux 5.15 on"));
    let junit = test(&place, &[&kernel[..], &["--message-format", "junit"]].concat()).expect(1);
    let times = |text: &str| {
        let mut out = String::new();
        for (index, part) in text.split(" time=\"").enumerate() {
            match index {
                0 => out.push_str(part),
                _ => write!(out, " time=\"T{}", part.trim_start_matches(|c| c != '"')).unwrap(),
            }
        }
        out
    };
    insta::assert_snapshot!(times(&junit.stdout));
}

#[test]
fn mistakes_in_tests_are_told_before_anything_runs() {
    let place = place(
        r#"
[[test]]
program = "fliter"
expect.retval = 1
[[test]]
program = "traced"
expect.retval = 0
[[test]]
program = "filter"
packet = "eth/ip(dts=10.0.0.1)"
expct.retval = 1
[[test]]
program = "filter"
expect.retval = "TC_ACT_OK"
[[test]]
program = "filter"
name = "maps"
maps.rulse = [{ key = 1, value = 1 }]
maps.rules = [{ key = 70000, value = { hits = 1 } }, { key = 1, value = { hit = 1 } }]
context.data_end = 1
globals = { sen = 1, "limits.low" = 99999999999 }
expect = { globals = { verbose = 1 }, events = { evnts = [] } }
"#,
    );
    let run = test(&place, &["--message-format", "short"]).expect(2);
    insta::assert_snapshot!("syntax", run.stdout);
    let text = place.read("tests/filter.toml");
    place.file("tests/filter.toml", text.replace("expct", "expect").replace("dts", "dst"));
    let run = test(&place, &["--message-format", "short"]).expect(2);
    insta::assert_snapshot!("meaning", run.stdout);
}

#[test]
fn a_program_that_is_rejected_says_why() {
    let place = place("");
    let rejected = r#"
SEC("xdp")
int rejected(struct xdp_md *ctx)
{
	__u16 port = 1;
	struct rule *rule = bpf_map_lookup_elem(&rules, &port);

	return rule->hits;
}
"#;
    place.file(
        "src/filter.bpf.c",
        SOURCE.replace("char LICENSE", &format!("{rejected}char LICENSE")),
    );
    place.file(
        "tests/filter.toml",
        "[[test]]\nname = 'bad'\nprogram = 'rejected'\nexpect.rejected = 'map-value-maybe-null'\n\
         [[test]]\nname = 'runs'\nprogram = 'filter'\nexpect.retval = 'XDP_PASS'\n",
    );
    let run = test(&place, &["-k", "debian/trixie"]).expect(0);
    assert!(run.stderr.contains("Tested 3 passed\n"), "{run}");
    let text =
        place.read("tests/filter.toml").replace("rejected = 'map-value-maybe-null'", "retval = 0");
    place.file("tests/filter.toml", text);
    let run = test(&place, &["-k", "debian/trixie"]).expect(1);
    assert!(run.stderr.contains("Tested 2 passed, 1 failed\n"), "{run}");
    assert!(run.stdout.contains("error[E0301]"), "{run}");
}

const WATCHERS: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct event { int pid; int number; char comm[16]; };
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

const volatile int target = 0;
__u64 opens;

SEC("fentry/vfs_open")
int BPF_PROG(on_open)
{
	struct event *e;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->pid = target;
	e->number = ++opens;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	bpf_printk("open %d", (int)opens);
	return 0;
}

SEC("lsm/inode_mkdir")
int BPF_PROG(on_mkdir)
{
	return bpf_get_current_pid_tgid() >> 32 == target ? -13 : 0;
}

SEC("iter/task")
int show(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%d=%s\n", task->pid, task->comm);
	return 0;
}

SEC("kprobe/no_such_function")
int nowhere(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

#[test]
fn something_is_done_while_programs_are_attached() {
    let place = Place::new();
    place.file("Skep.toml", "[package]\nname = \"watch\"\n");
    place.file("src/watch.bpf.c", WATCHERS);
    place.file(
        "tests/watch.toml",
        r#"
[[test]]
name = "all"
globals.target = 1000
do = [
    "open /proc/version",
    { do = "open /proc/nothing", error = "ENOENT" },
    { do = "mkdir /tmp/new", error = "EACCES" },
    "syscall getpid",
    "open /proc/uptime; exit 7",
]
[test.expect]
globals.opens = 2
prints = ["open 1", "open 2"]
events.events = [{ pid = 1000, number = 1, comm = "sh" }, { number = 2 }]
shows.show = ["1=init\n", "2=kthreadd"]

[[test]]
name = "one"
program = "on_open"
do = ["mkdir /tmp/new", "rmdir /tmp/new", "open /proc/version"]
expect = { globals.opens = 0, events.events = [], prints = [] }
"#,
    );
    let kernels = ["-k", "debian/bullseye", "-k", "debian/sid"];
    let run = test(&place, &kernels).expect(0);
    assert!(run.stderr.contains("Tested 4 passed\n"), "{run}");

    place.file(
        "tests/watch.toml",
        r#"
[[test]]
name = "deeds"
do = ["touch /nowhere/new", "open /proc/version"]
[[test]]
name = "errors"
do = { do = "mkdir /tmp/new", error = "EACCES" }
[[test]]
name = "commands"
do = "dance"
[[test]]
name = "results"
globals.target = 1000
do = "open /proc/version"
[test.expect]
globals.opens = 3
prints = ["open 1", "open 2"]
events.events = [{ number = 2 }]
shows.show = ["2=kthreadd", "1=init"]
[[test]]
name = "nothing"
globals.target = 1000
do = "open /proc/version"
expect = { prints = [], events.events = [] }
[[test]]
name = "attached"
attach = ["on_open", "nowhere"]
do = "true"
"#,
    );
    let run = test(&place, &["-k", "debian/sid"]).expect(1);
    // Which threads of its own a kernel has is nobody's business.
    let is_lasting = |line: &&str| {
        let shown = line.trim_start().strip_prefix("note: shown: ");
        shown.is_none_or(|task| ["1=init", "2=kthreadd"].contains(&task))
    };
    let text: Vec<&str> = run.stdout.lines().filter(is_lasting).collect();
    insta::assert_snapshot!("deeds_differ", untimed(&text.join("\n")));

    place.file(
        "tests/watch.toml",
        r#"
[[test]]
name = "a"
attach = { on_opne = true }
do = { do = "true", error = "EPREM" }
packet = "eth"
expect = { retval = 0, shows.shwo = ["a"] }
[[test]]
name = "b"
attach = ["on_open"]
expect.globals.opens = 0
[[test]]
name = "c"
program = "nowhere"
expect.retval = 0
"#,
    );
    let run = test(&place, &["--message-format", "short"]).expect(2);
    insta::assert_snapshot!("deeds_mistakes_syntax", run.stdout);
    let text = place.read("tests/watch.toml").replace("attach = [\"on_open\"]\n", "do = 'true'\n");
    place.file("tests/watch.toml", text);
    let run = test(&place, &["--message-format", "short"]).expect(2);
    insta::assert_snapshot!("deeds_mistakes", run.stdout);
}

/// Follows a program of the user's: by sections, and where the test says.
const FOLLOWERS: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

long ticked, mixed, result;

SEC("usdt/watched:own:tick")
int BPF_USDT(on_tick, long first, long second)
{
	ticked = first * 10 + second;
	return 0;
}

SEC("uprobe//bring/watched:mix")
int BPF_UPROBE(on_mix, long first, long second)
{
	mixed = first * 10 + second;
	return 0;
}

SEC("uretprobe")
int BPF_URETPROBE(on_result, long value)
{
	result = value;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

/// Ends with the code that it is told, after a probe and a call.
const WATCHED: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((noinline)) long mix(long first, long second)
{
	asm volatile("");
	return first * 100 + second;
}

int main(int argc, char **argv)
{
	asm volatile("990: nop\n"
		     ".pushsection .note.stapsdt,\"\",\"note\"\n"
		     ".balign 4\n"
		     ".4byte 992f - 991f, 994f - 993f, 3\n"
		     "991: .asciz \"stapsdt\"\n"
		     "992: .balign 4\n"
		     "993: .8byte 990b, 0, 0\n"
		     ".asciz \"own\"\n.asciz \"tick\"\n.asciz \"-8@%0 -8@%1\"\n"
		     "994: .balign 4\n"
		     ".popsection\n" ::"r"(7L), "r"(8L));
	printf("mixed %ld\n", mix(3, 4));
	fflush(stdout);
	switch (argc > 1 ? atoi(argv[1]) : 0) {
	case 100:
		for (;;)
			pause();
	case 101:
		abort();
	default:
		return argc > 1 ? atoi(argv[1]) : 0;
	}
}
"#;

#[test]
fn programs_are_brought_and_followed() {
    let place = Place::new();
    place.file("Skep.toml", "[package]\nname = \"follow\"\n");
    place.file("src/follow.bpf.c", FOLLOWERS);
    let source = place.file("watched.c", WATCHED);
    let program = place.path().join("watched");
    // At addresses of its own: so Linux 5.10 knows which probe it is.
    let mut cc = std::process::Command::new("cc");
    cc.args(["-O1", "-no-pie", "-o"]).arg(&program).arg(source);
    assert!(cc.status().unwrap().success());
    let all = r#"
[[test]]
name = "all"
attach = { on_tick = true, on_mix = true, on_result = "watched:mix" }
do = ["watched", { do = "watched 3", code = 3 }]
expect = { globals = { ticked = 78, mixed = 34, result = 304 }, output = ["mixed 304", "mixed 304"] }

[[test]]
name = "none"
attach = []
do = { do = "watched 1", code = 1 }
expect.globals = { ticked = 0, mixed = 0 }
"#;
    place.file("tests/follow.toml", format!("bring = \"../watched\"\n{all}"));
    let kernels = ["-k", "debian/bullseye", "-k", "debian/sid"];
    let run = test(&place, &kernels).expect(0);
    assert!(run.stderr.contains("Tested 4 passed\n"), "{run}");

    place.file("tests/follow.toml", all);
    let run = test(&place, &["-k", "debian/sid", "--bring", "watched", "--no-capture"]).expect(0);
    let wrote = "Wrote follow::all on debian/sid: mixed 304\n";
    assert_eq!(run.stderr.matches(wrote).count(), 2, "{run}");

    place.file("broken", "\x7fELF and no more");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path().join("broken"), mode).unwrap();
    place.file(
        "tests/follow.toml",
        r#"
[[test]]
name = "waits"
bring = ["../watched"]
attach = ["on_mix"]
do = ["watched", "watched 100", "true"]
time_limit = 3
[[test]]
name = "is missing"
attach = []
do = "watched"
[[test]]
name = "does not start"
bring = ["../broken"]
attach = []
do = "broken"
[[test]]
name = "ends otherwise"
bring = ["../watched"]
attach = []
do = { do = "watched 3", code = 4 }
[[test]]
name = "crashes"
bring = ["../watched"]
attach = []
do = ["watched", "watched 101"]
[[test]]
name = "writes something else"
bring = ["../watched"]
attach = []
do = ["watched"]
expect.output = ["mixed 304", "mixed 304"]
[[test]]
name = "has no such places"
bring = ["../watched"]
attach = { on_result = "watched:blend", on_tick = "watched:own:tack" }
do = ["watched"]
"#,
    );
    let run = test(&place, &["-k", "debian/sid"]).expect(1);
    insta::assert_snapshot!("brought_differ", untimed(&run.stdout));

    place.file(
        "tests/follow.toml",
        r#"
[[test]]
name = "a"
bring = ["../nothing", { bin = "watched" }]
attach = []
do = "watched"
"#,
    );
    let run = test(&place, &["--message-format", "short"]).expect(2);
    insta::assert_snapshot!("brought_mistakes", place.redact(&run.stdout));
    place.file(
        "tests/follow.toml",
        r#"
[[test]]
bring = [{ bim = "watched" }, 1]
do = { do = "watched", error = true, code = 300 }
[[test]]
program = "on_tick"
bring = ["../watched"]
expect = { retval = 0, output = ["x"] }
[[test]]
do = { do = "watched", error = true, code = 3 }
time_limit = 0
"#,
    );
    let run = test(&place, &["--message-format", "short"]).expect(2);
    insta::assert_snapshot!("brought_mistakes_syntax", run.stdout);
}

#[test]
fn lines_that_tests_come_by_are_counted() {
    let place = place(
        r#"
program = "filter"
[[test]]
name = "passes"
packet = "eth/arp"
expect.retval = "XDP_PASS"
[[test]]
name = "drops"
packet = "eth/ip/tcp(dport=22)"
maps.rules = [{ key = 22, value = { hits = 4 } }]
expect = { retval = "XDP_DROP", maps.rules = [{ key = 22, value = { hits = 5 } }] }
"#,
    );
    let kernels = ["-k", "debian/bullseye", "-k", "debian/sid"];
    let run = test(&place, &[&kernels[..], &["--coverage", "lcov"]].concat()).expect(0);
    assert!(!run.stderr.contains("does not take"), "{run}");
    assert!(run.stderr.contains("Covered "), "{run}");
    let text = place.read("coverage.info");
    let line = |code: &str| {
        let number = SOURCE.lines().position(|line| line.trim() == code).unwrap() + 1;
        let found = text.lines().find_map(|line| line.strip_prefix(&format!("DA:{number},")));
        found.unwrap_or_else(|| panic!("{code}: {text}")).parse::<u64>().unwrap()
    };
    // Both tests, on both kernels; one of them; none.
    assert_eq!(line("seen++;"), 4, "{text}");
    assert_eq!(line("rule->hits++;"), 2, "{text}");
    assert_eq!(line("ip->ttl--;"), 0, "{text}");
    assert_eq!(line("skb->mark += skb->cb[1];"), 2, "{text}");
    assert!(text.contains("FNDA:4,filter\n") && text.contains("FNDA:0,traced\n"), "{text}");
    assert!(!text.contains("vmlinux.h") && text.matches("end_of_record").count() == 1, "{text}");

    let args = ["--coverage", "lcov", "--coverage-of", "verifier", "-o", "walks.info"];
    test(&place, &[&kernels[2..], &args].concat()).expect(0);
    let text = place.read("walks.info");
    let number = |code: &str| SOURCE.lines().position(|line| line.trim() == code).unwrap() + 1;
    // Nothing is run there, but it could be; `verbose` is constant, and zero.
    assert!(!text.contains(&format!("DA:{},0\n", number("ip->ttl--;"))), "{text}");
    let dead = number(r#"bpf_printk("dropped %d", port);"#);
    assert!(text.contains(&format!("DA:{dead},0\n")), "{text}");

    let args = [&kernels[2..], &["--coverage", "html", "-o", "out/page.html"]].concat();
    std::fs::create_dir(place.path().join("out")).unwrap();
    test(&place, &args).expect(0);
    let page = place.read("out/page.html");
    assert!(page.contains("src/filter.bpf.c") && page.contains("class=\"miss\""), "{page}");
}
