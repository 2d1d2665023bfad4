// SPDX-License-Identifier: @{license}
/* Runs the iterator once and prints what it writes. */
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
		"Shows a table of all BPF programs.\n\n"
		"  -t, --type TYPE  show programs of this type only: xdp, tracing ...\n"
		"  -h, --help       show this text\n",
		program);
}

/* The number of a type of programs; 0 if there is none of that name. */
static unsigned int type_of(const char *name)
{
	const char *known;
	unsigned int type;

	for (type = 1; (known = libbpf_bpf_prog_type_str(type)); type++)
		if (!strcmp(known, name))
			return type;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct @{identifier}_bpf *skel;
	unsigned int type = 0;
	int option, err;

	while ((option = getopt_long(argc, argv, "t:h", options, NULL)) != -1) {
		switch (option) {
		case 't':
			type = type_of(optarg);
			if (!type) {
				fprintf(stderr, "there is no type %s of programs\n", optarg);
				return 2;
			}
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
	skel->rodata->target_type = type;
	err = @{identifier}_bpf__load(skel);
	if (!err)
		err = @{identifier}_bpf__attach(skel);
	if (err) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(-err));
		goto out;
	}
	err = copy_out(skel->links.show_program);
	if (err)
		fprintf(stderr, "cannot read: %s\n", strerror(-err));
out:
	@{identifier}_bpf__destroy(skel);
	return err ? 1 : 0;
}
