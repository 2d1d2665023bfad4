// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The process to look at; 0 stands for every one. */
const volatile int target_pid = 0;

/* Samples that did not fit into the ring buffer. */
__u64 lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024);
} samples SEC(".maps");

/* Runs where user space has made an event for each CPU: a clock that ticks
 * some times a second.
 */
SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx)
{
	int pid = bpf_get_current_pid_tgid() >> 32;
	struct stack_sample *sample;

	/* Process 0 is a CPU with nothing to do. */
	if (!pid || (target_pid && pid != target_pid))
		return 0;

	/* A sample is too large for the stack of a BPF program; it is written
	 * where user space will read it.
	 */
	sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
	if (!sample) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	sample->pid = pid;
	sample->cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(sample->comm, sizeof(sample->comm));
	sample->kernel_bytes =
		bpf_get_stack(ctx, sample->kernel_stack, sizeof(sample->kernel_stack), 0);
	sample->user_bytes = bpf_get_stack(ctx, sample->user_stack, sizeof(sample->user_stack),
					   BPF_F_USER_STACK);
	bpf_ringbuf_submit(sample, 0);
	return 0;
}
