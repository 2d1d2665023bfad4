// SPDX-License-Identifier: @{license}
/* Shows which system calls were made most since the last look. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.skel.h"

/* As many as the map `calls` has room for. */
#define SYSCALLS 512

struct row {
	unsigned int number;
	unsigned long long calls;
};

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Counts system calls by number; `ausyscall NUMBER` and the kernel's\n"
		"asm/unistd.h have their names.\n\n"
		"  -p, --pid PID           look at this process only\n"
		"  -n, --top N             show so many system calls (10)\n"
		"  -t, --interval SECONDS  pause between two tables (1)\n"
		"  -h, --help              show this text\n",
		program);
}

static int by_calls(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return a->calls < b->calls ? 1 : a->calls > b->calls ? -1 : 0;
}

/* The calls of one number, on all CPUs. */
static unsigned long long total(struct bpf_map *map, unsigned int number,
				unsigned long long *values, int cpus)
{
	unsigned long long sum = 0;
	int cpu;

	if (bpf_map__lookup_elem(map, &number, sizeof(number), values, cpus * sizeof(*values), 0))
		return 0;
	for (cpu = 0; cpu < cpus; cpu++)
		sum += values[cpu];
	return sum;
}

static void show(struct bpf_map *map, unsigned long long *values, int cpus, int top)
{
	static unsigned long long before[SYSCALLS];
	struct row rows[SYSCALLS];
	int i;

	for (i = 0; i < SYSCALLS; i++) {
		unsigned long long now = total(map, i, values, cpus);

		rows[i].number = i;
		rows[i].calls = now - before[i];
		before[i] = now;
	}
	qsort(rows, SYSCALLS, sizeof(rows[0]), by_calls);
	printf("%8s %12s\n", "syscall", "calls");
	for (i = 0; i < SYSCALLS && i < top && rows[i].calls; i++)
		printf("%8u %12llu\n", rows[i].number, rows[i].calls);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "top", required_argument, NULL, 'n' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option, pid = 0, top = 10, interval = 1, cpus, err = 1;
	unsigned long long *values = NULL;
	struct @{identifier}_bpf *skel;

	while ((option = getopt_long(argc, argv, "p:n:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			pid = atoi(optarg);
			break;
		case 'n':
			top = atoi(optarg);
			break;
		case 't':
			interval = atoi(optarg);
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (top < 1 || interval < 1 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open();
	if (!skel) {
		fprintf(stderr, "cannot open the program: %s\n", strerror(errno));
		return 1;
	}
	skel->rodata->target_pid = pid;
	if (@{identifier}_bpf__load(skel) || @{identifier}_bpf__attach(skel)) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		goto out;
	}
	cpus = libbpf_num_possible_cpus();
	if (cpus > 0)
		values = calloc(cpus, sizeof(*values));
	if (!values) {
		fprintf(stderr, "cannot tell the number of CPUs\n");
		goto out;
	}

	while (!stopping) {
		sleep(interval);
		show(skel->maps.calls, values, cpus, top);
	}
	err = 0;
out:
	free(values);
	@{identifier}_bpf__destroy(skel);
	return err;
}
