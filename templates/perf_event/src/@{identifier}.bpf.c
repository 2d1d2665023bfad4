// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* By the process' number, as user space numbers them; 0 is the idle CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps");

SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	/* How many events one sample stands for. */
	__u64 period = ctx->sample_period;
	struct process first = { .events = period, .samples = 1 };

	if (process) {
		__sync_fetch_and_add(&process->events, period);
		__sync_fetch_and_add(&process->samples, 1);
		return 0;
	}
	bpf_get_current_comm(first.comm, sizeof(first.comm));
	bpf_map_update_elem(&processes, &pid, &first, BPF_ANY);
	return 0;
}
