// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* User space is the only one that writes here. */
struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 256 * 1024);
} samples SEC(".maps");

__u64 count = 0;
/* Samples that were shorter than a number. */
__u64 malformed = 0;
__s64 sum = 0;
__s64 smallest = 0;
__s64 largest = 0;

/* Called for each sample. The kernel does not trust what user space says of its
 * size, so it is read through a dynptr, which checks.
 */
static long on_sample(struct bpf_dynptr *sample, void *context)
{
	__s64 number;

	if (bpf_dynptr_read(&number, sizeof(number), sample, 0, 0)) {
		malformed++;
		return 0;
	}
	if (!count || number < smallest)
		smallest = number;
	if (!count || number > largest)
		largest = number;
	sum += number;
	count++;
	/* 1 would leave the rest for the next time. */
	return 0;
}

/* User space calls this when there are samples. Any other program could look for
 * some, too: only one at a time gets in.
 */
SEC("syscall")
int take_samples(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, on_sample, NULL, 0);
}
