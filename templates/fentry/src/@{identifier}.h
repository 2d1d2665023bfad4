/* SPDX-License-Identifier: @{license} */
/* What the BPF programs tell user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
#define FILE_LEN 64

struct event {
	int pid;
	/* 0, or an error as a negative number. */
	int result;
	/* How long it took, in nanoseconds. */
	unsigned long long duration;
	char comm[COMM_LEN];
	/* The file's name without its directory. */
	char file[FILE_LEN];
};

#endif
