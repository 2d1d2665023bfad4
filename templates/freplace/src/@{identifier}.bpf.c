// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Macros are no types, so vmlinux.h does not have them. */
#define ETH_P_IP 0x0800

/* Packets that the function, and that its replacement, decided about. */
__u64 by_default = 0;
__u64 by_replacement = 0;
__u64 dropped = 0;

/* What can be replaced: a function that is not static, and that the compiler
 * keeps although it could be inlined.
 */
__attribute__((noinline)) int decide(struct xdp_md *ctx)
{
	/* Nothing that the compiler could work out and put into the caller. */
	volatile int verdict = XDP_PASS;

	__sync_fetch_and_add(&by_default, 1);
	return verdict;
}

SEC("xdp")
int on_packet(struct xdp_md *ctx)
{
	return decide(ctx);
}

/* Has the arguments and the result of what it replaces, and is checked as if it
 * stood there: it may do what an XDP program may do.
 */
SEC("freplace/decide")
int decide_ipv4_only(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	__sync_fetch_and_add(&by_replacement, 1);
	if ((void *)(eth + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) {
		__sync_fetch_and_add(&dropped, 1);
		return XDP_DROP;
	}
	return XDP_PASS;
}
