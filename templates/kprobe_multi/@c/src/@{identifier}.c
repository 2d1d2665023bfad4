// SPDX-License-Identifier: @{license}
/* Attaches the program to functions and shows how often they are called. */
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
#define MAX_FUNCTIONS 16384

struct row {
	unsigned long long function;
	unsigned long long calls;
	char name[64];
};

static struct row rows[MAX_FUNCTIONS];
static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] PATTERN\n\n"
		"Counts the calls of all kernel functions that match a pattern, in which\n"
		"`*` stands for any letters, until Ctrl-C or for so many seconds.\n\n"
		"  -p, --pid PID           look at this process only\n"
		"  -d, --duration SECONDS  end after so many seconds\n"
		"  -h, --help              show this text\n",
		program);
}

static int by_address(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return a->function < b->function ? -1 : a->function > b->function ? 1 : 0;
}

static int by_calls(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return a->calls < b->calls ? 1 : a->calls > b->calls ? -1 : 0;
}

/* Finds the names of functions; rows must be sorted by address. */
static void find_names(int count)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	struct row wanted, *row;
	char line[512];

	if (!symbols)
		return;
	while (fgets(line, sizeof(line), symbols)) {
		if (sscanf(line, "%llx %*c %63s", &wanted.function, wanted.name) != 2)
			continue;
		row = bsearch(&wanted, rows, count, sizeof(rows[0]), by_address);
		if (row && !row->name[0])
			memcpy(row->name, wanted.name, sizeof(row->name));
	}
	fclose(symbols);
}

static void show(int calls)
{
	unsigned long long *last = NULL;
	int count = 0, i;

	while (count < MAX_FUNCTIONS && !bpf_map_get_next_key(calls, last, &rows[count].function)) {
		last = &rows[count].function;
		if (!bpf_map_lookup_elem(calls, last, &rows[count].calls))
			count++;
	}
	qsort(rows, count, sizeof(rows[0]), by_address);
	find_names(count);
	qsort(rows, count, sizeof(rows[0]), by_calls);
	printf("%12s %s\n", "calls", "function");
	for (i = 0; i < count; i++) {
		if (rows[i].name[0])
			printf("%12llu %s\n", rows[i].calls, rows[i].name);
		else
			printf("%12llu 0x%llx\n", rows[i].calls, rows[i].function);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "duration", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option, pid = 0, duration = 0, err = 1;
	struct @{identifier}_bpf *skel;

	while ((option = getopt_long(argc, argv, "p:d:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			pid = atoi(optarg);
			break;
		case 'd':
			duration = atoi(optarg);
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (optind + 1 != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGALRM, on_signal);

	skel = @{identifier}_bpf__open();
	if (!skel) {
		fprintf(stderr, "cannot open the program: %s\n", strerror(errno));
		return 1;
	}
	skel->rodata->target_pid = pid;
	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		goto out;
	}
	skel->links.on_call = bpf_program__attach_kprobe_multi_opts(skel->progs.on_call,
								    argv[optind], NULL);
	if (!skel->links.on_call) {
		fprintf(stderr, "cannot attach to %s: %s\n", argv[optind], strerror(errno));
		goto out;
	}
	fprintf(stderr, "counting, Ctrl-C ends\n");
	if (duration > 0)
		alarm(duration);
	while (!stopping)
		pause();

	/* No more calls are counted while they are shown. */
	bpf_link__destroy(skel->links.on_call);
	skel->links.on_call = NULL;
	show(bpf_map__fd(skel->maps.calls));
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	return err;
}
