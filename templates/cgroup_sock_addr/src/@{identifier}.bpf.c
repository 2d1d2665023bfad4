// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* Any other value makes connect(2) fail with EPERM. */
#define PROCEED 1

/* Where a process wants to go, and where it goes instead. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct endpoint);
	__type(value, struct endpoint);
} redirects SEC(".maps");

/* What was asked for, by the socket's cookie: its name while it lives. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct endpoint);
} wanted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

SEC("cgroup/connect4")
int on_connect(struct bpf_sock_addr *ctx)
{
	struct endpoint asked = { .address = ctx->user_ip4, .port = ctx->user_port };
	struct endpoint *target;
	struct event *event;
	__u64 cookie;

	if (ctx->protocol != IPPROTO_TCP)
		return PROCEED;
	target = bpf_map_lookup_elem(&redirects, &asked);
	if (!target)
		return PROCEED;

	cookie = bpf_get_socket_cookie(ctx);
	bpf_map_update_elem(&wanted, &cookie, &asked, BPF_ANY);
	ctx->user_ip4 = target->address;
	ctx->user_port = target->port;

	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->wanted = asked;
		event->given = *target;
		bpf_ringbuf_submit(event, 0);
	}
	return PROCEED;
}

/* The answer of getpeername(2) on its way to the process. */
SEC("cgroup/getpeername4")
int on_getpeername(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct endpoint *asked = bpf_map_lookup_elem(&wanted, &cookie);

	if (asked) {
		ctx->user_ip4 = asked->address;
		ctx->user_port = asked->port;
	}
	return PROCEED;
}
