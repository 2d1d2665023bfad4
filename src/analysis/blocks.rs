//! Basic blocks, and where in each a register is free: where a mark can be set
//! that says that control came by.

use super::Code;
use crate::bpf::{AtomicOp, Op, Operand, Reg};
use crate::elf::{Mark, Object};
use std::collections::BTreeSet;
use std::ops::Range;

/// Instructions of which all run if the first one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The section.
    pub section: usize,
    /// The slots.
    pub slots: Range<usize>,
    /// The mark, by its place; none if no register is free anywhere.
    pub mark: Option<usize>,
}

/// The blocks of all functions, and the marks. A function that cannot be
/// followed (jump tables, code that is none) has no blocks.
pub fn blocks(object: &Object) -> (Vec<Block>, Vec<Mark>) {
    let (mut all, mut marks) = (Vec::new(), Vec::new());
    for function in &object.functions {
        let code = Code::decode(object.insns(function));
        let is_indirect = |op: &Op| matches!(op, Op::JumpIndirect { .. });
        if !code.is_sound() || code.ops().any(|(_, op)| is_indirect(op)) {
            continue;
        }
        let live = live(&code);
        let (section, first) = (function.section, function.slots.start);
        for slots in ranges(&code) {
            let free = |slot: usize| {
                code.op(slot)?;
                let register = (0..10).find(|register| live[slot] & 1 << register == 0)?;
                Some(Mark { section, slot: first + slot, register })
            };
            let mark = slots.clone().find_map(free);
            marks.extend(mark);
            all.push(Block {
                section,
                slots: first + slots.start..first + slots.end,
                mark: mark.map(|_| marks.len() - 1),
            });
        }
    }
    (all, marks)
}

/// The blocks of a function, in the order of its slots.
fn ranges(code: &Code) -> Vec<Range<usize>> {
    /// `bpf_tail_call`, which does not come back if it succeeds.
    const TAIL_CALL: crate::bpf::Call = crate::bpf::Call::Helper(12);
    let end = code.slots().len();
    let mut starts = BTreeSet::from([0]);
    for (slot, op) in code.ops() {
        let target = code.destination(slot, op).and_then(|target| usize::try_from(target).ok());
        let is_end = op.ends_flow() || target.is_some() || *op == Op::Call(TAIL_CALL);
        starts.extend(target);
        starts.extend(is_end.then_some(slot + op.slots()));
    }
    starts.retain(|&start| start < end);
    let ends = starts.iter().skip(1).copied().chain([end]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// By slot: the registers, as bits, that may be read before they are written.
fn live(code: &Code) -> Vec<u16> {
    let mut live = vec![0_u16; code.slots().len()];
    let ops: Vec<(usize, &Op)> = code.ops().collect();
    loop {
        let mut changed = false;
        for &(slot, op) in ops.iter().rev() {
            let after = if op.ends_flow() { None } else { live.get(slot + op.slots()).copied() };
            let target = code.destination(slot, op).and_then(|target| usize::try_from(target).ok());
            let there = target.and_then(|target| live.get(target).copied());
            let new = (after.unwrap_or(0) | there.unwrap_or(0)) & !written(op) | read(op);
            changed |= std::mem::replace(&mut live[slot], new) != new;
        }
        if !changed {
            return live;
        }
    }
}

fn bit(register: Reg) -> u16 {
    1 << register.number()
}

/// The registers that have another value afterwards, or none at all.
fn written(op: &Op) -> u16 {
    /// What a call leaves of nobody's values: `r0` to `r5`.
    const CALLED: u16 = 0b11_1111;
    match op {
        Op::Call(_) | Op::LoadPacket { .. } => CALLED,
        op => op.writes().map_or(0, bit),
    }
}

/// The registers that are read, at most.
fn read(op: &Op) -> u16 {
    let operand = |operand: &Operand| match operand {
        Operand::Reg(register) => bit(*register),
        Operand::Imm(_) => 0,
    };
    match op {
        Op::Alu { op: crate::bpf::AluOp::Mov, src, .. } => operand(src),
        Op::Alu { dst, src, .. } | Op::Branch { dst, src, .. } => bit(*dst) | operand(src),
        Op::Neg { dst, .. } | Op::Swap { dst, .. } | Op::JumpIndirect { dst } => bit(*dst),
        Op::MovSignExtend { src, .. } | Op::AddrSpaceCast { src, .. } => bit(*src),
        Op::Load { base, .. } | Op::LoadAcquire { base, .. } => bit(*base),
        Op::Store { base, src, .. } => bit(*base) | operand(src),
        Op::Atomic { op: AtomicOp::CompareExchange, base, src, .. } => {
            bit(*base) | bit(*src) | bit(Reg::R0)
        }
        Op::Atomic { base, src, .. } | Op::StoreRelease { base, src, .. } => bit(*base) | bit(*src),
        // The packet itself is in r6.
        Op::LoadPacket { index, .. } => index.map_or(0, bit) | 1 << 6,
        // As many arguments as there can be.
        Op::Call(_) => 0b11_1110,
        Op::Exit => bit(Reg::R0),
        Op::LoadImm64 { .. } | Op::Jump { .. } | Op::MayGoto { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::fixture::compile;
    use crate::elf::{MARKS, Target, with_marks};

    const SOURCE: &str = r#"
        struct { __uint(type, 1); __uint(max_entries, 8); __type(key, int); __type(value, int); }
            counts SEC(".maps");
        int total;
        static __noinline int weigh(int a, int b)
        {
            int sum = 0;
            for (int i = 0; i < (a & 15); i++)
                if (i % 3 == b)
                    sum += i;
            return sum;
        }
        static int step(__u32 index, void *ctx)
        {
            total += index;
            return total > 100;
        }
        __noinline int shared(int a) { return a > 4 ? weigh(a, 1) : total; }
        SEC("xdp") int one(void *ctx)
        {
            int key = total & 3;
            int *count = bpf_map_lookup_elem(&counts, &key);
            if (!count)
                return weigh(key, 2);
            *count += shared(key);
            bpf_loop(10, step, 0, 0);
            return *count ? 1 : 2;
        }
        SEC("xdp") int two(void *ctx) { return shared(total) + weigh(3, total); }
        SEC("tc") int three(void *ctx) { return 0; }
        char LICENSE[] SEC("license") = "GPL";
    "#;

    /// Whether the slot holds the address of a mark.
    fn is_mark(object: &Object, section: usize, slot: usize) -> bool {
        match object.relocation(section, slot).map(|known| known.target) {
            Some(Target::Data { index, .. }) => {
                object.sections[object.data[index].section].name == MARKS
            }
            _ => false,
        }
    }

    #[test]
    fn marks_change_nothing_else() {
        let bytes = compile(SOURCE);
        let old = Object::parse(&bytes).expect("clang's object");
        let (blocks, marks) = blocks(&old);
        assert!(blocks.len() > 12 && blocks.iter().all(|block| block.mark.is_some()), "{blocks:?}");
        let new = Object::parse(&with_marks(&bytes, &old, &marks).expect("nothing in the way"))
            .expect("an object still");
        assert_eq!(new.problems, old.problems);
        let names = |object: &Object| {
            object.functions.iter().map(|function| function.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&new), names(&old));
        let mut seen = 0;
        for (was, is) in old.functions.iter().zip(&new.functions) {
            // By the new function's slots: where it is in the old one, a mark
            // being where what it stands in front of is.
            let insns = new.insns(is);
            let (mut places, mut slot, mut own) = (Vec::new(), 0, 0);
            while slot < insns.len() {
                let marked = is_mark(&new, is.section, is.slots.start + slot);
                seen += usize::from(marked);
                let count = if marked { 3 } else { 1 };
                places.extend(std::iter::repeat_n((own, marked), count));
                slot += count;
                own += usize::from(!marked);
            }
            assert_eq!(own, old.insns(was).len(), "{}", was.name);
            let code = Code::decode(insns);
            assert!(code.is_sound());
            let before = Code::decode(old.insns(was));
            for (slot, op) in code.ops().filter(|(slot, _)| !places[*slot].1) {
                let place = places[slot].0;
                let known = before.op(place).expect("an instruction");
                let target =
                    |code: &Code, slot, op| code.destination(slot, op).map(|to| to as usize);
                match target(&code, slot, op) {
                    Some(to) => {
                        assert_eq!(Some(places[to].0), target(&before, place, known));
                        // A jump to a block comes by its mark.
                        assert!(to == 0 || places[to - 1].0 != places[to].0, "{}", was.name);
                    }
                    None => {
                        let names = |object: &Object, section, slot| {
                            object.callee(section, slot).map(|callee| callee.name.clone())
                        };
                        let callee = names(&new, is.section, is.slots.start + slot);
                        assert_eq!(callee, names(&old, was.section, was.slots.start + place));
                        if callee.is_none() {
                            assert_eq!(op, known, "{}", was.name);
                        }
                    }
                }
                assert_eq!(
                    new.span(is.section, is.slots.start + slot),
                    old.span(was.section, was.slots.start + place)
                );
            }
        }
        assert_eq!(seen, marks.len());
        assert_eq!(new.core_relocations().len(), old.core_relocations().len());
    }
}
