/* SPDX-License-Identifier: @{license} */
/* What user space and the BPF program tell each other. */
#ifndef @{identifier}_h
#define @{identifier}_h

#define MAX_ENTRIES 1024

struct call {
	/* In: how many entries the map is to have. */
	unsigned int entries;
	/* Out: the map's descriptor. */
	int map;
};

#endif
