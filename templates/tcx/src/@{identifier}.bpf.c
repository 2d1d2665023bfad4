// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Macros are no types, so vmlinux.h does not have them. */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

/* TCX_NEXT: no opinion, the next program on the device decides. It is written
 * out because the header of a kernel before 6.6 does not have it.
 */
#define NEXT (-1)

/* When there are too many, those that were not seen for long make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct peer);
	__type(value, struct traffic);
} peers SEC(".maps");

/* Reads the address at this end or the other out of the network header. Returns
 * 0, or an error for what is not IP or ends too early.
 */
static __always_inline int address_of(struct __sk_buff *skb, bool source, struct peer *peer)
{
	int offset;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		peer->address[10] = peer->address[11] = 0xff;
		offset = source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr);
		return bpf_skb_load_bytes_relative(skb, offset, peer->address + 12, 4,
						   BPF_HDR_START_NET);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		offset = source ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr);
		return bpf_skb_load_bytes_relative(skb, offset, peer->address, 16,
						   BPF_HDR_START_NET);
	}
	return -1;
}

static __always_inline struct traffic *traffic_of(struct peer *peer)
{
	struct traffic none = {};
	struct traffic *traffic = bpf_map_lookup_elem(&peers, peer);

	if (traffic)
		return traffic;
	/* Another CPU may be faster: then its entry is the one to use. */
	bpf_map_update_elem(&peers, peer, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&peers, peer);
}

SEC("tcx/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct traffic *traffic;
	struct peer peer = {};

	if (address_of(skb, true, &peer))
		return NEXT;
	traffic = traffic_of(&peer);
	if (traffic) {
		__sync_fetch_and_add(&traffic->in_packets, 1);
		__sync_fetch_and_add(&traffic->in_bytes, skb->len);
	}
	return NEXT;
}

SEC("tcx/egress")
int on_egress(struct __sk_buff *skb)
{
	struct traffic *traffic;
	struct peer peer = {};

	if (address_of(skb, false, &peer))
		return NEXT;
	traffic = traffic_of(&peer);
	if (traffic) {
		__sync_fetch_and_add(&traffic->out_packets, 1);
		__sync_fetch_and_add(&traffic->out_bytes, skb->len);
	}
	return NEXT;
}
