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
	const char *provider;
	const char *probe;
	int pid;
	bool verbose;
} options = {
	.binary = "/proc/self/exe",
	.provider = "own",
	.probe = "tick",
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
	{ "provider", 'r', "NAME", 0, "The probe's provider (default: own)" },
	{ "probe", 'n', "NAME", 0, "The probe (default: tick)" },
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
	case 'r':
		options.provider = arg;
		break;
	case 'n':
		options.probe = arg;
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
	.doc = "Follows a static probe of a program or library.",
};

/* A static probe is a `nop` in the code, which costs nothing, and a note in the
 * file that says where it is and where its arguments are: "8@%rax" is eight
 * bytes in a register. Programs usually take the macros of <sys/sdt.h>
 * (systemtap-sdt-dev), which write the same; this one has two arguments, of
 * type long.
 */
#define PROBE(provider, name, first, second)				\
	asm volatile("990: nop\n"					\
		     ".pushsection .note.stapsdt,\"\",\"note\"\n"	\
		     ".balign 4\n"					\
		     ".4byte 992f - 991f, 994f - 993f, 3\n"		\
		     "991: .asciz \"stapsdt\"\n"			\
		     "992: .balign 4\n"					\
		     "993: .8byte 990b, 0, 0\n"				\
		     ".asciz \"" #provider "\"\n"			\
		     ".asciz \"" #name "\"\n"				\
		     ".asciz \"-8@%0 -8@%1\"\n"				\
		     "994: .balign 4\n"					\
		     ".popsection\n" ::"nor"((long)(first)),		\
		     "nor"((long)(second)))

static int on_event(void *context, void *data, size_t size)
{
	const struct event *event = data;
	int index;

	printf("%-8d %-16s %s:%s", event->pid, event->comm, options.provider, options.probe);
	for (index = 0; index < event->count && index < SHOWN; index++)
		printf(" %ld", event->arguments[index]);
	printf(event->count > SHOWN ? " and more\n" : "\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	struct ring_buffer *events = NULL;
	int status = 1;
	int error;
	long count = 0;
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

	/* libbpf looks for a library on the usual paths, and in its notes for
	 * the probe: `readelf --notes` shows all that there are.
	 */
	skel->links.on_probe =
		bpf_program__attach_usdt(skel->progs.on_probe, options.pid, options.binary,
					 options.provider, options.probe, NULL);
	if (!skel->links.on_probe) {
		fprintf(stderr, "cannot attach to %s:%s in %s: %s\n", options.provider,
			options.probe, options.binary, strerror(errno));
		goto out;
	}
	events = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, NULL, NULL);
	if (!events) {
		perror("cannot read the ring buffer");
		goto out;
	}

	printf("%-8s %-16s %s\n", "PID", "PROCESS", "PROBE AND ITS ARGUMENTS");
	/* A signal ends the wait, and Ctrl-C is one. */
	while (!stopped) {
		if (time(NULL) != last) {
			last = time(NULL);
			count++;
			PROBE(own, tick, count, -count);
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
