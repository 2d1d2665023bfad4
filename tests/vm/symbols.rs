//! `skep run`: addresses and stacks by their names, and numbers as their tags
//! say.

use crate::support::{Place, Run};

const STACKS: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define SKEP(tag) __attribute__((btf_decl_tag("skep:" tag)))

struct event {
	int pid;
	long stack_id;
	unsigned long long ip;
	unsigned long long where SKEP("ksym");
	unsigned int host SKEP("ipv4");
	unsigned short service SKEP("port");
	unsigned char card[6] SKEP("mac");
	unsigned char six[16] SKEP("ipv6");
	unsigned char name[8] SKEP("text");
	unsigned long long took SKEP("ns");
	unsigned long long size SKEP("bytes");
	unsigned int flags SKEP("hex");
	long result SKEP("errno");
	int good SKEP("errno");
	unsigned long long frames[4] SKEP("stack");
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 8 * 16);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 8 * 16);
} alone SEC(".maps");

struct whose { int pid SKEP("pid"); int kern_stack_id; };
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct whose);
	__type(value, long);
} counts SEC(".maps");

SEC("kprobe/vfs_read")
int on_read(struct pt_regs *ctx)
{
	struct whose key = {};
	struct event *e;
	long one = 1;

	if (bpf_get_current_pid_tgid() >> 32 == 1)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->stack_id = bpf_get_stackid(ctx, &stacks, 0);
	e->ip = ctx->ip;
	e->where = ctx->ip;
	e->host = 0x0100007f;
	e->service = 0x3500;
	e->card[0] = 2;
	e->six[15] = 1;
	e->name[0] = 'h';
	e->name[1] = 'i';
	e->took = 1500000;
	e->size = 4096;
	e->flags = 0xbeef;
	e->result = -2;
	e->good = 3;
	bpf_get_stack(ctx, e->frames, sizeof(e->frames), 0);
	key.pid = e->pid;
	key.kern_stack_id = e->stack_id;
	bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	bpf_get_stackid(ctx, &alone, 0);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

fn run(kernel: &str, format: &str) -> Run {
    let place = Place::new();
    place.file("stacks.bpf.c", STACKS);
    let args = ["run", "stacks.bpf.c", "-k", kernel, "--message-format", format];
    place.skep(&[&args[..], &["-e", "cat /proc/version"]].concat()).expect(0)
}

#[test]
fn stacks_and_addresses_have_names_and_tags_are_followed() {
    for kernel in ["debian/bullseye", "debian/trixie"] {
        let run = run(kernel, "human");
        let lines: Vec<&str> = run.stdout.lines().collect();
        let row = lines.iter().position(|line| line.contains("127.0.0.1")).expect("an event came");
        let words: Vec<&str> = lines[row].split_whitespace().collect();
        assert!(words[1].starts_with("vfs_read+0x") && words[2] == words[1], "{run}");
        let rest = words[3..].join(" ");
        assert_eq!(
            rest, "127.0.0.1 53 02:00:00:00:00:00 ::1 hi 1.5 ms 4.1 kB 0xbeef -ENOENT 3",
            "{run}"
        );
        // Two stacks, each with its name; the second has room for four.
        assert_eq!(lines[row + 1].trim(), "stack_id:", "{run}");
        assert!(lines[row + 2].trim().starts_with("vfs_read+0x"), "{run}");
        let second = lines[row..].iter().position(|line| line.trim() == "frames:");
        let second = row + second.expect("the array of addresses is a stack");
        assert!(second > row + 4, "{run}");
        assert!(lines[second + 1].trim().starts_with("vfs_read+0x"), "{run}");
        assert!(lines[second + 4].trim().contains("+0x"), "{run}");
        // A map whose keys refer to stacks, and one that nothing refers to.
        let counts = lines.iter().position(|line| line.starts_with("counts (")).expect("a map");
        assert!(lines[counts + 3].trim().starts_with("vfs_read+0x"), "{run}");
        assert!(run.stdout.contains("entry_SYSCALL_64"), "{run}");
        assert!(!lines.iter().any(|line| line.starts_with("stacks (")), "{run}");
    }
}

#[test]
fn programs_get_stacks_as_lists() {
    let run = run("debian/bookworm", "json");
    let line =
        run.stdout.lines().find(|line| line.contains("\"map\":\"events\"")).expect("an event");
    for part in [
        r#""stack_id":["vfs_read+0x"#,
        r#""ip":"vfs_read+0x"#,
        r#""host":"127.0.0.1","service":53,"card":"02:00:00:00:00:00","six":"::1","name":"hi""#,
        r#""took":1500000,"size":4096,"flags":"0xbeef","result":"-ENOENT","good":3"#,
        r#""frames":["vfs_read+0x"#,
    ] {
        assert!(line.contains(part), "no {part} in {run}");
    }
}

#[test]
fn a_tag_that_nobody_knows_is_told() {
    let place = Place::new();
    place.file("stacks.bpf.c", STACKS.replace("SKEP(\"mac\")", "SKEP(\"mack\")"));
    let args = ["run", "stacks.bpf.c", "-k", "debian/bookworm", "-e", "cat /proc/version"];
    let run = place.skep(&args).expect(0);
    assert!(run.stdout.contains("warning[W0803]"), "{run}");
    assert!(run.stdout.contains("`skep:mack`") && run.stdout.contains("`mac`"), "{run}");
}

/// A program that is there long enough to be asked about.
const WRITER: &str = r#"
#include <unistd.h>

int main(void)
{
	for (int i = 0; i < 10; i++) {
		if (write(1, "x\n", 2) < 0)
			return 1;
		usleep(100000);
	}
	return 0;
}
"#;

const WRITES: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct event { int pid; int user_stack_id; };
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 8 * 16);
} stacks SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_write")
int on_write(void *ctx)
{
	struct event *e;
	char comm[16];

	bpf_get_current_comm(comm, sizeof(comm));
	if (bpf_strncmp(comm, 7, "writer"))
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->user_stack_id = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

#[test]
fn addresses_of_a_process_are_named_by_its_files() {
    let place = Place::new();
    let source = place.file("writer.c", WRITER);
    let program = place.path().join("writer");
    let mut cc = std::process::Command::new("cc");
    cc.args(["-static", "-O1", "-o"]).arg(&program).arg(source);
    assert!(cc.status().unwrap().success());
    place.file("writes.bpf.c", WRITES);
    let args = ["run", "writes.bpf.c", "-k", "debian/trixie", "--bring", "writer", "-e", "writer"];
    let run = place.skep(&args).expect(0);
    let frame = |line: &str| line.trim().starts_with("writer+0x");
    assert!(run.stdout.lines().any(frame), "{run}");
}

#[test]
fn stacks_that_nothing_refers_to_are_shown_at_the_end() {
    let place = Place::new();
    let source = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 8 * 16);
} seen SEC(".maps");

SEC("kprobe/vfs_read")
int on_read(struct pt_regs *ctx)
{
	bpf_get_stackid(ctx, &seen, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;
    place.file("seen.bpf.c", source);
    let args = ["run", "seen.bpf.c", "-k", "debian/bullseye", "-e", "cat /proc/version"];
    let run = place.skep(&args).expect(0);
    assert!(run.stdout.contains("\nseen ("), "{run}");
    assert!(run.stdout.contains("\n    vfs_read+0x"), "{run}");
}
