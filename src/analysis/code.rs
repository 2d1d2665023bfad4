//! A function's instructions, decoded, and the ways control takes through
//! them.

use crate::bpf::{DecodeError, Insn, Op};

/// What a slot of a function holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The beginning of an instruction.
    Op(Op),
    /// The second half of a 64-bit immediate.
    Second,
    /// Nothing that is an instruction.
    Bad(DecodeError),
}

/// The decoded instructions of a function, by slot.
#[derive(Clone, Debug)]
pub struct Code {
    slots: Vec<Slot>,
    is_sound: bool,
}

impl Code {
    /// Decodes a function.
    pub fn decode(insns: &[Insn]) -> Self {
        let mut slots = Vec::with_capacity(insns.len());
        let mut is_sound = true;
        while slots.len() < insns.len() {
            match Op::decode(&insns[slots.len()..]) {
                Ok(op) => {
                    slots.push(Slot::Op(op));
                    if op.slots() == 2 {
                        slots.push(Slot::Second);
                    }
                }
                Err(error) => {
                    is_sound = false;
                    slots.push(Slot::Bad(error));
                }
            }
        }
        Self { slots, is_sound }
    }

    /// The slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Whether every slot could be decoded.
    pub fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// The instructions with their slots.
    pub fn ops(&self) -> impl Iterator<Item = (usize, &Op)> {
        self.slots.iter().enumerate().filter_map(|(slot, content)| match content {
            Slot::Op(op) => Some((slot, op)),
            _ => None,
        })
    }

    /// The instruction that begins in a slot.
    pub fn op(&self, slot: usize) -> Option<&Op> {
        match self.slots.get(slot) {
            Some(Slot::Op(op)) => Some(op),
            _ => None,
        }
    }

    /// Where control can go on from an instruction, within the function.
    fn next(&self, slot: usize) -> impl Iterator<Item = usize> {
        let op = self.op(slot);
        let after = op.filter(|op| !op.ends_flow()).map(|op| slot + op.slots());
        let target = op.and_then(|op| self.destination(slot, op));
        let target = target.and_then(|target| usize::try_from(target).ok());
        let end = self.slots.len();
        after.into_iter().chain(target).filter(move |&to| to < end)
    }

    /// By slot: the outermost loop it is in, each with a number of its own.
    /// Nothing where an indirect jump or a slot that is no instruction leaves
    /// it open.
    ///
    /// Loops are the strongly connected components of the flow graph, found
    /// as Tarjan does, with a stack of our own.
    pub fn loops(&self) -> Option<Vec<Option<u32>>> {
        if !self.is_sound || self.ops().any(|(_, op)| matches!(op, Op::JumpIndirect { .. })) {
            return None;
        }
        let mut found = vec![None; self.slots.len()];
        // Most functions have none.
        if !self.ops().any(|(_, op)| op.jump().is_some_and(|off| off < 0)) {
            return Some(found);
        }
        // By slot: when it was met (0 for not yet), and the first that can be
        // come to from it; `u32::MAX` once its component is complete.
        let mut met = vec![0u32; self.slots.len()];
        let mut low = vec![0u32; self.slots.len()];
        let (mut count, mut loops) = (0, 0);
        let (mut path, mut walk): (Vec<usize>, Vec<(usize, usize)>) = (Vec::new(), vec![(0, 0)]);
        while let Some((slot, way)) = walk.pop() {
            if way == 0 {
                if met[slot] != 0 {
                    continue;
                }
                count += 1;
                (met[slot], low[slot]) = (count, count);
                path.push(slot);
            }
            if let Some(to) = self.next(slot).nth(way) {
                walk.push((slot, way + 1));
                if met[to] == 0 {
                    walk.push((to, 0));
                }
                continue;
            }
            for to in self.next(slot) {
                low[slot] = low[slot].min(low[to]);
            }
            if low[slot] != met[slot] {
                continue;
            }
            let from = path.iter().rposition(|&at| at == slot).unwrap_or(0);
            let component = path.split_off(from);
            let is_loop = component.len() > 1 || self.next(slot).any(|to| to == slot);
            loops += u32::from(is_loop);
            for at in component {
                low[at] = u32::MAX;
                found[at] = is_loop.then_some(loops);
            }
        }
        Some(found)
    }

    /// The slot that a jump in `slot` leads to, which may lie anywhere.
    pub fn destination(&self, slot: usize, op: &Op) -> Option<i64> {
        op.jump().map(|off| slot as i64 + 1 + i64::from(off))
    }

    /// Which slots control can reach from the first one, following every
    /// branch as the kernel's `check_cfg` does. Nothing where an indirect
    /// jump or a slot that is no instruction leaves it open.
    pub fn reachable(&self) -> Option<Vec<bool>> {
        if !self.is_sound || self.ops().any(|(_, op)| matches!(op, Op::JumpIndirect { .. })) {
            return None;
        }
        let mut seen = vec![false; self.slots.len()];
        let mut open = vec![0];
        while let Some(slot) = open.pop() {
            let Some(Slot::Op(op)) = self.slots.get(slot) else { continue };
            if std::mem::replace(&mut seen[slot], true) {
                continue;
            }
            if op.slots() == 2 {
                seen[slot + 1] = true;
            }
            if !op.ends_flow() {
                open.push(slot + op.slots());
            }
            let target = self.destination(slot, op).map(usize::try_from);
            if let Some(Ok(target)) = target {
                open.push(target);
            }
        }
        Some(seen)
    }
}
