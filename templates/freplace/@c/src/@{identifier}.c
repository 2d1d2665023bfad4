// SPDX-License-Identifier: @{license}
/* Attaches one program, and now and then the one that replaces its function. */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
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
		"Usage: %s [OPTIONS] -i DEVICE\n\n"
		"Lets all packets pass, and every other while IPv4 only.\n\n"
		"  -i, --interface DEVICE  the device\n"
		"  -t, --interval SECONDS  how long a while is (5)\n"
		"  -h, --help              show this text\n",
		program);
}

/* The program that has the function, without the other. */
static struct @{identifier}_bpf *load_target(void)
{
	struct @{identifier}_bpf *skel = @{identifier}_bpf__open();

	if (!skel)
		return NULL;
	bpf_program__set_autoload(skel->progs.decide_ipv4_only, false);
	if (@{identifier}_bpf__load(skel)) {
		@{identifier}_bpf__destroy(skel);
		return NULL;
	}
	return skel;
}

/* The replacement, for the function of a program that is loaded already: that
 * is why the object is opened a second time.
 */
static struct @{identifier}_bpf *load_replacement(const struct @{identifier}_bpf *target)
{
	struct @{identifier}_bpf *skel = @{identifier}_bpf__open();

	if (!skel)
		return NULL;
	bpf_program__set_autoload(skel->progs.on_packet, false);
	if (bpf_program__set_attach_target(skel->progs.decide_ipv4_only,
					   bpf_program__fd(target->progs.on_packet), "decide") ||
	    @{identifier}_bpf__load(skel)) {
		@{identifier}_bpf__destroy(skel);
		return NULL;
	}
	return skel;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct @{identifier}_bpf *target = NULL, *other = NULL;
	int option, interval = 5, ifindex = 0, err = 1;
	struct bpf_link *replaced = NULL;

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
	if (!ifindex || interval < 1 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	target = load_target();
	if (target)
		other = load_replacement(target);
	if (!other) {
		fprintf(stderr, "cannot load the programs: %s\n", strerror(errno));
		goto out;
	}
	target->links.on_packet = bpf_program__attach_xdp(target->progs.on_packet, ifindex);
	if (!target->links.on_packet) {
		fprintf(stderr, "cannot attach: %s\n", strerror(errno));
		goto out;
	}

	while (!stopping) {
		/* Each copy of the object has its own variables. */
		printf("%-12s passed by default %llu, by the replacement %llu, dropped %llu\n",
		       replaced ? "replaced:" : "as it was:",
		       (unsigned long long)target->bss->by_default,
		       (unsigned long long)(other->bss->by_replacement - other->bss->dropped),
		       (unsigned long long)other->bss->dropped);
		fflush(stdout);
		if (replaced) {
			bpf_link__destroy(replaced);
			replaced = NULL;
		} else {
			/* Without arguments: to where it was loaded for. */
			replaced = bpf_program__attach_freplace(other->progs.decide_ipv4_only, 0,
								NULL);
			if (!replaced) {
				fprintf(stderr, "cannot replace: %s\n", strerror(errno));
				goto out;
			}
		}
		sleep(interval);
	}
	err = 0;
out:
	bpf_link__destroy(replaced);
	@{identifier}_bpf__destroy(other);
	@{identifier}_bpf__destroy(target);
	return err;
}
