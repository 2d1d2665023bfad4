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
        if is_null {
            return self.known_null(last, register);
        }
        let name = origin.and_then(|origin| self.variable(origin));
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
        match kind {
            "inv" | "scalar" => draft.help(self.how_to_read(last, origin)),
            _ => draft,
        }
    }

    /// How memory is read that only a number leads to.
    fn how_to_read(&self, last: At, origin: Option<Origin<'_>>) -> String {
        let section = self.rejection.section.unwrap_or_default();
        if section.contains("syscalls/sys_enter") || section.starts_with("ksyscall") {
            return "the arguments of a system call are addresses of the process: copy what they lead to with bpf_probe_read_user() or bpf_probe_read_user_str()".to_owned();
        }
        let made_by = origin.and_then(|origin| self.callee(origin.at));
        let typed = if made_by == Some("bpf_get_current_task") {
            ", or take the task from bpf_get_current_task_btf(), whose type the verifier knows"
        } else if section.starts_with("raw_tp") || section.starts_with("raw_tracepoint") {
            ", or use `SEC(\"tp_btf/…\")`, where the verifier knows the types of the arguments"
        } else if section.starts_with("kprobe") {
            ", or use `SEC(\"fentry/…\")`, where the verifier knows the types of the arguments"
        } else {
            ""
        };
        match self.expression(last).as_deref().and_then(|text| text.split_once("->")) {
            Some((pointer, field)) => {
                let field = field.split('[').next().unwrap_or(field);
                format!("read it with `BPF_CORE_READ({pointer}, {field})`{typed}")
            }
            None => {
                format!("read it with BPF_CORE_READ() or bpf_probe_read_kernel(){typed}")
            }
        }
    }

    /// Whether a register holds the context before an instruction.
    pub(super) fn is_context(&self, at: At, register: Register) -> bool {
        self.path.before(at, &format!("R{register}")).is_some_and(|value| value.kind == "ctx")
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

    /// Memory is written that may only be read, or the reverse.
    pub(super) fn read_only(&self) -> Draft {
        let reason = Reason::ReadOnlyMemory;
        let Some(last) = self.last else { return self.plain(reason) };
        let kind = self.line.split_once("cannot write into ").map(|(_, kind)| kind.trim());
        let message = match (kind, self.register_named()) {
            (Some(_), Some(register)) => {
                format!("{} may only be read", self.name_of(last, register))
            }
            (Some(kind), None) => format!("{} may only be read", kind_in_words(kind)),
            _ if self.line.starts_with("write into map forbidden") => {
                "this map may only be read by programs".to_owned()
            }
            _ if self.line.starts_with("read from map forbidden") => {
                "this map may only be written by programs".to_owned()
            }
            _ if self.line.starts_with("frame pointer") => {
                "the frame pointer may only be read".to_owned()
            }
            _ => return self.plain(reason),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "accessed here");
        if let Some(register) = self.accessed(last)
            && let Some(origin) = self.path.origin(last, register, true)
        {
            draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
        }
        if kind == Some("packet") {
            return draft.help("this program type may only read packets directly; use a helper such as bpf_skb_store_bytes() where it has one");
        }
        draft
    }

    /// Arithmetic that the verifier does not allow on a pointer.
    pub(super) fn pointer_arithmetic(&self) -> Draft {
        let reason = Reason::PointerArithmetic;
        let Some(last) = self.last else { return self.plain(reason) };
        if self.line.contains("same insn cannot be used with different pointers") {
            let mut draft = Draft::new(
                reason,
                "this access is reached with two kinds of pointer; an instruction can work on one kind only",
            );
            draft.primary = self.label(last, "accessed here");
            if let Some(register) = self.accessed(last)
                && let Some(origin) = self.path.origin(last, register, true)
            {
                let label = format!("on one path: {}", self.made_here(&origin));
                draft.labels.extend(self.label(origin.at, label));
            }
            return draft.help("access each through a variable of its own, in a branch of its own; clang may have merged two branches: `barrier_var(pointer);` in one of them keeps them apart");
        }
        let subject = match self.register_named() {
            Some(register) => self.name_of(last, register),
            None => "a pointer".to_owned(),
        };
        let operator = self
            .line
            .split_once("operator ")
            .and_then(|(before, rest)| {
                let word = rest.split(' ').next().filter(|word| word.contains('='));
                word.or_else(|| before.rsplit(' ').find(|word| word.ends_with('=')))
            })
            .or_else(|| self.line.split(' ').find(|word| word.ends_with('=') && word.len() > 1));
        let mut draft = match operator {
            _ if self.line.contains("32-bit pointer arithmetic prohibited") => Draft::new(
                reason,
                format!("{subject} is computed with in 32 bits, which would cut the address off"),
            ),
            Some(operator) if self.line.contains("prohibited") => Draft::new(
                reason,
                format!("`{operator}` is applied to {subject}, and a pointer allows only + and -"),
            ),
            _ => self.plain(reason),
        };
        draft.primary = self.label(last, "computed here");
        let operation = self.path.instruction(last).map(|instruction| instruction.operation());
        let register = match operation {
            Some(Operation::Compute { to, .. }) => Some(to),
            _ => self.register_named(),
        };
        if let Some(register) = register
            && let Some(origin) = self.path.origin(last, register, true)
        {
            draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
        }
        if self.line.contains("32-bit") {
            return draft.help("compute with the pointer itself, not with a 32-bit copy of it");
        }
        if self.line.contains("pointer prohibited") && self.line.contains("pointer -= pointer") {
            return draft.help("only pointers into the same packet may be subtracted");
        }
        draft
    }

    /// An address would become visible outside of the kernel.
    pub(super) fn pointer_leak(&self) -> Draft {
        let reason = Reason::PointerLeak;
        let Some(last) = self.last else { return self.plain(reason) };
        if self.line.starts_with("cannot return stack pointer") {
            let message = "a function returns a pointer to its own stack, which is gone then";
            let mut draft = Draft::new(reason, message);
            draft.primary = self.label(last, "returned here");
            if let Some(origin) = self.path.origin(last, 0, true) {
                draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
            }
            return draft.quoting(self.line).help(
                "return the value itself, or let the caller pass a pointer to where it is to be written",
            );
        }
        let Some((_, place)) = self.line.split_once("leaks addr ") else {
            return self.plain(reason);
        };
        let place = match place.trim() {
            "into map" => "into a map, where user space reads it",
            "into packet" => "into a packet",
            "into ctx" => "into the context",
            "into helper function" => "to a helper that passes it on",
            "as return value" => "as the program's result",
            _ => "out of the program",
        };
        let mut draft = Draft::new(reason, format!("an address of the kernel would go {place}"));
        draft.primary = self.label(last, "here");
        draft
    }

    /// A kernel structure is accessed where its type does not allow it.
    pub(super) fn kernel_struct(&self) -> Draft {
        let reason = Reason::KernelStructAccess;
        let Some(last) = self.last else { return self.plain(reason) };
        let subject = match self.accessed(last) {
            Some(register) => self.name_of(last, register),
            None => "a structure of the kernel".to_owned(),
        };
        let mut draft = if self.line == "only read is supported" {
            Draft::new(reason, format!("{subject} may only be read: it is the kernel's own"))
                .help("change what the kernel keeps through a helper or kernel function that is made for it")
        } else if self.line.contains("invalid variable offset") {
            Draft::new(
                reason,
                format!("{subject} is read at a variable offset; in a structure of the kernel the verifier knows only its fields"),
            )
            .help("copy the array to the stack with bpf_probe_read_kernel() or bpf_core_read(), then index the copy")
            .quoting(self.line)
        } else {
            self.plain(reason)
        };
        draft.primary = self.label(last, "accessed here");
        if let Some(register) = self.accessed(last)
            && let Some(origin) = self.path.origin(last, register, true)
        {
            draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
        }
        if self.line.contains("untrusted_ptr_") || self.line.contains("rcu_ptr_") {
            return draft.help("read it with BPF_CORE_READ() or bpf_probe_read_kernel(), or take a reference first");
        }
        draft
    }

    /// A pointer that was one until a call made it useless.
    pub(super) fn taken_away(&self, last: At, register: Register) -> Option<Draft> {
        let origin = self.path.origin(last, register, true)?;
        let was = self.path.after(origin.at, origin.register)?;
        let call = |takes: fn(&str) -> bool| {
            let mut calls = self.path.back_from(last).take_while(|(at, _)| *at > origin.at);
            calls.find_map(|(at, _)| {
                self.callee(at).filter(|name| takes(name)).map(|name| (at, name))
            })
        };
        let name = self.variable(origin);
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
        let maker = self.callee(origin.at).unwrap_or_default();
        if maker.starts_with("bpf_dynptr_slice") || maker == "bpf_dynptr_data" {
            let (at, callee) = call(ends_slices)?;
            let mut draft = Draft::new(
                Reason::UseAfterRelease,
                format!("{subject} points into a dynptr's data as it was before {callee}()"),
            );
            draft.primary = self.label(last, "used here");
            draft.labels.extend(self.label(origin.at, "the pointer was made here"));
            draft.labels.extend(self.label(at, format!("{callee}() ends all such pointers")));
            return Some(draft.help("get the pointer again after the call"));
        }
        if was.reference != 0 || matches!(origin.operation, Operation::Call(_)) {
            let (at, callee) = call(releases)?;
            let again = self.callee(last).filter(|name| releases(name));
            let mut draft = match again {
                Some(again) if again == callee => {
                    Draft::new(Reason::InvalidRelease, format!("{subject} is released twice"))
                }
                Some(again) => Draft::new(
                    Reason::InvalidRelease,
                    format!("{subject} is released by {again}() after {callee}() released it"),
                ),
                None => Draft::new(
                    Reason::UseAfterRelease,
                    format!("{subject} is used after {callee}() released it"),
                ),
            };
            draft.primary =
                self.label(last, if again.is_some() { "released again here" } else { "used here" });
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
            Operation::Load { base, .. } if self.is_context(origin.at, base) => {
                "read from the context here".to_owned()
            }
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
        "mem" => "a pointer to memory",
        "ringbuf_mem" | "alloc_mem" => "a pointer to a ring buffer's record",
        "rdonly_mem" => "a pointer to read-only memory",
        "rdonly_buf" => "a pointer to a read-only buffer",
        "buf" | "rdwr_buf" | "tp_buffer" => "a pointer to a buffer",
        "ptr" | "ptr_" => "a pointer to a kernel structure",
        "trusted_ptr_" => "a trusted pointer to a kernel structure",
        "rcu_ptr_" => "a pointer to a kernel structure, under RCU",
        "flow_keys" => "a pointer to the flow keys",
        "arena" => "a pointer into the arena",
        "packet" => "the packet",
        "func" => "a function",
        "dynptr_ptr" => "a pointer to a dynptr",
        other => {
            if other.starts_with("percpu_") {
                return "a pointer to a per-CPU variable".to_owned();
            }
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

/// Whether a call ends pointers into a dynptr's data: it moves the data, or
/// ends the dynptr.
fn ends_slices(name: &str) -> bool {
    moves_packet(name)
        || releases(name)
        || matches!(name, "bpf_dynptr_write" | "bpf_dynptr_from_mem" | "bpf_dynptr_copy")
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
