// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* What a program says of a packet (linux/pkt_cls.h). */
#define TC_ACT_OK 0
#define TC_ACT_SHOT 2

#define SECOND 1000000000ULL

/* Bytes that may pass in a second; 0 stands for all there are. */
const volatile __u64 limit = 0;

/* All that was seen so far. */
struct counters total = {};

struct rate_bucket {
	/* Several CPUs send at once. */
	struct bpf_spin_lock lock;
	/* The second we are in, and what has passed in it. */
	__u64 begin;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rate_bucket);
} buckets SEC(".maps");

static __always_inline bool may_pass(__u32 bytes)
{
	__u64 now = bpf_ktime_get_ns();
	struct rate_bucket *bucket;
	bool passes = true;
	__u32 only = 0;

	bucket = bpf_map_lookup_elem(&buckets, &only);
	if (!bucket)
		return true;

	/* No helper may be called while a lock is held. */
	bpf_spin_lock(&bucket->lock);
	if (now - bucket->begin >= SECOND) {
		bucket->begin = now;
		bucket->bytes = 0;
	}
	if (bucket->bytes + bytes > limit)
		passes = false;
	else
		bucket->bytes += bytes;
	bpf_spin_unlock(&bucket->lock);
	return passes;
}

SEC("tc")
int limit_egress(struct __sk_buff *skb)
{
	__u32 bytes = skb->len;

	if (limit && !may_pass(bytes)) {
		__sync_fetch_and_add(&total.dropped_packets, 1);
		__sync_fetch_and_add(&total.dropped_bytes, bytes);
		return TC_ACT_SHOT;
	}
	__sync_fetch_and_add(&total.passed_packets, 1);
	__sync_fetch_and_add(&total.passed_bytes, bytes);
	return TC_ACT_OK;
}
