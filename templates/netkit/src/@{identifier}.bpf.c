// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Macros are no types, so vmlinux.h does not have them. */
#define ETH_P_IP 0x0800

/* NETKIT_PASS and NETKIT_DROP. They are written out because the header of a
 * kernel before 6.7 does not have them.
 */
#define PASS 0
#define DROP 2

/* The IPv4 addresses of the container, in network byte order. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __be32);
	__type(value, __u8);
} addresses SEC(".maps");

__u64 sent = 0;
__u64 spoofed = 0;
__u64 received = 0;

/* Runs for what the peer sends: the device inside of the container. */
SEC("netkit/peer")
int on_send(struct __sk_buff *skb)
{
	__be32 source;

	/* Such devices may have no Ethernet header: count from the network's. */
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes_relative(skb, offsetof(struct iphdr, saddr), &source,
						sizeof(source), BPF_HDR_START_NET) ||
		    !bpf_map_lookup_elem(&addresses, &source)) {
			__sync_fetch_and_add(&spoofed, 1);
			return DROP;
		}
	}
	__sync_fetch_and_add(&sent, 1);
	return PASS;
}

/* Runs for what the primary device sends: what comes to the container. */
SEC("netkit/primary")
int on_receive(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&received, 1);
	return PASS;
}
