/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
/* A static probe has twelve arguments at most; three are shown. */
#define SHOWN 3

struct event {
	int pid;
	/* How many arguments the probe has. */
	int count;
	long arguments[SHOWN];
	char comm[COMM_LEN];
};

#endif
