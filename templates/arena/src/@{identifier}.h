/* SPDX-License-Identifier: @{license} */
/* What the BPF program and user space share. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16

/* In the BPF program, a pointer into the arena is one of another address space,
 * and the compiler converts it where it is followed.
 */
#ifdef __BPF__
#define __arena __attribute__((address_space(1)))
#else
#define __arena
#endif

struct started {
	/* The process that was started before. */
	struct started __arena *next;
	unsigned long long time_ns;
	int pid;
	char comm[COMM_LEN];
};

#endif
