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
