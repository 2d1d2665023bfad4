// SPDX-License-Identifier: @{license}
/* Shows who sends a signal to whom. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Shows who sends a signal to whom with kill(2).\n\n"
		"  -s, --signal NUMBER  show this signal only\n"
		"  -h, --help           show this text\n",
		program);
}

static int on_event(void *context, void *data, size_t size)
{
	const struct event *event = data;

	printf("%8d %-16s -> %8d %-16s signal %d\n", event->from, event->from_comm, event->to,
	       event->to_comm[0] ? event->to_comm : "(nobody)", event->signal);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "signal", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct ring_buffer *events = NULL;
	struct @{identifier}_bpf *skel;
	int option, number = 0, err;

	while ((option = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		switch (option) {
		case 's':
			number = atoi(optarg);
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (number < 0 || number > 64 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open();
	if (!skel) {
		fprintf(stderr, "cannot open the program: %s\n", strerror(errno));
		return 1;
	}
	skel->rodata->kill_number = SYS_kill;
	skel->rodata->target_signal = number;
	err = @{identifier}_bpf__load(skel);
	if (!err)
		err = @{identifier}_bpf__attach(skel);
	if (err) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(-err));
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
