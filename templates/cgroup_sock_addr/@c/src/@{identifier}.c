// SPDX-License-Identifier: @{license}
/* Fills the map of redirects, attaches to a cgroup, shows what is redirected. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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
		"Usage: %s -c CGROUP FROM:PORT=TO:PORT...\n\n"
		"Sends TCP connections of a cgroup's processes somewhere else.\n\n"
		"  -c, --cgroup CGROUP  the cgroup's directory below /sys/fs/cgroup\n"
		"  -h, --help           show this text\n",
		program);
}

/* Reads `192.0.2.1:80`, which ends at `end`. */
static int parse(char *text, struct endpoint *endpoint)
{
	char *colon = strrchr(text, ':'), *end;
	struct in_addr address;
	long port;

	if (!colon)
		return -1;
	*colon = '\0';
	if (inet_pton(AF_INET, text, &address) != 1)
		return -1;
	port = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end || port < 1 || port > 65535)
		return -1;
	endpoint->address = address.s_addr;
	endpoint->port = htons(port);
	return 0;
}

static int add(struct @{identifier}_bpf *skel, const char *rule)
{
	struct endpoint from, to;
	char *text = strdup(rule), *equals;
	int err = -EINVAL;

	if (!text)
		return -ENOMEM;
	equals = strchr(text, '=');
	if (equals) {
		*equals = '\0';
		if (!parse(text, &from) && !parse(equals + 1, &to))
			err = bpf_map__update_elem(skel->maps.redirects, &from, sizeof(from), &to,
						   sizeof(to), BPF_ANY);
	}
	free(text);
	return err;
}

static int on_event(void *context, void *data, size_t size)
{
	const struct event *event = data;
	char wanted[INET_ADDRSTRLEN], given[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &event->wanted.address, wanted, sizeof(wanted));
	inet_ntop(AF_INET, &event->given.address, given, sizeof(given));
	printf("%s:%d -> %s:%d\n", wanted, ntohs(event->wanted.port), given,
	       ntohs(event->given.port));
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct ring_buffer *events = NULL;
	struct @{identifier}_bpf *skel;
	const char *path = NULL;
	int option, cgroup, i, err;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (!path || optind == argc) {
		usage(stderr, argv[0]);
		return 2;
	}
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the programs: %s\n", strerror(errno));
		close(cgroup);
		return 1;
	}
	for (i = optind; i < argc; i++) {
		err = add(skel, argv[i]);
		if (err) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-err));
			goto out;
		}
	}
	events = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, NULL, NULL);
	if (!events) {
		err = -errno;
		fprintf(stderr, "cannot read events: %s\n", strerror(errno));
		goto out;
	}
	skel->links.on_connect = bpf_program__attach_cgroup(skel->progs.on_connect, cgroup);
	if (skel->links.on_connect)
		skel->links.on_getpeername =
			bpf_program__attach_cgroup(skel->progs.on_getpeername, cgroup);
	if (!skel->links.on_getpeername) {
		err = -errno;
		fprintf(stderr, "cannot attach to %s: %s\n", path, strerror(errno));
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
out:
	ring_buffer__free(events);
	@{identifier}_bpf__destroy(skel);
	close(cgroup);
	return err ? 1 : 0;
}
