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
	long min_ms;
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
		"Reports processes that begin and end.\n\n"
		"  -m, --min-ms MS  only processes that lived MS milliseconds or longer\n"
		"  -v, --verbose    print what libbpf does\n"
		"  -h, --help       show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "min-ms", required_argument, NULL, 'm' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "m:vh", known, NULL)) != -1) {
		switch (option) {
		case 'm':
			options.min_ms = number(optarg, 0);
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

static void on_event(void *context, int cpu, void *data, __u32 size)
{
	const struct event *event = data;
	char clock[16] = "";
	time_t now = time(NULL);

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&now));
	printf("%-8s %-5s %-16s %-8d ", clock, event->kind == PROCESS_BEGAN ? "BEGAN" : "ENDED",
	       event->comm, event->pid);
	if (event->kind == PROCESS_BEGAN)
		printf("%s\n", event->file);
	else if (event->lifetime)
		printf("after %.1f ms\n", event->lifetime / 1e6);
	else
		printf("began before this program\n");
}

static void on_loss(void *context, int cpu, __u64 count)
{
	fprintf(stderr, "%llu events of CPU %d were lost\n", (unsigned long long)count, cpu);
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	struct perf_buffer *events = NULL;
	struct settings settings = {};
	__u32 only = 0;
	int status = 1;
	int error;

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

	settings.min_lifetime = options.min_ms * 1000000ULL;
	if (bpf_map__update_elem(skel->maps.settings, &only, sizeof(only), &settings,
				 sizeof(settings), BPF_ANY)) {
		perror("cannot write the settings");
		goto out;
	}
	if (@{identifier}_bpf__attach(skel)) {
		perror("cannot attach the BPF programs");
		goto out;
	}
	/* 16 pages for each CPU. */
	events = perf_buffer__new(bpf_map__fd(skel->maps.events), 16, on_event, on_loss, NULL, NULL);
	if (!events) {
		perror("cannot read the perf buffers");
		goto out;
	}

	printf("%-8s %-5s %-16s %-8s %s\n", "TIME", "EVENT", "PROCESS", "PID",
	       "PROGRAM, OR LIFE TIME");
	/* A signal ends the wait, and Ctrl-C is one. */
	while (!stopped) {
		error = perf_buffer__poll(events, 100);
		if (error < 0 && error != -EINTR) {
			fprintf(stderr, "cannot read the perf buffers: %s\n", strerror(-error));
			goto out;
		}
	}

	status = 0;
out:
	perf_buffer__free(events);
	@{identifier}_bpf__destroy(skel);
	return status;
}
