//! E0324 wrong-map-type: a helper is called with a map of a type that it works
//! on (`check_map_func_compatibility` in kernel/bpf/verifier.c).

use super::steps::Walked;
use crate::analysis::{Certainty, Step, Value};
use crate::bpf::{Call, Helper, MapType, Op};
use crate::diagnostics::{Diagnostic, codes};

pub(super) fn look(walked: &mut Walked<'_, '_>, step: &Step<'_>) -> Option<Diagnostic> {
    let Op::Call(Call::Helper(id)) = *step.op else { return None };
    let helper = Helper::by_id(id)?;
    let wanted = types(helper)?;
    let cx = walked.cx;
    let map = [1, 2].into_iter().find_map(|argument| match step.before.argument(argument) {
        Value::Map(index) => cx.object.maps.get(usize::try_from(index).ok()?),
        _ => None,
    })?;
    let map_type = map.def.known_type().filter(|known| !wanted.contains(known))?;
    let name = &map.name;
    let message = format!("`{helper}` does not work on `{name}`, a map of type {map_type}");
    let code = codes::WRONG_MAP_TYPE;
    let finding = cx.of_verified_insn(code, walked.view, step.slot, Certainty::Likely, message);
    let wanted: Vec<_> = wanted.iter().map(|known| known.to_string()).collect();
    Some(finding.help(format!("it works on maps of type {}", wanted.join(", "))))
}

/// The types of map that a helper works on, where it takes not any.
fn types(helper: Helper) -> Option<&'static [MapType]> {
    use MapType as T;
    Some(match helper.name() {
        "bpf_tail_call" => &[T::ProgArray],
        "bpf_perf_event_read"
        | "bpf_perf_event_output"
        | "bpf_perf_event_read_value"
        | "bpf_skb_output"
        | "bpf_xdp_output" => &[T::PerfEventArray],
        "bpf_ringbuf_output"
        | "bpf_ringbuf_reserve"
        | "bpf_ringbuf_query"
        | "bpf_ringbuf_reserve_dynptr" => &[T::Ringbuf],
        "bpf_user_ringbuf_drain" => &[T::UserRingbuf],
        "bpf_get_stackid" => &[T::StackTrace],
        "bpf_current_task_under_cgroup" | "bpf_skb_under_cgroup" => &[T::CgroupArray],
        "bpf_redirect_map" => &[T::Devmap, T::DevmapHash, T::Cpumap, T::Xskmap],
        "bpf_sk_redirect_map" | "bpf_msg_redirect_map" | "bpf_sock_map_update" => &[T::Sockmap],
        "bpf_sk_redirect_hash" | "bpf_msg_redirect_hash" | "bpf_sock_hash_update" => &[T::Sockhash],
        "bpf_get_local_storage" => &[T::CgroupStorage, T::PercpuCgroupStorage],
        "bpf_sk_select_reuseport" => &[T::ReuseportSockarray, T::Sockmap, T::Sockhash],
        "bpf_map_pop_elem" => &[T::Queue, T::Stack],
        "bpf_map_peek_elem" | "bpf_map_push_elem" => &[T::Queue, T::Stack, T::BloomFilter],
        "bpf_map_lookup_percpu_elem" => &[T::PercpuArray, T::PercpuHash, T::LruPercpuHash],
        "bpf_sk_storage_get" | "bpf_sk_storage_delete" => &[T::SkStorage],
        "bpf_inode_storage_get" | "bpf_inode_storage_delete" => &[T::InodeStorage],
        "bpf_task_storage_get" | "bpf_task_storage_delete" => &[T::TaskStorage],
        "bpf_cgrp_storage_get" | "bpf_cgrp_storage_delete" => &[T::CgrpStorage],
        _ => return None,
    })
}
