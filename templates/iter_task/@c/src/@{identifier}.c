// SPDX-License-Identifier: @{license}
/* Runs the iterator once and prints what it writes, or leaves it for others. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.skel.h"

/* Reads what the iterator writes, to its end. Each read(2) runs the program for
 * as many objects as fit into the buffer.
 */
static int copy_out(struct bpf_link *link)
{
	char buffer[4096];
	ssize_t size;
	int fd = bpf_iter_create(bpf_link__fd(link));

	if (fd < 0)
		return fd;
	while ((size = read(fd, buffer, sizeof(buffer))) > 0)
		fwrite(buffer, 1, size, stdout);
	if (size < 0)
		size = -errno;
	close(fd);
	return size;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Shows a table of all processes.\n\n"
		"  -u, --uid UID   show processes of this user only\n"
		"  -p, --pin PATH  make a file in /sys/fs/bpf that shows the table to whoever\n"
		"                  reads it, until it is removed\n"
		"  -h, --help      show this text\n",
		program);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "uid", required_argument, NULL, 'u' },
		{ "pin", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct @{identifier}_bpf *skel;
	const char *pin = NULL;
	int option, uid = -1, err;

	while ((option = getopt_long(argc, argv, "u:p:h", options, NULL)) != -1) {
		switch (option) {
		case 'u':
			uid = atoi(optarg);
			break;
		case 'p':
			pin = optarg;
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

	skel = @{identifier}_bpf__open();
	if (!skel) {
		fprintf(stderr, "cannot open the program: %s\n", strerror(errno));
		return 1;
	}
	skel->rodata->target_uid = uid;
	err = @{identifier}_bpf__load(skel);
	if (!err)
		err = @{identifier}_bpf__attach(skel);
	if (err) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(-err));
		goto out;
	}
	if (pin)
		err = bpf_link__pin(skel->links.show_process, pin);
	else
		err = copy_out(skel->links.show_process);
	if (err)
		fprintf(stderr, "%s: %s\n", pin ? pin : "cannot read", strerror(-err));
out:
	@{identifier}_bpf__destroy(skel);
	return err ? 1 : 0;
}
