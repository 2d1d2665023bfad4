/* SPDX-License-Identifier: @{license} */
/* What the BPF program counts for user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

struct counters {
	unsigned long long passed_packets;
	unsigned long long passed_bytes;
	unsigned long long dropped_packets;
	unsigned long long dropped_bytes;
};

#endif
