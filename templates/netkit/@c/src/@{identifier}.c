// SPDX-License-Identifier: @{license}
/* Attaches both programs to a netkit pair and shows what they count. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
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
		"Usage: %s [OPTIONS] -i DEVICE ADDRESS...\n\n"
		"Lets the peer of a netkit device send under these IPv4 addresses only.\n\n"
		"  -i, --interface DEVICE  the primary device of the pair\n"
		"  -t, --interval SECONDS  pause between two lines (1)\n"
		"  -h, --help              show this text\n",
		program);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option, interval = 1, ifindex = 0, i, err = 1;
	struct @{identifier}_bpf *skel;

	while ((option = getopt_long(argc, argv, "i:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			ifindex = if_nametoindex(optarg);
			if (!ifindex) {
				fprintf(stderr, "%s: %s\n", optarg, strerror(errno));
				return 2;
			}
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
	if (!ifindex || interval < 1 || optind == argc) {
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
	for (i = optind; i < argc; i++) {
		struct in_addr address;
		unsigned char value = 1;

		if (inet_pton(AF_INET, argv[i], &address) != 1) {
			fprintf(stderr, "%s is no IPv4 address\n", argv[i]);
			goto out;
		}
		if (bpf_map__update_elem(skel->maps.addresses, &address.s_addr,
					 sizeof(address.s_addr), &value, sizeof(value), BPF_ANY)) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
			goto out;
		}
	}
	/* Both are attached to the primary device, also the one of the peer. */
	skel->links.on_send = bpf_program__attach_netkit(skel->progs.on_send, ifindex, NULL);
	if (skel->links.on_send)
		skel->links.on_receive =
			bpf_program__attach_netkit(skel->progs.on_receive, ifindex, NULL);
	if (!skel->links.on_receive) {
		fprintf(stderr, "cannot attach: %s\n", strerror(errno));
		goto out;
	}

	printf("%12s %12s %12s\n", "sent", "spoofed", "received");
	while (!stopping) {
		sleep(interval);
		printf("%12llu %12llu %12llu\n", (unsigned long long)skel->bss->sent,
		       (unsigned long long)skel->bss->spoofed,
		       (unsigned long long)skel->bss->received);
		fflush(stdout);
	}
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	return err;
}
