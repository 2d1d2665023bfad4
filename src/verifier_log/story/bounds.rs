//! Accesses beyond what is there or was checked.

use super::super::disasm::{Operand, Operation, Register};
use super::super::path::{At, Origin};
use super::super::state::Value;
use super::{Draft, Story, bytes, c_text, number_after, stretch};
use crate::verdict::Reason;

/// How many comparisons before an access are looked at for its check.
const MAX_CHECKS: usize = 64;

impl Story<'_> {
    /// What a register is known to be before an instruction.
    fn known(&self, at: At, register: Register) -> Option<Value<'_>> {
        self.path.before(at, &format!("R{register}"))
    }

    /// A packet is accessed beyond what was compared with its end.
    pub(super) fn packet_out_of_bounds(&self) -> Draft {
        let reason = Reason::PacketOutOfBounds;
        let Some(last) = self.last else { return self.plain(reason) };
        let register = self.register_named();
        let offset = number_after(self.line, "off=").unwrap_or(0);
        let size = number_after(self.line, "size=").unwrap_or(1);
        let checked = number_after(self.line, "r=").unwrap_or(0);
        let value = register.and_then(|register| self.known(last, register));
        let variable = number_after(self.line, "id=").is_some_and(|id| id != 0);
        let action = match self.path.instruction(last).map(|i| i.operation()) {
            Some(Operation::Store { .. } | Operation::Atomic { .. }) => "written",
            Some(Operation::Call(_)) => "passed on",
            _ => "read",
        };
        let check = self.packet_check(last);
        let message = match (checked, variable) {
            (0, _) => format!("the packet is {action} without a check of its length"),
            (_, true) => {
                format!("the packet is {action} at a variable offset beyond what was checked")
            }
            _ => format!(
                "{} of the packet {} {action}, but only the first {checked} were checked",
                stretch(offset, size),
                if size > 1 { "are" } else { "is" }
            ),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(
            last,
            if checked == 0 {
                format!("needs {} of packet", bytes(offset.saturating_add(size)))
            } else {
                format!(
                    "needs {}, {} checked",
                    bytes(offset.saturating_add(size)),
                    if checked == 1 { "1 is".to_owned() } else { format!("{checked} are") }
                )
            },
        );
        if let Some(check) = check {
            let words = if checked > 0 {
                format!("this check covers {}", bytes(checked))
            } else {
                "this comparison does not bound the pointer that is used".to_owned()
            };
            draft.labels.extend(self.label(check, words));
        }
        if let Some(register) = register
            && variable
        {
            self.tell_index(&mut draft, last, register);
        } else if let Some(value) = value
            && variable
        {
            draft.notes.push(format!("the offset is {}", value.bounds.words()));
        }
        // A check of the whole structure covers each of its fields.
        let header =
            self.c_line(last).and_then(|line| c_text::dereferenced(&line).map(str::to_owned));
        draft.help(match header {
            _ if variable => {
                "bound the offset, add it to the pointer, then compare that pointer plus the size with data_end".to_owned()
            }
            Some(header) => {
                format!("before the access: `if ((void *)({header} + 1) > data_end)` and return")
            }
            None => {
                let end = offset.saturating_add(size);
                format!("before the access: `if (data + {end} > data_end)` and return")
            }
        })
    }

    /// The last comparison with the end of the packet.
    fn packet_check(&self, last: At) -> Option<At> {
        let is_end = |at, operand: Operand| match operand {
            Operand::Register(register) => {
                self.known(at, register).is_some_and(|value| value.kind == "pkt_end")
            }
            Operand::Number(_) => false,
        };
        self.path.branches_before(last).take(MAX_CHECKS).find_map(|(at, _, operation, _)| {
            let Operation::Branch { left, right, .. } = operation else { return None };
            (is_end(at, Operand::Register(left)) || is_end(at, right)).then_some(at)
        })
    }

    /// A map value is accessed beyond its end.
    pub(super) fn map_value_out_of_bounds(&self) -> Draft {
        let reason = Reason::MapValueOutOfBounds;
        let whole = number_after(self.line, "value_size=");
        let offset = number_after(self.line, "off=").unwrap_or(0);
        let size = number_after(self.line, "size=").unwrap_or(1);
        self.beyond(reason, "the map value", whole, offset, size)
    }

    /// Memory that a helper gave, or a buffer, is accessed beyond its end.
    pub(super) fn memory_out_of_bounds(&self) -> Draft {
        let reason = Reason::MemoryOutOfBounds;
        let (what, key) = if self.line.contains("key_size=") {
            ("the map key", "key_size=")
        } else {
            ("the memory", "mem_size=")
        };
        let Some(offset) = number_after(self.line, "off=") else { return self.plain(reason) };
        let whole = number_after(self.line, key);
        let size = number_after(self.line, "size=").unwrap_or(1);
        let mut draft = self.beyond(reason, what, whole, offset, size);
        if whole.is_none() {
            draft.notes.push(format!("the verifier says: {}", self.line));
        }
        draft
    }

    fn beyond(
        &self,
        reason: Reason,
        what: &str,
        whole: Option<i64>,
        offset: i64,
        size: i64,
    ) -> Draft {
        let touched = stretch(offset, size);
        let message = match whole {
            Some(whole) if offset < 0 => {
                format!("{what} is accessed before its start: at {offset}, of {}", bytes(whole))
            }
            Some(whole) => {
                format!("{touched} of {what} may be accessed, which has only {}", bytes(whole))
            }
            None => format!("{touched} of {what} may be accessed, beyond what is there"),
        };
        let mut draft = Draft::new(reason, message);
        let Some(last) = self.last else { return draft };
        draft.primary = self.label(last, "accessed here");
        if let Some(register) = self.accessed(last) {
            self.tell_index(&mut draft, last, register);
            if let Some(origin) = self.path.origin(last, register, true) {
                draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
            }
        }
        draft
    }

    /// The stack is accessed outside of its bounds.
    pub(super) fn stack_out_of_bounds(&self) -> Draft {
        let reason = Reason::StackOutOfBounds;
        let mut draft = Draft::new(
            reason,
            match number_after(self.line, "off=") {
                Some(offset)
                    if offset.saturating_add(number_after(self.line, "size=").unwrap_or(1)) > 0 =>
                {
                    "the stack is accessed beyond its top".to_owned()
                }
                Some(offset) => {
                    format!(
                        "the stack is accessed {} below its top; there are 512",
                        bytes(offset.saturating_neg())
                    )
                }
                None => "the stack is accessed at an offset that may lie outside of it".to_owned(),
            },
        );
        let Some(last) = self.last else { return draft };
        draft.primary = self.label(last, "accessed here");
        if let Some(register) = self.accessed(last) {
            self.tell_index(&mut draft, last, register);
        }
        draft.note(format!("the verifier says: {}", self.line))
    }

    /// An index or a size has no bound.
    pub(super) fn unbounded_access(&self) -> Draft {
        let reason = Reason::UnboundedAccess;
        let Some(last) = self.last else { return self.plain(reason) };
        let negative = self.line.contains("negative") || self.line.contains("min value");
        let size_of_call = self.callee(last);
        let message = match (size_of_call, negative) {
            (Some(callee), _) if self.line.contains("zero-sized") => {
                format!("the size passed to {callee}() may be zero")
            }
            (Some(callee), true) => format!("the size passed to {callee}() may be negative"),
            (Some(callee), false) => format!("the size passed to {callee}() has no upper bound"),
            (None, true) => "the index used here may be negative".to_owned(),
            (None, false) => "the index used here has no upper bound".to_owned(),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "used here");
        let register = self.register_named().or_else(|| self.accessed(last));
        if let Some(register) = register {
            self.tell_index(&mut draft, last, register);
        }
        draft
    }

    /// Stack memory is read that was not written.
    pub(super) fn uninitialized_stack(&self) -> Draft {
        let reason = Reason::UninitializedStack;
        let Some(last) = self.last else { return self.plain(reason) };
        // `… off -16+4 size 16`: byte 4 of 16 is missing.
        let missing = self.line.rsplit_once('+').and_then(|(_, rest)| {
            let (at, rest) = rest.split_once(" size ")?;
            Some((at.parse::<i64>().ok()?, rest.trim().parse::<i64>().ok()?))
        });
        let message = match (self.callee(last), missing) {
            (Some(callee), Some((at, size))) => format!(
                "byte {at} of the {size} bytes of stack passed to {callee}() was never written"
            ),
            (Some(callee), None) => format!("stack passed to {callee}() was never written"),
            (None, _) => "a variable on the stack is read that was never written".to_owned(),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "read here");
        if missing.is_some_and(|(at, _)| at > 0) {
            draft.notes.push("bytes between the fields of a struct (padding) count too".to_owned());
        }
        draft
    }

    /// The register that an instruction goes through to memory.
    pub(super) fn accessed(&self, at: At) -> Option<Register> {
        let named = self.register_named();
        named.or_else(|| Some(self.path.instruction(at)?.operation().access()?.0))
    }

    /// Tells what is known of the variable part of a pointer, or of a number:
    /// where it was made and what it may be.
    fn tell_index(&self, draft: &mut Draft, at: At, register: Register) {
        let Some((origin, value)) = self.index_of(at, register) else { return };
        let name = self.variable_set_at(origin.at);
        let subject = name.as_ref().map_or("the index".to_owned(), |name| format!("`{name}`"));
        let words = value.bounds().words();
        if value.constant.is_some() {
            return;
        }
        draft.notes.push(format!("{subject} is {words} as far as the verifier knows"));
        draft.labels.extend(self.label(origin.at, format!("{subject} gets its value here")));
    }

    /// The number that makes a pointer variable: the latest register added
    /// to it, or the register itself if it is a number.
    fn index_of(&self, at: At, register: Register) -> Option<(Origin<'_>, Value<'_>)> {
        if let Some(value) = self.known(at, register)
            && value.is_scalar()
        {
            let origin = self.path.origin(at, register, false)?;
            return Some((self.through_masks(origin), value));
        }
        let mut at = at;
        let mut register = register;
        // Pointers are moved a few times at most.
        for _ in 0..16 {
            let origin = self.path.origin(at, register, false)?;
            let Operation::Compute { with, .. } = origin.operation else { return None };
            if let Operand::Register(added) = with {
                let value = self.known(origin.at, added);
                if let Some(value) = value.filter(Value::is_scalar) {
                    let made = self.path.origin(origin.at, added, false)?;
                    return Some((self.through_masks(made), value));
                }
                // `index += pointer`: the pointer is what was added.
                let own = self.known(origin.at, origin.register).filter(Value::is_scalar);
                if let Some(value) = own {
                    let made = self.path.origin(origin.at, origin.register, false)?;
                    return Some((self.through_masks(made), value));
                }
            }
            (at, register) = (origin.at, origin.register);
        }
        None
    }

    /// Follows a number back through shifts and other arithmetic to where it
    /// came into the program.
    fn through_masks<'s>(&'s self, origin: Origin<'s>) -> Origin<'s> {
        if !matches!(origin.operation, Operation::Compute { .. }) {
            return origin;
        }
        self.path.origin(origin.at, origin.register, true).unwrap_or(origin)
    }
}
