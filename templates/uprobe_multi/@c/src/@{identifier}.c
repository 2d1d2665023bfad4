// SPDX-License-Identifier: @{license}
/* Attaches the program to functions of a binary and shows who calls them. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

/* As many as the map `calls` has room for. */
#define MAX_CALLERS 16384

struct row {
	struct caller caller;
	struct calls calls;
};

static struct row rows[MAX_CALLERS];
static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] BINARY FUNCTION...\n\n"
		"Counts calls of functions of a program or library. A name without `/` is\n"
		"looked up as the shell and the loader do: `libc.so.6`, `bash`.\n\n"
		"  -p, --pid PID           look at this process only\n"
		"  -n, --top N             show so many rows (20)\n"
		"  -t, --interval SECONDS  pause between two tables (1)\n"
		"  -h, --help              show this text\n",
		program);
}

static int by_count(const void *left, const void *right)
{
	unsigned long long a = ((const struct row *)left)->calls.count;
	unsigned long long b = ((const struct row *)right)->calls.count;

	return a < b ? 1 : a > b ? -1 : 0;
}

static void show(int calls, int top, char **functions)
{
	struct caller *last = NULL;
	int count = 0, i;

	while (count < MAX_CALLERS && !bpf_map_get_next_key(calls, last, &rows[count].caller)) {
		last = &rows[count].caller;
		/* It may be gone by now. */
		if (!bpf_map_lookup_elem(calls, last, &rows[count].calls))
			count++;
		else
			memset(&rows[count].calls, 0, sizeof(rows[count].calls));
	}
	qsort(rows, count, sizeof(rows[0]), by_count);
	printf("%12s %8s %-16s %s\n", "calls", "pid", "process", "function");
	for (i = 0; i < count && i < top; i++)
		printf("%12llu %8u %-16s %s\n", rows[i].calls.count, rows[i].caller.pid,
		       rows[i].calls.comm, functions[rows[i].caller.function]);
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
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts);
	int option, pid = -1, top = 20, interval = 1, count, i, err = 1;
	struct @{identifier}_bpf *skel = NULL;
	unsigned long long *cookies;
	char **functions;

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
	if (top < 1 || interval < 1 || optind + 2 > argc) {
		usage(stderr, argv[0]);
		return 2;
	}
	functions = &argv[optind + 1];
	count = argc - optind - 1;
	cookies = calloc(count, sizeof(*cookies));
	if (!cookies) {
		fprintf(stderr, "%s\n", strerror(errno));
		return 1;
	}
	for (i = 0; i < count; i++)
		cookies[i] = i;

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		goto out;
	}
	opts.syms = (const char **)functions;
	opts.cookies = (const __u64 *)cookies;
	opts.cnt = count;
	skel->links.on_call = bpf_program__attach_uprobe_multi(skel->progs.on_call, pid,
							       argv[optind], NULL, &opts);
	if (!skel->links.on_call) {
		fprintf(stderr, "cannot attach to %s: %s\n", argv[optind], strerror(errno));
		goto out;
	}

	while (!stopping) {
		sleep(interval);
		show(bpf_map__fd(skel->maps.calls), top, functions);
	}
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	free(cookies);
	return err;
}
