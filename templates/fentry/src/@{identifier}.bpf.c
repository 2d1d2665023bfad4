// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* What is faster than this (nanoseconds) is not reported. */
const volatile __u64 min_duration = 0;

/* When each thread's call began. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u64);
} begins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

SEC("fentry/vfs_open")
int BPF_PROG(on_entry, const struct path *path)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&begins, &thread, &now, BPF_ANY);
	return 0;
}

/* At the exit a program still has the arguments, and the result behind them. */
SEC("fexit/vfs_open")
int BPF_PROG(on_exit, const struct path *path, struct file *file, int result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct event *event;
	__u64 duration;
	__u64 *begin;

	begin = bpf_map_lookup_elem(&begins, &thread);
	if (!begin)
		return 0;
	duration = bpf_ktime_get_ns() - *begin;
	bpf_map_delete_elem(&begins, &thread);
	if (duration < min_duration)
		return 0;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	event->pid = thread >> 32;
	event->result = result;
	event->duration = duration;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	/* The kernel knows the type of `path`, so the verifier lets pointers be
	 * followed as in C; a text must be copied.
	 */
	bpf_probe_read_kernel_str(event->file, sizeof(event->file), path->dentry->d_name.name);
	bpf_ringbuf_submit(event, 0);
	return 0;
}
