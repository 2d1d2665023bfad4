// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The fields of the tracepoint sched_process_exec, as
 * /sys/kernel/tracing/events/sched/sched_process_exec/format has them. The
 * type of this name in vmlinux.h would be looked up in the kernel's BTF, and
 * there may be none.
 */
struct exec_fields {
	__u64 common;
	__u32 file;
	int pid;
	int old_pid;
};

/* One element: a kernel without global variables has no better place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/* When each process began; the oldest go if it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, int);
	__type(value, __u64);
} begins SEC(".maps");

/* The ring buffer of old: one for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
} events SEC(".maps");

SEC("tracepoint/sched/sched_process_exec")
int on_exec(struct exec_fields *ctx)
{
	int pid = bpf_get_current_pid_tgid() >> 32;
	__u64 now = bpf_ktime_get_ns();
	struct settings *wish;
	struct event event = {};
	__u32 only = 0;

	bpf_map_update_elem(&begins, &pid, &now, BPF_ANY);
	wish = bpf_map_lookup_elem(&settings, &only);
	if (!wish || wish->min_lifetime)
		return 0;

	event.kind = PROCESS_BEGAN;
	event.pid = pid;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	/* Strings of a tracepoint lie behind its fixed fields; the low half of
	 * the field is the distance.
	 */
	bpf_probe_read_str(event.file, sizeof(event.file), (void *)ctx + (ctx->file & 0xffff));
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int on_exit(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct settings *wish;
	struct event event = {};
	int pid = id >> 32;
	__u32 only = 0;
	__u64 *begin;

	/* A thread ended, not the process. */
	if (pid != (int)id)
		return 0;

	begin = bpf_map_lookup_elem(&begins, &pid);
	if (begin) {
		event.lifetime = bpf_ktime_get_ns() - *begin;
		bpf_map_delete_elem(&begins, &pid);
	}
	wish = bpf_map_lookup_elem(&settings, &only);
	if (!wish || event.lifetime < wish->min_lifetime)
		return 0;

	event.kind = PROCESS_ENDED;
	event.pid = pid;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	return 0;
}
