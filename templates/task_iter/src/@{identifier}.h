/* SPDX-License-Identifier: @{license} */
/* What user space reads from the iterator, one after the other. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
/* The deepest stack that is seen. */
#define DEPTH 32

struct thread {
	int pid;
	int tid;
	int parent;
	/* Bits; 0 stands for a thread that runs or could. */
	unsigned int state;
	char comm[COMM_LEN];
	/* Bytes of the stack; not above 0 where there is none. */
	long stack_bytes;
	unsigned long long stack[DEPTH];
};

#endif
