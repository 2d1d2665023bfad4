/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

struct event {
	int pid;
	unsigned int uid;
	char comm[COMM_LEN];
	/* What bpf(2) was to do: its first argument. */
	int command;
	/* Whether it was forbidden. */
	int denied;
};

#endif
