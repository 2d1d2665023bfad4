// SPDX-License-Identifier: @{license}
/* Makes the congestion control known to the kernel for as long as it runs. */
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
		"Offers the TCP congestion control `bpf_aimd`. Sockets get it through the\n"
		"option TCP_CONGESTION, or all new ones through\n"
		"    sysctl net.ipv4.tcp_congestion_control=bpf_aimd\n\n"
		"  -b, --backoff PERCENT   what is left of the window after a loss (70)\n"
		"  -t, --interval SECONDS  pause between two lines (1)\n"
		"  -h, --help              show this text\n",
		program);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "backoff", required_argument, NULL, 'b' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option, backoff = 70, interval = 1, err = 1;
	struct @{identifier}_bpf *skel;
	struct bpf_link *link;

	while ((option = getopt_long(argc, argv, "b:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			backoff = atoi(optarg);
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
	if (backoff < 1 || backoff > 99 || interval < 1 || optind != argc) {
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
	skel->rodata->backoff = backoff;
	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the programs: %s\n", strerror(errno));
		goto out;
	}
	link = bpf_map__attach_struct_ops(skel->maps.aimd);
	if (!link) {
		fprintf(stderr, "cannot register: %s\n", strerror(errno));
		goto out;
	}

	printf("%12s %10s\n", "acknowledged", "losses");
	while (!stopping) {
		sleep(interval);
		printf("%12llu %10llu\n", (unsigned long long)skel->bss->acknowledged,
		       (unsigned long long)skel->bss->losses);
		fflush(stdout);
	}
	/* Sockets that use it keep it; new ones get it no more. */
	bpf_link__destroy(link);
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	return err;
}
