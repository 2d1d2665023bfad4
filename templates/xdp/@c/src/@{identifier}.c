// SPDX-License-Identifier: @{license}
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <bpf/libbpf.h>
#include "@{identifier}.skel.h"

static struct {
	const char *interface;
	bool verbose;
} options;

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	stopped = 1;
}

/* What libbpf has to say: warnings, and with -v everything. */
static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_DEBUG && !options.verbose)
		return 0;
	return vfprintf(stderr, format, args);
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] INTERFACE\n\n"
		"Counts the packets that an interface receives, by IP protocol.\n\n"
		"  -v, --verbose  print what libbpf does\n"
		"  -h, --help     show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "vh", known, NULL)) != -1) {
		switch (option) {
		case 'v':
			options.verbose = true;
			break;
		case 'h':
			usage(stdout, argv[0]);
			exit(0);
		default:
			usage(stderr, argv[0]);
			exit(2);
		}
	}
	if (optind + 1 != argc) {
		usage(stderr, argv[0]);
		exit(2);
	}
	options.interface = argv[optind];
}

/* Slots are IP protocol numbers; one more is for all that is not IP. */
#define SLOTS 257

/* The value of a slot, as the BPF program has it. */
struct counter {
	__u64 packets;
	__u64 bytes;
};

/* Prints the slots in which something is, summed up over the CPUs. */
static int print_counters(const struct bpf_map *map, struct counter *values, int cpus)
{
	const struct protoent *protocol;
	struct counter sum;
	char name[16];
	__u32 slot;
	int cpu;

	for (slot = 0; slot < SLOTS; slot++) {
		if (bpf_map__lookup_elem(map, &slot, sizeof(slot), values, cpus * sizeof(*values),
					 0))
			return -1;
		memset(&sum, 0, sizeof(sum));
		for (cpu = 0; cpu < cpus; cpu++) {
			sum.packets += values[cpu].packets;
			sum.bytes += values[cpu].bytes;
		}
		if (!sum.packets)
			continue;
		protocol = slot < SLOTS - 1 ? getprotobynumber(slot) : NULL;
		if (protocol)
			snprintf(name, sizeof(name), "%s", protocol->p_name);
		else if (slot < SLOTS - 1)
			snprintf(name, sizeof(name), "%u", slot);
		else
			snprintf(name, sizeof(name), "not IP");
		printf("%-12s %12llu %14llu\n", name, (unsigned long long)sum.packets,
		       (unsigned long long)sum.bytes);
	}
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	int cpus = libbpf_num_possible_cpus();
	struct counter *values = NULL;
	unsigned int index;
	int status = 1;

	parse(argc, argv);
	index = if_nametoindex(options.interface);
	if (!index) {
		fprintf(stderr, "there is no interface %s\n", options.interface);
		return 1;
	}
	libbpf_set_print(print);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	/* Lines are seen at once, in a pipe too. */
	setvbuf(stdout, NULL, _IOLBF, 0);

	skel = @{identifier}_bpf__open();
	if (!skel) {
		perror("cannot open the BPF object");
		return 1;
	}

	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the BPF programs%s\n",
			geteuid() ? "; this needs root" : "");
		goto out;
	}

	/* The link ends with this program, whatever happens to it. */
	skel->links.count_packets = bpf_program__attach_xdp(skel->progs.count_packets, index);
	if (!skel->links.count_packets) {
		fprintf(stderr, "cannot attach to %s: %s\n", options.interface, strerror(errno));
		goto out;
	}

	/* The value of a per-CPU map is an array: one for each CPU there could be. */
	values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;
	if (!values) {
		fprintf(stderr, "cannot count the CPUs\n");
		goto out;
	}
	printf("%-12s %12s %14s\n", "PROTOCOL", "PACKETS", "BYTES");
	while (!stopped) {
		sleep(1);
		if (print_counters(skel->maps.counters, values, cpus)) {
			perror("cannot read the counters");
			goto out;
		}
	}

	status = 0;
out:
	free(values);
	@{identifier}_bpf__destroy(skel);
	return status;
}
