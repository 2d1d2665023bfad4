/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

struct packet {
	/* Addresses and ports as they go over the wire; ports are 0 where the
	 * protocol has none.
	 */
	unsigned int source;
	unsigned int destination;
	unsigned short source_port;
	unsigned short destination_port;
	/* The IP protocol's number. */
	unsigned int protocol;
	/* Bytes, all headers among them. */
	unsigned int length;
	/* Whether this machine sends it. */
	unsigned int outgoing;
};

#endif
