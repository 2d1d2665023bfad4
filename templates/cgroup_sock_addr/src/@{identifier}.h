/* SPDX-License-Identifier: @{license} */
/* What the BPF program and user space share. */
#ifndef @{identifier}_h
#define @{identifier}_h

/* An IPv4 address and a port, both in network byte order. */
struct endpoint {
	unsigned int address;
	unsigned int port;
};

struct event {
	struct endpoint wanted;
	struct endpoint given;
};

#endif
