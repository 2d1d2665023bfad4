/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

struct event {
	/* The process, as user space numbers them. */
	int pid;
	/* For how long it runs, in whole periods. */
	unsigned int periods;
	char comm[COMM_LEN];
};

#endif
