// SPDX-License-Identifier: @{license}
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include <bpf/libbpf.h>
#include "@{identifier}.skel.h"

static struct {
	int pid;
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
		"Usage: %s [OPTIONS]\n\n"
		"Counts the write(2) calls of a process of this PID namespace, and prints every\n"
		"second how many there were.\n\n"
		"  -p, --pid PID  the process, as this PID namespace numbers it (this program)\n"
		"  -v, --verbose  print what libbpf does\n"
		"  -h, --help     show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "p:vh", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			options.pid = number(optarg, 1);
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
	if (optind != argc) {
		usage(stderr, argv[0]);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	struct stat namespace;
	int status = 1;

	parse(argc, argv);
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

	/* The file's device and inode are what tells namespaces apart. */
	if (stat("/proc/self/ns/pid", &namespace)) {
		perror("cannot look at this PID namespace");
		goto out;
	}
	skel->rodata->ns_device = namespace.st_dev;
	skel->rodata->ns_inode = namespace.st_ino;
	skel->rodata->target_pid = options.pid ? options.pid : getpid();

	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the BPF programs%s\n",
			geteuid() ? "; this needs root" : "");
		goto out;
	}
	if (@{identifier}_bpf__attach(skel)) {
		perror("cannot attach the BPF programs");
		goto out;
	}

	/* Without --pid it is this very line that is counted. */
	while (!stopped) {
		sleep(1);
		printf("%llu calls\n", (unsigned long long)skel->bss->calls);
		}

	status = 0;
out:
	@{identifier}_bpf__destroy(skel);
	return status;
}
