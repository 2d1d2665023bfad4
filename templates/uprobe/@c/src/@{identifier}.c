// SPDX-License-Identifier: @{license}
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static struct {
	const char *binary;
	const char *function;
	int pid;
	bool verbose;
} options = {
	.binary = "/proc/self/exe",
	.function = "watched_function",
	.pid = -1,
};

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
	{ "binary", 'b', "PATH", 0, "The program or library (default: this program)" },
	{ "function", 'f', "NAME", 0, "The function in it (default: one of this program's own)" },
	{ "pid", 'p', "PID", 0, "Only the process PID" },
	{ "verbose", 'v', NULL, 0, "Print what libbpf does" },
	{},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'b':
		options.binary = arg;
		break;
	case 'f':
		options.function = arg;
		break;
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
	.doc = "Reports the calls of a function: arguments, result, and how long it took.",
};

/* What is watched if nothing else is asked for. It must stay a function, and
 * keep its name in the program's symbol table.
 */
__attribute__((noinline, used)) int watched_function(int first, int second)
{
	/* Keeps the compiler from knowing the result. */
	asm volatile("" : "+r"(first));
	return first * second;
}

static int on_event(void *context, void *data, size_t size)
{
	const struct event *event = data;

	printf("%-8d %-16s %s(0x%llx, 0x%llx) = 0x%llx in %.1f us\n", event->pid, event->comm,
	       options.function, event->first, event->second, event->result,
	       event->duration / 1e3);
	return 0;
}

/* Attaches a program to the function's entry, or to its return. */
static struct bpf_link *attach(struct bpf_program *program, bool at_return)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .func_name = options.function, .retprobe = at_return);

	return bpf_program__attach_uprobe_opts(program, options.pid, options.binary, 0, &opts);
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	struct ring_buffer *events = NULL;
	int status = 1;
	int error, count = 0;
	time_t last = 0;

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

	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the BPF programs%s\n",
			geteuid() ? "; this needs root" : "");
		goto out;
	}
	skel->links.on_call = attach(skel->progs.on_call, false);
	if (skel->links.on_call)
		skel->links.on_return = attach(skel->progs.on_return, true);
	if (!skel->links.on_call || !skel->links.on_return) {
		fprintf(stderr, "cannot attach to %s in %s: %s\n", options.function, options.binary,
			strerror(errno));
		goto out;
	}
	events = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, NULL, NULL);
	if (!events) {
		perror("cannot read the ring buffer");
		goto out;
	}

	printf("%-8s %-16s %s\n", "PID", "PROCESS", "CALL");
	/* A signal ends the wait, and Ctrl-C is one. */
	while (!stopped) {
		if (time(NULL) != last) {
			last = time(NULL);
			watched_function(++count, 3);
		}
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
