// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The ports that the server is to have, in host byte order. */
const volatile __u16 first_port = 7000;
const volatile __u16 last_port = 7999;

/* Connections that were given to the server, and those that it did not get. */
__u64 steered = 0;
__u64 refused = 0;

/* The server's socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} server SEC(".maps");

SEC("sk_lookup")
int choose_socket(struct bpf_sk_lookup *ctx)
{
	__u32 port = ctx->local_port;
	struct bpf_sock *socket;
	__u32 slot = 0;
	long err;

	if (ctx->protocol != IPPROTO_TCP || port < first_port || port > last_port)
		return SK_PASS;

	socket = bpf_map_lookup_elem(&server, &slot);
	if (!socket)
		return SK_PASS;
	/* Fails where it cannot be: an IPv6 client of an IPv4 socket. */
	err = bpf_sk_assign(ctx, socket, 0);
	/* A socket out of a map is borrowed, and given back on every way. */
	bpf_sk_release(socket);

	__sync_fetch_and_add(err ? &refused : &steered, 1);
	return SK_PASS;
}
