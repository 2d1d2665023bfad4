// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

#define SYSCALLS 512

/* The process to look at; 0 stands for every one. */
const volatile int target_pid = 0;

/* Each CPU has counters of its own, so adding needs no atomics. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SYSCALLS);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

/* TP_PROTO(struct pt_regs *regs, long id) of the tracepoint sys_enter. */
SEC("raw_tp/sys_enter")
int on_syscall(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 number = ctx->args[1];
	__u64 *count;

	if (target_pid && target_pid != bpf_get_current_pid_tgid() >> 32)
		return 0;

	/* Finds nothing where there are more system calls than we have room for. */
	count = bpf_map_lookup_elem(&calls, &number);
	if (count)
		*count += 1;
	return 0;
}
