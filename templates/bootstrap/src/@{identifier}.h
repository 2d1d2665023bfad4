/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
#define FILE_LEN 256

enum event_kind {
	PROCESS_BEGAN,
	PROCESS_ENDED,
};

struct event {
	enum event_kind kind;
	int pid;
	int parent;
	/* How it ended: bits 8 to 15 are the exit code, the low 7 the signal. */
	int status;
	/* How long it lived, in nanoseconds; 0 if its begin was not seen. */
	unsigned long long lifetime;
	char comm[COMM_LEN];
	/* The program that began. */
	char file[FILE_LEN];
};

#endif
