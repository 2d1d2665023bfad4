// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The type to show, a number of `enum bpf_map_type`; 0 stands for all. */
const volatile __u32 target_type = 0;

/* How many maps were shown. */
__u64 shown = 0;

/* Called once for each map, and at the end without one. */
SEC("iter/bpf_map")
int show_map(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *out = ctx->meta->seq;
	struct bpf_map *map = ctx->map;

	if (!map)
		return 0;
	/* Linux 5.10 takes no more than six strings at once. */
	if (ctx->meta->seq_num == 0)
		BPF_SEQ_PRINTF(out, "%6s %4s %5s %6s %10s %6s NAME\n", "ID", "TYPE", "KEY",
			       "VALUE", "ENTRIES", "USERS");
	if (target_type && map->map_type != target_type)
		return 0;

	shown++;
	BPF_SEQ_PRINTF(out, "%6u %4u %5u %6u %10u %6ld %s\n", map->id, map->map_type,
		       map->key_size, map->value_size, map->max_entries, map->refcnt.counter,
		       map->name);
	return 0;
}
