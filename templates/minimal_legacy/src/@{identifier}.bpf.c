// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* What a kernel without global variables needs instead: a map with a single
 * element. User space writes the process to look at; 0 stands for every one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target_pid SEC(".maps");

/* How many calls were seen: a counter for each CPU, so adding needs no
 * atomics. User space adds them up.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_write")
int count_writes(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u32 only = 0;
	__u32 *target;
	__u64 *count;

	target = bpf_map_lookup_elem(&target_pid, &only);
	if (!target || (*target && *target != pid))
		return 0;

	count = bpf_map_lookup_elem(&calls, &only);
	if (count)
		*count += 1;
	return 0;
}
