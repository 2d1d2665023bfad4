//! The table of constant arguments (src/bpf/arguments.tsv) against the kernels
//! themselves: each row's helper is called with a constant that the row
//! forbids, which must come out as the row says, and with one that it allows,
//! which must not. Rows that no test run can reach are in a list, each with
//! its reason; nothing else may be left out.

use crate::support::{Place, debian};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How to call helpers: the helper, the argument, the section, and an
/// expression with `@` for the constant. Of one helper and argument the first
/// that suits the row's programs counts.
const CALLS: &[(&str, u32, &str, &str)] = &[
    ("bpf_map_update_elem", 4, "tc", "bpf_map_update_elem(&hash, &key, &number, @)"),
    ("bpf_map_push_elem", 3, "tc", "bpf_map_push_elem(&queue, &number, @)"),
    ("bpf_perf_event_output", 3, "raw_tp", "bpf_perf_event_output(ctx, &perf, @, &number, 8)"),
    ("bpf_perf_event_output", 3, "tc", "bpf_perf_event_output(ctx, &perf, @, &number, 8)"),
    ("bpf_perf_event_read", 2, "raw_tp", "bpf_perf_event_read(&perf, @)"),
    (
        "bpf_perf_event_read_value",
        4,
        "raw_tp",
        "bpf_perf_event_read_value(&perf, 0, (void *)buffer, @)",
    ),
    ("bpf_get_stackid", 3, "raw_tp", "bpf_get_stackid(ctx, &stacks, @)"),
    ("bpf_get_stack", 4, "raw_tp", "bpf_get_stack(ctx, buffer, 64, @)"),
    (
        "bpf_get_task_stack",
        4,
        "raw_tp",
        "bpf_get_task_stack(bpf_get_current_task_btf(), buffer, 64, @)",
    ),
    ("bpf_skb_store_bytes", 5, "tc", "bpf_skb_store_bytes(ctx, 0, &number, 4, @)"),
    ("bpf_l3_csum_replace", 5, "tc", "bpf_l3_csum_replace(ctx, 24, 1, 2, 2 | @)"),
    ("bpf_l4_csum_replace", 5, "tc", "bpf_l4_csum_replace(ctx, 36, 1, 2, 2 | @)"),
    ("bpf_redirect", 2, "xdp", "bpf_redirect(1, @)"),
    ("bpf_redirect", 2, "tc", "bpf_redirect(1, @)"),
    ("bpf_redirect_peer", 2, "tc", "bpf_redirect_peer(1, @)"),
    ("bpf_redirect_neigh", 4, "tc", "bpf_redirect_neigh(1, 0, 0, @)"),
    ("bpf_clone_redirect", 3, "tc", "bpf_clone_redirect(ctx, 1, @)"),
    ("bpf_fib_lookup", 3, "tc", "bpf_fib_lookup(ctx, (void *)fib, @, 0)"),
    ("bpf_fib_lookup", 4, "tc", "bpf_fib_lookup(ctx, (void *)fib, 64, @)"),
    ("bpf_sk_storage_get", 4, "tc", "sk_storage(ctx, @)"),
    (
        "bpf_task_storage_get",
        4,
        "raw_tp",
        "bpf_task_storage_get(&of_task, bpf_get_current_task_btf(), 0, @) != 0",
    ),
    (
        "bpf_cgrp_storage_get",
        4,
        "raw_tp",
        "bpf_cgrp_storage_get(&of_cgroup, bpf_get_current_task_btf()->cgroups->dfl_cgrp, 0, @) != 0",
    ),
    ("bpf_ringbuf_output", 4, "tc", "bpf_ringbuf_output(&ring, &number, 8, @)"),
    ("bpf_ringbuf_reserve", 3, "tc", "reserve(@)"),
    ("bpf_ringbuf_reserve_dynptr", 3, "tc", "reserve_dynptr(@)"),
    ("bpf_user_ringbuf_drain", 4, "raw_tp", "bpf_user_ringbuf_drain(&user, drained, 0, @)"),
    ("bpf_loop", 1, "tc", "bpf_loop(@, once, 0, 0)"),
    ("bpf_loop", 4, "tc", "bpf_loop(1, once, 0, @)"),
    ("bpf_for_each_map_elem", 4, "tc", "bpf_for_each_map_elem(&hash, each, 0, @)"),
    ("bpf_timer_init", 3, "tc", "timer_init(@)"),
    ("bpf_timer_start", 3, "tc", "timer_start(@)"),
    ("bpf_snprintf", 5, "raw_tp", "bpf_snprintf(buffer, 64, format, numbers, @)"),
    ("bpf_trace_vprintk", 4, "raw_tp", "bpf_trace_vprintk(format, 4, numbers, @)"),
    ("bpf_strtol", 3, "raw_tp", "bpf_strtol(digits, 4, @, &result)"),
    ("bpf_strtoul", 3, "raw_tp", "bpf_strtoul(digits, 4, @, (void *)&result)"),
    (
        "bpf_copy_from_user_task",
        5,
        "syscall",
        "bpf_copy_from_user_task(buffer, 8, 0, bpf_get_current_task_btf(), @)",
    ),
    ("bpf_snprintf_btf", 5, "raw_tp", "snprintf_btf(@)"),
    ("bpf_get_branch_snapshot", 3, "raw_tp", "bpf_get_branch_snapshot(buffer, 24, @)"),
    // SIGURG, which nobody minds.
    ("bpf_send_signal", 1, "raw_tp", "bpf_send_signal(@)"),
    ("bpf_send_signal_thread", 1, "raw_tp", "bpf_send_signal_thread(@)"),
];

/// Rows that are not tried: the helper, and why.
const UNTRIED: &[(&str, &str)] = &[
    ("bpf_perf_prog_read_value", "perf_event programs have no test run"),
    ("bpf_read_branch_records", "perf_event programs have no test run"),
    ("bpf_seq_printf", "iterators have no test run"),
    ("bpf_inode_storage_get", "no program with a test run has an inode that is trusted"),
    ("bpf_sk_lookup_tcp", "the guest has no sockets, so nothing is found either way"),
    ("bpf_sk_lookup_udp", "the guest has no sockets, so nothing is found either way"),
    ("bpf_skc_lookup_tcp", "the guest has no sockets, so nothing is found either way"),
    ("bpf_get_ns_current_pid_tgid", "fails likewise for want of the namespace's numbers"),
];

const HEAD: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define MAP(name, kind, k, v, n, flags) struct { __uint(type, kind); __uint(max_entries, n); \
	__type(key, k); __type(value, v); __uint(map_flags, flags); } name SEC(".maps")
struct element { struct bpf_timer timer; };
MAP(hash, BPF_MAP_TYPE_HASH, __u32, __u64, 4, 0);
MAP(timers, BPF_MAP_TYPE_ARRAY, __u32, struct element, 1, 0);
MAP(started, BPF_MAP_TYPE_ARRAY, __u32, struct element, 2, 0);
MAP(of_socket, BPF_MAP_TYPE_SK_STORAGE, int, __u64, 0, BPF_F_NO_PREALLOC);
MAP(of_task, BPF_MAP_TYPE_TASK_STORAGE, int, __u64, 0, BPF_F_NO_PREALLOC);
MAP(of_cgroup, BPF_MAP_TYPE_CGRP_STORAGE, int, __u64, 0, BPF_F_NO_PREALLOC);
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 4); __type(value, __u64); } queue SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 8); __uint(key_size, 4); __uint(value_size, 1016); } stacks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } user SEC(".maps");

char buffer[128];
char fib[64] = { 2, [8] = 1 };
const char format[] = "%d";
const char digits[] = "12  ";
__u64 numbers[16] = { 1 };
long result;

static long once(__u32 index, void *data) { return 1; }
static long each(void *map, void *key, void *value, void *data) { return 1; }
static long drained(struct bpf_dynptr *dynptr, void *data) { return 1; }
static int rang(void *map, int *key, struct element *element) { return 0; }

static __always_inline long sk_storage(struct __sk_buff *skb, __u64 flags)
{
	struct bpf_sock *sk = skb->sk;
	if (!sk || !(sk = bpf_sk_fullsock(sk)))
		return -1;
	return bpf_sk_storage_get(&of_socket, sk, 0, flags) != 0;
}

static __always_inline long reserve(__u64 flags)
{
	void *record = bpf_ringbuf_reserve(&ring, 8, flags);
	if (record)
		bpf_ringbuf_discard(record, 0);
	return record != 0;
}

static __always_inline long reserve_dynptr(__u64 flags)
{
	struct bpf_dynptr record;
	long error = bpf_ringbuf_reserve_dynptr(&ring, 8, flags, &record);
	bpf_ringbuf_discard_dynptr(&record, 0);
	return error;
}

static __always_inline long timer_init(__u64 clock)
{
	__u32 zero = 0;
	struct element *element = bpf_map_lookup_elem(&timers, &zero);
	return element ? bpf_timer_init(&element->timer, &timers, clock) : -1;
}

static __always_inline long timer_start(__u64 flags)
{
	__u32 zero = 0;
	struct element *element = bpf_map_lookup_elem(&started, &zero);
	if (!element)
		return -1;
	bpf_timer_init(&element->timer, &started, 1);
	bpf_timer_set_callback(&element->timer, rang);
	return bpf_timer_start(&element->timer, 1000000000, flags);
}

static __always_inline long snprintf_btf(__u64 flags)
{
	struct btf_ptr what = { .ptr = numbers, .type_id = bpf_core_type_id_kernel(struct list_head) };
	return bpf_snprintf_btf(buffer, 128, &what, sizeof(what), flags);
}

char LICENSE[] SEC("license") = "GPL";
"#;

/// A constant that a row forbids, and one that it allows.
fn constants(rule: &str, value: &str) -> (u64, u64) {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => text.parse().unwrap(),
    };
    match rule {
        "mask" => (1 << (!number(value)).trailing_zeros(), 0),
        "in" => {
            let allowed: BTreeSet<u64> = value.split(',').map(number).collect();
            let least = *allowed.first().unwrap();
            // What creates is better than what only looks.
            let good = if allowed.contains(&1) { 1 } else { *allowed.last().unwrap() };
            let good = if allowed.contains(&10) { 10 } else { good };
            ((least..).find(|number| !allowed.contains(number)).unwrap(), good)
        }
        "min" => (number(value) - 1, number(value)),
        "max" => (number(value) + 8, if number(value) == 64 { 23 } else { 8 }),
        "multiple" => (number(value) + number(value) / 2, number(value)),
        _ => panic!("{rule}"),
    }
}

/// What a call returns that comes out as a row says.
fn outcome(text: &str) -> &'static str {
    match text {
        "fails with -EINVAL" => "-22",
        "fails with -E2BIG" => "-7",
        "drops the packet (XDP_ABORTED)" => "0",
        "drops the packet (TC_ACT_SHOT)" => "2",
        text if text.ends_with("(NULL)") => "0",
        text => panic!("{text}"),
    }
}

#[test]
fn constants_that_helpers_refuse_are_refused_by_kernels() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bpf/arguments.tsv");
    let table = std::fs::read_to_string(path).unwrap();
    let mut source = HEAD.to_owned();
    let (mut tried, mut untried) = (0, BTreeSet::new());
    for (number, line) in table.lines().enumerate().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [helper, argument, rule, value, programs, said, _] = cells[..] else {
            panic!("{line}");
        };
        let suits = |section: &str| {
            let program = match section {
                "tc" => "sched_cls",
                "raw_tp" => "raw_tracepoint",
                other => other,
            };
            programs == "-" || programs.split(',').any(|known| known == program)
        };
        let call = CALLS.iter().find(|(known, place, section, _)| {
            *known == helper && place.to_string() == argument && suits(section)
        });
        let Some((_, _, section, expression)) = call else {
            assert!(UNTRIED.iter().any(|(known, _)| *known == helper), "not tried: {line}");
            untried.insert(helper);
            continue;
        };
        let (bad, good) = constants(rule, value);
        let call = |constant: u64| expression.replace('@', &format!("{constant:#x}ull"));
        let context = match *section {
            "tc" => "struct __sk_buff *ctx",
            "xdp" => "struct xdp_md *ctx",
            _ => "void *ctx",
        };
        let name = format!("// skep: test\n// name = \"{helper} {argument} {rule} {value}\"\n");
        if said == "is refused by the verifier" {
            writeln!(
                source,
                "{name}// expect = {{ rejected = true }}\nSEC(\"{section}\") int \
                 row{number}({context})\n{{\n\treturn {};\n}}\n",
                call(bad)
            )
            .unwrap();
            tried += 1;
            continue;
        }
        let expected = outcome(said);
        // 1: as the row says. 2: what it forbids does something else. 3: what
        // it allows does so, too. Where the verifier puts a loop in place of
        // bpf_loop(), only 32 bits of the error are set.
        writeln!(
            source,
            "{name}// expect = {{ retval = 1 }}\nSEC(\"{section}\") int row{number}({context})\n{{\n\
             \t__u32 key = 0;\n\t__u64 number = 1;\n\tint bad = {}, good = {};\n\
             \treturn bad != {expected} ? 2 : good == {expected} ? 3 : 1;\n}}\n",
            call(bad),
            call(good)
        )
        .unwrap();
        tried += 1;
    }
    let known: BTreeSet<&str> = UNTRIED.iter().map(|(helper, _)| *helper).collect();
    assert_eq!(untried, known, "are tried, or in the table no more");
    assert!(tried > 40, "only {tried} rows are tried");
    let place = Place::new();
    place.file(
        "Skep.toml",
        "[package]\nname = \"arguments\"\n[bpf]\nvmlinux = \"full\"\nbtf = \"debian/trixie\"\n",
    );
    place.file("src/arguments.bpf.c", source);
    let kernels = [debian::KERNELS[2], debian::KERNELS[3]];
    let args: Vec<&str> = kernels.iter().flat_map(|kernel| ["-k", kernel]).collect();
    let run = place.skep(&[&["test", "--message-format", "json"], &args[..]].concat());
    let rows = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<serde_json::Value> =
        rows.filter(|row: &serde_json::Value| row["reason"] == "test-result").collect();
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| row["outcome"] != "PASS")
        .map(|row| format!("{} on {}: {}", row["test"], row["kernel"], row["differences"]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rows.len(), kernels.len() * tried, "{run}");
}
