// SPDX-License-Identifier: @{license}
/* Fills the map of networks, attaches the filter to a cgroup, shows counts. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
		"Usage: %s [OPTIONS] -c CGROUP NETWORK...\n\n"
		"Lets the processes of a cgroup send to these networks only.\n\n"
		"  -c, --cgroup CGROUP     the cgroup's directory below /sys/fs/cgroup\n"
		"  -t, --interval SECONDS  pause between two lines (1)\n"
		"  -h, --help              show this text\n",
		program);
}

/* Reads `192.0.2.0/24`, `2001:db8::/32` or an address alone. */
static int parse(char *text, struct network *network)
{
	char *slash = strchr(text, '/');
	int bits, prefix, is_v4;
	char *end = NULL;

	memset(network, 0, sizeof(*network));
	if (slash)
		*slash = '\0';
	is_v4 = inet_pton(AF_INET, text, network->address + 12) == 1;
	if (is_v4)
		network->address[10] = network->address[11] = 0xff;
	else if (inet_pton(AF_INET6, text, network->address) != 1)
		return -1;
	bits = is_v4 ? 32 : 128;
	prefix = bits;
	if (slash) {
		*slash = '/';
		prefix = strtol(slash + 1, &end, 10);
		if (end == slash + 1 || *end || prefix < 0 || prefix > bits)
			return -1;
	}
	network->prefix = 128 - bits + prefix;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct @{identifier}_bpf *skel;
	const char *path = NULL;
	int option, interval = 1, cgroup, i, err = 1;

	while ((option = getopt_long(argc, argv, "c:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
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
	if (!path || interval < 1) {
		usage(stderr, argv[0]);
		return 2;
	}
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		close(cgroup);
		return 1;
	}
	for (i = optind; i < argc; i++) {
		struct network network;
		unsigned char value = 1;

		if (parse(argv[i], &network)) {
			fprintf(stderr, "%s is no network\n", argv[i]);
			err = 2;
			goto out;
		}
		if (bpf_map__update_elem(skel->maps.allowed, &network, sizeof(network), &value,
					 sizeof(value), BPF_ANY)) {
			fprintf(stderr, "cannot allow %s: %s\n", argv[i], strerror(errno));
			goto out;
		}
	}
	skel->links.filter_egress =
		bpf_program__attach_cgroup(skel->progs.filter_egress, cgroup);
	if (!skel->links.filter_egress) {
		fprintf(stderr, "cannot attach to %s: %s\n", path, strerror(errno));
		goto out;
	}

	printf("%12s %14s %12s %14s\n", "passed", "bytes", "dropped", "bytes");
	while (!stopping) {
		sleep(interval);
		printf("%12llu %14llu %12llu %14llu\n", skel->bss->passed.packets,
		       skel->bss->passed.bytes, skel->bss->dropped.packets,
		       skel->bss->dropped.bytes);
		fflush(stdout);
	}
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	close(cgroup);
	return err;
}
