// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Macros are no types, so vmlinux.h does not have them. */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

#define REJECT 0
#define ACCEPT 1

/* Where the cgroup may send to. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	/* Tries take memory only for what is in them, and must say so. */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct network);
	__type(value, __u8);
} allowed SEC(".maps");

struct counter passed = {};
struct counter dropped = {};

static __always_inline int count(struct counter *counter, struct __sk_buff *skb, int verdict)
{
	__sync_fetch_and_add(&counter->packets, 1);
	__sync_fetch_and_add(&counter->bytes, skb->len);
	return verdict;
}

SEC("cgroup_skb/egress")
int filter_egress(struct __sk_buff *skb)
{
	struct network to = { .prefix = 128 };
	int err = -1;

	/* Here a packet begins with its network header. */
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		to.address[10] = to.address[11] = 0xff;
		err = bpf_skb_load_bytes(skb, offsetof(struct iphdr, daddr), to.address + 12, 4);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		err = bpf_skb_load_bytes(skb, offsetof(struct ipv6hdr, daddr), to.address, 16);
	}

	if (err || !bpf_map_lookup_elem(&allowed, &to))
		return count(&dropped, skb, REJECT);
	return count(&passed, skb, ACCEPT);
}
