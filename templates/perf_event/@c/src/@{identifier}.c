// SPDX-License-Identifier: @{license}
/* Opens the event on every CPU, attaches the program, shows the processes. */
#include <errno.h>
#include <getopt.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "@{identifier}.h"
#include "@{identifier}.skel.h"

/* As many as the map `processes` has room for. */
#define MAX_PROCESSES 4096

static const struct event {
	const char *name;
	unsigned int type;
	unsigned long long config;
	/* Samples a second, or, if that is 0, every so many events. */
	unsigned int frequency;
	unsigned int period;
} events[] = {
	{ "cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 99, 0 },
	{ "page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 0, 1 },
	{ "context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, 0, 1 },
	{ "migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, 0, 1 },
	{ "cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 99, 0 },
	{ "instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, 99, 0 },
	{ "cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, 99, 0 },
	{ "branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, 99, 0 },
};
#define EVENTS (sizeof(events) / sizeof(events[0]))

struct row {
	unsigned int pid;
	struct process process;
};

static struct row rows[MAX_PROCESSES];
static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	stopping = 1;
}

static void usage(FILE *out, const char *program)
{
	unsigned int i;

	fprintf(out,
		"Usage: %s [OPTIONS]\n\n"
		"Shows which processes an event happens in most.\n\n"
		"  -e, --event EVENT       the event (cpu-clock)\n"
		"  -n, --top N             show so many processes (10)\n"
		"  -t, --interval SECONDS  pause between two tables (1)\n"
		"  -h, --help              show this text\n\n"
		"Events:",
		program);
	for (i = 0; i < EVENTS; i++)
		fprintf(out, " %s", events[i].name);
	fprintf(out, "\n");
}

static int by_events(const void *left, const void *right)
{
	unsigned long long a = ((const struct row *)left)->process.events;
	unsigned long long b = ((const struct row *)right)->process.events;

	return a < b ? 1 : a > b ? -1 : 0;
}

static void show(int processes, int top)
{
	unsigned int *last = NULL;
	int count = 0, i;

	while (count < MAX_PROCESSES && !bpf_map_get_next_key(processes, last, &rows[count].pid)) {
		last = &rows[count].pid;
		/* It may be gone by now. */
		if (!bpf_map_lookup_elem(processes, last, &rows[count].process))
			count++;
		else
			memset(&rows[count].process, 0, sizeof(rows[count].process));
	}
	qsort(rows, count, sizeof(rows[0]), by_events);
	printf("%8s %-16s %10s %16s\n", "pid", "process", "samples", "events");
	for (i = 0; i < count && i < top; i++)
		printf("%8u %-16s %10llu %16llu\n", rows[i].pid, rows[i].process.comm,
		       rows[i].process.samples, rows[i].process.events);
	printf("\n");
	fflush(stdout);
}

static int open_event(const struct event *event, int cpu)
{
	struct perf_event_attr attr = {
		.type = event->type,
		.size = sizeof(attr),
		.config = event->config,
	};

	if (event->frequency) {
		attr.freq = 1;
		attr.sample_freq = event->frequency;
	} else {
		attr.sample_period = event->period;
	}
	return syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "event", required_argument, NULL, 'e' },
		{ "top", required_argument, NULL, 'n' },
		{ "interval", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	const struct event *event = &events[0];
	struct @{identifier}_bpf *skel;
	int option, top = 10, interval = 1, cpus, cpu, attached = 0, err = 1;
	struct bpf_link **links = NULL;
	unsigned int i;

	while ((option = getopt_long(argc, argv, "e:n:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'e':
			for (i = 0; i < EVENTS && strcmp(events[i].name, optarg); i++)
				;
			if (i == EVENTS) {
				usage(stderr, argv[0]);
				return 2;
			}
			event = &events[i];
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
	if (top < 1 || interval < 1 || optind != argc) {
		usage(stderr, argv[0]);
		return 2;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	skel = @{identifier}_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "cannot load the program: %s\n", strerror(errno));
		return 1;
	}
	cpus = libbpf_num_possible_cpus();
	if (cpus > 0)
		links = calloc(cpus, sizeof(*links));
	if (!links) {
		fprintf(stderr, "cannot tell the number of CPUs\n");
		cpus = 0;
		goto out;
	}
	for (cpu = 0; cpu < cpus; cpu++) {
		int fd = open_event(event, cpu);

		if (fd < 0) {
			/* A CPU that is switched off. */
			if (errno == ENODEV)
				continue;
			fprintf(stderr, "cannot open %s on CPU %d: %s\n", event->name, cpu,
				strerror(errno));
			goto out;
		}
		/* From now on the link owns the event. */
		links[cpu] = bpf_program__attach_perf_event(skel->progs.on_sample, fd);
		if (!links[cpu]) {
			fprintf(stderr, "cannot attach on CPU %d: %s\n", cpu, strerror(errno));
			close(fd);
			goto out;
		}
		attached++;
	}
	fprintf(stderr, "%s on %d CPUs, Ctrl-C ends\n", event->name, attached);

	while (!stopping) {
		sleep(interval);
		show(bpf_map__fd(skel->maps.processes), top);
	}
	err = 0;
out:
	for (cpu = 0; cpu < cpus; cpu++)
		bpf_link__destroy(links[cpu]);
	free(links);
	@{identifier}_bpf__destroy(skel);
	return err;
}
