// SPDX-License-Identifier: @{license}
/* Calls the program and shows what is in the map that it has made. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Lets a BPF program make a map of square numbers, and shows it.\n\n"
		"  -n, --entries N  how many (10)\n"
		"  -h, --help       show this text\n",
		program);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "entries", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct call call = { .entries = 10, .map = -1 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &call, .ctx_size_in = sizeof(call));
	struct @{identifier}_bpf *skel;
	unsigned int key;
	int option, err;

	while ((option = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			call.entries = atoi(optarg);
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (!call.entries || call.entries > MAX_ENTRIES || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		return 1;
	}
	/* The kernel runs the program in this process, and writes the struct back. */
	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.make_squares), &run);
	if (!err)
		err = (int)run.retval;
	if (err) {
		fprintf(stderr, "the program failed: %s\n", strerror(-err));
		goto out;
	}
	for (key = 0; key < call.entries; key++) {
		unsigned long long value;

		err = bpf_map_lookup_elem(call.map, &key, &value);
		if (err) {
			fprintf(stderr, "%u: %s\n", key, strerror(-err));
			break;
		}
		printf("%4u %8llu\n", key, value);
	}
	close(call.map);
out:
	@{identifier}_bpf__destroy(skel);
	return err ? 1 : 0;
}
