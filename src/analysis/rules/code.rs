//! E0333 invalid-instruction; E0316 read-only-memory: every instruction is
//! one that a kernel takes.

use super::Context;
use crate::analysis::{Certainty, Slot};
use crate::bpf::{AluOp, DecodeError, Op, Operand, Width};
use crate::diagnostics::{Diagnostic, codes};

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for view in &cx.functions {
        // Behind the first bad slot, what follows may be out of step.
        let bad = view.code.slots().iter().enumerate().find_map(|(slot, content)| match content {
            Slot::Bad(error) => Some((slot, *error)),
            _ => None,
        });
        if let Some((slot, error)) = bad {
            let code = match error {
                DecodeError::WriteToFramePointer => codes::READ_ONLY_MEMORY,
                _ => codes::INVALID_INSTRUCTION,
            };
            // An unknown opcode is refused before anything is followed.
            let finding = match error {
                DecodeError::UnknownOpcode(_) | DecodeError::BrokenImm64 => {
                    cx.of_insn(code, view, slot, error.to_string())
                }
                _ => cx.of_verified_insn(code, view, slot, Certainty::Certain, error.to_string()),
            };
            findings.push(match error {
                // BPF_CALL with a register, which no kernel takes.
                DecodeError::UnknownOpcode(0x8d) => finding
                    .note("clang compiled a call through a function pointer to it")
                    .help("call the function by name, or choose between calls with `switch`"),
                _ => finding,
            });
        }
        for (slot, op) in view.code.ops() {
            let Op::Alu { op, width, src: Operand::Imm(imm), .. } = *op else { continue };
            let message = match op {
                AluOp::Div | AluOp::SignedDiv | AluOp::Mod | AluOp::SignedMod if imm == 0 => {
                    "a division by the constant zero".to_owned()
                }
                AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if !fits(imm, width) => {
                    format!("a shift of {} bits by {imm}", width.bits())
                }
                _ => continue,
            };
            let (code, needed) = (codes::INVALID_INSTRUCTION, Certainty::Certain);
            findings.push(cx.of_verified_insn(code, view, slot, needed, message));
        }
    }
}

fn fits(shift: i32, width: Width) -> bool {
    (0..i32::from(width.bits())).contains(&shift)
}
