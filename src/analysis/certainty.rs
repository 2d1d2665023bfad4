//! Whether the verifier comes by an instruction at all.
//!
//! It follows every way through a program that it cannot rule out. What it
//! rules out with values it has worked out is beyond us here; but what every
//! way crosses is certain, and what hangs on values that are fixed when the
//! program is loaded (`const volatile` data, kernel options, weak externs,
//! CO-RE questions) is the author's way to say "only where it works".

use super::{Code, Context, FunctionView, Slot};
use crate::bpf::{AluOp, Call, Op, Operand, Reg};
use crate::elf::{DataKind, Target};
use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet};

/// How certain it is that the verifier looks at an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It does not if a value that is fixed at load time says so.
    Guarded,
    /// It does unless it can rule the way out.
    Likely,
    /// Every way through the program crosses it.
    Certain,
}

/// What is remembered between questions.
#[derive(Default)]
pub(super) struct Memory {
    /// By function: how certain it is that the verifier looks at it.
    functions: OnceCell<Vec<Certainty>>,
    /// By function: its branches on values that are fixed at load time.
    guards: OnceCell<Vec<Vec<usize>>>,
    /// How many more slots may be looked at; a hostile object could ask for
    /// much.
    budget: Cell<usize>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { budget: Cell::new(30_000_000), ..Self::default() }
    }
}

impl<'o> Context<'o> {
    /// How certain it is that the verifier looks at a slot of a function.
    pub fn certainty(&self, view: &FunctionView<'o>, slot: usize) -> Certainty {
        let place = (view.function.section, view.function.slots.start);
        let Some(&index) = self.by_place.get(&place) else { return Certainty::Likely };
        let function = self.memory.functions.get_or_init(|| self.functions_certainty())[index];
        function.min(self.within(index, slot))
    }

    /// The certainty of each function: that of its most certain call.
    fn functions_certainty(&self) -> Vec<Certainty> {
        let mut calls: Vec<Vec<(usize, usize)>> = Vec::with_capacity(self.functions.len());
        for view in &self.functions {
            let callees = view.code.ops().filter_map(|(slot, op)| match op {
                Op::Call(Call::Subprogram(_)) | Op::LoadImm64 { .. } => {
                    Some((slot, self.callee(view, slot)?))
                }
                _ => None,
            });
            calls.push(callees.collect());
        }
        let mut best: Vec<Option<Certainty>> = vec![None; self.functions.len()];
        let mut open = Vec::new();
        for program in &self.programs {
            if let Some(&own) = program.functions.first() {
                best[own] = Some(Certainty::Certain);
                open.push(own);
            }
        }
        let mut within: HashMap<(usize, usize), Certainty> = HashMap::new();
        // Each function is looked at again only when it became more certain:
        // three times at most.
        while let Some(caller) = open.pop() {
            let Some(certainty) = best[caller] else { continue };
            for &(slot, callee) in &calls[caller] {
                let here =
                    *within.entry((caller, slot)).or_insert_with(|| self.within(caller, slot));
                let call = certainty.min(here);
                if best[callee].is_none_or(|known| known < call) {
                    best[callee] = Some(call);
                    open.push(callee);
                }
            }
        }
        best.into_iter().map(|certainty| certainty.unwrap_or(Certainty::Likely)).collect()
    }

    /// The certainty of a slot, given that its function is looked at.
    fn within(&self, index: usize, slot: usize) -> Certainty {
        let code = &self.functions[index].code;
        if self.may_end_without(code, slot) == Some(false) {
            return Certainty::Certain;
        }
        let guards = self
            .memory
            .guards
            .get_or_init(|| self.functions.iter().map(|view| self.guards(view)).collect());
        for &guard in &guards[index] {
            for taken in [true, false] {
                if self.walk(code, |at| at == slot, Some((guard, taken))) == Some(false) {
                    return Certainty::Guarded;
                }
            }
        }
        Certainty::Likely
    }

    /// Whether some way from the beginning to an end avoids a slot.
    fn may_end_without(&self, code: &Code, slot: usize) -> Option<bool> {
        if slot == 0 {
            return Some(false);
        }
        let is_end = |at: usize| matches!(code.slots().get(at), Some(Slot::Op(Op::Exit)));
        self.walk_avoiding(code, is_end, None, Some(slot))
    }

    fn walk(
        &self,
        code: &Code,
        goal: impl Fn(usize) -> bool,
        forced: Option<(usize, bool)>,
    ) -> Option<bool> {
        self.walk_avoiding(code, goal, forced, None)
    }

    /// Whether a way from the beginning leads to a slot that `goal` wants,
    /// with one branch forced and one slot avoided. Nothing where that is not
    /// known.
    fn walk_avoiding(
        &self,
        code: &Code,
        goal: impl Fn(usize) -> bool,
        forced: Option<(usize, bool)>,
        avoided: Option<usize>,
    ) -> Option<bool> {
        let budget = self.memory.budget.get();
        self.memory.budget.set(budget.checked_sub(code.slots().len())?);
        let mut seen = vec![false; code.slots().len()];
        let mut open = vec![0];
        while let Some(slot) = open.pop() {
            if avoided == Some(slot) || seen.get(slot).copied().unwrap_or(true) {
                continue;
            }
            seen[slot] = true;
            if goal(slot) {
                return Some(true);
            }
            let Slot::Op(op) = &code.slots()[slot] else { return None };
            if matches!(op, Op::JumpIndirect { .. }) {
                return None;
            }
            let choice = forced.filter(|&(branch, _)| branch == slot).map(|(_, taken)| taken);
            if !op.ends_flow() && choice != Some(true) {
                open.push(slot + op.slots());
            }
            if choice != Some(false)
                && let Some(Ok(target)) = code.destination(slot, op).map(usize::try_from)
            {
                open.push(target);
            }
        }
        Some(false)
    }

    /// The instructions that the loader patches for the kernel it finds.
    pub(super) fn core_slots(&self) -> HashSet<(usize, usize)> {
        let (Some(btf), Some(ext)) = (&self.object.btf, &self.object.ext) else {
            return HashSet::new();
        };
        let mut slots = HashSet::new();
        for part in &ext.core_relo {
            let name = btf.string(part.name).unwrap_or_default();
            let section = self.object.sections.iter().position(|section| section.name == name);
            let Some(section) = section else { continue };
            slots.extend(part.records.iter().map(|record| (section, record.offset as usize / 8)));
        }
        slots
    }

    /// The branches of a function on values that are fixed at load time.
    fn guards(&self, view: &FunctionView<'o>) -> Vec<usize> {
        let code = &view.code;
        let mut is_target = vec![false; code.slots().len()];
        for (slot, op) in code.ops() {
            if let Some(Ok(target)) = code.destination(slot, op).map(usize::try_from)
                && let Some(mark) = is_target.get_mut(target)
            {
                *mark = true;
            }
        }
        let mut known = [Value::Other; 11];
        let mut guards = Vec::new();
        for (slot, op) in code.ops() {
            if is_target[slot] {
                known = [Value::Other; 11];
            }
            let is_patched = self.is_patched(view, slot);
            let of = |reg: Reg| known[usize::from(reg.number())];
            let operand = |operand: Operand| match operand {
                Operand::Reg(reg) => of(reg),
                Operand::Imm(_) => Value::Fixed,
            };
            let value = match *op {
                Op::Branch { dst, src, .. } => {
                    if of(dst) == Value::Fixed && operand(src) == Value::Fixed {
                        guards.push(slot);
                    }
                    continue;
                }
                Op::Call(_) => {
                    known[..=5].fill(Value::Other);
                    continue;
                }
                _ if is_patched => Value::Fixed,
                Op::LoadImm64 { .. } => self.loaded(view, slot),
                Op::Load { base, .. } if of(base) == Value::FixedData => Value::Fixed,
                Op::Alu { op: AluOp::Mov, src, .. } => operand(src),
                Op::Alu { dst, src, .. } if of(dst) == Value::Fixed => operand(src),
                Op::MovSignExtend { src, .. } => of(src),
                Op::Neg { dst, .. } | Op::Swap { dst, .. } => of(dst),
                _ => Value::Other,
            };
            if let Some(reg) = op.writes() {
                known[usize::from(reg.number())] = value;
            }
        }
        guards
    }

    /// What a 64-bit immediate load brings.
    fn loaded(&self, view: &FunctionView<'o>, slot: usize) -> Value {
        let function = view.function;
        let relocation = self.object.relocation(function.section, function.slots.start + slot);
        match relocation.map(|known| known.target) {
            None => Value::Fixed,
            Some(Target::Data { index, .. })
                if self.object.data[index].kind == DataKind::Rodata =>
            {
                Value::FixedData
            }
            Some(Target::Extern(index)) => match self.object.externs[index].kind {
                crate::elf::ExternKind::Kconfig => Value::FixedData,
                // The address of a weak extern is null where the kernel lacks
                // it.
                _ => Value::Fixed,
            },
            Some(_) => Value::Other,
        }
    }
}

/// What is known of a register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Nothing.
    Other,
    /// It is fixed when the program is loaded.
    Fixed,
    /// It points to data that is fixed when the program is loaded.
    FixedData,
}
