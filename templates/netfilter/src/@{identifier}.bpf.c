// SPDX-License-Identifier: @{license}
/* Whether vmlinux.h declares kernel functions, and with which types, depends
 * on the kernel it was made of. This program declares those it calls itself.
 */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags,
			       struct bpf_dynptr *packet) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *packet, __u64 offset, void *buffer,
			      __u64 size) __ksym;

/* Macros are no types, so vmlinux.h does not have them. */
#define NF_DROP 0
#define NF_ACCEPT 1
#define IP_OFFSET 0x1fff

/* What the program gets: `struct bpf_nf_ctx`. The part of the name behind the
 * three underscores is ours, so that headers of older kernels do as well.
 */
struct bpf_nf_ctx___own {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
} __attribute__((preserve_access_index));

/* The ports that nothing may come to, in host byte order, and how much tried. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u16);
	__type(value, __u64);
} ports SEC(".maps");

/* Packets that were looked at. */
__u64 seen = 0;

SEC("netfilter")
int filter(struct bpf_nf_ctx___own *ctx)
{
	struct iphdr ip_buffer, *ip;
	struct bpf_dynptr packet;
	__be16 buffer[2], *both;
	__u64 *dropped;
	__u16 port;

	__sync_fetch_and_add(&seen, 1);

	/* A packet may lie in pieces. A slice is where its bytes are, or, if they
	 * are not together, a copy of them in the buffer.
	 */
	if (bpf_dynptr_from_skb((struct __sk_buff *)ctx->skb, 0, &packet))
		return NF_ACCEPT;
	ip = bpf_dynptr_slice(&packet, 0, &ip_buffer, sizeof(ip_buffer));
	if (!ip || ip->version != 4)
		return NF_ACCEPT;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return NF_ACCEPT;
	/* Only the first fragment has ports. */
	if (ip->frag_off & bpf_htons(IP_OFFSET))
		return NF_ACCEPT;

	/* TCP and UDP both begin with the ports of the source and destination. */
	both = bpf_dynptr_slice(&packet, ip->ihl * 4, buffer, sizeof(buffer));
	if (!both)
		return NF_ACCEPT;
	port = bpf_ntohs(both[1]);
	dropped = bpf_map_lookup_elem(&ports, &port);
	if (!dropped)
		return NF_ACCEPT;
	__sync_fetch_and_add(dropped, 1);
	return NF_DROP;
}
