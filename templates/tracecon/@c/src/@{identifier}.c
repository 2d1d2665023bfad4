// SPDX-License-Identifier: @{license}
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
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
	{ "pid", 'p', "PID", 0, "Only the process PID" },
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
	.doc = "Reports TCP connections over IPv4, and the host names that are looked up.",
};

static int on_event(void *context, void *data, size_t size)
{
	const struct event *event = data;
	char address[INET_ADDRSTRLEN];

	printf("%-8d %-16s ", event->pid, event->comm);
	if (event->kind == LOOKUP) {
		printf("looks up    %s%s\n", event->host, event->result ? ", in vain" : "");
	} else {
		inet_ntop(AF_INET, &event->address, address, sizeof(address));
		printf("connects to %s:%u\n", address, ntohs(event->port));
	}
	return 0;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .func_name = "getaddrinfo");
	struct @{identifier}_bpf *skel;
	struct ring_buffer *events = NULL;
	int status = 1;
	int error;

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
	skel->rodata->target_pid = options.pid;

	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the BPF programs%s\n",
			geteuid() ? "; this needs root" : "");
		goto out;
	}

	/* libbpf looks for a library on the usual paths. A process that has a C
	 * library of its own, in a container, does not use this one.
	 */
	skel->links.on_lookup =
		bpf_program__attach_uprobe_opts(skel->progs.on_lookup, -1, "libc.so.6", 0, &opts);
	opts.retprobe = true;
	skel->links.on_looked_up = bpf_program__attach_uprobe_opts(skel->progs.on_looked_up, -1,
								   "libc.so.6", 0, &opts);
	if (!skel->links.on_lookup || !skel->links.on_looked_up)
		fprintf(stderr, "host names are not seen: %s\n", strerror(errno));
	if (@{identifier}_bpf__attach(skel)) {
		perror("cannot attach the BPF programs");
		goto out;
	}
	events = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, NULL, NULL);
	if (!events) {
		perror("cannot read the ring buffer");
		goto out;
	}

	printf("%-8s %-16s %s\n", "PID", "PROCESS", "EVENT");
	/* A signal ends the wait, and Ctrl-C is one. */
	while (!stopped) {
		error = ring_buffer__poll(events, 100);
		if (error < 0 && error != -EINTR) {
			fprintf(stderr, "cannot read the ring buffer: %s\n", strerror(-error));
			goto out;
		}
	}

	status = 0;
out:
	ring_buffer__free(events);
	@{identifier}_bpf__destroy(skel);
	return status;
}
