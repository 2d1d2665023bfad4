/* SPDX-License-Identifier: @{license} */
/* What the BPF program tells user space. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define COMM_LEN 16
#define FILE_LEN 256

struct event {
	/* The process, as user space numbers them. */
	int pid;
	/* Its name. */
	char comm[COMM_LEN];
	/* The path as the process gave it, cut off if it is longer. */
	char file[FILE_LEN];
};

#endif
