// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* When there are too many, those that did not call for long make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct caller);
	__type(value, struct calls);
} calls SEC(".maps");

SEC("uprobe.multi")
int on_call(struct pt_regs *ctx)
{
	struct caller caller = {};
	struct calls first = { .count = 1 };
	struct calls *found;

	caller.pid = bpf_get_current_pid_tgid() >> 32;
	caller.function = bpf_get_attach_cookie(ctx);

	found = bpf_map_lookup_elem(&calls, &caller);
	if (found) {
		__sync_fetch_and_add(&found->count, 1);
		return 0;
	}
	bpf_get_current_comm(first.comm, sizeof(first.comm));
	bpf_map_update_elem(&calls, &caller, &first, BPF_ANY);
	return 0;
}
