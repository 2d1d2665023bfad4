// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The process to look at; 0 stands for every one. Constants of this kind are
 * set before the program is loaded, and the verifier knows their value.
 */
const volatile int target_pid = 0;

/* How many calls were seen. Globals live in a map; user space reads them. */
__u64 calls = 0;

SEC("tracepoint/syscalls/sys_enter_write")
int count_writes(struct trace_event_raw_sys_enter *ctx)
{
	int pid = bpf_get_current_pid_tgid() >> 32;

	if (target_pid && pid != target_pid)
		return 0;

	__sync_fetch_and_add(&calls, 1);
	return 0;
}
