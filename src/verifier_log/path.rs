//! The path that failed, and where on it values come from.
//!
//! The verifier explores depth first: at a conditional jump it remembers one
//! side and goes on with the other; at an `exit` it takes up the side it
//! remembered last and says `from 3 to 8: …`. The log holds all sides, one
//! after the other. The failing path is what remains when each `from A to B`
//! drops everything since the latest walk over A that is still open. Old
//! kernels do not say it at log level 2: there a step to an instruction that
//! cannot follow the one before is such a return.

use super::disasm::{Callee, Operand, Operation, Register};
use super::line::Kind;
use super::log::{Instruction, Item, Log};
use super::state::{self, Value};
use std::collections::HashSet;

/// How often a value is followed through copies, spills and calls.
const MAX_HOPS: usize = 256;

/// The failing path: the walked lines of a log that led to its end.
#[derive(Clone, Debug)]
pub struct Path<'l, 't> {
    log: &'l Log<'t>,
    nodes: Vec<Node>,
}

/// A place on a path.
pub type At = usize;

#[derive(Clone, Copy, Debug)]
struct Node {
    item: u32,
    /// How deep in calls; 0 is the program itself.
    depth: u32,
}

/// Where a value was made.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'t> {
    /// Where on the path.
    pub at: At,
    /// The instruction.
    pub instruction: Instruction<'t>,
    /// What it does.
    pub operation: Operation<'t>,
    /// The register it left the value in.
    pub register: Register,
    /// The call of a function of the program that handed the value on, as
    /// seen from where it was asked for.
    pub via: Option<At>,
}

impl<'l, 't> Path<'l, 't> {
    /// Finds the path that led to the end of a log.
    pub fn new(log: &'l Log<'t>) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        let mut taken: HashSet<u32> = HashSet::new();
        for (index, item) in log.items.iter().enumerate() {
            // Items are fewer than bytes, whose number fits.
            let index = index as u32;
            match item.kind {
                Kind::Branch => {
                    let target = log.target_of(*item);
                    rewind(log, &mut nodes, &mut taken, target, |walked, _| {
                        walked.index == item.number
                    });
                }
                Kind::StateBefore | Kind::Instruction if !follows(log, &nodes, item.number) => {
                    let target = item.number;
                    rewind(log, &mut nodes, &mut taken, Some(target), |walked, operation| {
                        let may_branch =
                            matches!(operation, Operation::Branch { .. } | Operation::Other);
                        may_branch && leads(operation, walked.index, target)
                    });
                }
                Kind::Source => continue,
                _ => {}
            }
            nodes.push(Node { item: index, depth: 0 });
        }
        let mut depth = 0;
        for node in &mut nodes {
            let item = log.items[node.item as usize];
            if item.kind == Kind::Instruction {
                node.depth = depth;
                match log.instruction(item).operation() {
                    Operation::Call(Callee::Own(_)) => depth += 1,
                    Operation::Exit => depth = depth.saturating_sub(1),
                    _ => {}
                }
            } else {
                if let Some(state) = log.state_of(item).filter(|state| *state != "safe") {
                    depth = state::frame_of(state);
                }
                node.depth = depth;
            }
        }
        Self { log, nodes }
    }

    fn item(&self, at: At) -> Item {
        self.log.items[self.nodes[at].item as usize]
    }

    /// The position in the log of a place on the path.
    pub(super) fn log_position(&self, at: At) -> usize {
        self.nodes[at].item as usize
    }

    /// The positions in the log of all of the path, in order.
    pub(super) fn log_positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().map(|node| node.item as usize)
    }

    /// How deep in calls a place is.
    pub fn depth(&self, at: At) -> u32 {
        self.nodes[at].depth
    }

    /// The instruction at a place, if one is there.
    pub fn instruction(&self, at: At) -> Option<Instruction<'t>> {
        let item = self.item(at);
        (item.kind == Kind::Instruction).then(|| self.log.instruction(item))
    }

    /// The last instruction of the path: the one that was refused.
    pub fn last(&self) -> Option<At> {
        (0..self.nodes.len()).rev().find(|&at| self.item(at).kind == Kind::Instruction)
    }

    /// The instructions before a place, the nearest first.
    pub fn back_from(&self, at: At) -> impl Iterator<Item = (At, Instruction<'t>)> + '_ {
        (0..at).rev().filter_map(|at| Some((at, self.instruction(at)?)))
    }

    /// The latest walk over an instruction.
    pub fn find(&self, index: u32) -> Option<At> {
        (0..self.nodes.len()).rev().find(|&at| {
            let item = self.item(at);
            item.kind == Kind::Instruction && item.number == index
        })
    }

    /// What a register (`R1`) or stack slot (`fp-8`) was known to be before
    /// the instruction at a place.
    pub fn before(&self, at: At, name: &str) -> Option<Value<'t>> {
        self.look_back(at, name, self.nodes.get(at)?.depth)
    }

    /// What a register was known to be after the instruction at a place.
    pub fn after(&self, at: At, register: Register) -> Option<Value<'t>> {
        let name = format!("R{register}");
        let depth = self.nodes.get(at)?.depth;
        let own = self.log.state_of(self.item(at)).and_then(|state| state::find(state, &name));
        if let Some(text) = own {
            return Some(Value::parse(text, self.log.dialect));
        }
        for later in at + 1..self.nodes.len() {
            let item = self.item(later);
            if item.kind == Kind::Instruction {
                return None;
            }
            let state = self.log.state_of(item).filter(|_| self.nodes[later].depth == depth);
            if let Some(text) = state.and_then(|state| state::find(state, &name)) {
                return Some(Value::parse(text, self.log.dialect));
            }
        }
        None
    }

    fn look_back(&self, at: At, name: &str, depth: u32) -> Option<Value<'t>> {
        let register: Option<Register> = name.strip_prefix('R').and_then(|n| n.parse().ok());
        for earlier in (0..at).rev() {
            if self.nodes[earlier].depth != depth {
                if self.nodes[earlier].depth < depth {
                    return None;
                }
                continue;
            }
            let item = self.item(earlier);
            if let Some(text) = self.log.state_of(item).and_then(|state| state::find(state, name)) {
                return Some(Value::parse(text, self.log.dialect));
            }
            if item.kind == Kind::Instruction
                && register.is_some_and(|r| self.log.instruction(item).operation().writes(r))
            {
                return None;
            }
        }
        None
    }

    /// Where the value that a register holds before `at` was made. Copies,
    /// spills to the stack and calls are followed; arithmetic too if
    /// `through_arithmetic`, as a pointer stays the same pointer when it is
    /// moved.
    pub fn origin(
        &self,
        at: At,
        register: Register,
        through_arithmetic: bool,
    ) -> Option<Origin<'t>> {
        let mut at = at;
        let mut register = register;
        let mut depth = self.nodes.get(at)?.depth;
        let mut via = None;
        for _ in 0..MAX_HOPS {
            let found = self.writer(at, register, depth);
            let Some((writer, instruction)) = found else {
                // Arguments come from the caller.
                if !(1..=5).contains(&register) || depth == 0 {
                    return None;
                }
                let call = self.call_of(at, depth)?;
                (at, depth) = (call, depth - 1);
                continue;
            };
            let operation = instruction.operation();
            let origin = Origin { at: writer, instruction, operation, register, via };
            at = writer;
            match operation {
                Operation::Move { from: Operand::Register(from), .. } => register = from,
                Operation::Compute { .. } if through_arithmetic => {}
                Operation::Load { base: 10, offset, .. } => match self.spill(at, offset, depth) {
                    Some((spill, from)) => (at, register) = (spill, from),
                    None => return Some(origin),
                },
                // The value a function of the program returned.
                Operation::Call(Callee::Own(_)) if register == 0 => {
                    let exit = self.exit_before(self.next_at(at, depth)?, depth + 1);
                    match exit {
                        Some(exit) => {
                            via = via.or(Some(at));
                            (at, depth) = (exit, depth + 1);
                        }
                        None => return Some(origin),
                    }
                }
                _ => return Some(origin),
            }
        }
        None
    }

    /// The latest instruction before `at` that left a value in a register.
    fn writer(&self, at: At, register: Register, depth: u32) -> Option<(At, Instruction<'t>)> {
        for earlier in (0..at).rev() {
            if self.nodes[earlier].depth < depth {
                return None;
            }
            if self.nodes[earlier].depth > depth {
                continue;
            }
            if let Some(instruction) = self.instruction(earlier)
                && instruction.operation().writes(register)
            {
                return Some((earlier, instruction));
            }
        }
        None
    }

    /// The call that led into the function that `at` is in.
    fn call_of(&self, at: At, depth: u32) -> Option<At> {
        (0..at).rev().find(|&earlier| {
            self.nodes[earlier].depth + 1 == depth && self.item(earlier).kind == Kind::Instruction
        })
    }

    /// The store that put a value into a stack slot, and the register it came
    /// from.
    fn spill(&self, at: At, slot: i32, depth: u32) -> Option<(At, Register)> {
        for earlier in (0..at).rev() {
            if self.nodes[earlier].depth < depth {
                return None;
            }
            if self.nodes[earlier].depth > depth {
                continue;
            }
            let Some(instruction) = self.instruction(earlier) else { continue };
            if let Operation::Store { base: 10, offset, from, .. } = instruction.operation()
                && offset == slot
            {
                return match from {
                    Operand::Register(register) => Some((earlier, register)),
                    Operand::Number(_) => None,
                };
            }
        }
        None
    }

    /// The next instruction after `at` that is as deep as it.
    fn next_at(&self, at: At, depth: u32) -> Option<At> {
        (at + 1..self.nodes.len()).find(|&later| {
            self.nodes[later].depth == depth && self.item(later).kind == Kind::Instruction
        })
    }

    fn exit_before(&self, at: At, depth: u32) -> Option<At> {
        (0..at).rev().find(|&earlier| {
            self.nodes[earlier].depth == depth
                && self.instruction(earlier).is_some_and(|i| i.operation() == Operation::Exit)
        })
    }

    /// The conditional jumps before a place, the nearest first, with whether
    /// the path took the jump.
    pub fn branches_before(
        &self,
        at: At,
    ) -> impl Iterator<Item = (At, Instruction<'t>, Operation<'t>, bool)> + '_ {
        self.back_from(at).filter_map(|(at, instruction)| {
            let operation = instruction.operation();
            let Operation::Branch { .. } = operation else { return None };
            let next = (at + 1..self.nodes.len()).find_map(|later| self.instruction(later))?;
            let falls_through = Some(next.index) == instruction.index.checked_add(1);
            Some((at, instruction, operation, !falls_through))
        })
    }
}

/// Goes back to the latest open walk over the instruction that `is_it` names,
/// from which a side that leads to `target` was left for later. Where the log
/// has lost it, nothing of what came before is known.
fn rewind(
    log: &Log<'_>,
    nodes: &mut Vec<Node>,
    taken: &mut HashSet<u32>,
    target: Option<u32>,
    is_it: impl Fn(&Instruction<'_>, Operation<'_>) -> bool,
) {
    let mut next = None;
    while let Some(node) = nodes.last() {
        let item = log.items[node.item as usize];
        if item.kind == Kind::Instruction {
            let instruction = log.instruction(item);
            // A walk that went where the branch leads did not leave that
            // side for later, except by leaving a function.
            let went_there = next.is_some() && next == target;
            if !went_there
                && is_it(&instruction, instruction.operation())
                && taken.insert(node.item)
            {
                return;
            }
            next = Some(item.number);
        }
        nodes.pop();
    }
}

/// Whether a walk can go on with an instruction after what it did last.
fn follows(log: &Log<'_>, nodes: &[Node], next: u32) -> bool {
    for node in nodes.iter().rev() {
        let item = log.items[node.item as usize];
        match item.kind {
            Kind::Pruned => return false,
            // A walk that is announced, and calls and returns, are right.
            Kind::Branch => return log.state_of(item) != Some("safe"),
            Kind::CallMarker => return true,
            Kind::StateBefore if item.number == next => return true,
            Kind::Instruction => {
                let instruction = log.instruction(item);
                let operation = instruction.operation();
                return leads(operation, instruction.index, next);
            }
            _ => {}
        }
    }
    true
}

/// Whether an operation at `at` can lead to `next`.
fn leads(operation: Operation<'_>, at: u32, next: u32) -> bool {
    let at = i64::from(at);
    let next = i64::from(next);
    let jumps = |offset: i32| next == at + 1 + i64::from(offset);
    match operation {
        Operation::Exit => false,
        Operation::Jump { offset } => jumps(offset),
        Operation::Branch { offset, .. } => next == at + 1 || jumps(offset),
        Operation::Call(Callee::Own(offset)) => next == at + 1 || jumps(offset),
        // What is not understood may be a jump.
        Operation::Other => true,
        // A 64-bit number takes two slots.
        _ => next == at + 1 || next == at + 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
0: R1=ctx() R10=fp0
0: (bf) r6 = r1                       ; R1=ctx() R6_w=ctx()
1: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=m,ks=4,vs=8)
2: (bf) r7 = r0                       ; R0_w=map_value_or_null(id=1,map=m,ks=4,vs=8) R7_w=map_value_or_null(id=1,map=m,ks=4,vs=8)
3: (7b) *(u64 *)(r10 -8) = r7         ; R7_w=map_value_or_null(id=1,map=m,ks=4,vs=8) R10=fp0 fp-8_w=map_value_or_null(id=1,map=m,ks=4,vs=8)
4: (55) if r6 != 0x5 goto pc+2
5: (b7) r0 = 0                        ; R0_w=0
6: (95) exit

from 4 to 7: R0=map_value_or_null(id=1,map=m,ks=4,vs=8) R6=ctx() R10=fp0
7: (79) r1 = *(u64 *)(r10 -8)         ; R1_w=map_value_or_null(id=1,map=m,ks=4,vs=8)
8: (79) r2 = *(u64 *)(r1 +0)
R1 invalid mem access 'map_value_or_null'
";

    #[test]
    fn dead_ends_are_left_out() {
        let log = Log::parse(LOG);
        let path = Path::new(&log);
        let last = path.last().expect("there are instructions");
        let back: Vec<u32> = path.back_from(last).map(|(_, i)| i.index).collect();
        assert_eq!(back, [7, 4, 3, 2, 1, 0]);
        let (_, branch, _, taken) = path.branches_before(last).next().expect("one branch");
        assert_eq!((branch.index, taken), (4, true));
    }

    #[test]
    fn returns_that_are_not_announced() {
        let log = "\
0: (55) if r6 != 0x5 goto pc+2
 R6=inv(id=0) R10=fp0
1: R6=inv5 R10=fp0
1: (b7) r0 = 0
2: (95) exit
3: R6=inv(id=0) R10=fp0
3: (b7) r0 = 1
4: (95) exit
";
        let log = Log::parse(log);
        let path = Path::new(&log);
        let last = path.last().expect("there are instructions");
        let back: Vec<u32> = path.back_from(last).map(|(_, i)| i.index).collect();
        assert_eq!(back, [3, 0]);
    }

    #[test]
    fn a_value_is_followed_to_where_it_was_made() {
        let log = Log::parse(LOG);
        let path = Path::new(&log);
        let last = path.last().expect("there are instructions");
        let origin = path.origin(last, 1, false).expect("it was made");
        assert_eq!(origin.instruction.index, 1);
        assert_eq!(origin.operation, Operation::Call(Callee::Kernel("bpf_map_lookup_elem")));
        let value = path.before(last, "R1").expect("it is in the log");
        assert!(value.may_be_null());
    }
}
