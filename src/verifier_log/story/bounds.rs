//! Accesses beyond what is there or was checked.

use super::super::disasm::{Operand, Operation, Register};
use super::super::path::{At, Origin};
use super::super::state::Value;
use super::{Draft, Story, bytes, c_text, number_after, stretch};
use crate::verdict::Reason;

/// A number that a pointer was moved by, or that was passed as a size.
struct Index<'p> {
    /// Where it came into the program.
    origin: Origin<'p>,
    /// What it may be, counted in elements where they have a size.
    value: Value<'p>,
    /// The last thing that was computed with it.
    computed: Option<At>,
}

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
        let meta = value.as_ref().is_some_and(|value| value.kind == "pkt_meta");
        let packet = if meta { "the packet's metadata" } else { "the packet" };
        let message = match (checked, variable) {
            (0, _) => format!("{packet} is {action} without a check of its length"),
            (_, true) => {
                format!("{packet} is {action} at a variable offset beyond what was checked")
            }
            _ => format!(
                "{} of {packet} {} {action}, but only the first {checked} were checked",
                stretch(offset, size),
                if size > 1 { "are" } else { "is" }
            ),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(
            last,
            if checked == 0 {
                {
                    let what = if meta { "metadata" } else { "packet" };
                    format!("needs {} of {what}", bytes(offset.saturating_add(size)))
                }
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
            } else if !variable && self.compares_unmoved(check) {
                "on this path the packet is too short: the comparison may be the wrong way round"
                    .to_owned()
            } else {
                "this comparison does not bound the pointer that is used".to_owned()
            };
            draft.labels.extend(self.label(check, words));
        } else if let Some(difference) = self.packet_difference(last) {
            draft
                .labels
                .extend(self.label(difference, "a length is only a number to the verifier"));
            draft.notes.push(
                "how much of a packet there is, the verifier learns only from comparing a pointer with data_end".to_owned(),
            );
        }
        if let Some(register) = register
            && variable
        {
            self.tell_index(&mut draft, last, register, "the offset");
        } else if let Some(value) = value
            && variable
        {
            draft.notes.push(format!("the offset is {}", value.bounds.words()));
        }
        // A check of the whole structure covers each of its fields.
        let header =
            self.c_line(last).and_then(|line| c_text::dereferenced(&line).map(str::to_owned));
        draft.help(match header {
            _ if meta => {
                let end = offset.saturating_add(size);
                format!("metadata ends where the packet begins; before the access: `if (meta + {end} > data)` and return, both as `void *`")
            }
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

    /// Whether a comparison with the end of the packet has a pointer at a
    /// fixed distance from its start on the other side.
    fn compares_unmoved(&self, check: At) -> bool {
        let Some(Operation::Branch { left, right, .. }) =
            self.path.instruction(check).map(|instruction| instruction.operation())
        else {
            return false;
        };
        let fixed = |operand| match operand {
            Operand::Register(register) => self
                .known(check, register)
                .is_some_and(|value| value.kind == "pkt" && value.id == 0),
            Operand::Number(_) => false,
        };
        fixed(Operand::Register(left)) || fixed(right)
    }

    /// The last subtraction of one packet pointer from another.
    fn packet_difference(&self, last: At) -> Option<At> {
        let is_packet = |at, register| {
            self.known(at, register).is_some_and(|value| value.kind.starts_with("pkt"))
        };
        self.path.back_from(last).find_map(|(at, instruction)| match instruction.operation() {
            Operation::Compute { to, operator: "-=", with: Operand::Register(with) } => {
                (is_packet(at, to) && is_packet(at, with)).then_some(at)
            }
            _ => None,
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
            draft = draft.quoting(self.line);
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
        let mut told = false;
        if let Some(register) = self.accessed(last) {
            told = self.tell_index(&mut draft, last, register, "the index");
            if let Some(origin) = self.path.origin(last, register, true) {
                draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
            }
        }
        let Some(callee) = self.callee(last) else {
            if told {
                return draft;
            }
            return draft.help("the place is fixed on this path: make what is accessed larger, or stop before its end");
        };
        match self.size_argument(last, size) {
            Some(register) => {
                self.tell_index(&mut draft, last, register, "the size");
                draft.help(format!(
                    "compare the size with that of the memory before {callee}() is called"
                ))
            }
            None => draft.help(format!(
                "{callee}() is told to access {}: give it the size of what it gets, `sizeof(…)`",
                bytes(size)
            )),
        }
    }

    /// The argument of a call that is a size of at most `most`, and not a
    /// constant.
    fn size_argument(&self, call: At, most: i64) -> Option<Register> {
        (2..=5).find(|&register| {
            self.known(call, register).is_some_and(|value| {
                value.is_scalar()
                    && value.constant.is_none()
                    && i64::try_from(value.bounds.unsigned().1).is_ok_and(|top| top == most)
            })
        })
    }

    /// The stack is accessed outside of its bounds.
    pub(super) fn stack_out_of_bounds(&self) -> Draft {
        let reason = Reason::StackOutOfBounds;
        let offset = number_after(self.line, "off=");
        let size = number_after(self.line, "size=").unwrap_or(1);
        let callee = self.last.and_then(|last| self.callee(last));
        let register = self.register_named();
        let message = match (offset, callee, register) {
            (Some(offset), Some(callee), Some(argument))
                if offset < 0 && offset.saturating_add(size) > 0 =>
            {
                format!(
                    "{callee}() accesses {} through argument {argument}, and the stack ends after {}",
                    bytes(size),
                    offset.saturating_neg()
                )
            }
            (Some(offset), ..) if offset.saturating_add(size) > 0 => {
                "the stack is accessed beyond its end".to_owned()
            }
            (Some(offset), ..) => {
                format!(
                    "the stack is accessed {} from its end; there are 512",
                    bytes(offset.saturating_neg())
                )
            }
            (None, ..) => {
                "the stack is accessed at an offset that may lie outside of it".to_owned()
            }
        };
        let mut draft = Draft::new(reason, message);
        let Some(last) = self.last else { return draft };
        draft.primary =
            self.label(last, if callee.is_some() { "called here" } else { "accessed here" });
        if let Some(register) = self.accessed(last) {
            self.tell_index(&mut draft, last, register, "the index");
        }
        if let Some(callee) = callee {
            let argument = match (callee.starts_with("bpf_map_"), register) {
                (true, Some(2)) => Some("key"),
                (true, Some(3)) => Some("value"),
                _ => None,
            };
            draft = match argument {
                Some(what) => draft.help(format!(
                    "a {what} of the map has {}: give the variable the type of the map's {what}",
                    bytes(size)
                )),
                None => draft.help("pass the size of the variable itself: `sizeof(variable)`"),
            };
        }
        draft.quoting(self.line)
    }

    /// An index or a size has no bound.
    pub(super) fn unbounded_access(&self) -> Draft {
        let reason = Reason::UnboundedAccess;
        let Some(last) = self.last else { return self.plain(reason) };
        let negative = self.line.contains("negative") || self.line.contains("min value");
        let zero = self.line.contains("zero-sized");
        let called = self.callee(last);
        let register = self.register_named().or_else(|| match called {
            // Some kernels do not say which argument it is.
            Some(_) => (2..=5).rev().find(|&register| {
                self.known(last, register)
                    .is_some_and(|value| value.is_scalar() && value.bounds().unsigned().0 == 0)
            }),
            None => self.accessed(last),
        });
        let constant = register
            .and_then(|register| self.known(last, register))
            .is_some_and(|value| value.constant == Some(0));
        let message = match (called, negative) {
            (Some(callee), _) if zero && constant => {
                format!("the size passed to {callee}() is zero")
            }
            (Some(callee), _) if zero => format!("the size passed to {callee}() may be zero"),
            (Some(callee), true) => format!("the size passed to {callee}() may be negative"),
            (Some(callee), false) => format!("the size passed to {callee}() has no upper bound"),
            (None, true) => "the index used here may be negative".to_owned(),
            (None, false) => "the index used here has no upper bound".to_owned(),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "used here");
        let what = if called.is_some() { "the size" } else { "the index" };
        let mut name = None;
        if let Some(register) = register {
            let before = draft.labels.len();
            self.tell_index(&mut draft, last, register, what);
            // The label begins with the name.
            name = draft.labels.get(before).and_then(|label| {
                let quoted = label.message.strip_prefix('`')?.split_once('`')?.0;
                Some(quoted.to_owned())
            });
        }
        let lost = register.filter(|_| !negative).and_then(|it| self.lost_check(last, it));
        if let Some((check, true)) = lost {
            draft.labels.extend(self.label(check, "what was read before is checked here"));
            return draft
                .note("the number is read from memory twice, and may be another one the second time: the check is of the first")
                .help("read it once, into a variable that is not `volatile`, and check and use that");
        }
        if let Some((check, false)) = lost {
            let name = name.as_deref().unwrap_or("index");
            draft.labels.extend(self.label(check, "a copy of it is checked here"));
            return draft
                .note("the source is right; clang compares one copy of the number and uses another, and this kernel's verifier does not connect the two")
                .help(format!(
                    "keep it in one register: `barrier_var({name});` before the check, or bound the copy that is used: `{name} &= ELEMENTS - 1;`"
                ));
        }
        let name = name.as_deref().unwrap_or(if called.is_some() { "size" } else { "index" });
        match called {
            Some(_) if constant => draft.help("pass the size of the variable: `sizeof(variable)`"),
            Some(_) if zero => draft.help(format!(
                "leave before the call where it is zero or too large: `if ({name} == 0 || {name} > sizeof(buffer)) return 0;`"
            )),
            Some(_) => draft.help(format!(
                "before the call, with an unsigned variable: `if ({name} > sizeof(buffer)) {name} = sizeof(buffer);`"
            )),
            None if negative => draft.help(format!(
                "make `{name}` unsigned, and compare it with the number of elements before it is used"
            )),
            None if name.contains("->") => draft.help(format!(
                "read `{name}` into a variable, and check that before it is used: `if (index >= ELEMENTS) return 0;`"
            )),
            None => draft.help(format!(
                "before it is used: `if ({name} >= ELEMENTS) return 0;`, ELEMENTS being how many there are"
            )),
        }
    }

    /// A check in the source that the compiler made of another copy of a
    /// number than the one that is used: the verifier of older kernels, and
    /// for narrower copies that of newer ones, sees no connection. Says, too,
    /// whether the number is the same only if memory has not changed: it was
    /// read once for the check and once for the use.
    fn lost_check(&self, last: At, register: Register) -> Option<(At, bool)> {
        let made = self.index_of(last, register)?.origin;
        let ordered = |operator: &str| operator.contains(['<', '>']);
        let branches = self.path.branches_before(last);
        branches.take(MAX_CHECKS).find_map(|(at, _, operation, _)| {
            let Operation::Branch { left, operator, right: Operand::Number(_), .. } = operation
            else {
                return None;
            };
            if !ordered(operator) {
                return None;
            }
            let checked = self.path.origin(at, left, true)?;
            if checked.at == made.at {
                return Some((at, false));
            }
            let again = at < made.at && self.reads_same(&checked, &made);
            again.then_some((at, true))
        })
    }

    /// Whether two values were read from the same place in memory, which is
    /// not the stack: there the verifier knows them to be the same.
    fn reads_same(&self, one: &Origin<'_>, other: &Origin<'_>) -> bool {
        let place = |origin: &Origin<'_>| {
            let Operation::Load { base, offset, size, .. } = origin.operation else { return None };
            let pointer = self.path.origin(origin.at, base, false)?;
            Some((pointer.at, offset, size))
        };
        place(one).is_some_and(|place_of_one| place(other) == Some(place_of_one))
    }

    /// Stack memory is read that was not written.
    pub(super) fn uninitialized_stack(&self) -> Draft {
        let reason = Reason::UninitializedStack;
        let Some(last) = self.last else { return self.plain(reason) };
        // Linux 7 words reading beyond the end of the stack the same way.
        if let (Some(offset), Some(size)) =
            (number_after(self.line, "off="), number_after(self.line, "size="))
            && offset.saturating_add(size) > 0
        {
            return self.stack_out_of_bounds();
        }
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
    /// where it was made and what it may be. `what` it is stands for its
    /// name where it has none. Says whether there is one.
    pub(super) fn tell_index(
        &self,
        draft: &mut Draft,
        at: At,
        register: Register,
        what: &str,
    ) -> bool {
        let Some(Index { origin, value, computed }) = self.index_of(at, register) else {
            return false;
        };
        if value.constant.is_some() {
            return false;
        }
        // What is followed as a pointer is not the number it was moved by.
        let here = self.c_line(at).unwrap_or_default();
        let name = self.index_name(&origin, computed).filter(|name| !c_text::follows(&here, name));
        let subject = name.map_or(what.to_owned(), |name| format!("`{name}`"));
        let words = value.bounds().words();
        draft.notes.push(format!("{subject} is {words} as far as the verifier knows"));
        // clang may have moved the load to where it is compared.
        let compared = self.c_line(origin.at).is_some_and(|line| line.starts_with("if "));
        let happens = if compared { "is compared here" } else { "gets its value here" };
        draft.labels.extend(self.label(origin.at, format!("{subject} {happens}")));
        true
    }

    /// What the source calls a number that an instruction made, if something
    /// was computed with it since, what that was kept in.
    fn index_name(&self, origin: &Origin<'_>, computed: Option<At>) -> Option<String> {
        let simple = |name: &String| !name.contains(['[', '*']);
        if let Some(computed) = computed {
            return self.variable_set_at(computed).filter(simple);
        }
        let span = self.place(origin.at)?;
        let line = span.line_text.as_deref().unwrap_or_default();
        if let Some(name) = c_text::declared_at(line, span.start.column) {
            return Some(name.to_owned());
        }
        let assigned = self.variable_set_at(origin.at).filter(simple);
        if assigned.is_some() && c_text::copies(line, span.start.column) {
            return assigned;
        }
        match (self.expression(origin.at), origin.operation) {
            (Some(expression), _) => {
                // `n = ctx->x;` at `x`: the whole is what is copied.
                let whole = line.find(&expression).and_then(|at| u32::try_from(at + 1).ok());
                match whole {
                    Some(column) if assigned.is_some() && c_text::copies(line, column) => assigned,
                    _ => Some(expression),
                }
            }
            (None, Operation::Call(_)) => assigned,
            (None, _) if span.start.column == 0 => assigned,
            _ => None,
        }
    }

    /// The number that makes a pointer variable: the latest register added
    /// to it, or the register itself if it is a number.
    fn index_of(&self, at: At, register: Register) -> Option<Index<'_>> {
        if let Some(value) = self.known(at, register)
            && value.is_scalar()
        {
            return self.index(at, register, value);
        }
        // `pointer += index` is refused itself.
        if let Some(Operation::Compute { to, with: Operand::Register(with), .. }) =
            self.path.instruction(at).map(|instruction| instruction.operation())
        {
            let number = [with, to].into_iter().find_map(|register| {
                let value = self.known(at, register).filter(Value::is_scalar)?;
                Some((register, value))
            });
            if let Some((register, value)) = number {
                return self.index(at, register, value);
            }
        }
        let mut at = at;
        let mut register = register;
        // Pointers are moved a few times at most.
        for _ in 0..16 {
            let origin = self.path.origin(at, register, false)?;
            let Operation::Compute { with, .. } = origin.operation else { return None };
            if let Operand::Register(added) = with {
                // `index += pointer`: the pointer is what was added.
                for number in [added, origin.register] {
                    if let Some(value) = self.known(origin.at, number).filter(Value::is_scalar) {
                        return self.index(origin.at, number, value);
                    }
                }
            }
            (at, register) = (origin.at, origin.register);
        }
        None
    }

    /// A number that a register holds, as it was before it was multiplied by
    /// the size of an element.
    fn index<'s>(&'s self, at: At, register: Register, mut value: Value<'s>) -> Option<Index<'s>> {
        let mut origin = self.path.origin(at, register, false)?;
        let mut computed = None;
        for _ in 0..16 {
            let (operator, with) = match origin.operation {
                Operation::Compute { operator, with, .. } => (operator, with),
                _ => break,
            };
            let scales = match (operator, with) {
                ("<<=", Operand::Number(bits)) => bits < 32,
                ("*=", Operand::Number(_)) => true,
                _ => false,
            };
            // Widening by two shifts changes nothing.
            let widens = matches!((operator, with), ("<<=" | ">>=" | "s>>=", Operand::Number(32)));
            if scales
                && computed.is_none()
                && let Some(unscaled) = self.known(origin.at, origin.register)
                && unscaled.is_scalar()
            {
                value = unscaled;
            } else if !widens && computed.is_none() {
                computed = Some(origin.at);
            }
            match self.path.origin(origin.at, origin.register, false) {
                Some(earlier) => origin = earlier,
                None => break,
            }
        }
        Some(Index { origin: self.through_masks(origin), value, computed })
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
