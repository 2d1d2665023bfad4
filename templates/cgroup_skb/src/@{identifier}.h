/* SPDX-License-Identifier: @{license} */
/* What the BPF program and user space share. */
#ifndef @{identifier}_h
#define @{identifier}_h

/* A network; IPv4 as IPv6 writes it, ::ffff:192.0.2.0/120. */
struct network {
	/* How many of the address' bits count. The kernel wants it in front. */
	unsigned int prefix;
	unsigned char address[16];
};

struct counter {
	unsigned long long packets;
	unsigned long long bytes;
};

#endif
