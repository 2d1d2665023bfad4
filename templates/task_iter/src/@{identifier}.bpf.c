// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Linux 5.14 gave the member `state` another name and size. What stands behind
 * three underscores is not compared with the kernel's types, so that both can
 * be described.
 */
struct task_struct___new {
	unsigned int __state;
} __attribute__((preserve_access_index));

struct task_struct___old {
	long state;
} __attribute__((preserve_access_index));

/* A thread is too large for the stack of a BPF program. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct thread);
} scratch SEC(".maps");

static __always_inline __u32 state_of(void *task)
{
	struct task_struct___new *new = task;
	struct task_struct___old *old = task;

	/* The answer is known before the program is verified: the kernel sees
	 * only one of the two.
	 */
	if (bpf_core_field_exists(new->__state))
		return BPF_CORE_READ(new, __state);
	return BPF_CORE_READ(old, state);
}

/* Called for each thread, and once more at the end without one. */
SEC("iter/task")
int list_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct thread *thread;
	__u32 only = 0;

	if (!task)
		return 0;
	thread = bpf_map_lookup_elem(&scratch, &only);
	if (!thread)
		return 0;

	thread->pid = task->tgid;
	thread->tid = task->pid;
	thread->parent = task->real_parent->tgid;
	thread->state = state_of(task);
	bpf_probe_read_kernel_str(thread->comm, sizeof(thread->comm), task->comm);
	thread->stack_bytes = bpf_get_task_stack(task, thread->stack, sizeof(thread->stack), 0);

	/* What is written here is what read(2) gives user space. */
	bpf_seq_write(ctx->meta->seq, thread, sizeof(*thread));
	return 0;
}
