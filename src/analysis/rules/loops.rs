//! E0303 unbounded-loop, as a warning: a loop that ends, if at all, by what is
//! found in memory or returned by a call, and that counts nothing. The verifier
//! follows it turn by turn until it gives up.
//!
//! Loops that ask an iterator or `may_goto` are the kernel's to bound. A loop
//! is suspected only if none of the values that its ways out compare is
//! carried from turn to turn by arithmetic, be it in a register or on the
//! stack.

use super::Context;
use crate::analysis::{Certainty, Code, FunctionView};
use crate::bpf::{AluOp, Op, Operand, Reg};
use crate::diagnostics::{Diagnostic, Origin, Severity, codes};
use std::collections::{BTreeMap, HashSet};

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for view in &cx.functions {
        let Some(loops) = view.code.loops() else { continue };
        let mut bodies: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (slot, number) in loops.iter().enumerate() {
            if let Some(number) = number {
                bodies.entry(*number).or_default().push(slot);
            }
        }
        for body in bodies.values() {
            findings.extend(unbounded(cx, view, &loops, body));
        }
    }
}

/// How a loop writes a register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    /// By arithmetic on what it held.
    Arithmetic,
    /// With another register.
    Copy(Reg),
    /// From the stack, at an offset of the frame pointer.
    Frame(i16),
    /// With anything else: a constant, something from memory or from a call.
    Other,
}

fn unbounded(
    cx: &Context<'_>,
    view: &FunctionView<'_>,
    loops: &[Option<u32>],
    body: &[usize],
) -> Option<Diagnostic> {
    let code = &view.code;
    let number = loops[*body.first()?];
    let mut writes: Vec<(Reg, Write)> = Vec::new();
    let mut spilled = HashSet::new();
    let mut exits = Vec::new();
    for &slot in body {
        let Some(op) = code.op(slot) else { continue };
        match *op {
            Op::MayGoto { .. } => return None,
            Op::Call(_) if cx.is_extern(view, slot) => return None,
            Op::Store { base: Reg::R10, off, .. } => {
                spilled.insert(off);
            }
            Op::Branch { dst, src, .. } if leaves(code, loops, slot, op, number) => {
                exits.push((slot, dst, src));
            }
            _ => {}
        }
        if let Some(reg) = op.writes() {
            writes.push((reg, write(op)));
        }
    }
    let counts = |reg: Reg| counts(reg, &writes, &spilled, &mut HashSet::new());
    let is_bounded = exits
        .iter()
        .any(|&(_, dst, src)| counts(dst) || matches!(src, Operand::Reg(src) if counts(src)));
    if is_bounded {
        return None;
    }
    let slot = exits.first().map_or(body[0], |&(slot, ..)| slot);
    if cx.certainty(view, slot) < Certainty::Likely {
        return None;
    }
    let message = match exits.len() {
        0 => "nothing leads out of this loop",
        _ => "nothing bounds this loop: what ends it comes from memory or from a call",
    };
    let finding = cx.of_insn(codes::UNBOUNDED_LOOP, view, slot, message);
    let mut finding = finding
        .severity(Severity::Warning)
        .note("the verifier follows a loop turn by turn, and gives up where it sees no end")
        .help("count the turns and end at a constant: `for (int i = 0; i < 64; i++) { …; if (…) break; }`; or use `bpf_loop()` (Linux 5.17) or `bpf_for()` (6.4)");
    finding.origin = Origin::Lint;
    Some(finding)
}

/// Whether a branch can lead out of the loop.
fn leaves(code: &Code, loops: &[Option<u32>], slot: usize, op: &Op, number: Option<u32>) -> bool {
    let target = code.destination(slot, op).and_then(|target| usize::try_from(target).ok());
    let ways = [Some(slot + op.slots()), target];
    ways.into_iter().flatten().any(|to| loops.get(to).copied().flatten() != number)
}

fn write(op: &Op) -> Write {
    match *op {
        Op::Alu { op: AluOp::Mov, src: Operand::Reg(src), .. } | Op::MovSignExtend { src, .. } => {
            Write::Copy(src)
        }
        // A mask bounds a value, and counts nothing.
        Op::Alu { op: AluOp::Mov | AluOp::And | AluOp::Or | AluOp::Mod, .. } => Write::Other,
        Op::Alu { .. } | Op::Neg { .. } => Write::Arithmetic,
        Op::Load { base: Reg::R10, off, .. } => Write::Frame(off),
        _ => Write::Other,
    }
}

/// Whether arithmetic carries a register from turn to turn. Registers are used
/// for many things in one loop: one that is found anew somewhere and counted
/// somewhere else passes for a counter.
fn counts(
    reg: Reg,
    writes: &[(Reg, Write)],
    spilled: &HashSet<i16>,
    seen: &mut HashSet<Reg>,
) -> bool {
    seen.insert(reg)
        && writes.iter().any(|&(written, write)| {
            written == reg
                && match write {
                    Write::Arithmetic => true,
                    Write::Copy(from) => counts(from, writes, spilled, seen),
                    Write::Frame(off) => spilled.contains(&off),
                    Write::Other => false,
                }
        })
}
