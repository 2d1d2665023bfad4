// SPDX-License-Identifier: @{license}
/* Attaches the programs to a device and shows its busiest peers. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

/* As many as the map `peers` has room for. */
#define MAX_PEERS 4096

struct row {
	struct peer peer;
	struct traffic traffic;
};

static struct row rows[MAX_PEERS];
static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] -i DEVICE\n\n"
		"Shows who a network device talks to.\n\n"
		"  -i, --interface DEVICE  the device to look at\n"
		"  -n, --top N             show so many peers (10)\n"
		"  -t, --interval SECONDS  pause between two tables (1)\n"
		"  -h, --help              show this text\n",
		program);
}

static int by_bytes(const void *left, const void *right)
{
	const struct traffic *a = &((const struct row *)left)->traffic;
	const struct traffic *b = &((const struct row *)right)->traffic;
	unsigned long long x = a->in_bytes + a->out_bytes, y = b->in_bytes + b->out_bytes;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void show(int peers, int top)
{
	struct peer *last = NULL;
	int count = 0, i;

	while (count < MAX_PEERS && !bpf_map_get_next_key(peers, last, &rows[count].peer)) {
		last = &rows[count].peer;
		/* It may be gone by now. */
		if (!bpf_map_lookup_elem(peers, last, &rows[count].traffic))
			count++;
		else
			memset(&rows[count].traffic, 0, sizeof(rows[count].traffic));
	}
	qsort(rows, count, sizeof(rows[0]), by_bytes);

	printf("%-39s %10s %12s %10s %12s\n", "peer", "packets in", "bytes in", "out", "bytes out");
	for (i = 0; i < count && i < top; i++) {
		const unsigned char *address = rows[i].peer.address;
		const struct traffic *traffic = &rows[i].traffic;
		struct in6_addr v6;
		char text[INET6_ADDRSTRLEN];

		memcpy(&v6, address, sizeof(v6));
		if (IN6_IS_ADDR_V4MAPPED(&v6))
			inet_ntop(AF_INET, address + 12, text, sizeof(text));
		else
			inet_ntop(AF_INET6, address, text, sizeof(text));
		printf("%-39s %10llu %12llu %10llu %12llu\n", text, traffic->in_packets,
		       traffic->in_bytes, traffic->out_packets, traffic->out_bytes);
	}
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "top", required_argument, NULL, 'n' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct @{identifier}_bpf *skel;
	int option, top = 10, interval = 1, ifindex = 0, err = 0;

	while ((option = getopt_long(argc, argv, "i:n:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			ifindex = if_nametoindex(optarg);
			if (!ifindex) {
				fprintf(stderr, "%s: %s\n", optarg, strerror(errno));
				return 2;
			}
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
	if (!ifindex || top < 1 || interval < 1 || optind != argc) {
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
	/* The links live as long as the skeleton that holds them. */
	skel->links.on_ingress = bpf_program__attach_tcx(skel->progs.on_ingress, ifindex, NULL);
	if (skel->links.on_ingress)
		skel->links.on_egress =
			bpf_program__attach_tcx(skel->progs.on_egress, ifindex, NULL);
	if (!skel->links.on_egress) {
		err = 1;
		fprintf(stderr, "cannot attach: %s\n", strerror(errno));
		goto out;
	}

	while (!stopping) {
		sleep(interval);
		show(bpf_map__fd(skel->maps.peers), top);
	}
out:
	@{identifier}_bpf__destroy(skel);
	return err;
}
