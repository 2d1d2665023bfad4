// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The smallest window, in segments. */
#define MIN_WINDOW 2

/* What is left of the window after a loss, in percent. */
const volatile __u32 backoff = 70;

/* What happened to all connections. */
__u64 losses = 0;
__u64 acknowledged = 0;

/* How large the window may get before it grows slowly. Asked after a loss. */
SEC("struct_ops")
__u32 BPF_PROG(after_loss, struct sock *sk)
{
	/* The kernel knows that a socket with congestion control is one of TCP. */
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 left = tcp->snd_cwnd * backoff / 100;

	__sync_fetch_and_add(&losses, 1);
	return left > MIN_WINDOW ? left : MIN_WINDOW;
}

/* Segments were acknowledged: the window may grow. */
SEC("struct_ops")
void BPF_PROG(on_acknowledged, struct sock *sk, __u32 ack, __u32 acked)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 window = tcp->snd_cwnd, clamp = tcp->snd_cwnd_clamp;

	__sync_fetch_and_add(&acknowledged, acked);
	/* A window that is not used up is large enough. */
	if (!BPF_CORE_READ_BITFIELD(tcp, is_cwnd_limited))
		return;

	if (window < tcp->snd_ssthresh) {
		/* Slow start: by what was acknowledged, so it doubles each round. */
		window += acked;
		if (window > tcp->snd_ssthresh)
			window = tcp->snd_ssthresh;
	} else {
		/* Then by one segment each round: after a whole window. */
		__u32 count = tcp->snd_cwnd_cnt + acked;

		if (count >= window) {
			count -= window;
			window++;
		}
		tcp->snd_cwnd_cnt = count;
	}
	tcp->snd_cwnd = window < clamp ? window : clamp;
}

/* The loss was none: the window to go back to. */
SEC("struct_ops")
__u32 BPF_PROG(undo, struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;

	return tcp->snd_cwnd > tcp->prior_cwnd ? tcp->snd_cwnd : tcp->prior_cwnd;
}

SEC(".struct_ops")
struct tcp_congestion_ops aimd = {
	.ssthresh = (void *)after_loss,
	.cong_avoid = (void *)on_acknowledged,
	.undo_cwnd = (void *)undo,
	.name = "bpf_aimd",
};
