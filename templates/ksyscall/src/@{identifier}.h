/* SPDX-License-Identifier: @{license} */
/* What the BPF programs tell user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

struct event {
	/* Who sends. */
	int sender;
	char comm[COMM_LEN];
	/* To whom: a process, or with minus a group, as for kill(2). */
	int target;
	/* The thread, if it was tgkill(2), else 0. */
	int thread;
	int signal;
	/* 0, or an error as a negative number. */
	int result;
};

#endif
