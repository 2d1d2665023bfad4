// SPDX-License-Identifier: @{license}
/* Walks the list that the program makes. */
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

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Shows the processes that were started last.\n\n"
		"  -n, --last N            show so many (10)\n"
		"  -t, --interval SECONDS  pause between two lists (1)\n"
		"  -h, --help              show this text\n",
		program);
}

static void show(const struct started *node, int last)
{
	/* These are the program's own pointers. */
	for (; node && last; node = node->next, last--)
		printf("%14.6f %8d %s\n", node->time_ns / 1e9, node->pid, node->comm);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "last", required_argument, NULL, 'n' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	LIBBPF_OPTS(bpf_test_run_opts, run);
	struct @{identifier}_bpf *skel;
	int option, last = 10, interval = 1, err;

	while ((option = getopt_long(argc, argv, "n:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			last = atoi(optarg);
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
	if (last < 1 || interval < 1 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the programs: %s\n", strerror(errno));
		return 1;
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.prepare), &run);
	if (!err)
		err = (int)run.retval;
	if (!err)
		err = @{identifier}_bpf__attach(skel);
	if (err) {
		fprintf(stderr, "cannot begin: %s\n", strerror(-err));
		goto out;
	}

	while (!stopping) {
		sleep(interval);
		/* Volatile: it changes behind the compiler's back. */
		show(*(struct started *volatile *)&skel->bss->newest, last);
	}
out:
	@{identifier}_bpf__destroy(skel);
	return err ? 1 : 0;
}
