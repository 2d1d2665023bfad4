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

#define OWN "/proc/self/exe"

static struct {
	const char *binary;
	const char *provider;
	const char *probe;
	int pid;
	long count;
	bool verbose;
} options = {
	.binary = OWN,
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
		"Follows a static probe of a program or library.\n\n"
		"  -b, --binary PATH    the program or library (this program)\n"
		"  -r, --provider NAME  the probe's provider (own)\n"
		"  -n, --probe NAME     the probe (tick)\n"
		"  -p, --pid PID        only the process PID\n"
		"  -c, --count N        end when it was passed N times\n"
		"  -v, --verbose        print what libbpf does\n"
		"  -h, --help           show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "binary", required_argument, NULL, 'b' },
		{ "provider", required_argument, NULL, 'r' },
		{ "probe", required_argument, NULL, 'n' },
		{ "pid", required_argument, NULL, 'p' },
		{ "count", required_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "b:r:n:p:c:vh", known, NULL)) != -1) {
		switch (option) {
		case 'b':
			options.binary = optarg;
			break;
		case 'r':
			options.provider = optarg;
			break;
		case 'n':
			options.probe = optarg;
			break;
		case 'p':
			options.pid = number(optarg, 1);
			break;
		case 'c':
			options.count = number(optarg, 1);
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
	/* Before Linux 5.15 a probe has no cookie that tells which it is, only an
	 * address: where a program or library may lie anywhere, libbpf then wants
	 * to know the process.
	 */
	if (!strcmp(options.binary, OWN) && options.pid < 0)
		options.pid = getpid();
}

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

	/* More may have come than was asked for. */
	if (stopped)
		return 0;
	printf("%-8d %-16s %s:%s", event->pid, event->comm, options.provider, options.probe);
	for (index = 0; index < event->count && index < SHOWN; index++)
		printf(" %ld", event->arguments[index]);
	printf(event->count > SHOWN ? " and more\n" : "\n");
	if (options.count && --options.count == 0)
		stopped = 1;
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
