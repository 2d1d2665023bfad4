/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
/* The deepest stack that is seen. */
#define DEPTH 64

struct stack_sample {
	int pid;
	unsigned int cpu;
	char comm[COMM_LEN];
	/* Bytes of each stack; negative where there is none. */
	int kernel_bytes;
	int user_bytes;
	/* Where it was, then where it was called from, and so on. */
	unsigned long long kernel_stack[DEPTH];
	unsigned long long user_stack[DEPTH];
};

#endif
