/* SPDX-License-Identifier: @{license} */
/* What the BPF program and user space tell each other. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
#define FILE_LEN 128

enum event_kind {
	PROCESS_BEGAN,
	PROCESS_ENDED,
};

struct event {
	enum event_kind kind;
	int pid;
	/* How long it lived, in nanoseconds; 0 if its begin was not seen. */
	unsigned long long lifetime;
	char comm[COMM_LEN];
	/* The program that began. */
	char file[FILE_LEN];
};

/* What user space wishes. */
struct settings {
	/* Processes that lived shorter than this (nanoseconds) are not
	 * reported.
	 */
	unsigned long long min_lifetime;
};

#endif
