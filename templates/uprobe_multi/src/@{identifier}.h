/* SPDX-License-Identifier: @{license} */
/* What the BPF program and user space share. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

/* Whose calls of what. */
struct caller {
	unsigned int pid;
	/* The function's place on the command line, from 0. */
	unsigned int function;
};

struct calls {
	unsigned long long count;
	char comm[COMM_LEN];
};

#endif
