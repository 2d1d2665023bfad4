/* SPDX-License-Identifier: @{license} */
/* What the BPF programs tell user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

struct event {
	int pid;
	char comm[COMM_LEN];
	/* The first two arguments, as they lie in registers. */
	unsigned long long first;
	unsigned long long second;
	unsigned long long result;
	/* How long the call took, in nanoseconds. */
	unsigned long long duration;
};

#endif
