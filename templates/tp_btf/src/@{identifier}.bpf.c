// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* A macro, so vmlinux.h does not have it. */
#define TASK_RUNNING 0

/* Slot N is for waits of 2^N to 2^(N+1) - 1 microseconds. */
#define SLOTS 26

/* The process to look at; 0 stands for every one. */
const volatile int target_pid = 0;

__u64 slots[SLOTS] = {};

/* Before Linux 5.14 the member `__state` was called `state`. What stands behind
 * the three underscores is ours: to the kernel this is its `task_struct`.
 */
struct task_struct___before_5_14 {
	long state;
} __attribute__((preserve_access_index));

struct task_struct___since_5_14 {
	unsigned int __state;
} __attribute__((preserve_access_index));

/* Since when a thread waits, in nanoseconds, by its number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u64);
} waiting SEC(".maps");

static __always_inline bool is_runnable(struct task_struct *task)
{
	struct task_struct___since_5_14 *now = (void *)task;
	struct task_struct___before_5_14 *then = (void *)task;

	if (bpf_core_field_exists(now->__state))
		return BPF_CORE_READ(now, __state) == TASK_RUNNING;
	return BPF_CORE_READ(then, state) == TASK_RUNNING;
}

static __always_inline void begin(struct task_struct *task)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 thread = task->pid;

	/* Number 0 is the idle thread of each CPU. */
	if (!thread || (target_pid && task->tgid != target_pid))
		return;
	bpf_map_update_elem(&waiting, &thread, &now, BPF_ANY);
}

/* The position of the highest bit that is set, and at most the last slot. */
static __always_inline __u32 slot_of(__u64 value)
{
	__u32 slot = 0;

	while (value > 1 && slot < SLOTS - 1) {
		value >>= 1;
		slot++;
	}
	return slot;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	begin(task);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_wakeup_new, struct task_struct *task)
{
	begin(task);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u32 thread = next->pid;
	__u64 *since;
	__u32 slot;

	/* Who was interrupted could go on, and waits from now on. */
	if (is_runnable(prev))
		begin(prev);

	since = bpf_map_lookup_elem(&waiting, &thread);
	if (!since)
		return 0;
	slot = slot_of((bpf_ktime_get_ns() - *since) / 1000);
	if (slot < SLOTS)
		__sync_fetch_and_add(&slots[slot], 1);
	bpf_map_delete_elem(&waiting, &thread);
	return 0;
}
