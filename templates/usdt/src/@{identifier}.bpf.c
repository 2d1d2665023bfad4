// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* Where the probe's arguments are differs from place to place: in a register,
 * in memory, a constant. The program's file says it; libbpf reads that when
 * user space attaches, and bpf_usdt_arg() looks it up.
 */
SEC("usdt")
int on_probe(struct pt_regs *ctx)
{
	struct event *event;
	long value;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->count = bpf_usdt_arg_cnt(ctx);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	/* An argument that is not there leaves its value 0. */
	value = 0;
	bpf_usdt_arg(ctx, 0, &value);
	event->arguments[0] = value;
	value = 0;
	bpf_usdt_arg(ctx, 1, &value);
	event->arguments[1] = value;
	value = 0;
	bpf_usdt_arg(ctx, 2, &value);
	event->arguments[2] = value;
	bpf_ringbuf_submit(event, 0);
	return 0;
}
