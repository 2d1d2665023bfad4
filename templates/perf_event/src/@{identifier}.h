/* SPDX-License-Identifier: @{license} */
/* What the BPF program and user space share. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

struct process {
	/* How often the event happened. */
	unsigned long long events;
	/* How many of those were looked at. */
	unsigned long long samples;
	char comm[COMM_LEN];
};

#endif
