// SPDX-License-Identifier: @{license}
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "@{kernel_license}";

/* The type to show, a number of `enum bpf_prog_type`; 0 stands for all. */
const volatile __u32 target_type = 0;

/* The name that the program has in its BTF, if it has BTF, else the one that the
 * kernel keeps, which is cut off after 15 letters.
 */
static const char *name_of(struct bpf_prog_aux *aux)
{
	struct btf *btf = aux->btf;
	struct bpf_func_info *functions = aux->func_info;
	const struct btf_type *type;
	__u32 id;

	if (!btf || !functions)
		return aux->name;
	id = BPF_CORE_READ(functions, type_id);
	if (id >= btf->nr_types)
		return aux->name;
	type = NULL;
	bpf_probe_read_kernel(&type, sizeof(type), btf->types + id);
	if (!type)
		return aux->name;
	return btf->strings + BPF_CORE_READ(type, name_off);
}

/* Called once for each program, and at the end without one. */
SEC("iter/bpf_prog")
int show_program(struct bpf_iter__bpf_prog *ctx)
{
	struct seq_file *out = ctx->meta->seq;
	struct bpf_prog *prog = ctx->prog;
	const char *target;
	struct bpf_prog_aux *aux;

	if (!prog)
		return 0;
	if (ctx->meta->seq_num == 0)
		BPF_SEQ_PRINTF(out, "%6s %4s %7s %7s %-32s %s\n", "ID", "TYPE", "INSNS", "JITED",
			       "NAME", "TARGET");
	if (target_type && prog->type != target_type)
		return 0;

	aux = prog->aux;
	target = aux->attach_func_name;
	BPF_SEQ_PRINTF(out, "%6u %4u %7u %7u %-32s %s\n", aux->id, prog->type, prog->len,
		       prog->jited_len, name_of(aux), target ? target : "-");
	return 0;
}
