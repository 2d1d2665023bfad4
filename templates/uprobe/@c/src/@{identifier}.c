// SPDX-License-Identifier: @{license}
#include <errno.h>
#include <getopt.h>
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
		"Reports the calls of a function: arguments, result, and how long it took.\n\n"
		"  -b, --binary PATH    the program or library (this program)\n"
		"  -f, --function NAME  the function in it (one of this program's own)\n"
		"  -p, --pid PID        only the process PID\n"
		"  -v, --verbose        print what libbpf does\n"
		"  -h, --help           show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "binary", required_argument, NULL, 'b' },
		{ "function", required_argument, NULL, 'f' },
		{ "pid", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "b:f:p:vh", known, NULL)) != -1) {
		switch (option) {
		case 'b':
			options.binary = optarg;
			break;
		case 'f':
			options.function = optarg;
			break;
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
