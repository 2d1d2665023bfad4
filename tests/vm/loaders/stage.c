/* Puts one loader after the other on a stage: a machine where something
 * happens. `stage stays PATTERN PROGRAM ARGUMENTS...` runs the program until it
 * has written what matches the pattern, and ends it as Ctrl-C does; one that
 * `ends` is left to do so by itself. What it wrote is passed on, and then how
 * it ended.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 120000,	/* for the pattern */
	LEAVE_MS = 60000,	/* from the signal to the end */
	PORT = 7006,		/* where our own server listens */
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void bring_up(const char *device, const char *address)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = {};

	strcpy(request.ifr_name, device);
	if (address) {
		inet_pton(AF_INET, address, &own.sin_addr);
		memcpy(&request.ifr_addr, &own, sizeof(own));
		ioctl(fd, SIOCSIFADDR, &request);
	}
	request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_NOARP;
	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

/* The loopback device is up, and there is a pair of netkit devices if the
 * kernel has those: it calls the other one nk0.
 */
static void lay_network(void)
{
	static const char kind[] = "netkit", name[] = "front";
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
		char room[64];
	} request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
			    .nlmsg_type = RTM_NEWLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL },
	};
	struct rtattr *info, *word;

	word = (void *)((char *)&request + NLMSG_ALIGN(request.header.nlmsg_len));
	*word = (struct rtattr){ RTA_LENGTH(sizeof(name)), IFLA_IFNAME };
	memcpy(RTA_DATA(word), name, sizeof(name));
	info = (void *)((char *)word + RTA_ALIGN(word->rta_len));
	*info = (struct rtattr){ RTA_LENGTH(RTA_SPACE(sizeof(kind))), IFLA_LINKINFO };
	word = RTA_DATA(info);
	*word = (struct rtattr){ RTA_LENGTH(sizeof(kind)), IFLA_INFO_KIND };
	memcpy(RTA_DATA(word), kind, sizeof(kind));
	request.header.nlmsg_len = (char *)info + RTA_ALIGN(info->rta_len) - (char *)&request;
	send(fd, &request, request.header.nlmsg_len, 0);
	close(fd);
	bring_up("lo", NULL);
	bring_up("front", NULL);
	bring_up("nk0", "10.0.0.2");
}

static int tcp(const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Answers whatever it is sent, one client after the other. */
static void serve(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char word[16];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	bind(fd, (struct sockaddr *)&here, sizeof(here));
	listen(fd, 16);
	for (;;) {
		int client = accept(fd, NULL, NULL);

		while (read(client, word, sizeof(word)) > 0)
			write(client, word, sizeof(word));
		close(client);
	}
}

/* One conversation by TCP, with the congestion control of the templates if
 * there is such a one. A server that speaks of itself is listened to.
 */
static void talk(int fd)
{
	struct timeval limit = { .tv_usec = 200000 };
	char word[64] = "hello";
	int i;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, 13 /* TCP_CONGESTION */, "bpf_aimd", 8);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (i = 0; i < 3; i++) {
		send(fd, word, 16, MSG_NOSIGNAL);
		recv(fd, word, sizeof(word), 0);
	}
	close(fd);
}

static pid_t call(const char *argument)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bring/stage/caller", "caller", argument, NULL);
		_exit(127);
	}
	return child;
}

/* Whatever somebody may want to see, over and over. */
static void stir(void)
{
	struct sockaddr_in near = { .sin_family = AF_INET, .sin_port = htons(9) }, far = near;
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	union { unsigned int start; char room[16]; } next = {};
	pid_t server = fork(), sleeper = 0, child;
	long long began = 0;

	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve();
	}
	inet_pton(AF_INET, "127.0.0.1", &near.sin_addr);
	inet_pton(AF_INET, "10.0.0.1", &far.sin_addr);
	for (;;) {
		volatile unsigned long work = 0;
		void *pages;

		/* Processes that stay for some seconds. */
		if (now_ms() - began > 2500) {
			if (sleeper) {
				kill(sleeper, SIGKILL);
				waitpid(sleeper, NULL, 0);
			}
			sleeper = call("--stay");
			began = now_ms();
		}
		close(open("/tmp/stirred", O_CREAT | O_RDWR, 0600));
		unlink("/tmp/stirred");
		kill(sleeper, SIGCONT);
		sendto(udp, "hello", 5, 0, (struct sockaddr *)&near, sizeof(near));
		sendto(udp, "hello", 5, 0, (struct sockaddr *)&far, sizeof(far));
		talk(tcp("127.0.0.1", PORT));
		talk(tcp("127.0.0.1", 7500));
		talk(tcp("192.0.2.1", 80));
		syscall(SYS_bpf, 11 /* BPF_PROG_GET_NEXT_ID */, &next, sizeof(next));
		pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		munmap(pages, 1 << 20);
		while (work < 3000000)
			work++;
		child = call("--once");
		waitpid(child, NULL, 0);
		usleep(20000);
	}
}

/* A file with three numbers, for who reads. */
static int numbers(void)
{
	static const char text[] = "7\n-3\n38\n";
	int fd = memfd_create("numbers", 0);

	write(fd, text, sizeof(text) - 1);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

int main(int argc, char **argv)
{
	static char output[1 << 16];
	size_t length = 0;
	long long began, deadline;
	bool ends_alone, seen = false, told = false, killed = false;
	int ends[2], status, input;
	pid_t stirrer, child;
	regex_t pattern;

	if (argc < 4 || regcomp(&pattern, argv[2], REG_EXTENDED | REG_NEWLINE | REG_NOSUB))
		return 2;
	ends_alone = !strcmp(argv[1], "ends");
	argv += 3;
	lay_network();
	printf("--- %s\n", argv[0]);
	fflush(stdout);

	input = numbers();
	pipe2(ends, O_CLOEXEC);
	child = fork();
	if (!child) {
		dup2(input, 0);
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		signal(SIGINT, SIG_DFL);
		execv(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	stirrer = fork();
	if (!stirrer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		close(ends[1]);
		stir();
	}
	close(ends[1]);

	began = now_ms();
	deadline = began + PATIENCE_MS;
	for (;;) {
		struct pollfd entry = { .fd = ends[0], .events = POLLIN };
		long long left = deadline - now_ms();
		ssize_t size;

		if (poll(&entry, 1, left > 0 ? left : 0) > 0) {
			size = read(ends[0], output + length, sizeof(output) - 1 - length);
			if (size <= 0)
				break;
			length += size;
			output[length] = 0;
			seen = seen || !regexec(&pattern, output, 0, NULL, 0);
			/* Enough is kept to see what it was like. */
			if (length > sizeof(output) / 2)
				length = 0;
		}
		if (!told && ((seen && !ends_alone) || now_ms() >= deadline)) {
			kill(child, SIGINT);
			told = true;
			deadline = now_ms() + LEAVE_MS;
		} else if (told && now_ms() >= deadline) {
			kill(child, SIGKILL);
			killed = true;
			break;
		}
	}
	waitpid(child, &status, 0);
	kill(stirrer, SIGKILL);
	waitpid(stirrer, NULL, 0);
	fwrite(output, 1, length, stdout);
	printf("=== %s, %lld ms, ", seen ? "seen" : "not seen", now_ms() - began);
	if (killed)
		printf("it goes on after SIGINT\n");
	else if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	else
		printf("exit code %d\n", WEXITSTATUS(status));
	return 0;
}
