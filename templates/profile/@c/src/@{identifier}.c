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
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

static struct {
	int pid;
	long frequency;
	bool verbose;
} options = {
	/* No round number: what is in step with a clock would always be seen. */
	.frequency = 49,
};

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
		"Samples where the CPUs spend their time.\n\n"
		"  -p, --pid PID       only the process PID\n"
		"  -f, --frequency HZ  samples a second (49)\n"
		"  -v, --verbose       print what libbpf does\n"
		"  -h, --help          show this text\n",
		program);
}

/* Reads the arguments; if they are wrong, or help is asked for, it ends here. */
static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "frequency", required_argument, NULL, 'f' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "p:f:vh", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			options.pid = number(optarg, 1);
			break;
		case 'f':
			options.frequency = number(optarg, 1);
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

static void print_kernel_address(unsigned long long address)
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
		printf("    %s+0x%llx\n", symbols[low - 1].name,
		       address - symbols[low - 1].address);
	else
		printf("    0x%llx\n", address);
}

/* A user address as file and offset, which `addr2line -e FILE OFFSET` and its
 * kind make a line of. The process may be gone by now.
 */
static void print_user_address(int pid, unsigned long long address)
{
	unsigned long long start, end, offset;
	char path[64], file[256], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	while (maps && fgets(line, sizeof(line), maps)) {
		file[0] = '\0';
		if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %255[^\n]", &start, &end, &offset,
			   file) < 3)
			continue;
		if (address >= start && address < end && file[0]) {
			printf("    %s+0x%llx\n", file, address - start + offset);
			fclose(maps);
			return;
		}
	}
	if (maps)
		fclose(maps);
	printf("    0x%llx\n", address);
}

static int on_sample(void *context, void *data, size_t size)
{
	const struct stack_sample *sample = data;
	int frame;

	/* Samples may come faster than they are printed. */
	if (stopped)
		return -EINTR;
	printf("%s (process %d) on CPU %u\n", sample->comm, sample->pid, sample->cpu);
	printf("  kernel\n");
	for (frame = 0; frame < sample->kernel_bytes / (int)sizeof(sample->kernel_stack[0]); frame++)
		print_kernel_address(sample->kernel_stack[frame]);
	printf("  user\n");
	for (frame = 0; frame < sample->user_bytes / (int)sizeof(sample->user_stack[0]); frame++)
		print_user_address(sample->pid, sample->user_stack[frame]);
	printf("\n");
	return 0;
}

/* A clock that ticks on one CPU. Machines without counters of their own, such
 * as virtual ones, have a clock in software.
 */
static int open_clock(int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_HARDWARE,
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.freq = 1,
		.sample_freq = options.frequency,
	};
	int fd;

	fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == EOPNOTSUPP)) {
		attr.type = PERF_TYPE_SOFTWARE;
		attr.config = PERF_COUNT_SW_CPU_CLOCK;
		fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct @{identifier}_bpf *skel;
	int cpus = libbpf_num_possible_cpus();
	struct ring_buffer *events = NULL;
	struct bpf_link **links = NULL;
	int error, cpu, clock, ticking = 0;
	int status = 1;

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
	skel->rodata->target_pid = options.pid;

	if (@{identifier}_bpf__load(skel)) {
		fprintf(stderr, "cannot load the BPF programs%s\n",
			geteuid() ? "; this needs root" : "");
		goto out;
	}

	links = cpus > 0 ? calloc(cpus, sizeof(*links)) : NULL;
	if (!links) {
		fprintf(stderr, "cannot count the CPUs\n");
		goto out;
	}
	for (cpu = 0; cpu < cpus; cpu++) {
		clock = open_clock(cpu);
		/* There could be such a CPU, but it is not online. */
		if (clock < 0 && errno == ENODEV)
			continue;
		links[cpu] = clock < 0 ? NULL
				       : bpf_program__attach_perf_event(skel->progs.on_tick, clock);
		if (!links[cpu]) {
			fprintf(stderr, "cannot sample CPU %d: %s\n", cpu, strerror(errno));
			/* Links close the clocks that they have; this has none. */
			if (clock >= 0)
				close(clock);
			goto out;
		}
		ticking++;
	}
	events = ring_buffer__new(bpf_map__fd(skel->maps.samples), on_sample, NULL, NULL);
	if (!events) {
		perror("cannot read the ring buffer");
		goto out;
	}
	read_symbols();

	fprintf(stderr, "%d CPUs, %ld samples a second\n", ticking, options.frequency);
	/* A signal ends the wait, and Ctrl-C is one. */
	while (!stopped) {
		error = ring_buffer__poll(events, 100);
		if (error < 0 && error != -EINTR) {
			fprintf(stderr, "cannot read the ring buffer: %s\n", strerror(-error));
			goto out;
		}
	}
	if (skel->bss->lost)
		printf("%llu samples were lost\n", (unsigned long long)skel->bss->lost);

	status = 0;
out:
	ring_buffer__free(events);
	for (cpu = 0; links && cpu < cpus; cpu++)
		bpf_link__destroy(links[cpu]);
	free(links);
	free(symbols);
	@{identifier}_bpf__destroy(skel);
	return status;
}
