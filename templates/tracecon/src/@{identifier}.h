/* SPDX-License-Identifier: @{license} */
/* What the BPF programs tell user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
#define HOST_LEN 128

enum event_kind {
	/* A host name is looked up. */
	LOOKUP,
	/* A connection is opened. */
	CONNECT,
};

struct event {
	unsigned int kind;
	int pid;
	char comm[COMM_LEN];
	/* Of a connection: the other side, as it goes over the wire. */
	unsigned int address;
	unsigned short port;
	unsigned short unused;
	/* Of a lookup: 0 if the name was found, and the name. */
	int result;
	char host[HOST_LEN];
};

#endif
