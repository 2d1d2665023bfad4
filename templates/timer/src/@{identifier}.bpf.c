// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* A macro, so vmlinux.h does not have it. */
#define CLOCK_MONOTONIC 1

/* After how long a process is reported, and again, in nanoseconds. */
const volatile __u64 period_ns = 10ull * 1000 * 1000 * 1000;

/* Processes that there was no room for. */
__u64 lost = 0;

struct process {
	/* Can only be used through helpers, and not be copied. */
	struct bpf_timer timer;
	unsigned int periods;
	char comm[COMM_LEN];
};

/* By the process' number. A timer goes with its entry. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, int);
	__type(value, struct process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* Runs when the time is over, on the CPU that has set the timer. */
static int on_timer(void *map, int *pid, struct process *process)
{
	struct event *event;

	process->periods++;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->pid = *pid;
		event->periods = process->periods;
		__builtin_memcpy(event->comm, process->comm, sizeof(event->comm));
		bpf_ringbuf_submit(event, 0);
	}
	bpf_timer_start(&process->timer, period_ns, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	struct process fresh = {}, *process;
	int pid = task->tgid;

	bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
	/* A process may become another program: then its time begins anew. */
	bpf_map_delete_elem(&processes, &pid);
	bpf_map_update_elem(&processes, &pid, &fresh, BPF_NOEXIST);
	process = bpf_map_lookup_elem(&processes, &pid);
	if (!process) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	bpf_timer_init(&process->timer, &processes, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&process->timer, on_timer);
	bpf_timer_start(&process->timer, period_ns, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	int pid = task->tgid;

	/* Threads of a process end one by one; the first stands for all. */
	if (task->pid == task->tgid)
		bpf_map_delete_elem(&processes, &pid);
	return 0;
}
