// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The process to look at; 0 stands for every one. */
const volatile int target_pid = 0;

/* Calls, by the address of the function. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} calls SEC(".maps");

/* A pattern could stand in the section's name: "kprobe.multi/vfs_*". Here user
 * space chooses it.
 */
SEC("kprobe.multi")
int on_call(struct pt_regs *ctx)
{
	__u64 function, one = 1, *count;

	if (target_pid && target_pid != bpf_get_current_pid_tgid() >> 32)
		return 0;

	function = bpf_get_func_ip(ctx);
	count = bpf_map_lookup_elem(&calls, &function);
	if (!count) {
		/* Whoever is first makes the entry; the others add to it. */
		if (!bpf_map_update_elem(&calls, &function, &one, BPF_NOEXIST))
			return 0;
		count = bpf_map_lookup_elem(&calls, &function);
		if (!count)
			return 0;
	}
	__sync_fetch_and_add(count, 1);
	return 0;
}
