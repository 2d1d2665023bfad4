/* SPDX-License-Identifier: @{license} */
/* What the BPF program and user space share. */
#ifndef @{identifier}_h
#define @{identifier}_h

/* An address at the other end; IPv4 as IPv6 writes it, ::ffff:192.0.2.1. */
struct peer {
	unsigned char address[16];
};

struct traffic {
	unsigned long long in_packets;
	unsigned long long in_bytes;
	unsigned long long out_packets;
	unsigned long long out_bytes;
};

#endif
