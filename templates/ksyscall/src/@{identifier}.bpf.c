// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Whether only those are reported that failed. */
const volatile bool only_failed = false;

/* What each thread is about to send. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct event);
} sending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

static __always_inline int begin(int target, int thread, int signal)
{
	__u64 caller = bpf_get_current_pid_tgid();
	struct event event = {};

	/* Signal 0 is never sent: it asks whether one could be. */
	if (!signal)
		return 0;
	event.sender = caller >> 32;
	event.target = target;
	event.thread = thread;
	event.signal = signal;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	bpf_map_update_elem(&sending, &caller, &event, BPF_ANY);
	return 0;
}

static __always_inline int end(int result)
{
	__u64 caller = bpf_get_current_pid_tgid();
	struct event *event;

	event = bpf_map_lookup_elem(&sending, &caller);
	if (!event)
		return 0;
	event->result = result;
	if (result < 0 || !only_failed)
		bpf_ringbuf_output(&events, event, sizeof(*event), 0);
	bpf_map_delete_elem(&sending, &caller);
	return 0;
}

/* Each architecture has its own names for system calls and its own way with
 * their arguments; libbpf knows them.
 */
SEC("ksyscall/kill")
int BPF_KSYSCALL(on_kill, pid_t target, int signal)
{
	return begin(target, 0, signal);
}

SEC("kretsyscall/kill")
int BPF_KRETPROBE(on_kill_done, int result)
{
	return end(result);
}

SEC("ksyscall/tgkill")
int BPF_KSYSCALL(on_tgkill, pid_t target, pid_t thread, int signal)
{
	return begin(target, thread, signal);
}

SEC("kretsyscall/tgkill")
int BPF_KRETPROBE(on_tgkill_done, int result)
{
	return end(result);
}
