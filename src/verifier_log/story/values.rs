//! Values that are not what they are used as: numbers as pointers, things
//! never set.

use super::super::disasm::{Callee, Operand, Operation, Register};
use super::super::path::{At, Origin};
use super::{Draft, Story};
use crate::verdict::Reason;

impl Story<'_> {
    /// A number is dereferenced. It may be one by nature, or a pointer that
    /// a call took away, or null.
    pub(super) fn not_a_pointer(&self) -> Draft {
        let reason = Reason::NotAPointer;
        let (Some(last), Some(register)) = (self.last, self.register_named()) else {
            return self.plain(reason);
        };
        if let Some(draft) = self.taken_away(last, register) {
            return draft;
        }
        let value = self.path.before(last, &format!("R{register}"));
        let is_null = value.as_ref().is_some_and(|value| value.constant == Some(0));
        let origin = self.path.origin(last, register, true);
        if is_null
            && origin.is_some_and(|origin| !matches!(origin.operation, Operation::Move { .. }))
        {
            return self.known_null(last, register);
        }
        let name = origin.and_then(|origin| self.variable_set_at(origin.at));
        let subject = name
            .as_ref()
            .map_or("what is used as an address here".to_owned(), |name| format!("`{name}`"));
        let kind = self.line.split('\'').nth(1).unwrap_or("scalar");
        let message = match kind {
            "inv" | "scalar" => {
                format!("{subject} is a number to the verifier, not a pointer it can follow")
            }
            "fp" | "ctx" | "pkt_end" | "map_ptr" | "sock" => {
                format!("{subject} cannot be dereferenced: {}", kind_in_words(kind))
            }
            _ => format!("{subject} cannot be dereferenced: to the verifier it is `{kind}`"),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "dereferenced here");
        if let Some(origin) = origin {
            draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
            if let Operation::Load { base, .. } = origin.operation {
                let from = self.path.before(origin.at, &format!("R{base}"));
                if from.is_some_and(|from| from.kind == "ctx") {
                    draft = draft.note(
                        "an address read from this context is only a number: the verifier does not know what it points to",
                    );
                }
            }
        }
        draft
    }

    /// A register is read that has no value.
    pub(super) fn uninitialized_register(&self) -> Draft {
        let reason = Reason::UninitializedRegister;
        let (Some(last), Some(register)) = (self.last, self.register_named()) else {
            return self.plain(reason);
        };
        if let Some(draft) = self.taken_away(last, register) {
            return draft;
        }
        let operation = self.path.instruction(last).map(|instruction| instruction.operation());
        let mut draft = match operation {
            Some(Operation::Exit) if register == 0 => {
                Draft::new(reason, "the function can end without returning a value")
                    .help("return a value on every path")
            }
            Some(Operation::Call(callee)) => {
                let callee = match callee {
                    Callee::Kernel(name) => format!("{name}()"),
                    Callee::Own(_) => "the function".to_owned(),
                };
                Draft::new(reason, format!("argument {register} of {callee} was never set"))
            }
            _ => Draft::new(reason, "a variable is read here that was not set on this path"),
        };
        draft.primary = self.label(last, "read here");
        // A call takes its arguments' registers away; code that is not from a
        // compiler forgets this.
        if let Some((call, instruction)) = self.path.back_from(last).next()
            && let Operation::Call(_) = instruction.operation()
            && (1..=5).contains(&register)
        {
            draft
                .labels
                .extend(self.label(call, "the call leaves nothing in its arguments' registers"));
        }
        draft
    }

    /// A pointer that was one until a call made it useless.
    fn taken_away(&self, last: At, register: Register) -> Option<Draft> {
        let origin = self.path.origin(last, register, true)?;
        let was = self.path.after(origin.at, origin.register)?;
        let call = |takes: fn(&str) -> bool| {
            let mut calls = self.path.back_from(last).take_while(|(at, _)| *at > origin.at);
            calls.find_map(|(at, _)| {
                self.callee(at).filter(|name| takes(name)).map(|name| (at, name))
            })
        };
        let name = self.variable_set_at(origin.at);
        let subject = name.map_or("this pointer".to_owned(), |name| format!("`{name}`"));
        if was.kind.starts_with("pkt") {
            let (at, callee) = call(moves_packet)?;
            let mut draft = Draft::new(
                Reason::StalePacketPointer,
                format!("{subject} points into the packet as it was before {callee}()"),
            );
            draft.primary = self.label(last, "used after the packet may have moved");
            draft.labels.extend(self.label(origin.at, "the pointer was made here"));
            draft.labels.extend(self.label(at, format!("{callee}() may move the packet")));
            return Some(draft);
        }
        if was.reference != 0 || matches!(origin.operation, Operation::Call(_)) {
            let (at, callee) = call(releases)?;
            let mut draft = Draft::new(
                Reason::UseAfterRelease,
                format!("{subject} is used after {callee}() released it"),
            );
            draft.primary = self.label(last, "used here");
            draft.labels.extend(self.label(origin.at, "acquired here"));
            draft.labels.extend(self.label(at, "released here"));
            return Some(draft);
        }
        None
    }

    /// Where a value comes from, in words.
    pub(super) fn made_here(&self, origin: &Origin<'_>) -> String {
        match origin.operation {
            Operation::Call(Callee::Kernel(name)) => format!("{name}() returns it"),
            Operation::Call(Callee::Own(_)) => "this function returns it".to_owned(),
            Operation::Load { .. } => "read from memory here".to_owned(),
            Operation::Move { from: Operand::Number(number), .. } => {
                format!("set to {number} here")
            }
            Operation::Compute { .. } => "computed here".to_owned(),
            _ => "it comes from here".to_owned(),
        }
    }
}

/// A register's kind in the developer's words.
pub(super) fn kind_in_words(kind: &str) -> String {
    let words = match kind.trim_end_matches("_or_null") {
        "inv" | "scalar" => "a number",
        "fp" => "a pointer to the stack",
        "ctx" => "a pointer to the context",
        "pkt" => "a pointer into the packet",
        "pkt_end" => "the end of the packet",
        "pkt_meta" => "a pointer to the packet's metadata",
        "map_ptr" => "a map",
        "map_value" => "a pointer to a map value",
        "map_key" => "a pointer to a map key",
        "sock" | "sock_common" | "tcp_sock" | "xdp_sock" => "a pointer to a socket",
        "mem" | "ringbuf_mem" | "alloc_mem" => "a pointer to memory",
        "rdonly_mem" | "rdonly_buf" | "buf" => "a pointer to a buffer",
        "func" => "a function",
        "dynptr_ptr" => "a pointer to a dynptr",
        other => {
            return match other
                .split_once("ptr_")
                .map(|(_, name)| name.trim_start_matches("or_null_"))
            {
                Some(name) if !name.is_empty() => format!("a pointer to `struct {name}`"),
                _ => format!("`{other}`"),
            };
        }
    };
    if kind.ends_with("_or_null") { format!("{words} that may be NULL") } else { words.to_owned() }
}

/// Whether a helper may move the packet, so that pointers into it end
/// (`bpf_helper_changes_pkt_data` in net/core/filter.c).
fn moves_packet(name: &str) -> bool {
    matches!(
        name,
        "bpf_skb_vlan_push"
            | "bpf_skb_vlan_pop"
            | "bpf_skb_store_bytes"
            | "bpf_skb_change_proto"
            | "bpf_skb_change_head"
            | "bpf_skb_change_tail"
            | "bpf_skb_adjust_room"
            | "bpf_skb_pull_data"
            | "bpf_clone_redirect"
            | "bpf_l3_csum_replace"
            | "bpf_l4_csum_replace"
            | "bpf_xdp_adjust_head"
            | "bpf_xdp_adjust_meta"
            | "bpf_xdp_adjust_tail"
            | "bpf_msg_pull_data"
            | "bpf_msg_push_data"
            | "bpf_msg_pop_data"
            | "bpf_lwt_push_encap"
            | "bpf_lwt_seg6_store_bytes"
            | "bpf_lwt_seg6_adjust_srh"
            | "bpf_lwt_seg6_action"
            | "bpf_store_hdr_opt"
            | "bpf_reserve_hdr_opt"
            | "bpf_sk_pull_data"
    )
}

/// Whether a helper or kernel function gives a reference back.
pub(super) fn releases(name: &str) -> bool {
    matches!(
        name,
        "bpf_sk_release"
            | "bpf_ringbuf_submit"
            | "bpf_ringbuf_discard"
            | "bpf_ringbuf_submit_dynptr"
            | "bpf_ringbuf_discard_dynptr"
            | "bpf_obj_drop_impl"
            | "bpf_obj_drop"
            | "bpf_key_put"
            | "bpf_kptr_xchg"
    ) || name.ends_with("_release")
        || name.ends_with("_put")
        || name.ends_with("_destroy")
}
