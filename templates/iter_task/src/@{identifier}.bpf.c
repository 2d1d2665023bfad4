// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Whose processes to show; -1 stands for everyone's. */
const volatile int target_uid = -1;

/* Called once for each thread of the pid namespace, and at the end without. */
SEC("iter/task")
int show_process(struct bpf_iter__task *ctx)
{
	struct seq_file *out = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	unsigned long resident = 0;
	struct mm_struct *mm;
	int uid;

	/* The first thread of a process has the process' number. */
	if (!task || task->pid != task->tgid)
		return 0;

	if (ctx->meta->seq_num == 0)
		BPF_SEQ_PRINTF(out, "%8s %8s %6s %8s %14s %s\n", "PID", "PARENT", "UID",
			       "THREADS", "ADDRESSES KiB", "PROCESS");

	uid = BPF_CORE_READ(task, cred, uid.val);
	if (target_uid != -1 && uid != target_uid)
		return 0;

	/* Threads of the kernel have no memory of their own. */
	mm = task->mm;
	if (mm)
		resident = mm->total_vm << 2;
	BPF_SEQ_PRINTF(out, "%8d %8d %6d %8d %14lu %s\n", task->tgid, task->real_parent->tgid,
		       uid, task->signal->nr_threads, resident, task->comm);
	return 0;
}
