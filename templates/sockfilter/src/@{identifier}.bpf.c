// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Macros are no types, so vmlinux.h does not have them. */
#define ETH_P_IP 0x0800
#define ETH_HLEN 14
#define PACKET_OUTGOING 4
/* The part of `frag_off` that says how far from the packet's begin a fragment
 * lies.
 */
#define IP_OFFSET 0x1fff

/* Packets that did not fit into the ring buffer. */
__u64 lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} packets SEC(".maps");

static __always_inline bool has_ports(const struct iphdr *ip)
{
	/* Only the first fragment has the header behind IP's. */
	if (ip->frag_off & bpf_htons(IP_OFFSET))
		return false;
	return ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP;
}

/* Sees a copy of each packet. What it returns is how many bytes of it the
 * socket gets to read: none, for what we want goes through the ring buffer.
 */
SEC("socket")
int watch_packets(struct __sk_buff *skb)
{
	__be16 ports[2] = {};
	struct packet *packet;
	struct iphdr ip;
	__be16 kind;

	/* A packet may lie in pieces; this helper puts them together. */
	if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_proto), &kind, sizeof(kind)))
		return 0;
	if (kind != bpf_htons(ETH_P_IP))
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return 0;
	/* The header's length is counted in words of four bytes. */
	if (has_ports(&ip))
		bpf_skb_load_bytes(skb, ETH_HLEN + ip.ihl * 4, ports, sizeof(ports));

	packet = bpf_ringbuf_reserve(&packets, sizeof(*packet), 0);
	if (!packet) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	packet->source = ip.saddr;
	packet->destination = ip.daddr;
	packet->source_port = ports[0];
	packet->destination_port = ports[1];
	packet->protocol = ip.protocol;
	packet->length = skb->len;
	packet->outgoing = skb->pkt_type == PACKET_OUTGOING;
	bpf_ringbuf_submit(packet, 0);
	return 0;
}
