// SPDX-License-Identifier: @{license}
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static struct {
	const char *interface;
	long limit;
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

/* A number that must not be below `min`, or the program ends. */
static long number(const char *text, long min)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < min || value > INT_MAX) {
		fprintf(stderr, "'%s' is no number from %ld up\n", text, min);
		exit(2);
	}
	return value;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] INTERFACE\n\n"
		"Counts what leaves through an interface, and drops what is beyond a limit.\n\n"
		"  -l, --limit KIB  let only KIB KiB a second pass\n"
		"  -v, --verbose    print what libbpf does\n"
		"  -h, --help       show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "limit", required_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "l:vh", known, NULL)) != -1) {
		switch (option) {
		case 'l':
			options.limit = number(optarg, 1);
			break;
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

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	struct @{identifier}_bpf *skel;
	bool made_hook = false, attached = false;
	unsigned int index;
	int status = 1;
	int error;

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
	skel->rodata->limit = options.limit * 1024ULL;

	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the BPF programs%s\n",
			geteuid() ? "; this needs root" : "");
		goto out;
	}

	/* The hook is a queueing discipline; somebody may have made it before,
	 * and then it stays when we go.
	 */
	hook.ifindex = index;
	error = bpf_tc_hook_create(&hook);
	if (error && error != -EEXIST) {
		fprintf(stderr, "cannot make the hook: %s\n", strerror(-error));
		goto out;
	}
	made_hook = !error;

	opts.prog_fd = bpf_program__fd(skel->progs.limit_egress);
	error = bpf_tc_attach(&hook, &opts);
	if (error) {
		fprintf(stderr, "cannot attach the BPF program: %s\n", strerror(-error));
		goto out;
	}
	attached = true;

	printf("%12s %12s %12s %12s\n", "PASSED", "BYTES", "DROPPED", "BYTES");
	while (!stopped) {
		sleep(1);
		printf("%12llu %12llu %12llu %12llu\n",
		       (unsigned long long)skel->bss->total.passed_packets,
		       (unsigned long long)skel->bss->total.passed_bytes,
		       (unsigned long long)skel->bss->total.dropped_packets,
		       (unsigned long long)skel->bss->total.dropped_bytes);
		}

	status = 0;
out:
	/* Unlike a link, this stays attached until it is taken away. */
	if (attached) {
		opts.flags = opts.prog_fd = opts.prog_id = 0;
		bpf_tc_detach(&hook, &opts);
	}
	if (made_hook) {
		/* Both directions stand for the whole discipline. */
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
	@{identifier}_bpf__destroy(skel);
	return status;
}
