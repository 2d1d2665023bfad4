/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

struct event {
	int signal;
	/* The processes, as user space numbers them. */
	int from;
	int to;
	char from_comm[COMM_LEN];
	/* Empty if there is no such process. */
	char to_comm[COMM_LEN];
};

#endif
