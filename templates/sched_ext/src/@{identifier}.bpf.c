// SPDX-License-Identifier: @{license}
/* Kernel functions and types of sched_ext are declared here, as far as they are
 * used: the vmlinux.h of a kernel without sched_ext has none of them.
 */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* SCX_DSQ_GLOBAL and SCX_DSQ_LOCAL: the queue of all CPUs, and that of the CPU
 * that was chosen. SCX_SLICE_DFL: for how long a task runs, in nanoseconds.
 */
#define GLOBAL_QUEUE (1ull << 63 | 1)
#define LOCAL_QUEUE (1ull << 63 | 2)
#define SLICE (20 * 1000 * 1000)

extern s32 scx_bpf_select_cpu_dfl(struct task_struct *task, s32 prev_cpu, u64 wake_flags,
				  bool *is_idle) __ksym;
/* One function, which Linux 6.13 gave another name: whichever there is. */
extern void scx_bpf_dsq_insert(struct task_struct *task, u64 queue, u64 slice,
			       u64 enqueue_flags) __ksym __weak;
extern void scx_bpf_dispatch(struct task_struct *task, u64 queue, u64 slice,
			     u64 enqueue_flags) __ksym __weak;

/* The part of a name behind three underscores is ours: to libbpf and the kernel
 * these are `scx_exit_info` and `sched_ext_ops`. Members are found by name.
 */
struct scx_exit_info___own {
	const char *reason;
	char *msg;
} __attribute__((preserve_access_index));

struct sched_ext_ops___own {
	s32 (*select_cpu)(struct task_struct *task, s32 prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *task, u64 enqueue_flags);
	void (*exit)(struct scx_exit_info___own *info);
	char name[128];
};

/* Tasks that found an idle CPU, and those that had to queue up. */
__u64 direct = 0;
__u64 queued = 0;

/* Whether it is over, and why. */
bool ended = false;
char reason[128] = {};

static __always_inline void insert(struct task_struct *task, u64 queue, u64 enqueue_flags)
{
	if (bpf_ksym_exists(scx_bpf_dsq_insert))
		scx_bpf_dsq_insert(task, queue, SLICE, enqueue_flags);
	else
		scx_bpf_dispatch(task, queue, SLICE, enqueue_flags);
}

/* A task wakes up: on which CPU is it to run? */
SEC("struct_ops/select_cpu")
s32 BPF_PROG(choose_cpu, struct task_struct *task, s32 prev_cpu, u64 wake_flags)
{
	bool is_idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(task, prev_cpu, wake_flags, &is_idle);

	if (is_idle) {
		/* Straight onto that CPU; it will not be enqueued any more. */
		__sync_fetch_and_add(&direct, 1);
		insert(task, LOCAL_QUEUE, 0);
	}
	return cpu;
}

/* A task can run and has no CPU yet. */
SEC("struct_ops/enqueue")
void BPF_PROG(enqueue, struct task_struct *task, u64 enqueue_flags)
{
	__sync_fetch_and_add(&queued, 1);
	insert(task, GLOBAL_QUEUE, enqueue_flags);
}

SEC("struct_ops/exit")
void BPF_PROG(on_exit, struct scx_exit_info___own *info)
{
	bpf_probe_read_kernel_str(reason, sizeof(reason), info->reason);
	ended = true;
}

SEC(".struct_ops.link")
struct sched_ext_ops___own scheduler = {
	.select_cpu = (void *)choose_cpu,
	.enqueue = (void *)enqueue,
	.exit = (void *)on_exit,
	.name = "@{identifier}",
};
