//! Writing the answer into an instruction.

use super::{Error, Resolution};
use crate::bpf::Insn;

/// The number of the helper that a poisoned instruction calls. The verifier
/// says `invalid func unknown#195896080` if it is ever reached.
pub const POISON: i32 = 0x0bad_2310;

/// What became of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It has the target's value, which may be what it had before.
    Patched,
    /// It is poisoned: the target has nothing to answer with.
    Poisoned,
    /// It is poisoned: the field is there, but of another size, and what it
    /// loads or stores would not be the same number.
    PoisonedBySize,
}

const CLASS: u8 = 0x07;
const LD: u8 = 0;
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const ALU64: u8 = 7;
/// The source operand is a register.
const SRC_X: u8 = 0x08;
const SIZE: u8 = 0x18;
const CALL: u8 = 0x85;

impl Resolution {
    /// Writes the answer into the first of `insns` (`bpf_core_patch_insn`);
    /// a 64-bit load takes the second too.
    ///
    /// # Errors
    /// Where libbpf refuses the object: the instruction is none that can be
    /// changed, or has not the value that the object's own types say.
    pub fn apply(&self, insns: &mut [Insn]) -> Result<Applied, Error> {
        let Some(answer) = self.answer else {
            poison(insns);
            return Ok(Applied::Poisoned);
        };
        let unsupported = || Error::Instruction { what: "is not one that can be changed" };
        let unexpected = |found: i64| Error::Value {
            question: self.question,
            found: found as u64,
            expected: answer.original,
        };
        let (insn, rest) = insns.split_first_mut().ok_or_else(unsupported)?;
        let is_other = |found: i64| answer.is_checked && found as u64 != answer.original;
        match insn.code & CLASS {
            ALU | ALU64 => {
                if insn.code & SRC_X != 0 {
                    return Err(unsupported());
                }
                if is_other(insn.imm.into()) {
                    return Err(unexpected(insn.imm.into()));
                }
                insn.imm = answer.value as i32;
            }
            LDX | ST | STX => {
                if is_other(insn.off.into()) {
                    return Err(unexpected(insn.off.into()));
                }
                let off = i16::try_from(answer.value).map_err(|_| Error::Instruction {
                    what: "cannot hold an offset of more than 32767 bytes",
                })?;
                if !answer.may_resize {
                    poison(insns);
                    return Ok(Applied::PoisonedBySize);
                }
                insn.off = off;
                if answer.size != answer.original_size {
                    if bytes_of(insn.code) != answer.original_size {
                        return Err(Error::Instruction {
                            what: "accesses another number of bytes than the field has",
                        });
                    }
                    let size = code_of(answer.size)
                        .ok_or(Error::Instruction { what: "cannot access a field of that size" })?;
                    insn.code = insn.code & !SIZE | size;
                }
            }
            LD => {
                let second = rest.first_mut().filter(|second| {
                    insn.is_wide()
                        && (insn.src, insn.off) == (0, 0)
                        && (second.code, second.dst, second.src, second.off) == (0, 0, 0, 0)
                });
                let second = second.ok_or_else(unsupported)?;
                let found = i64::from(insn.imm as u32) | i64::from(second.imm) << 32;
                if is_other(found) {
                    return Err(unexpected(found));
                }
                insn.imm = answer.value as i32;
                second.imm = (answer.value >> 32) as i32;
            }
            _ => return Err(unsupported()),
        }
        Ok(Applied::Patched)
    }
}

/// Makes an instruction, and the second half of a 64-bit load, one that the
/// verifier refuses.
fn poison(insns: &mut [Insn]) {
    let slots = if insns.first().is_some_and(|insn| insn.is_wide()) { 2 } else { 1 };
    for insn in insns.iter_mut().take(slots) {
        *insn = Insn { code: CALL, dst: 0, src: 0, off: 0, imm: POISON };
    }
}

/// How many bytes a load or store accesses.
fn bytes_of(code: u8) -> u32 {
    match code & SIZE {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn code_of(bytes: u32) -> Option<u8> {
    match bytes {
        4 => Some(0x00),
        2 => Some(0x08),
        1 => Some(0x10),
        8 => Some(0x18),
        _ => None,
    }
}
