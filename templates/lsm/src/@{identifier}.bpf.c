// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* What the kernel is told: 0 lets a call pass, a negative error forbids it. It
 * is a constant by the time the verifier sees it, so that it can tell that no
 * other value is returned.
 */
const volatile int answer = 0;

/* The process that may use bpf(2) all the same: ours, which could not end the
 * program properly otherwise.
 */
const volatile int exempt_pid = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

/* Called where the kernel asks its security modules whether bpf(2) may go on.
 * 0 says yes; an error forbids, whatever other modules say.
 */
SEC("lsm/bpf")
int BPF_PROG(on_bpf, int command)
{
	int pid = bpf_get_current_pid_tgid() >> 32;
	struct event *event;

	if (pid == exempt_pid)
		return 0;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->pid = pid;
		event->uid = bpf_get_current_uid_gid();
		bpf_get_current_comm(event->comm, sizeof(event->comm));
		event->command = command;
		event->denied = answer != 0;
		bpf_ringbuf_submit(event, 0);
	}
	return answer;
}
