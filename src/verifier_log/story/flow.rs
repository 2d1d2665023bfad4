//! The shape of the program: loops, calls, stack, references, returns.

use super::super::disasm::{Callee, Operand, Operation};
use super::super::line::number;
use super::super::path::At;
use super::{Draft, Story, bytes, number_after};
use crate::diagnostics::Label;
use crate::verdict::Reason;
use std::collections::BTreeMap;

impl Story<'_> {
    /// A loop without an end that the verifier can see, or too much of
    /// everything.
    pub(super) fn endless(&self, reason: Reason) -> Draft {
        let at = instruction_in(self.line).and_then(|index| self.path.find(index)).or(self.last);
        let mut draft = match reason {
            Reason::UnboundedLoop => {
                Draft::new(reason, "the verifier cannot see that this loop ends")
            }
            _ if self.line.contains("jumps is too complex") => Draft::new(
                reason,
                "the program has more branches open at once than the verifier keeps",
            ),
            _ => {
                let processed = self.log.summary.as_ref().map_or(1_000_000, |s| s.processed.max(1));
                Draft::new(reason, format!("the verifier gave up after {processed} instructions"))
            }
        };
        let hot = self.hottest();
        let too_many_branches = self.line.contains("jumps is too complex");
        // The branch that was one too many is the one walked last.
        let place = match reason {
            Reason::UnboundedLoop => at,
            _ if too_many_branches => at,
            _ => hot.map(|(at, _)| at).or(at),
        };
        let label = match reason {
            Reason::UnboundedLoop => "the loop comes here again with nothing changed",
            _ if too_many_branches => "one branch too many was met here",
            _ => "most of them were spent here",
        };
        draft.primary = self.maybe_label(place, label);
        draft.instruction = place.and_then(|at| self.path.instruction(at)).map(|i| i.index);
        if self.last.is_none() {
            // A log too large to be kept has no instructions: what loops in
            // the program is the likely cause.
            draft.instruction = self.rejection.places.jump_back();
            let span = draft.instruction.and_then(|index| self.place_of(index));
            let message = "the program's loop ends here".to_owned();
            draft.primary = span.map(|span| Label { span, message });
        }
        if let Some((_, count)) = hot
            && label.starts_with("most")
            && count > 1
        {
            draft.notes.push(format!(
                "the instruction there was walked {count} times on the failing path"
            ));
        }
        draft
    }

    /// Whether what looks like a loop is a function that calls itself: older
    /// kernels call both a back-edge.
    pub(super) fn is_recursion(&self) -> bool {
        self.line.starts_with("back-edge")
            && instruction_in(self.line).is_some_and(|at| self.rejection.places.is_call(at))
    }

    /// Functions that call themselves, or each other too deeply.
    pub(super) fn recursion(&self) -> Draft {
        let reason = Reason::CallDepth;
        // `recursive call from a() to b()`
        let mut names = self.line.split(' ').filter_map(|word| word.strip_suffix("()"));
        let (caller, callee) = (names.next(), names.next());
        let index = match (caller, callee) {
            (Some(caller), Some(callee)) => self.rejection.places.call(caller, callee),
            _ => instruction_in(self.line),
        };
        let message = match (caller, callee) {
            (Some(caller), Some(callee)) if caller == callee => format!("{caller}() calls itself"),
            (Some(caller), Some(callee)) => {
                format!("{caller}() calls {callee}(), which calls {caller}() again")
            }
            _ if self.line.starts_with("back-edge") => "a function calls itself".to_owned(),
            _ => "functions call each other more than eight deep".to_owned(),
        };
        let mut draft = Draft::new(reason, message);
        draft.instruction = index;
        draft.primary = match index {
            Some(index) => {
                self.place_of(index).map(|span| Label { span, message: "called here".to_owned() })
            }
            None => self.maybe_label(self.last, "the last call"),
        };
        draft
    }

    /// A lock or another section is not as it must be.
    pub(super) fn section(&self, reason: Reason) -> Draft {
        let mut draft = self.plain(reason);
        let Some(last) = self.last else { return draft };
        let operation = self.path.instruction(last).map(|instruction| instruction.operation());
        // The end of the program, or of a function, with something open.
        if operation != Some(Operation::Exit) {
            draft.primary = self.label(last, "");
            let entered = self.entered_before(last);
            draft.labels.extend(self.maybe_label(entered, "the section begins here"));
            return self.in_section(draft, last, entered);
        }
        let Some(entered) = self.entered_before(last) else { return draft };
        let callee = self.callee(entered).unwrap_or_default();
        draft.message = format!("what {callee}() begins is not ended on every path");
        draft.notes.clear();
        draft.primary = self.label(entered, "begins here");
        draft.instruction = self.path.instruction(entered).map(|i| i.index);
        draft.labels.extend(self.label(last, "the function ends here, inside of it"));
        let branch = self.path.branches_before(last).find(|(at, ..)| *at > entered);
        if let Some((branch, ..)) = branch {
            draft.labels.extend(self.label(branch, "the path that forgets it goes on from here"));
        }
        match ender(callee) {
            Some(ender) => draft.help(format!("call {ender}() before every way out")),
            None => draft,
        }
    }

    /// Words for what is done in a section, or at its end.
    fn in_section(&self, mut draft: Draft, last: At, entered: Option<At>) -> Draft {
        let Some(callee) = self.callee(last) else {
            if self.line.contains("cannot be accessed directly") {
                draft.notes.clear();
                draft.message = "a lock is read or written like a number".to_owned();
                return draft.help("only bpf_spin_lock() and bpf_spin_unlock() may touch it");
            }
            return draft;
        };
        let begun_by = entered.and_then(|at| self.callee(at));
        let (message, help) = match begun_by {
            _ if self.line.contains("of different lock") => (
                format!("{callee}() gets another lock than the one that was taken"),
                "unlock the very lock that was locked, through the same variable",
            ),
            _ if self.line.contains("without taking a lock") => (
                format!("{callee}() is called, and no lock is held"),
                "take the lock first, on every path that leads here",
            ),
            Some(begun_by) if begun_by == callee => (
                format!("{callee}() is called while a lock is held already"),
                "a program can hold one lock at a time: release the first before it takes another",
            ),
            Some(_) if self.line.contains("while holding a lock") => (
                format!("{callee}() is called while a lock is held"),
                "call it before the lock is taken, and keep what it returns in a variable",
            ),
            _ => return draft,
        };
        draft.notes.clear();
        draft.message = message;
        draft.quoting(self.line).help(help)
    }

    /// The call that began the section which is open at a place.
    fn entered_before(&self, last: At) -> Option<At> {
        let mut ended = 0;
        for (at, _) in self.path.back_from(last) {
            let Some(callee) = self.callee(at) else { continue };
            if ["unlock", "_enable", "_restore"].iter().any(|word| callee.contains(word)) {
                ended += 1;
            } else if ["lock", "_disable", "_irq_save"].iter().any(|word| callee.contains(word)) {
                if ended == 0 {
                    return Some(at);
                }
                ended -= 1;
            }
        }
        None
    }

    /// The instruction that occurs most often on the path.
    fn hottest(&self) -> Option<(At, u32)> {
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for (_, instruction) in self.path.back_from(self.last?) {
            *counts.entry(instruction.index).or_default() += 1;
        }
        let (index, count) =
            counts.into_iter().max_by_key(|&(index, count)| (count, std::cmp::Reverse(index)))?;
        Some((self.path.find(index)?, count))
    }

    /// The stack of a chain of calls is too large. The log does not say which
    /// chain; the walked calls and frame offsets do.
    pub(super) fn stack_overflow(&self) -> Draft {
        let reason = Reason::StackOverflow;
        let needed = if let Some((_, rest)) = self.line.split_once("calls is ") {
            number(rest).map(|(bytes, _)| i64::from(bytes))
        } else {
            self.line
                .rsplit_once(" is ")
                .and_then(|(_, rest)| number(rest))
                .map(|(bytes, _)| i64::from(bytes))
        };
        let functions = self.functions();
        let deepest = self.deepest_chain(&functions);
        let message = match needed {
            Some(needed) if self.line.starts_with("combined") => {
                format!("a chain of calls needs {} of stack; there are 512", bytes(needed))
            }
            Some(needed) if self.line.starts_with("tail_calls") => {
                format!(
                    "a tail call is made with {} of stack in use by its callers; there may be 255",
                    bytes(needed)
                )
            }
            Some(needed) => format!("a function needs {} of stack; there are 512", bytes(needed)),
            None => reason.code().summary().to_owned(),
        };
        let mut draft = Draft::new(reason, message);
        let Some((call, chain)) = deepest else { return draft };
        draft.primary = self
            .place_of(call)
            .map(|span| Label { span, message: "the last call of the chain".to_owned() });
        draft.instruction = Some(call);
        for first in chain {
            let Some(function) = functions.get(&first) else { continue };
            if let Some(span) = self.place_of(first)
                && function.stack > 0
            {
                draft.labels.push(Label {
                    span,
                    message: format!("{} of stack here", bytes(function.stack)),
                });
            }
        }
        draft
    }

    /// The walked functions: how much stack each touches and whom it calls.
    fn functions(&self) -> BTreeMap<u32, Function> {
        let mut starts = self.log.functions.clone();
        if starts.is_empty() {
            starts.push(0);
        }
        starts.sort_unstable();
        let mut functions: BTreeMap<u32, Function> =
            starts.iter().map(|&start| (start, Function::default())).collect();
        for instruction in self.log.instructions() {
            let at = starts.partition_point(|&start| start <= instruction.index);
            let Some(start) = at.checked_sub(1).map(|at| starts[at]) else { continue };
            let Some(function) = functions.get_mut(&start) else { continue };
            match instruction.operation() {
                Operation::Call(Callee::Own(offset)) => {
                    let target = i64::from(instruction.index) + 1 + i64::from(offset);
                    if let Ok(target) = u32::try_from(target) {
                        function.calls.insert(instruction.index, target);
                    }
                }
                Operation::Compute { operator: "+=", with: Operand::Number(offset), .. }
                    if offset < 0 =>
                {
                    // `r2 = r10; r2 += -300`: an address on the stack.
                    if offset >= -512 {
                        function.stack = function.stack.max(-offset);
                    }
                }
                operation => {
                    if let Some((10, offset, _)) = operation.access() {
                        function.stack = function.stack.max(-i64::from(offset));
                    }
                }
            }
        }
        functions
    }

    /// The chain of calls with the most stack: its last call, and the first
    /// instruction of each function on it.
    fn deepest_chain(&self, functions: &BTreeMap<u32, Function>) -> Option<(u32, Vec<u32>)> {
        let mut best: Option<(i64, u32, Vec<u32>)> = None;
        let mut open: Vec<(u32, i64, Option<u32>, Vec<u32>)> = vec![(0, 0, None, Vec::new())];
        let mut visits = 0;
        while let Some((start, sum, call, mut chain)) = open.pop() {
            visits += 1;
            if visits > MAX_CHAINS {
                break;
            }
            let Some(function) = functions.get(&start) else { continue };
            if chain.contains(&start) || chain.len() > 8 {
                continue;
            }
            let sum = sum + function.stack;
            chain.push(start);
            if let Some(call) = call
                && best.as_ref().is_none_or(|(most, ..)| sum > *most)
            {
                best = Some((sum, call, chain.clone()));
            }
            for (&call, &target) in &function.calls {
                open.push((target, sum, Some(call), chain.clone()));
            }
        }
        best.map(|(_, call, chain)| (call, chain))
    }

    /// A reference that a path does not give back.
    pub(super) fn unreleased_reference(&self) -> Draft {
        let reason = Reason::UnreleasedReference;
        let made = number_after(self.line, "alloc_insn=")
            .and_then(|index| u32::try_from(index).ok())
            .and_then(|index| self.path.find(index));
        let Some(made) = made else { return self.plain(reason) };
        let name = self.variable_set_at(made);
        let callee = self.callee(made);
        let subject = match (&name, callee) {
            (Some(name), _) => format!("`{name}`"),
            (None, Some(callee)) if callee.ends_with("_dynptr") => {
                format!("the record of {callee}()")
            }
            (None, Some(callee)) => format!("what {callee}() returns"),
            (None, None) => "a reference".to_owned(),
        };
        let mut draft = Draft::new(reason, format!("{subject} is not released on every path"));
        draft.primary = self.label(made, "acquired here");
        draft.instruction = self.path.instruction(made).map(|i| i.index);
        if let Some(last) = self.last {
            let tail_call = self.callee(last) == Some("bpf_tail_call");
            let ends = if tail_call {
                "the tail call leaves the program here, which still holds it"
            } else {
                "the program ends here and still holds it"
            };
            draft.labels.extend(self.label(last, ends));
            let branch =
                self.path.branches_before(last).find(|(at, ..)| *at > made).filter(|_| !tail_call);
            if let Some((branch, ..)) = branch {
                draft
                    .labels
                    .extend(self.label(branch, "the path that forgets it goes on from here"));
            }
        }
        let release = match callee {
            Some("bpf_ringbuf_reserve") => Some("bpf_ringbuf_submit() or bpf_ringbuf_discard()"),
            Some("bpf_ringbuf_reserve_dynptr") => {
                return draft.help("call bpf_ringbuf_submit_dynptr() or bpf_ringbuf_discard_dynptr() on every path, also where reserving failed");
            }
            Some(name) if name.starts_with("bpf_sk") => Some("bpf_sk_release()"),
            Some(name) if name.starts_with("bpf_task_") => Some("bpf_task_release()"),
            Some(name) if name.starts_with("bpf_cgroup_") => Some("bpf_cgroup_release()"),
            Some(name) if name.starts_with("bpf_cpumask_") => Some("bpf_cpumask_release()"),
            Some("bpf_obj_new_impl" | "bpf_obj_new") => Some("bpf_obj_drop()"),
            _ => None,
        };
        match release {
            Some(release) => {
                draft.help(format!("call {release} on every path to the end, error paths included"))
            }
            None => draft,
        }
    }

    /// The program returns what it must not.
    pub(super) fn return_value(&self) -> Draft {
        self.returned(Reason::ReturnValue, "the program")
    }

    /// The program, or a callback of it, returns what it must not.
    pub(super) fn returned(&self, reason: Reason, who: &str) -> Draft {
        let Some(last) = self.last else { return self.plain(reason) };
        let register = self.register_named().unwrap_or(0);
        let origin = self.path.origin(last, register, false);
        let value = self.path.before(last, &format!("R{register}"));
        let given = value.map(|value| match value.constant {
            Some(number) if value.is_scalar() => number.to_string(),
            _ if value.is_scalar() => value.bounds.words(),
            _ => super::values::kind_in_words(value.kind),
        });
        let allowed = allowed_range(self.line);
        let message = match (given, &allowed) {
            (Some(given), Some(allowed)) => {
                format!("{who} returns {given}; allowed is {allowed}")
            }
            (None, Some(allowed)) => {
                format!("{who} may return any value; allowed is {allowed}")
            }
            (Some(given), None) => {
                format!("{who} returns {given}, which its type does not allow")
            }
            (None, None) => reason.code().summary().to_owned(),
        };
        let mut draft = Draft::new(reason, message);
        let made = origin.map(|origin| origin.at);
        draft.primary = self.maybe_label(made.or(Some(last)), "the value comes from here");
        draft.instruction = made.and_then(|at| self.path.instruction(at)).map(|i| i.index);
        if allowed.is_none() {
            draft = draft.quoting(self.line);
        }
        draft
    }

    /// Instructions that nothing leads to.
    pub(super) fn unreachable_code(&self) -> Draft {
        let reason = Reason::UnreachableCode;
        let mut draft = Draft::new(reason, "nothing leads to this code");
        let index = instruction_in(self.line);
        draft.instruction = index;
        draft.primary = index
            .and_then(|index| self.place_of(index))
            .map(|span| Label { span, message: String::new() });
        draft
    }
}

/// What ends what a helper or kernel function begins.
fn ender(callee: &str) -> Option<String> {
    let pairs = [("_unlock", "_lock"), ("_enable", "_disable"), ("_restore", "_save")];
    let (end, begin) = pairs.into_iter().find(|(_, begin)| callee.contains(begin))?;
    Some(callee.replace(begin, end))
}

/// How many chains of calls are followed; a log from anywhere may name more
/// than there is time for.
const MAX_CHAINS: u32 = 10_000;

/// What is known of one function of the program.
#[derive(Clone, Debug, Default)]
struct Function {
    /// Bytes of stack it touches, as far as its walked instructions show.
    stack: i64,
    /// Calls: instruction → first instruction of the callee.
    calls: BTreeMap<u32, u32>,
}

/// `… at insn 7`, `unreachable insn 12`, `from insn 4 to 2` → the number.
pub(super) fn instruction_in(line: &str) -> Option<u32> {
    // libbpf marks what it could not relocate: `1: <invalid CO-RE …>`.
    if let Some((index, rest)) = number(line)
        && rest.starts_with(": <")
    {
        return Some(index);
    }
    let (_, rest) = line.split_once("insn ")?;
    number(rest).map(|(index, _)| index)
}

/// What the verifier allows: `should have been in [0, 1]`, and before 6.8
/// as a value and a mask of free bits, `should have been in (0x0; 0x1)`.
fn allowed_range(line: &str) -> Option<String> {
    let (_, range) = line.split_once("should have been in ")?;
    let range = range.trim();
    let inner = range.trim_matches(['[', ']', '(', ')']);
    if let Some((low, high)) = inner.split_once(", ") {
        return Some(in_words(low.parse().ok()?, high.parse().ok()?));
    }
    let (value, mask) = inner.split_once("; ")?;
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let (value, mask) = (hex(value)?, hex(mask)?);
    Some(in_words(value.cast_signed(), (value | mask).cast_signed()))
}

fn in_words(low: i64, high: i64) -> String {
    match high.checked_sub(low) {
        Some(0) => format!("only {low}"),
        Some(1) => format!("{low} or {high}"),
        _ => format!("{low} to {high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_values_in_both_spellings() {
        assert_eq!(allowed_range("x should have been in (0x0; 0x1)").as_deref(), Some("0 or 1"));
        assert_eq!(allowed_range("smin=5 should have been in [0, 3]").as_deref(), Some("0 to 3"));
        assert_eq!(allowed_range("should have been in [0, 0]").as_deref(), Some("only 0"));
        assert_eq!(instruction_in("infinite loop detected at insn 7"), Some(7));
    }
}
