// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Macros are no types, so vmlinux.h does not have them. */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8

/* VLAN tags that are looked behind. */
#define MAX_TAGS 2

/* Slots are IP protocol numbers; one more is for all that is not IP. */
#define OTHER 256
#define SLOTS 257

enum on_malformed {
	pass = XDP_PASS,
	drop = XDP_DROP,
};

/* What becomes of packets that end too early to be understood. */
const volatile int malformed_action = @{malformed};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* Each CPU has counters of its own, so adding needs no atomics. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

/* Finds the slot of a packet. Every header is compared with the packet's end
 * before it is read: the verifier wants to see that. Returns -1 for a packet
 * that ends too early.
 */
static __always_inline int slot_of(void *data, void *end)
{
	struct ethhdr *eth = data;
	void *next = eth + 1;
	__be16 protocol;
	int i;

	if (next > end)
		return -1;
	protocol = eth->h_proto;

	for (i = 0; i < MAX_TAGS; i++) {
		struct vlan_hdr *tag = next;

		if (protocol != bpf_htons(ETH_P_8021Q) &&
		    protocol != bpf_htons(ETH_P_8021AD))
			break;
		next = tag + 1;
		if (next > end)
			return -1;
		protocol = tag->h_vlan_encapsulated_proto;
	}

	if (protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = next;

		if ((void *)(ip + 1) > end)
			return -1;
		return ip->protocol;
	}
	if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = next;

		if ((void *)(ip + 1) > end)
			return -1;
		/* May be the number of an extension header. */
		return ip->nexthdr;
	}
	return OTHER;
}

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct counter *counter;
	__u32 key;
	int slot;

	slot = slot_of(data, end);
	if (slot < 0)
		return malformed_action;

	key = slot;
	counter = bpf_map_lookup_elem(&counters, &key);
	if (counter) {
		counter->packets += 1;
		counter->bytes += end - data;
	}
	return XDP_PASS;
}
