// SPDX-License-Identifier: @{license}
/* Hands numbers from standard input to the program, and shows what it says. */
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

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] < FILE\n\n"
		"Reads whole numbers, one a line, and has a BPF program sum them up.\n\n"
		"  -b, --batch N  call the program after so many numbers (1000)\n"
		"  -h, --help     show this text\n",
		program);
}

static int take(const struct @{identifier}_bpf *skel)
{
	LIBBPF_OPTS(bpf_test_run_opts, run);
	int err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.take_samples), &run);

	if (err)
		return err;
	/* How many samples it took, or an error. */
	return (int)run.retval < 0 ? (int)run.retval : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "batch", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	/* Without SA_RESTART, so that Ctrl-C ends waiting for input. */
	struct sigaction action = { .sa_handler = on_signal };
	struct user_ring_buffer *samples = NULL;
	struct @{identifier}_bpf *skel;
	int option, batch = 1000, waiting = 0, err = 0;
	char line[256], *end;

	while ((option = getopt_long(argc, argv, "b:h", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			batch = atoi(optarg);
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	/* A sample takes 16 bytes of the ring's 256 KiB. */
	if (batch < 1 || batch > 10000 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	skel = @{identifier}_bpf__open_and_load();
	if (skel)
		samples = user_ring_buffer__new(bpf_map__fd(skel->maps.samples), NULL);
	if (!samples) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		@{identifier}_bpf__destroy(skel);
		return 1;
	}

	while (!stopping && fgets(line, sizeof(line), stdin)) {
		long long number = strtoll(line, &end, 10);
		long long *sample;

		if (end == line) {
			fprintf(stderr, "no number: %s", line);
			continue;
		}
		sample = user_ring_buffer__reserve(samples, sizeof(*sample));
		if (!sample) {
			err = -errno;
			break;
		}
		*sample = number;
		user_ring_buffer__submit(samples, sample);
		if (++waiting == batch) {
			waiting = 0;
			err = take(skel);
			if (err)
				break;
		}
	}
	if (!err)
		err = take(skel);
	if (err)
		fprintf(stderr, "cannot hand over samples: %s\n", strerror(-err));
	else
		printf("count %llu\nsum %lld\nsmallest %lld\nlargest %lld\n",
		       (unsigned long long)skel->bss->count, (long long)skel->bss->sum,
		       (long long)skel->bss->smallest, (long long)skel->bss->largest);

	user_ring_buffer__free(samples);
	@{identifier}_bpf__destroy(skel);
	return err ? 1 : 0;
}
