// SPDX-License-Identifier: @{license}
/* Attaches the program to functions of a binary and shows who calls them. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

/* As many as the map `calls` has room for. */
#define MAX_CALLERS 16384

struct row {
	struct caller caller;
	struct calls calls;
};

static struct row rows[MAX_CALLERS];
static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTIONS] BINARY FUNCTION...\n\n"
		"Counts calls of functions of a program or library. A name without `/` is\n"
		"looked for in the usual places: `libc.so.6`, `bash`.\n\n"
		"  -p, --pid PID           look at this process only\n"
		"  -n, --top N             show so many rows (20)\n"
		"  -t, --interval SECONDS  pause between two tables (1)\n"
		"  -h, --help              show this text\n",
		program);
}

static int by_count(const void *left, const void *right)
{
	unsigned long long a = ((const struct row *)left)->calls.count;
	unsigned long long b = ((const struct row *)right)->calls.count;

	return a < b ? 1 : a > b ? -1 : 0;
}

static void show(int calls, int top, char **functions)
{
	struct caller *last = NULL;
	int count = 0, i;

	while (count < MAX_CALLERS && !bpf_map_get_next_key(calls, last, &rows[count].caller)) {
		last = &rows[count].caller;
		/* It may be gone by now. */
		if (!bpf_map_lookup_elem(calls, last, &rows[count].calls))
			count++;
		else
			memset(&rows[count].calls, 0, sizeof(rows[count].calls));
	}
	qsort(rows, count, sizeof(rows[0]), by_count);
	printf("%12s %8s %-16s %s\n", "calls", "pid", "process", "function");
	for (i = 0; i < count && i < top; i++)
		printf("%12llu %8u %-16s %s\n", rows[i].calls.count, rows[i].caller.pid,
		       rows[i].calls.comm, functions[rows[i].caller.function]);
	printf("\n");
	fflush(stdout);
}

/* Where a program or library is that was named without a path: attaching to
 * many functions at once does not look for it. The name itself if it is in none
 * of the usual places.
 */
static const char *find(const char *binary, glob_t *found)
{
	static const char *const dirs[] = { "/lib64", "/usr/lib64", "/lib/*-linux-*", "/usr/lib",
					    "/lib", "/usr/local/bin", "/usr/bin", "/usr/sbin" };
	char pattern[PATH_MAX];
	size_t i;

	for (i = 0; !strchr(binary, '/') && i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s", dirs[i], binary);
		if (!glob(pattern, 0, NULL, found))
			return found->gl_pathv[0];
	}
	return binary;
}

/* Where functions are in a file; 0 if one is missing. libbpf finds them by their
 * names, too, but up to 1.7 not in files without the section .symtab, and the
 * libraries of distributions have none.
 */
static int locate(const char *path, char **functions, int count, unsigned long *offsets)
{
	int i, fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	const ElfW(Shdr) *sections, *table;
	const ElfW(Ehdr) *header;
	struct stat about;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &about))
		err = -errno;
	else if (about.st_size < (off_t)sizeof(*header))
		err = -ENOEXEC;
	header = err ? MAP_FAILED : mmap(NULL, about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (header == MAP_FAILED)
		err = err ? err : -errno;
	close(fd);
	if (err)
		return err;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_shentsize != sizeof(*table)) {
		err = -ENOEXEC;
		goto out;
	}
	sections = (const void *)((const char *)header + header->e_shoff);
	for (table = sections; table < sections + header->e_shnum; table++) {
		const char *names = (const char *)header + sections[table->sh_link].sh_offset;
		const ElfW(Sym) *symbol = (const void *)((const char *)header + table->sh_offset);
		const ElfW(Sym) *end = symbol + table->sh_size / sizeof(*symbol);

		if (table->sh_type != SHT_DYNSYM && table->sh_type != SHT_SYMTAB)
			continue;
		for (; symbol < end; symbol++) {
			const ElfW(Shdr) *home = &sections[symbol->st_shndx];

			if ((symbol->st_info & 0xf) != STT_FUNC || symbol->st_shndx == SHN_UNDEF ||
			    symbol->st_shndx >= header->e_shnum)
				continue;
			for (i = 0; i < count; i++)
				if (!strcmp(functions[i], names + symbol->st_name))
					offsets[i] = symbol->st_value - home->sh_addr +
						     home->sh_offset;
		}
	}
out:
	munmap((void *)header, about.st_size);
	return err;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "top", required_argument, NULL, 'n' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts);
	int option, pid = -1, top = 20, interval = 1, count, i, err = 1;
	struct @{identifier}_bpf *skel = NULL;
	unsigned long long *cookies;
	unsigned long *offsets;
	const char *binary;
	char **functions;
	glob_t found = {};

	while ((option = getopt_long(argc, argv, "p:n:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			pid = atoi(optarg);
			break;
		case 'n':
			top = atoi(optarg);
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
	if (top < 1 || interval < 1 || optind + 2 > argc) {
		usage(stderr, argv[0]);
		return 2;
	}
	functions = &argv[optind + 1];
	count = argc - optind - 1;
	cookies = calloc(count, sizeof(*cookies));
	offsets = calloc(count, sizeof(*offsets));
	if (!cookies || !offsets) {
		fprintf(stderr, "%s\n", strerror(errno));
		goto out;
	}
	binary = find(argv[optind], &found);
	err = locate(binary, functions, count, offsets);
	if (err) {
		fprintf(stderr, "%s: %s\n", binary, strerror(-err));
		goto out;
	}
	err = 1;
	for (i = 0; i < count; i++) {
		if (!offsets[i]) {
			fprintf(stderr, "%s has no function %s\n", binary, functions[i]);
			goto out;
		}
		cookies[i] = i;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		goto out;
	}
	opts.offsets = offsets;
	opts.cookies = (const __u64 *)cookies;
	opts.cnt = count;
	skel->links.on_call = bpf_program__attach_uprobe_multi(skel->progs.on_call, pid, binary,
							       NULL, &opts);
	if (!skel->links.on_call) {
		fprintf(stderr, "cannot attach to %s: %s\n", binary, strerror(errno));
		goto out;
	}

	while (!stopping) {
		sleep(interval);
		show(bpf_map__fd(skel->maps.calls), top, functions);
	}
	err = 0;
out:
	@{identifier}_bpf__destroy(skel);
	globfree(&found);
	free(offsets);
	free(cookies);
	return err ? 1 : 0;
}
