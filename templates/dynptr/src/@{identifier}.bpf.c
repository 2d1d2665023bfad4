// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Arguments are copied in pieces of this size, which the stack has room for. */
#define PIECE 256

/* Events that did not fit into the ring buffer. */
__u64 lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024);
} events SEC(".maps");

/* Copies the arguments from the process' memory into the record. */
static __always_inline void copy_args(struct bpf_dynptr *record, unsigned long from, __u32 size)
{
	char piece[PIECE];
	__u32 done;

	for (done = 0; done < MAX_ARGS && done < size; done += PIECE) {
		__u32 length = size - done;

		/* Keeps the compiler from comparing `size` and `done` in its place:
		 * older verifiers would not see that `length` is bounded.
		 */
		barrier_var(length);
		if (length > PIECE)
			length = PIECE;
		if (bpf_probe_read_user(piece, length, (void *)(from + done)))
			return;
		/* Fails, and does no harm, where the record has no room for it. */
		bpf_dynptr_write(record, sizeof(struct event) + done, piece, length, 0);
	}
}

SEC("tp/sched/sched_process_exec")
int on_exec(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	unsigned long start = BPF_CORE_READ(task, mm, arg_start);
	unsigned long end = BPF_CORE_READ(task, mm, arg_end);
	struct event event = {};
	struct bpf_dynptr record;

	event.size = end - start < MAX_ARGS ? end - start : MAX_ARGS;
	event.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(event.comm, sizeof(event.comm));

	/* bpf_ringbuf_reserve() would want a size that is known beforehand. */
	if (bpf_ringbuf_reserve_dynptr(&events, sizeof(event) + event.size, 0, &record)) {
		__sync_fetch_and_add(&lost, 1);
		/* What could not be reserved must be given back, too. */
		bpf_ringbuf_discard_dynptr(&record, 0);
		return 0;
	}
	bpf_dynptr_write(&record, 0, &event, sizeof(event), 0);
	copy_args(&record, start, event.size);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}
