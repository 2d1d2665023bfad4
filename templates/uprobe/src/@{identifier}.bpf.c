// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

struct call {
	__u64 begin;
	__u64 first;
	__u64 second;
};

/* The call that each thread is in. Of a function that calls itself the
 * innermost call is seen.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* The section does not say where: user space attaches both programs to the
 * function that it is told. "uprobe/BINARY:FUNCTION" would be attached alone.
 */
SEC("uprobe")
int BPF_UPROBE(on_call, __u64 first, __u64 second)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call call = {
		.begin = bpf_ktime_get_ns(),
		.first = first,
		.second = second,
	};

	bpf_map_update_elem(&calls, &thread, &call, BPF_ANY);
	return 0;
}

SEC("uretprobe")
int BPF_URETPROBE(on_return, __u64 result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct event *event;
	struct call *call;

	/* The call may have begun before we did. */
	call = bpf_map_lookup_elem(&calls, &thread);
	if (!call)
		return 0;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->pid = thread >> 32;
		bpf_get_current_comm(event->comm, sizeof(event->comm));
		event->first = call->first;
		event->second = call->second;
		event->result = result;
		event->duration = bpf_ktime_get_ns() - call->begin;
		bpf_ringbuf_submit(event, 0);
	}
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}
