// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The process to look at; 0 stands for every one. */
const volatile int target_pid = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* The name that each thread looks up. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, const char *);
} looking_up SEC(".maps");

/* The socket that each thread is connecting. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct sock *);
} connecting SEC(".maps");

/* A place in the ring buffer with what all events have. */
static __always_inline struct event *new_event(enum event_kind kind)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return NULL;
	event->kind = kind;
	event->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->address = 0;
	event->port = 0;
	event->unused = 0;
	event->result = 0;
	event->host[0] = '\0';
	return event;
}

static __always_inline bool is_wanted(void)
{
	int pid = bpf_get_current_pid_tgid() >> 32;

	return !target_pid || pid == target_pid;
}

/* The C library's getaddrinfo(3); user space says where the library is. */
SEC("uprobe")
int BPF_UPROBE(on_lookup, const char *host)
{
	__u64 thread = bpf_get_current_pid_tgid();

	/* No name stands for this machine. */
	if (host && is_wanted())
		bpf_map_update_elem(&looking_up, &thread, &host, BPF_ANY);
	return 0;
}

/* The name is read now and not at the call: a page of the program that nobody
 * has touched yet could not be.
 */
SEC("uretprobe")
int BPF_URETPROBE(on_looked_up, int result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const char *host, **found;
	struct event *event;

	found = bpf_map_lookup_elem(&looking_up, &thread);
	if (!found)
		return 0;
	host = *found;
	bpf_map_delete_elem(&looking_up, &thread);

	event = new_event(LOOKUP);
	if (!event)
		return 0;
	event->result = result;
	bpf_probe_read_user_str(event->host, sizeof(event->host), host);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("kprobe/tcp_v4_connect")
int BPF_KPROBE(on_connect, struct sock *sock)
{
	__u64 thread = bpf_get_current_pid_tgid();

	if (is_wanted())
		bpf_map_update_elem(&connecting, &thread, &sock, BPF_ANY);
	return 0;
}

/* The kernel has written the address into the socket by now. */
SEC("kretprobe/tcp_v4_connect")
int BPF_KRETPROBE(on_connected, int result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct event *event;
	struct sock **found;
	struct sock *sock;

	found = bpf_map_lookup_elem(&connecting, &thread);
	if (!found)
		return 0;
	sock = *found;
	bpf_map_delete_elem(&connecting, &thread);

	event = result ? NULL : new_event(CONNECT);
	if (!event)
		return 0;
	event->address = BPF_CORE_READ(sock, __sk_common.skc_daddr);
	event->port = BPF_CORE_READ(sock, __sk_common.skc_dport);
	bpf_ringbuf_submit(event, 0);
	return 0;
}
