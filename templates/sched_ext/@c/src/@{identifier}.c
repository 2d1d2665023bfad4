// SPDX-License-Identifier: @{license}
/* Makes the program the machine's scheduler for as long as it runs. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/libbpf.h>
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
		"Schedules the tasks of the whole machine until it ends.\n\n"
		"  -t, --interval SECONDS  pause between two lines (1)\n"
		"  -h, --help              show this text\n",
		program);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct @{identifier}_bpf *skel;
	struct bpf_link *link;
	int option, interval = 1;

	while ((option = getopt_long(argc, argv, "t:h", options, NULL)) != -1) {
		switch (option) {
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

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the scheduler: %s\n", strerror(errno));
		return 1;
	}
	/* From here on it schedules every task of the machine, also this one. */
	link = bpf_map__attach_struct_ops(skel->maps.scheduler);
	if (!link) {
		fprintf(stderr, "cannot start the scheduler: %s\n", strerror(errno));
		@{identifier}_bpf__destroy(skel);
		return 1;
	}

	printf("%14s %14s\n", "to idle CPUs", "queued");
	while (!stopping && !*(volatile bool *)&skel->bss->ended) {
		sleep(interval);
		printf("%14llu %14llu\n", (unsigned long long)skel->bss->direct,
		       (unsigned long long)skel->bss->queued);
		fflush(stdout);
	}
	/* The kernel's own scheduler takes over, and says why to ours. */
	bpf_link__destroy(link);
	fprintf(stderr, "ended: %s\n", skel->bss->reason);
	@{identifier}_bpf__destroy(skel);
	return 0;
}
