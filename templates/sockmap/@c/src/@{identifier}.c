// SPDX-License-Identifier: @{license}
/* Attaches both programs and shows how many messages took the short way. */
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
		"Shortens the way between TCP sockets of this machine. Connections that\n"
		"are made from now on, over 127.0.0.1, take part.\n\n"
		"  -c, --cgroup CGROUP     only of this cgroup's processes (/sys/fs/cgroup)\n"
		"  -t, --interval SECONDS  pause between two lines (1)\n"
		"  -h, --help              show this text\n",
		program);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	const char *path = "/sys/fs/cgroup";
	struct @{identifier}_bpf *skel;
	int option, interval = 1, cgroup, program, map, err = 1;

	while ((option = getopt_long(argc, argv, "c:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 't':
			interval = atoi(optarg);
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (interval < 1 || optind != argc) {
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
	/* Links to maps of sockets are new; the older call works everywhere. What
	 * it attaches goes with the map.
	 */
	program = bpf_program__fd(skel->progs.on_message);
	map = bpf_map__fd(skel->maps.sockets);
	if (bpf_prog_attach(program, map, BPF_SK_MSG_VERDICT, 0)) {
		fprintf(stderr, "cannot attach to the map: %s\n", strerror(errno));
		goto out;
	}
	skel->links.on_socket = bpf_program__attach_cgroup(skel->progs.on_socket, cgroup);
	if (!skel->links.on_socket) {
		fprintf(stderr, "cannot attach to %s: %s\n", path, strerror(errno));
		goto detach;
	}

	printf("%10s %12s %14s\n", "sockets", "messages", "bytes");
	while (!stopping) {
		sleep(interval);
		printf("%10llu %12llu %14llu\n", (unsigned long long)skel->bss->connected,
		       (unsigned long long)skel->bss->messages,
		       (unsigned long long)skel->bss->bytes);
		fflush(stdout);
	}
	err = 0;
detach:
	bpf_prog_detach2(program, map, BPF_SK_MSG_VERDICT);
out:
	@{identifier}_bpf__destroy(skel);
	close(cgroup);
	return err;
}
