// SPDX-License-Identifier: @{license}
/* Whether vmlinux.h declares kernel functions, and with which types, depends
 * on the kernel it was made of. This program declares those it calls itself.
 */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

#ifndef __BPF_FEATURE_ADDR_SPACE_CAST
#error "arenas need clang 19 or newer"
#endif

char LICENSE[] SEC("license") = "@{kernel_license}";

/* BPF_MAP_TYPE_ARENA and BPF_F_MMAPABLE. They are written out because the
 * header of a kernel before 6.9 does not have the first.
 */
#define ARENA 33
#define MMAPABLE (1 << 10)

#define PAGES 64
#define PAGE 4096
#define NODES (PAGES * PAGE / sizeof(struct started))
/* How often to try again when another CPU was faster. */
#define ATTEMPTS 64
/* NUMA_NO_NODE: memory may be near any CPU. */
#define ANYWHERE (-1)

struct {
	__uint(type, ARENA);
	__uint(map_flags, MMAPABLE);
	/* Pages. An arena is only room: memory comes when it is asked for. */
	__uint(max_entries, PAGES);
} arena SEC(".maps");

extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *address, __u32 pages,
					   int numa_node, __u64 flags) __ksym;

/* The memory for nodes, and how many of them are taken. */
struct started __arena *nodes;
__u64 taken = 0;

/* The process that was started last. */
struct started __arena *newest;

/* User space calls this once. To get memory a program must be able to sleep, and
 * those of tracepoints are not.
 */
SEC("syscall")
int prepare(void *ctx)
{
	nodes = bpf_arena_alloc_pages(&arena, NULL, PAGES, ANYWHERE, 0);
	return nodes ? 0 : -12; /* ENOMEM */
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	struct started __arena *node;
	struct started __arena *before;
	char comm[COMM_LEN];
	__u64 index;
	int i;

	/* A program has the arena whose map it names. */
	asm volatile("" : : "r"(&arena));
	if (!nodes)
		return 0;
	index = __sync_fetch_and_add(&taken, 1);
	if (index >= NODES)
		return 0;

	/* No check of bounds is needed: the kernel survives any pointer into an
	 * arena, and reads zeroes where there is no memory.
	 */
	node = &nodes[index];
	bpf_get_current_comm(comm, sizeof(comm));
	for (i = 0; i < COMM_LEN; i++)
		node->comm[i] = comm[i];
	node->pid = task->tgid;
	node->time_ns = bpf_ktime_get_ns();

	/* Other CPUs put nodes in front, too. */
	for (i = 0; i < ATTEMPTS; i++) {
		before = newest;
		node->next = before;
		if (__sync_bool_compare_and_swap(&newest, before, node))
			break;
	}
	return 0;
}
