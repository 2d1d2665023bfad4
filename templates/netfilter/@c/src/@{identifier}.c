// SPDX-License-Identifier: @{license}
/* Puts the program into a hook and shows what it drops. */
#include <errno.h>
#include <getopt.h>
#include <linux/netfilter.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.skel.h"

static const char *const hooks[] = {
	[NF_INET_PRE_ROUTING] = "prerouting",
	[NF_INET_LOCAL_IN] = "input",
	[NF_INET_FORWARD] = "forward",
	[NF_INET_LOCAL_OUT] = "output",
	[NF_INET_POST_ROUTING] = "postrouting",
};
#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] PORT...\n\n"
		"Drops IPv4 packets to these TCP and UDP ports.\n\n"
		"  -k, --hook HOOK          prerouting, input, forward, output or\n"
		"                           postrouting (input)\n"
		"  -p, --priority PRIORITY  small numbers come first (-128)\n"
		"  -t, --interval SECONDS   pause between two lines (1)\n"
		"  -h, --help               show this text\n",
		program);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "hook", required_argument, NULL, 'k' },
		{ "priority", required_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	LIBBPF_OPTS(bpf_netfilter_opts, place, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_IN,
		    .priority = -128);
	struct @{identifier}_bpf *skel;
	int option, interval = 1, i, err = 1;
	unsigned int hook;

	while ((option = getopt_long(argc, argv, "k:p:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'k':
			for (hook = 0; hook < HOOKS && strcmp(hooks[hook], optarg); hook++)
				;
			if (hook == HOOKS) {
				usage(stderr, argv[0]);
				return 2;
			}
			place.hooknum = hook;
			break;
		case 'p':
			place.priority = atoi(optarg);
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
	if (interval < 1 || optind == argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		return 1;
	}
	for (i = optind; i < argc; i++) {
		int number = atoi(argv[i]);
		unsigned short port = number;
		unsigned long long none = 0;

		if (number < 1 || number > 65535) {
			fprintf(stderr, "%s is no port\n", argv[i]);
			goto out;
		}
		if (bpf_map__update_elem(skel->maps.ports, &port, sizeof(port), &none,
					 sizeof(none), BPF_ANY)) {
			fprintf(stderr, "port %d: %s\n", number, strerror(errno));
			goto out;
		}
	}
	skel->links.filter = bpf_program__attach_netfilter(skel->progs.filter, &place);
	if (!skel->links.filter) {
		fprintf(stderr, "cannot attach to the hook %s: %s\n", hooks[place.hooknum],
			strerror(errno));
		goto out;
	}

	while (!stopping) {
		sleep(interval);
		printf("seen %llu", (unsigned long long)skel->bss->seen);
		for (i = optind; i < argc; i++) {
			unsigned short port = atoi(argv[i]);
			unsigned long long dropped = 0;

			bpf_map__lookup_elem(skel->maps.ports, &port, sizeof(port), &dropped,
					     sizeof(dropped), 0);
			printf("  port %d: %llu dropped", port, dropped);
		}
		printf("\n");
		fflush(stdout);
	}
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	return err;
}
