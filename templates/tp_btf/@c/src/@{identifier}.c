// SPDX-License-Identifier: @{license}
/* Shows histograms of how long threads waited for a CPU. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include "@{identifier}.skel.h"

/* As many as the BPF program has. */
#define SLOTS 26
/* The longest bar, in characters. */
#define BAR 40

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Shows how long threads wait for a CPU.\n\n"
		"  -p, --pid PID           look at this process only\n"
		"  -t, --interval SECONDS  pause between two histograms (1)\n"
		"  -h, --help              show this text\n",
		program);
}

static void show(const struct @{identifier}_bpf *skel)
{
	static unsigned long long before[SLOTS];
	unsigned long long counts[SLOTS], most = 1;
	int slot, last = -1;

	for (slot = 0; slot < SLOTS; slot++) {
		unsigned long long now = skel->bss->slots[slot];

		counts[slot] = now - before[slot];
		before[slot] = now;
		if (counts[slot] > most)
			most = counts[slot];
		if (counts[slot])
			last = slot;
	}
	printf("%22s %10s\n", "microseconds", "waits");
	for (slot = 0; slot <= last; slot++) {
		unsigned long long low = slot ? 1ull << slot : 0, high = (2ull << slot) - 1;
		int length = counts[slot] * BAR / most;

		printf("%10llu - %9llu %10llu ", low, high, counts[slot]);
		while (length--)
			putchar('#');
		putchar('\n');
	}
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct @{identifier}_bpf *skel;
	int option, pid = 0, interval = 1, err = 1;

	while ((option = getopt_long(argc, argv, "p:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			pid = atoi(optarg);
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
	if (interval < 1 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open();
	if (!skel) {
		fprintf(stderr, "cannot open the programs: %s\n", strerror(errno));
		return 1;
	}
	skel->rodata->target_pid = pid;
	if (@{identifier}_bpf__load(skel) || @{identifier}_bpf__attach(skel)) {
		fprintf(stderr, "cannot load the programs: %s\n", strerror(errno));
		goto out;
	}
	while (!stopping) {
		sleep(interval);
		show(skel);
	}
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	return err;
}
