// SPDX-License-Identifier: @{license}
/* A small server that answers on all ports of a range. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
		"Tells every TCP client which port it has chosen.\n\n"
		"  -p, --ports FIRST-LAST  the ports to answer on (7000-7999)\n"
		"  -h, --help              show this text\n",
		program);
}

/* Listens for IPv6 and IPv4 on a port that the kernel chooses. */
static int listener(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	int off = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 128)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static void answer(int client)
{
	struct sockaddr_in6 here, there;
	socklen_t size = sizeof(here);
	char from[INET6_ADDRSTRLEN];

	if (getsockname(client, (struct sockaddr *)&here, &size))
		return;
	size = sizeof(there);
	if (getpeername(client, (struct sockaddr *)&there, &size))
		return;
	inet_ntop(AF_INET6, &there.sin6_addr, from, sizeof(from));
	printf("%s chose port %d\n", from, ntohs(here.sin6_port));
	fflush(stdout);
	dprintf(client, "you chose port %d\n", ntohs(here.sin6_port));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ports", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	/* Without SA_RESTART, so that Ctrl-C ends a waiting accept(2). */
	struct sigaction action = { .sa_handler = on_signal };
	unsigned int first = 7000, last = 7999, slot = 0;
	int option, socket, namespace, err = 1;
	struct @{identifier}_bpf *skel;
	unsigned long long value;

	while ((option = getopt_long(argc, argv, "p:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			if (sscanf(optarg, "%u-%u", &first, &last) == 1)
				last = first;
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	if (!first || first > last || last > 65535 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* A client that has gone is no reason to end. */
	signal(SIGPIPE, SIG_IGN);

	socket = listener();
	if (socket < 0) {
		fprintf(stderr, "cannot listen: %s\n", strerror(-socket));
		return 1;
	}
	namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	skel = @{identifier}_bpf__open();
	if (namespace < 0 || !skel) {
		fprintf(stderr, "cannot begin: %s\n", strerror(errno));
		goto out;
	}
	skel->rodata->first_port = first;
	skel->rodata->last_port = last;
	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		goto out;
	}
	value = socket;
	if (bpf_map__update_elem(skel->maps.server, &slot, sizeof(slot), &value, sizeof(value),
				 BPF_ANY)) {
		fprintf(stderr, "cannot hand over the socket: %s\n", strerror(errno));
		goto out;
	}
	skel->links.choose_socket =
		bpf_program__attach_netns(skel->progs.choose_socket, namespace);
	if (!skel->links.choose_socket) {
		fprintf(stderr, "cannot attach: %s\n", strerror(errno));
		goto out;
	}

	printf("answering on ports %u to %u, Ctrl-C ends\n", first, last);
	fflush(stdout);
	while (!stopping) {
		int client = accept(socket, NULL, NULL);

		if (client < 0)
			continue;
		answer(client);
		close(client);
	}
	printf("%llu connections were steered\n", (unsigned long long)skel->bss->steered);
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	if (namespace >= 0)
		close(namespace);
	close(socket);
	return err;
}
