/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
/* Longer command lines are cut off. */
#define MAX_ARGS 8192

/* The beginning of an event; the arguments follow, each with a zero behind it. */
struct event {
	/* The process, as user space numbers them. */
	int pid;
	/* How many bytes of arguments follow. */
	unsigned int size;
	char comm[COMM_LEN];
};

#endif
