// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "@{identifier}.h"

char LICENSE[] SEC("license") = "@{kernel_license}";

SEC("syscall")
int make_squares(struct call *call)
{
	union bpf_attr create = {}, update = {};
	__u32 key, i, entries = call->entries;
	__u64 value;
	int map, err;

	if (!entries || entries > MAX_ENTRIES)
		return -22; /* EINVAL */

	/* The same arguments as those of bpf(2), only that pointers lead into the
	 * kernel's memory. Descriptors are those of the process that called.
	 */
	create.map_type = BPF_MAP_TYPE_HASH;
	create.key_size = sizeof(key);
	create.value_size = sizeof(value);
	create.max_entries = entries;
	map = bpf_sys_bpf(BPF_MAP_CREATE, &create, sizeof(create));
	if (map < 0)
		return map;

	update.map_fd = map;
	update.key = (unsigned long)&key;
	update.value = (unsigned long)&value;
	/* Whatever the kernel may read through a pointer is not followed by the
	 * verifier, so the loop counts in a variable of its own.
	 */
	for (i = 0; i < MAX_ENTRIES && i < entries; i++) {
		key = i;
		value = (__u64)i * i;
		err = bpf_sys_bpf(BPF_MAP_UPDATE_ELEM, &update, sizeof(update));
		if (err) {
			bpf_sys_close(map);
			return err;
		}
	}
	call->map = map;
	return 0;
}
