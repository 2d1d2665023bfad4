/* What a machine does all day, done once: each thing is there for a tracing
 * tool to see. Linked statically, it runs in skep's guest:
 *
 *     gcc -O1 -static -pthread -o workload workload.c
 *     workload [block|raid|oom]
 *
 * Errors do not matter: what a kernel does not have is not seen.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char buffer[64 << 10];

/* A probe that a program's author has left there (USDT), without arguments. */
#define PROBE(provider, name)                                           \
	asm volatile("990: nop\n"                                       \
		     ".pushsection .note.stapsdt, \"\", \"note\"\n"     \
		     ".balign 4\n"                                      \
		     ".4byte 992f - 991f, 994f - 993f, 3\n"             \
		     "991: .asciz \"stapsdt\"\n"                        \
		     "992: .balign 4\n"                                 \
		     "993: .8byte 990b, 0, 0\n"                         \
		     ".asciz \"" provider "\", \"" name "\", \"\"\n"    \
		     "994: .balign 4\n"                                 \
		     ".popsection")

static void nap(int ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

/* What shells call for a line. */
__attribute__((noinline)) char *readline(const char *prompt)
{
	char *line = strdup("cat /etc/motd");

	asm volatile("" : : "r"(prompt) : "memory");
	return line;
}

/* Such a shell, as far as anybody outside can tell. */
static void shell(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NAME, "bash");
		free(readline("$ "));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* Files that are made, written, read, renamed, removed. */
static void files(const char *dir)
{
	char path[256], other[256], list[4096];
	struct statfs fs;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/workload-file", dir);
	snprintf(other, sizeof(other), "%s/workload-other", dir);
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	for (int i = 0; i < 16; i++)
		write(fd, buffer, 4096);
	fsync(fd);
	fdatasync(fd);
	sync_file_range(fd, 0, 4096, 0);
	syncfs(fd);
	lseek(fd, 0, SEEK_SET);
	while (read(fd, buffer, 4096) > 0)
		;
	fstat(fd, &st);
	close(fd);
	syscall(SYS_stat, path, &st);
	syscall(SYS_lstat, path, &st);
	stat(path, &st);
	statfs(path, &fs);
	open("/no/such/file", O_RDONLY);
	rename(path, other);
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	syscall(SYS_getdents64, fd, list, sizeof(list));
	close(fd);
	unlink(other);
}

/* A disk that is read through the page cache and past it, and written. */
static void disk(const char *path)
{
	void *page;
	int fd;

	if (posix_memalign(&page, 4096, 65536))
		return;
	memset(page, 7, 65536);
	fd = open(path, O_RDWR | O_DIRECT);
	for (int i = 0; i < 16; i++) {
		pread(fd, page, 4096, i * 4096L);
		pwrite(fd, page, 16384, (1024 + 97 * i) * 4096L);
	}
	close(fd);
	fd = open(path, O_RDWR);
	/* One after the other, so that the kernel reads ahead. */
	for (int i = 0; i < 32; i++)
		read(fd, page, 16384);
	for (int i = 0; i < 32; i++)
		pread(fd, page, 16384, i * 16384L);
	pwrite(fd, page, 65536, 0);
	fsync(fd);
	close(fd);
	sync();
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	write(fd, text, strlen(text));
	close(fd);
}

/* An array of one disk, whose caches are flushed. */
static void raid(void)
{
	char device[32] = "";
	int fd = open("/sys/block/nullb0/dev", O_RDONLY);

	read(fd, device, sizeof(device) - 1);
	close(fd);
	put("/sys/module/md_mod/parameters/new_array", "md0");
	put("/sys/block/md0/md/metadata_version", "none");
	put("/sys/block/md0/md/level", "raid0");
	put("/sys/block/md0/md/raid_disks", "1");
	put("/sys/block/md0/md/chunk_size", "65536");
	put("/sys/block/md0/md/new_dev", device);
	put("/sys/block/md0/md/dev-nullb0/slot", "0");
	put("/sys/block/md0/md/array_state", "active");
	fd = open("/dev/md0", O_RDWR);
	write(fd, buffer, 4096);
	fsync(fd);
	close(fd);
}

static void *locker(void *lock)
{
	for (int i = 0; i < 5; i++) {
		pthread_mutex_lock(lock);
		nap(3);
		pthread_mutex_unlock(lock);
	}
	return NULL;
}

/* Threads that want the same lock. */
static void threads(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t all[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&all[i], NULL, locker, &lock);
	for (int i = 0; i < 3; i++)
		pthread_join(all[i], NULL);
}

/* Processes that start, fail, are killed. */
static void processes(void)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "workload", "nothing", NULL);
		_exit(3);
	}
	waitpid(pid, &status, 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	nap(5);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	pid = fork();
	if (pid == 0)
		_exit(7);
	waitpid(pid, &status, 0);
	kill(pid, SIGUSR1);
}

/* Two processes that have work to do for a while. */
static void work(void)
{
	pid_t pid = fork();
	volatile unsigned long sum = 0;
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < 10000; i++)
			sum += i;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 200);
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

/* A conversation over the loopback interface. */
static void tcp(int family, int port, int rounds)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *address = family == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int listener, server, client, one = 1;

	listener = socket(family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	bind(listener, address, size);
	listen(listener, 8);
	client = socket(family, SOCK_STREAM, 0);
	if (connect(client, address, size)) {
		close(client);
		close(listener);
		return;
	}
	server = accept(listener, NULL, NULL);
	for (int i = 0; i < rounds; i++) {
		send(client, buffer, 1000, 0);
		nap(2);
		recv(server, buffer, sizeof(buffer), 0);
		send(server, buffer, 2000, 0);
		nap(2);
		recv(client, buffer, sizeof(buffer), 0);
	}
	close(client);
	close(server);
	close(listener);
	/* Nobody is there any more. */
	client = socket(family, SOCK_STREAM, 0);
	connect(client, address, size);
	close(client);
}

/* What a Java machine says when it collects garbage. */
static void collect(void)
{
	PROBE("hotspot", "gc__begin");
	nap(5);
	PROBE("hotspot", "gc__end");
}

/* A device that interrupts when it is done. */
static void interrupts(void)
{
	int fd = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);

	write(fd, "workload\n", 9);
	tcdrain(fd);
	close(fd);
}

static void names(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;

	if (getaddrinfo("127.0.0.1", "80", &hints, &found) == 0)
		freeaddrinfo(found);
	gethostbyname("127.0.0.2");
}

static void memory(void)
{
	void *kept[64];
	char *pages;

	for (int i = 0; i < 64; i++)
		kept[i] = malloc(100 + 50 * i);
	for (int i = 0; i < 60; i++)
		free(kept[i]);
	free(calloc(7, 11));
	pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(pages, 1, 1 << 20);
	msync(pages, 1 << 20, MS_SYNC);
	munmap(pages, 1 << 20);
}

static void mounts(void)
{
	mkdir("/workload-mount", 0755);
	mount("none", "/workload-mount", "tmpfs", 0, "size=1M");
	files("/workload-mount");
	umount("/workload-mount");
	mount("/no/such/disk", "/workload-mount", "ext4", 0, NULL);
	rmdir("/workload-mount");
}

/* Somebody who takes all the memory there is, and is the first to go. */
static void oom(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		put("/proc/self/oom_score_adj", "1000");
		for (;;) {
			char *pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

			if (pages == MAP_FAILED)
				_exit(1);
		}
	}
	waitpid(pid, NULL, 0);
}

int main(int count, char **words)
{
	const char *word = count > 1 ? words[1] : "";

	if (!strcmp(word, "nothing"))
		return 0;
	if (!strcmp(word, "oom")) {
		oom();
		return 0;
	}
	if (!strcmp(word, "block")) {
		disk("/dev/nullb0");
		return 0;
	}
	if (!strcmp(word, "raid")) {
		raid();
		return 0;
	}
	shell();
	files("/");
	processes();
	threads();
	memory();
	mounts();
	names();
	collect();
	interrupts();
	for (int port = 4000; port < 4003; port++) {
		tcp(AF_INET, port, 3);
		tcp(AF_INET6, port, 3);
	}
	work();
	for (int i = 0; i < 10; i++)
		nap(10);
	sync();
	return 0;
}
