// SPDX-License-Identifier: @{license}
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static struct {
	bool sleeping;
	int pid;
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
		"Lists every thread with its state and its kernel stack.\n\n"
		"  -s, --sleeping  only threads that wait uninterruptibly (state D)\n"
		"  -p, --pid PID   only the process PID\n"
		"  -v, --verbose   print what libbpf does\n"
		"  -h, --help      show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "sleeping", no_argument, NULL, 's' },
		{ "pid", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "sp:vh", known, NULL)) != -1) {
		switch (option) {
		case 's':
			options.sleeping = true;
			break;
		case 'p':
			options.pid = number(optarg, 1);
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

/* The lowest bit that is set says the state (linux/sched.h). */
static char letter(unsigned int state)
{
	static const char letters[] = "SDTtXZP";
	int bit;

	if (!state)
		return 'R';
	/* Kernel threads that wait for work; they are no load. */
	if (state & 0x400)
		return 'I';
	for (bit = 0; letters[bit]; bit++)
		if (state & (1u << bit))
			return letters[bit];
	return '?';
}

struct symbol {
	unsigned long long address;
	char name[64];
};

static struct symbol *symbols;
static size_t symbol_count;

static int by_address(const void *a, const void *b)
{
	const struct symbol *first = a, *second = b;

	return first->address < second->address ? -1 : first->address > second->address;
}

/* Reads where the kernel's functions are. Without them addresses are shown. */
static void read_symbols(void)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	struct symbol symbol, *larger;
	size_t room = 0;
	char kind;

	if (!file)
		return;
	while (fscanf(file, "%llx %c %63s%*[^\n]", &symbol.address, &kind, symbol.name) == 3) {
		if ((kind != 't' && kind != 'T') || !symbol.address)
			continue;
		if (symbol_count == room) {
			room = room ? 2 * room : 65536;
			larger = realloc(symbols, room * sizeof(*symbols));
			if (!larger)
				break;
			symbols = larger;
		}
		symbols[symbol_count++] = symbol;
	}
	fclose(file);
	qsort(symbols, symbol_count, sizeof(*symbols), by_address);
}

static void print_address(unsigned long long address)
{
	size_t low = 0, high = symbol_count, middle;

	/* The last symbol that does not lie behind the address. */
	while (low < high) {
		middle = low + (high - low) / 2;
		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low)
		printf("        %s+0x%llx\n", symbols[low - 1].name,
		       address - symbols[low - 1].address);
	else
		printf("        0x%llx\n", address);
}

static void print_thread(const struct thread *thread)
{
	int frame;

	if (options.pid && thread->pid != options.pid)
		return;
	if (options.sleeping && letter(thread->state) != 'D')
		return;
	printf("%-8d %-8d %-8d %c     %s\n", thread->pid, thread->tid, thread->parent,
	       letter(thread->state), thread->comm);
	for (frame = 0; frame < thread->stack_bytes / (long)sizeof(thread->stack[0]); frame++)
		print_address(thread->stack[frame]);
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	size_t filled = 0;
	int iterator = -1;
	int status = 1;
	ssize_t bytes;
	static struct thread thread;

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
	if (@{identifier}_bpf__attach(skel)) {
		perror("cannot attach the BPF programs");
		goto out;
	}
	read_symbols();

	/* To open the iterator makes a file; to read it runs the program. */
	iterator = bpf_iter_create(bpf_link__fd(skel->links.list_threads));
	if (iterator < 0) {
		perror("cannot open the iterator");
		goto out;
	}
	printf("%-8s %-8s %-8s %-5s %s\n", "PID", "TID", "PARENT", "STATE", "NAME");
	while (!stopped) {
		bytes = read(iterator, (char *)&thread + filled, sizeof(thread) - filled);
		if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (bytes < 0) {
			perror("cannot read the iterator");
			goto out;
		}
		if (!bytes)
			break;
		/* A read may end in the middle of a thread. */
		filled += bytes;
		if (filled == sizeof(thread)) {
			print_thread(&thread);
			filled = 0;
		}
	}

	status = 0;
out:
	if (iterator >= 0)
		close(iterator);
	free(symbols);
	@{identifier}_bpf__destroy(skel);
	return status;
}
