//! Helpers: the functions of the kernel that programs call by number, with
//! the kernel that first had each and whether it asks for the GPL.

use super::{AttachType, KernelVersion, ProgramType};
use std::fmt;

/// Whether calling a helper asks for a GPL-compatible license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GplOnly {
    /// No program type asks for it.
    Never,
    /// Every program type does.
    Always,
    /// Some do; see [`Helper::is_gpl_only_in`].
    Depends,
}

/// A helper.
#[derive(Clone, Copy)]
pub struct Helper(&'static Row);

struct Row {
    id: i32,
    name: &'static str,
    since: KernelVersion,
    gpl: GplOnly,
}

macro_rules! helpers {
    ($($id:literal, $name:literal, ($major:literal, $minor:literal), $gpl:ident;)*) => {
        static ROWS: &[Row] = &[$(Row {
            id: $id,
            name: concat!("bpf_", $name),
            since: KernelVersion::new($major, $minor),
            gpl: GplOnly::$gpl,
        }),*];
    };
}

// Numbers and names: `__BPF_FUNC_MAPPER` in include/uapi/linux/bpf.h (the
// list is closed; what is new comes as kfuncs). Versions: the releases that
// first had them, checked against the headers of 5.10, 6.1, 6.12 and 7.2.
// License: `.gpl_only` of every `struct bpf_func_proto` that the sources of
// 5.10, 6.1, 6.12 and 7.2 return for the helper; they agree.
helpers! {
    1, "map_lookup_elem", (3, 19), Never;
    2, "map_update_elem", (3, 19), Never;
    3, "map_delete_elem", (3, 19), Never;
    4, "probe_read", (4, 1), Always;
    5, "ktime_get_ns", (4, 1), Never;
    6, "trace_printk", (4, 1), Always;
    7, "get_prandom_u32", (4, 1), Never;
    8, "get_smp_processor_id", (4, 1), Never;
    9, "skb_store_bytes", (4, 1), Never;
    10, "l3_csum_replace", (4, 1), Never;
    11, "l4_csum_replace", (4, 1), Never;
    12, "tail_call", (4, 2), Never;
    13, "clone_redirect", (4, 2), Never;
    14, "get_current_pid_tgid", (4, 2), Never;
    15, "get_current_uid_gid", (4, 2), Never;
    16, "get_current_comm", (4, 2), Never;
    17, "get_cgroup_classid", (4, 3), Never;
    18, "skb_vlan_push", (4, 3), Never;
    19, "skb_vlan_pop", (4, 3), Never;
    20, "skb_get_tunnel_key", (4, 3), Never;
    21, "skb_set_tunnel_key", (4, 3), Never;
    22, "perf_event_read", (4, 3), Always;
    23, "redirect", (4, 4), Never;
    24, "get_route_realm", (4, 4), Never;
    25, "perf_event_output", (4, 4), Always;
    26, "skb_load_bytes", (4, 5), Never;
    27, "get_stackid", (4, 6), Depends;
    28, "csum_diff", (4, 6), Never;
    29, "skb_get_tunnel_opt", (4, 6), Never;
    30, "skb_set_tunnel_opt", (4, 6), Never;
    31, "skb_change_proto", (4, 8), Never;
    32, "skb_change_type", (4, 8), Never;
    33, "skb_under_cgroup", (4, 8), Never;
    34, "get_hash_recalc", (4, 8), Never;
    35, "get_current_task", (4, 8), Always;
    36, "probe_write_user", (4, 8), Always;
    37, "current_task_under_cgroup", (4, 9), Never;
    38, "skb_change_tail", (4, 9), Never;
    39, "skb_pull_data", (4, 9), Never;
    40, "csum_update", (4, 9), Never;
    41, "set_hash_invalid", (4, 9), Never;
    42, "get_numa_node_id", (4, 10), Never;
    43, "skb_change_head", (4, 10), Never;
    44, "xdp_adjust_head", (4, 10), Never;
    45, "probe_read_str", (4, 11), Always;
    46, "get_socket_cookie", (4, 12), Never;
    47, "get_socket_uid", (4, 12), Never;
    48, "set_hash", (4, 13), Never;
    49, "setsockopt", (4, 13), Never;
    50, "skb_adjust_room", (4, 13), Never;
    51, "redirect_map", (4, 14), Never;
    52, "sk_redirect_map", (4, 14), Never;
    53, "sock_map_update", (4, 14), Never;
    54, "xdp_adjust_meta", (4, 15), Never;
    55, "perf_event_read_value", (4, 15), Always;
    56, "perf_prog_read_value", (4, 15), Always;
    57, "getsockopt", (4, 15), Never;
    58, "override_return", (4, 16), Always;
    59, "sock_ops_cb_flags_set", (4, 16), Never;
    60, "msg_redirect_map", (4, 17), Never;
    61, "msg_apply_bytes", (4, 17), Never;
    62, "msg_cork_bytes", (4, 17), Never;
    63, "msg_pull_data", (4, 17), Never;
    64, "bind", (4, 17), Never;
    65, "xdp_adjust_tail", (4, 18), Never;
    66, "skb_get_xfrm_state", (4, 18), Never;
    67, "get_stack", (4, 18), Always;
    68, "skb_load_bytes_relative", (4, 18), Never;
    69, "fib_lookup", (4, 18), Always;
    70, "sock_hash_update", (4, 18), Never;
    71, "msg_redirect_hash", (4, 18), Never;
    72, "sk_redirect_hash", (4, 18), Never;
    73, "lwt_push_encap", (4, 18), Never;
    74, "lwt_seg6_store_bytes", (4, 18), Never;
    75, "lwt_seg6_adjust_srh", (4, 18), Never;
    76, "lwt_seg6_action", (4, 18), Never;
    77, "rc_repeat", (4, 18), Always;
    78, "rc_keydown", (4, 18), Always;
    79, "skb_cgroup_id", (4, 18), Never;
    80, "get_current_cgroup_id", (4, 18), Never;
    81, "get_local_storage", (4, 19), Never;
    82, "sk_select_reuseport", (4, 19), Never;
    83, "skb_ancestor_cgroup_id", (4, 19), Never;
    84, "sk_lookup_tcp", (4, 20), Never;
    85, "sk_lookup_udp", (4, 20), Never;
    86, "sk_release", (4, 20), Never;
    87, "map_push_elem", (4, 20), Never;
    88, "map_pop_elem", (4, 20), Never;
    89, "map_peek_elem", (4, 20), Never;
    90, "msg_push_data", (4, 20), Never;
    91, "msg_pop_data", (5, 0), Never;
    92, "rc_pointer_rel", (5, 0), Always;
    93, "spin_lock", (5, 1), Never;
    94, "spin_unlock", (5, 1), Never;
    95, "sk_fullsock", (5, 1), Never;
    96, "tcp_sock", (5, 1), Never;
    97, "skb_ecn_set_ce", (5, 1), Never;
    98, "get_listener_sock", (5, 1), Never;
    99, "skc_lookup_tcp", (5, 2), Never;
    100, "tcp_check_syncookie", (5, 2), Always;
    101, "sysctl_get_name", (5, 2), Never;
    102, "sysctl_get_current_value", (5, 2), Never;
    103, "sysctl_get_new_value", (5, 2), Never;
    104, "sysctl_set_new_value", (5, 2), Never;
    105, "strtol", (5, 2), Never;
    106, "strtoul", (5, 2), Never;
    107, "sk_storage_get", (5, 2), Never;
    108, "sk_storage_delete", (5, 2), Never;
    109, "send_signal", (5, 3), Never;
    110, "tcp_gen_syncookie", (5, 3), Always;
    111, "skb_output", (5, 5), Always;
    112, "probe_read_user", (5, 5), Always;
    113, "probe_read_kernel", (5, 5), Always;
    114, "probe_read_user_str", (5, 5), Always;
    115, "probe_read_kernel_str", (5, 5), Always;
    116, "tcp_send_ack", (5, 5), Never;
    117, "send_signal_thread", (5, 5), Never;
    118, "jiffies64", (5, 5), Never;
    119, "read_branch_records", (5, 6), Always;
    120, "get_ns_current_pid_tgid", (5, 7), Never;
    121, "xdp_output", (5, 6), Always;
    122, "get_netns_cookie", (5, 7), Never;
    123, "get_current_ancestor_cgroup_id", (5, 6), Never;
    124, "sk_assign", (5, 6), Never;
    125, "ktime_get_boot_ns", (5, 8), Never;
    126, "seq_printf", (5, 7), Always;
    127, "seq_write", (5, 7), Always;
    128, "sk_cgroup_id", (5, 7), Never;
    129, "sk_ancestor_cgroup_id", (5, 7), Never;
    130, "ringbuf_output", (5, 8), Never;
    131, "ringbuf_reserve", (5, 8), Never;
    132, "ringbuf_submit", (5, 8), Never;
    133, "ringbuf_discard", (5, 8), Never;
    134, "ringbuf_query", (5, 8), Never;
    135, "csum_level", (5, 7), Never;
    136, "skc_to_tcp6_sock", (5, 9), Never;
    137, "skc_to_tcp_sock", (5, 9), Never;
    138, "skc_to_tcp_timewait_sock", (5, 9), Never;
    139, "skc_to_tcp_request_sock", (5, 9), Never;
    140, "skc_to_udp6_sock", (5, 9), Never;
    141, "get_task_stack", (5, 9), Never;
    142, "load_hdr_opt", (5, 10), Never;
    143, "store_hdr_opt", (5, 10), Never;
    144, "reserve_hdr_opt", (5, 10), Never;
    145, "inode_storage_get", (5, 10), Never;
    146, "inode_storage_delete", (5, 10), Never;
    147, "d_path", (5, 10), Never;
    148, "copy_from_user", (5, 10), Never;
    149, "snprintf_btf", (5, 10), Never;
    150, "seq_printf_btf", (5, 10), Always;
    151, "skb_cgroup_classid", (5, 10), Never;
    152, "redirect_neigh", (5, 10), Never;
    153, "per_cpu_ptr", (5, 10), Never;
    154, "this_cpu_ptr", (5, 10), Never;
    155, "redirect_peer", (5, 10), Never;
    156, "task_storage_get", (5, 11), Never;
    157, "task_storage_delete", (5, 11), Never;
    158, "get_current_task_btf", (5, 11), Always;
    159, "bprm_opts_set", (5, 11), Never;
    160, "ktime_get_coarse_ns", (5, 11), Never;
    161, "ima_inode_hash", (5, 11), Never;
    162, "sock_from_file", (5, 11), Never;
    163, "check_mtu", (5, 12), Always;
    164, "for_each_map_elem", (5, 13), Never;
    165, "snprintf", (5, 13), Always;
    166, "sys_bpf", (5, 14), Never;
    167, "btf_find_by_name_kind", (5, 14), Never;
    168, "sys_close", (5, 14), Never;
    169, "timer_init", (5, 15), Always;
    170, "timer_set_callback", (5, 15), Always;
    171, "timer_start", (5, 15), Always;
    172, "timer_cancel", (5, 15), Always;
    173, "get_func_ip", (5, 15), Depends;
    174, "get_attach_cookie", (5, 15), Never;
    175, "task_pt_regs", (5, 15), Always;
    176, "get_branch_snapshot", (5, 16), Always;
    177, "trace_vprintk", (5, 16), Always;
    178, "skc_to_unix_sock", (5, 16), Never;
    179, "kallsyms_lookup_name", (5, 16), Never;
    180, "find_vma", (5, 17), Never;
    181, "loop", (5, 17), Never;
    182, "strncmp", (5, 17), Never;
    183, "get_func_arg", (5, 17), Never;
    184, "get_func_ret", (5, 17), Never;
    185, "get_func_arg_cnt", (5, 17), Never;
    186, "get_retval", (5, 18), Never;
    187, "set_retval", (5, 18), Never;
    188, "xdp_get_buff_len", (5, 18), Never;
    189, "xdp_load_bytes", (5, 18), Never;
    190, "xdp_store_bytes", (5, 18), Never;
    191, "copy_from_user_task", (5, 18), Always;
    192, "skb_set_tstamp", (5, 18), Never;
    193, "ima_file_hash", (5, 18), Never;
    194, "kptr_xchg", (5, 19), Never;
    195, "map_lookup_percpu_elem", (5, 19), Never;
    196, "skc_to_mptcp_sock", (5, 19), Never;
    197, "dynptr_from_mem", (5, 19), Never;
    198, "ringbuf_reserve_dynptr", (5, 19), Never;
    199, "ringbuf_submit_dynptr", (5, 19), Never;
    200, "ringbuf_discard_dynptr", (5, 19), Never;
    201, "dynptr_read", (5, 19), Never;
    202, "dynptr_write", (5, 19), Never;
    203, "dynptr_data", (5, 19), Never;
    204, "tcp_raw_gen_syncookie_ipv4", (6, 0), Always;
    205, "tcp_raw_gen_syncookie_ipv6", (6, 0), Always;
    206, "tcp_raw_check_syncookie_ipv4", (6, 0), Always;
    207, "tcp_raw_check_syncookie_ipv6", (6, 0), Always;
    208, "ktime_get_tai_ns", (6, 1), Never;
    209, "user_ringbuf_drain", (6, 1), Never;
    210, "cgrp_storage_get", (6, 2), Never;
    211, "cgrp_storage_delete", (6, 2), Never;
}

impl Helper {
    /// The helper of that number.
    pub fn by_id(id: i32) -> Option<Self> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        ROWS.get(index).map(Self)
    }

    /// The helper of that name: `bpf_map_lookup_elem`.
    pub fn by_name(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(Self)
    }

    /// Every helper, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(Self)
    }

    /// The number programs call it by.
    pub fn id(self) -> i32 {
        self.0.id
    }

    /// Its name in C: `bpf_map_lookup_elem`.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The first kernel that has it.
    pub fn since(self) -> KernelVersion {
        self.0.since
    }

    /// Whether it asks for a GPL-compatible license.
    pub fn gpl_only(self) -> GplOnly {
        self.0.gpl
    }

    /// Whether it asks for a GPL-compatible license in a program of this
    /// type.
    pub fn is_gpl_only_in(self, program: ProgramType, attach: Option<AttachType>) -> bool {
        match self.0.gpl {
            GplOnly::Never => false,
            GplOnly::Always => true,
            // bpf_get_stackid has a prototype of its own for perf events,
            // bpf_get_func_ip for the multi-probes (kernel/trace/bpf_trace.c).
            GplOnly::Depends => match self.0.name {
                "bpf_get_stackid" => program != ProgramType::PerfEvent,
                _ => !matches!(
                    attach,
                    Some(
                        AttachType::TraceKprobeMulti
                            | AttachType::TraceKprobeSession
                            | AttachType::TraceUprobeMulti
                            | AttachType::TraceUprobeSession
                    )
                ),
            },
        }
    }
}

impl PartialEq for Helper {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Helper {}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.0.name, self.0.id)
    }
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense() {
        for (index, helper) in Helper::all().enumerate() {
            assert_eq!(usize::try_from(helper.id()), Ok(index + 1));
        }
        assert_eq!(Helper::all().count(), 211);
        assert_eq!(Helper::by_id(0), None);
        assert_eq!(Helper::by_id(-1), None);
        assert_eq!(Helper::by_id(212), None);
    }

    #[test]
    fn well_known_facts_hold() {
        let reserve = Helper::by_name("bpf_ringbuf_reserve").unwrap();
        assert_eq!((reserve.id(), reserve.since()), (131, KernelVersion::new(5, 8)));
        let stackid = Helper::by_name("bpf_get_stackid").unwrap();
        assert!(stackid.is_gpl_only_in(ProgramType::Kprobe, None));
        assert!(!stackid.is_gpl_only_in(ProgramType::PerfEvent, None));
        assert_eq!(Helper::by_id(6).unwrap().gpl_only(), GplOnly::Always);
    }
}
