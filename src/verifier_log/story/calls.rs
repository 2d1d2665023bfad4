//! Calls of helpers and kernel functions, and accesses of the context.

use super::super::disasm::Operation;
use super::values::kind_in_words;
use super::{Draft, Story, bytes, number_after};
use crate::bpf::Helper;
use crate::diagnostics::{Label, Span};
use crate::verdict::Reason;

impl Story<'_> {
    /// A helper that this program must not call.
    pub(super) fn call(&self, reason: Reason) -> Draft {
        let called = self.last.and_then(|at| self.callee(at));
        let Some(name) = called.or_else(|| name_in(self.line)) else { return self.plain(reason) };
        let message = match reason {
            Reason::GplOnlyHelper => {
                format!("{name}() may be called only by programs with a GPL-compatible license")
            }
            Reason::UnknownHelper if name == "unknown" => {
                let number = self.line.rsplit_once('#').map_or("?", |(_, number)| number);
                match number.parse().ok().and_then(Helper::by_id) {
                    Some(helper) => format!(
                        "this kernel has no helper {}(), which came with Linux {}",
                        helper.name(),
                        helper.since()
                    ),
                    None => format!("this kernel has no helper number {number}"),
                }
            }
            Reason::UnknownHelper => format!("this kernel has no helper {name}()"),
            Reason::HelperNotAllowed => {
                format!("{name}() cannot be called by {}", self.section_words())
            }
            Reason::WrongMapType => format!("{name}() does not work on a map of this type"),
            Reason::SleepableMisuse => format!("{name}() may sleep, and this program must not"),
            _ => return self.plain(reason),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.maybe_label(self.last, "called here");
        draft
    }

    /// An argument that is not what the function takes.
    pub(super) fn wrong_argument(&self, reason: Reason) -> Draft {
        let Some(last) = self.last else { return self.plain(reason) };
        let (Some(callee), Some(register)) = (self.callee(last), self.register_named()) else {
            return self.plain(reason);
        };
        let is_number = self.line.contains("type=scalar") || self.line.contains("type=inv");
        if is_number && let Some(draft) = self.taken_away(last, register) {
            return draft;
        }
        let given = self
            .line
            .split_once("type=")
            .and_then(|(_, rest)| rest.split(' ').next())
            .map(kind_in_words);
        let wanted = self.line.split_once("expected=").map(|(_, rest)| {
            let mut kinds: Vec<String> =
                rest.split(", ").map(|kind| kind_in_words(kind.trim())).collect();
            kinds.dedup();
            // What takes any memory lists all its kinds.
            if rest.starts_with("fp, ") && kinds.len() > 3 {
                return "a pointer to the stack, a packet or the value of a map".to_owned();
            }
            kinds.truncate(3);
            kinds.join(" or ")
        });
        let message = match (given, wanted) {
            (Some(given), Some(wanted)) => {
                format!("argument {register} of {callee}() is {given}; it must be {wanted}")
            }
            _ if self.line.contains("is not a known constant") => {
                format!("argument {register} of {callee}() must be a constant")
            }
            _ if self.line.contains("trusted") => format!(
                "argument {register} of {callee}() must be a pointer that the verifier trusts to be valid"
            ),
            _ => format!("argument {register} of {callee}() is not what it must be"),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "called here");
        let needs_map_memory = self.line.trim_end().ends_with("expected=map_value");
        if callee == "bpf_ringbuf_reserve" && register == 2 {
            draft = draft.help("reserve the largest record there can be; for records of variable size use bpf_ringbuf_output() or, since Linux 6.1, bpf_ringbuf_reserve_dynptr()");
        } else if needs_map_memory && callee == "bpf_strncmp" {
            draft = draft.help("the text must be a constant: `static const char name[] = \"…\";` outside of the function");
        } else if reason == Reason::ArenaMisuse {
            draft =
                draft.help("helpers cannot read the arena: copy what is needed to the stack first");
        } else if self.line.contains("trusted") && !self.line.contains("expected=") {
            draft = draft.help("pass what the program got as an argument, or what a kernel function acquired; an address that was read or computed is not trusted");
        } else if needs_map_memory {
            draft = draft.help("it must lie in the value of a map, or in global data");
        }
        if let Some(origin) = self.path.origin(last, register, true) {
            draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
        }
        draft.quoting(self.line)
    }

    /// The context is accessed where nothing may be accessed.
    pub(super) fn invalid_context_access(&self) -> Draft {
        let reason = Reason::InvalidContextAccess;
        let (Some(offset), Some(size)) =
            (number_after(self.line, "off="), number_after(self.line, "size="))
        else {
            return self.missing_argument(reason);
        };
        let writes =
            self.last.and_then(|at| self.path.instruction(at)).is_some_and(|instruction| {
                matches!(
                    instruction.operation(),
                    Operation::Store { .. } | Operation::Atomic { .. }
                )
            });
        let action = if writes { "written" } else { "read" };
        let stretch = format!("{} at offset {offset} of the context", bytes(size));
        let field = self
            .last
            .and_then(|last| self.expression(last))
            .filter(|text| text.contains("->") || text.contains('['));
        let mut draft = match field {
            Some(field) => Draft::new(
                reason,
                format!("`{field}` cannot be {action} by {}", self.section_words()),
            )
            .note(format!("it is {stretch}")),
            None => Draft::new(
                reason,
                format!("{stretch} cannot be {action} by {}", self.section_words()),
            ),
        };
        draft.primary =
            self.maybe_label(self.last, if writes { "written here" } else { "read here" });
        draft
    }

    /// An argument of the traced function is read that it does not have.
    fn missing_argument(&self, reason: Reason) -> Draft {
        let function = self.line.strip_prefix("func '").and_then(|rest| rest.split('\'').next());
        let Some(function) = function.filter(|_| self.line.contains("doesn't have")) else {
            return self.plain(reason);
        };
        let message = format!("{function}() has fewer arguments than are read here");
        let mut draft = Draft::new(reason, message);
        draft.primary = self.maybe_label(self.last, "read here");
        draft.quoting(self.line).help(
            "see the function's prototype; `BPF_PROG(name, …)` names the arguments and casts them",
        )
    }

    /// The context, or another pointer that must be passed as it is, was
    /// moved.
    pub(super) fn modified_pointer(&self) -> Draft {
        let reason = Reason::ModifiedPointer;
        let Some(last) = self.last else { return self.plain(reason) };
        let register = self.accessed(last);
        let subject = match register {
            _ if self.line.contains("ctx") => "the context".to_owned(),
            Some(register) => self.name_of(last, register),
            None => "this pointer".to_owned(),
        };
        let moved = number_after(self.line, "off=")
            .or_else(|| Some(self.path.before(last, &format!("R{}", register?))?.offset))
            .filter(|&offset| offset != 0);
        let message = match (self.callee(last), moved) {
            _ if self.line.contains("variable") => {
                format!("{subject} is accessed at a variable offset")
            }
            (Some(callee), Some(offset)) => format!(
                "{callee}() must get {subject} as it was made, not {} into it",
                bytes(offset)
            ),
            (Some(callee), None) => {
                format!("{callee}() must get {subject} as it was made")
            }
            (None, Some(offset)) => {
                format!("{subject} was moved by {} and then accessed", bytes(offset))
            }
            (None, None) => return self.plain(reason),
        };
        let mut draft = Draft::new(reason, message);
        let called = self.callee(last).is_some();
        draft.primary = self.label(last, if called { "passed here" } else { "accessed here" });
        if let Some(register) = register
            && self.line.contains("variable")
        {
            self.tell_index(&mut draft, last, register, "the offset");
        }
        draft.quoting(self.line)
    }

    /// A callback is not as it must be.
    pub(super) fn callback(&self) -> Draft {
        let reason = Reason::CallbackMisuse;
        if self.line.contains("should have been in") {
            let mut draft = self.returned(reason, "the callback");
            draft.helps.push((
                "return 0 to go on and 1 to stop, on every path of the callback".to_owned(),
                None,
            ));
            return draft;
        }
        self.plain(reason)
    }

    /// A dynptr is not as it must be.
    pub(super) fn dynptr(&self) -> Draft {
        let reason = Reason::DynptrMisuse;
        let (Some(last), true) =
            (self.last, self.line.to_ascii_lowercase().contains("expected an initialized dynptr"))
        else {
            return self.plain(reason);
        };
        let Some(callee) = self.callee(last) else { return self.plain(reason) };
        let mut draft = Draft::new(reason, format!("{callee}() gets a dynptr that was never made"));
        draft.primary = self.label(last, "called here");
        draft.quoting(self.line).help("make it first, with bpf_dynptr_from_mem(), bpf_dynptr_from_skb() or bpf_ringbuf_reserve_dynptr(), on every path that leads here")
    }

    /// What the program is to attach to cannot be attached to.
    pub(super) fn attach_target(&self) -> Draft {
        let reason = Reason::AttachTarget;
        let Some(function) = self.line.strip_suffix("() is not modifiable") else {
            return self.plain(reason);
        };
        Draft::new(reason, format!("what {function}() returns cannot be changed")).help(
            "`fmod_ret` works on security hooks (`security_…`) and on functions that the kernel lists in /sys/kernel/debug/error_injection/list",
        )
    }

    /// What the program asks for is not in this kernel's types.
    pub(super) fn core_relocation(&self) -> Draft {
        let reason = Reason::CoreRelocation;
        let mut draft = Draft::new(reason, reason.code().summary());
        let relocation = self
            .log
            .error
            .iter()
            .find_map(|line| line.trim().strip_prefix("failed to resolve CO-RE relocation "));
        if let Some(relocation) = relocation {
            draft.message = match asked_for(relocation) {
                Some(what) => format!("this kernel has no {what}"),
                None => {
                    format!("this kernel does not have what the program asks for: {relocation}")
                }
            };
            draft.details.push(format!("libbpf says: failed to resolve {relocation}"));
        }
        let index = self.log.error.iter().find_map(|line| super::flow::instruction_in(line));
        let place = index.and_then(|index| {
            // clang gives the offset's instruction the line of its
            // neighbour: the access itself names the field.
            let field =
                relocation.and_then(|text| text.split(" (").next()?.rsplit(['.', ' ']).next());
            let names_it = |span: &Span| {
                field
                    .is_some_and(|field| span.line_text.as_ref().is_some_and(|l| l.contains(field)))
            };
            let near = (index..index.saturating_add(16)).filter_map(|index| self.place_of(index));
            near.into_iter().find(names_it).or_else(|| self.place_of(index))
        });
        draft.instruction = index;
        draft.primary = place.map(|span| Label { span, message: "accessed here".to_owned() });
        draft
    }
}

/// `<byte_off> [7] struct task_struct___old.state (0:0 @ offset 0)`: the
/// field, or the type, in words.
fn asked_for(relocation: &str) -> Option<String> {
    let (kind, rest) = relocation.strip_prefix('<')?.split_once("> [")?;
    let name = rest.split_once("] ")?.1.split(" (").next()?;
    let (root, path) = match name.split_once('.') {
        Some((root, path)) => (root, Some(path)),
        None => (name, None),
    };
    let root = root.split("___").next()?;
    match path {
        Some(field) if kind.starts_with("byte_") || kind.starts_with("field_") => {
            Some(format!("field `{field}` in `{root}`"))
        }
        None if kind.starts_with("type_") || kind.starts_with("byte_") => {
            Some(format!("type `{root}`"))
        }
        _ => None,
    }
}

/// `unknown func bpf_probe_read_user#112` → `bpf_probe_read_user`
fn name_in(line: &str) -> Option<&str> {
    let (before, _) = line.split_once('#')?;
    before.rsplit(' ').next().filter(|name| !name.is_empty())
}
