// SPDX-License-Identifier: @{license}
#include <argp.h>
#include <errno.h>
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
static long number(const char *text, long min, struct argp_state *state)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < min || value > INT_MAX)
		argp_error(state, "'%s' is no number from %ld up", text, min);
	return value;
}

const char *argp_program_version = "@{name} 0.1.0";

static const struct argp_option option_list[] = {
	{ "pid", 'p', "PID", 0, "The process, as this PID namespace numbers it (default: this program)" },
	{ "verbose", 'v', NULL, 0, "Print what libbpf does" },
	{},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'p':
		options.pid = number(arg, 1, state);
		break;
	case 'v':
		options.verbose = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = option_list,
	.parser = parse,
	.doc = "Counts the write(2) calls of a process of this PID namespace, and prints every "
	       "second how many there were.",
};

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	struct stat namespace;
	int status = 1;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
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
