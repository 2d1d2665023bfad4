// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Macros are no types, so vmlinux.h does not have them. */
#define AF_INET 2
/* 127.0.0.0/8, as a mask and a value in network byte order. */
#define LOOPBACK_MASK bpf_htonl(0xff000000)
#define LOOPBACK bpf_htonl(0x7f000000)

/* A connection as one of its ends sees it; all in network byte order. */
struct connection {
	__u32 local_ip;
	__u32 remote_ip;
	__u32 local_port;
	__u32 remote_port;
};

/* Both ends of every connection between local processes. The kernel takes out
 * sockets that are closed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct connection);
	__type(value, __u64);
} sockets SEC(".maps");

/* Sockets that were put into the map. */
__u64 connected = 0;
/* Messages that took the short way, and their bytes. */
__u64 messages = 0;
__u64 bytes = 0;

SEC("sockops")
int on_socket(struct bpf_sock_ops *ops)
{
	struct connection key = {};

	if (ops->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
	    ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		return 0;
	if (ops->family != AF_INET || (ops->remote_ip4 & LOOPBACK_MASK) != LOOPBACK)
		return 0;

	key.local_ip = ops->local_ip4;
	key.remote_ip = ops->remote_ip4;
	/* The kernel gives one port in host order and the other in network order. */
	key.local_port = bpf_htonl(ops->local_port);
	key.remote_port = ops->remote_port;
	if (!bpf_sock_hash_update(ops, &sockets, &key, BPF_NOEXIST))
		__sync_fetch_and_add(&connected, 1);
	return 0;
}

SEC("sk_msg")
int on_message(struct sk_msg_md *msg)
{
	struct connection peer = {};
	__u32 size = msg->size;

	/* The other end sees the same connection the other way round. */
	peer.local_ip = msg->remote_ip4;
	peer.remote_ip = msg->local_ip4;
	peer.local_port = msg->remote_port;
	peer.remote_port = bpf_htonl(msg->local_port);

	/* Nobody there: the program only looked, and the message goes its way. */
	if (!bpf_msg_redirect_hash(msg, &sockets, &peer, BPF_F_INGRESS))
		return SK_PASS;

	__sync_fetch_and_add(&messages, 1);
	__sync_fetch_and_add(&bytes, size);
	return SK_PASS;
}
