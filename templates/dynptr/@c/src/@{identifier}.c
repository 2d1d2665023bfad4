// SPDX-License-Identifier: @{license}
/* Shows the command line of every program that is started. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static volatile sig_atomic_t stopping;
static const char *wanted;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Shows the command line of every program that is started.\n\n"
		"  -n, --name NAME  only of programs of this name\n"
		"  -h, --help       show this text\n",
		program);
}

/* Prints an argument, with what a terminal could take amiss made visible. */
static void print(const char *text, size_t size)
{
	for (; size && *text; size--, text++) {
		unsigned char c = *text;

		if (c < ' ' || c == 127)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static int on_event(void *context, void *data, size_t size)
{
	const struct event *event = data;
	const char *args = (const char *)(event + 1), *end = args + event->size;

	if (size < sizeof(*event) + event->size)
		return 0;
	if (wanted && strcmp(wanted, event->comm))
		return 0;
	printf("%8d %-16s", event->pid, event->comm);
	while (args < end) {
		size_t length = strnlen(args, end - args);

		putchar(' ');
		print(args, length);
		args += length + 1;
	}
	putchar('\n');
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct ring_buffer *events = NULL;
	struct @{identifier}_bpf *skel;
	int option, err;

	while ((option = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			wanted = optarg;
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		return 1;
	}
	err = @{identifier}_bpf__attach(skel);
	if (err) {
		fprintf(stderr, "cannot attach: %s\n", strerror(-err));
		goto out;
	}
	events = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, NULL, NULL);
	if (!events) {
		err = -errno;
		fprintf(stderr, "cannot read events: %s\n", strerror(errno));
		goto out;
	}

	while (!stopping) {
		err = ring_buffer__poll(events, -1);
		if (err < 0 && err != -EINTR) {
			fprintf(stderr, "cannot read events: %s\n", strerror(-err));
			goto out;
		}
	}
	err = 0;
	if (skel->bss->lost)
		fprintf(stderr, "%llu events were lost\n", (unsigned long long)skel->bss->lost);
out:
	ring_buffer__free(events);
	@{identifier}_bpf__destroy(skel);
	return err ? 1 : 0;
}
