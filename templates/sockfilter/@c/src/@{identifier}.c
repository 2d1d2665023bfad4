// SPDX-License-Identifier: @{license}
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static struct {
	const char *interface;
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

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] INTERFACE\n\n"
		"Shows the IPv4 packets of an interface.\n\n"
		"  -v, --verbose  print what libbpf does\n"
		"  -h, --help     show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "vh", known, NULL)) != -1) {
		switch (option) {
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
	if (optind + 1 != argc) {
		usage(stderr, argv[0]);
		exit(2);
	}
	options.interface = argv[optind];
}

static int on_packet(void *context, void *data, size_t size)
{
	const struct packet *packet = data;
	char source[INET_ADDRSTRLEN], destination[INET_ADDRSTRLEN];
	const struct protoent *protocol = getprotobynumber(packet->protocol);
	char number[16];

	snprintf(number, sizeof(number), "%u", packet->protocol);
	inet_ntop(AF_INET, &packet->source, source, sizeof(source));
	inet_ntop(AF_INET, &packet->destination, destination, sizeof(destination));
	printf("%-4s %-6s %15s:%-5u -> %15s:%-5u %6u bytes\n", packet->outgoing ? "out" : "in",
	       protocol ? protocol->p_name : number, source, ntohs(packet->source_port),
	       destination, ntohs(packet->destination_port), packet->length);
	return 0;
}

/* A socket that gets every packet of the interface. */
static int open_socket(unsigned int index)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = index,
	};
	int fd;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	struct ring_buffer *events = NULL;
	int status = 1;
	int error, program;
	unsigned int index;
	int packets = -1;

	parse(argc, argv);
	index = if_nametoindex(options.interface);
	if (!index) {
		fprintf(stderr, "there is no interface %s\n", options.interface);
		return 1;
	}
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

	packets = open_socket(index);
	if (packets < 0) {
		perror("cannot open the socket");
		goto out;
	}
	program = bpf_program__fd(skel->progs.watch_packets);
	if (setsockopt(packets, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program))) {
		perror("cannot attach the BPF program");
		goto out;
	}
	events = ring_buffer__new(bpf_map__fd(skel->maps.packets), on_packet, NULL, NULL);
	if (!events) {
		perror("cannot read the ring buffer");
		goto out;
	}

	/* A signal ends the wait, and Ctrl-C is one. */
	while (!stopped) {
		error = ring_buffer__poll(events, 100);
		if (error < 0 && error != -EINTR) {
			fprintf(stderr, "cannot read the ring buffer: %s\n", strerror(-error));
			goto out;
		}
	}
	if (skel->bss->lost)
		printf("%llu packets were lost\n", (unsigned long long)skel->bss->lost);

	status = 0;
out:
	ring_buffer__free(events);
	/* The program goes with the socket. */
	if (packets >= 0)
		close(packets);
	@{identifier}_bpf__destroy(skel);
	return status;
}
