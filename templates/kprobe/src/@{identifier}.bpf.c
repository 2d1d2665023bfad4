// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The process to look at; 0 stands for every one. */
const volatile int target_pid = 0;

/* Events that did not fit into the ring buffer. */
__u64 lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, @{ring_kib} * 1024);
} events SEC(".maps");

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(on_unlink, int dfd, struct filename *name)
{
	int pid = bpf_get_current_pid_tgid() >> 32;
	struct event *event;

	if (target_pid && pid != target_pid)
		return 0;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}

	event->pid = pid;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->file[0] = '\0';
	bpf_probe_read_kernel_str(event->file, sizeof(event->file),
				  BPF_CORE_READ(name, name));

	bpf_ringbuf_submit(event, 0);
	return 0;
}
