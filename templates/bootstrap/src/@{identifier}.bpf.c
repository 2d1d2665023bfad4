// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Processes that lived shorter than this (nanoseconds) are not reported; then
 * their begins are not either, for nobody knows yet.
 */
const volatile __u64 min_lifetime = 0;

/* Events that did not fit into the ring buffer. */
__u64 lost = 0;

/* When each process began. The oldest go if it is full, so that those whose
 * end is missed cannot fill it up.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, int);
	__type(value, __u64);
} begins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* A place in the ring buffer with what all events have. */
static __always_inline struct event *new_event(enum event_kind kind, int pid)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct event *event;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return NULL;
	}
	event->kind = kind;
	event->pid = pid;
	event->parent = BPF_CORE_READ(task, real_parent, tgid);
	event->status = 0;
	event->lifetime = 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->file[0] = '\0';
	return event;
}

SEC("tracepoint/sched/sched_process_exec")
int on_exec(struct trace_event_raw_sched_process_exec *ctx)
{
	int pid = bpf_get_current_pid_tgid() >> 32;
	__u64 now = bpf_ktime_get_ns();
	struct event *event;

	bpf_map_update_elem(&begins, &pid, &now, BPF_ANY);
	if (min_lifetime)
		return 0;

	event = new_event(PROCESS_BEGAN, pid);
	if (!event)
		return 0;
	/* Strings of a tracepoint lie behind its fixed fields; the low half of
	 * the field is the distance.
	 */
	bpf_probe_read_kernel_str(event->file, sizeof(event->file),
				  (void *)ctx + (ctx->__data_loc_filename & 0xffff));
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int on_exit(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();
	int pid = id >> 32;
	__u64 lifetime = 0;
	struct event *event;
	__u64 *begin;

	/* A thread ended, not the process. */
	if (pid != (int)id)
		return 0;

	begin = bpf_map_lookup_elem(&begins, &pid);
	if (begin) {
		lifetime = bpf_ktime_get_ns() - *begin;
		bpf_map_delete_elem(&begins, &pid);
	}
	if (lifetime < min_lifetime)
		return 0;

	event = new_event(PROCESS_ENDED, pid);
	if (!event)
		return 0;
	event->status = BPF_CORE_READ(task, exit_code);
	event->lifetime = lifetime;
	bpf_ringbuf_submit(event, 0);
	return 0;
}
