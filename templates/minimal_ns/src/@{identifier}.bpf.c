// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The process to look at, as its own PID namespace numbers it. */
const volatile int target_pid = 0;

/* That namespace: the file /proc/PID/ns/pid is its name, and this is where the
 * file lies.
 */
const volatile __u64 ns_device = 0;
const volatile __u64 ns_inode = 0;

/* How many calls were seen. */
__u64 calls = 0;

SEC("tracepoint/syscalls/sys_enter_write")
int count_writes(struct trace_event_raw_sys_enter *ctx)
{
	struct bpf_pidns_info ns = {};

	/* Fails for a process that is not in the namespace. */
	if (bpf_get_ns_current_pid_tgid(ns_device, ns_inode, &ns, sizeof(ns)))
		return 0;

	/* What user space calls a process the kernel calls a thread group. */
	if (ns.tgid != target_pid)
		return 0;

	__sync_fetch_and_add(&calls, 1);
	return 0;
}
