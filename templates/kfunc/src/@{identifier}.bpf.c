// SPDX-License-Identifier: @{license}
/* Whether vmlinux.h declares kernel functions, and with which types, depends
 * on the kernel it was made of. This program declares those it calls itself.
 */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Resolved when the program is loaded, by their names in the kernel's BTF. */
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

/* The number of kill(2), which differs between architectures: user space sets
 * it. This is that of x86-64.
 */
const volatile long kill_number = 62;

/* The signal to look at; 0 stands for every one. */
const volatile int target_signal = 0;

/* Events that did not fit into the ring buffer. */
__u64 lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

SEC("tp_btf/sys_enter")
int BPF_PROG(on_syscall, struct pt_regs *regs, long number)
{
	struct task_struct *target;
	struct event *event;
	int pid, signal;

	if (number != kill_number)
		return 0;
	pid = PT_REGS_PARM1_CORE_SYSCALL(regs);
	signal = PT_REGS_PARM2_CORE_SYSCALL(regs);
	/* 0 and less stand for groups of processes. */
	if (pid <= 0 || (target_signal && signal != target_signal))
		return 0;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	event->signal = signal;
	event->from = bpf_get_current_pid_tgid() >> 32;
	event->to = pid;
	bpf_get_current_comm(event->from_comm, sizeof(event->from_comm));
	event->to_comm[0] = '\0';

	/* The task cannot go away while we hold it. The verifier refuses the
	 * program if it is not given back on every way, or may be NULL when it is
	 * used.
	 */
	target = bpf_task_from_pid(pid);
	if (target) {
		bpf_probe_read_kernel_str(event->to_comm, sizeof(event->to_comm), target->comm);
		bpf_task_release(target);
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}
