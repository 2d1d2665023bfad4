//! Instructions as text, in the form the kernel's verifier log and bpftool
//! give them (kernel/bpf/disasm.c): `r1 = *(u32 *)(r2 +4)`.

use super::{AluOp, AtomicOp, Call, Condition, Helper, Imm64, Insn, MemSize, Op, Operand};
use super::{Reg, Swap, Width};
use std::fmt;

/// Shows one instruction; use it with `{}`.
#[derive(Clone, Copy, Debug)]
pub struct Disassembly<'i> {
    insns: &'i [Insn],
}

impl<'i> Disassembly<'i> {
    /// The instruction at the start of `insns`, which must not be empty; what
    /// stands behind it gives a 64-bit immediate its upper half.
    pub fn new(insns: &'i [Insn]) -> Self {
        Self { insns }
    }
}

impl fmt::Display for Disassembly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Op::decode(self.insns) {
            Ok(op) => write_op(f, &op),
            Err(_) => match self.insns.first() {
                Some(insn) => write_raw(f, *insn),
                None => Ok(()),
            },
        }
    }
}

/// What is no instruction: its fields.
fn write_raw(f: &mut fmt::Formatter<'_>, insn: Insn) -> fmt::Result {
    let Insn { code, dst, src, off, imm } = insn;
    write!(f, "<invalid code={code:#04x} dst={dst} src={src} off={off} imm={imm}>")
}

fn write_op(f: &mut fmt::Formatter<'_>, op: &Op) -> fmt::Result {
    match *op {
        Op::Alu { op, width, dst, src } => {
            let dst = Sized(width, dst);
            match src {
                Operand::Reg(src) => write!(f, "{dst} {} {}", alu(op), Sized(width, src)),
                Operand::Imm(imm) => write!(f, "{dst} {} {imm}", alu(op)),
            }
        }
        Op::Neg { width, dst } => {
            let dst = Sized(width, dst);
            write!(f, "{dst} = -{dst}")
        }
        Op::MovSignExtend { width, dst, src, bits } => {
            write!(f, "{} = (s{bits}){}", Sized(width, dst), Sized(width, src))
        }
        Op::AddrSpaceCast { dst, src, to, from } => {
            write!(f, "{dst} = addr_space_cast({src}, {to}, {from})")
        }
        Op::Swap { kind, bits, dst } => {
            let name = match kind {
                Swap::ToLittle => "le",
                Swap::ToBig => "be",
                Swap::Always => "bswap",
            };
            write!(f, "{dst} = {name}{bits} {dst}")
        }
        Op::LoadImm64 { dst, value } => write_imm64(f, dst, value),
        Op::Load { size, signed, dst, base, off } => {
            write!(
                f,
                "{dst} = *({} *)({base} {off:+})",
                if signed { signed_name(size) } else { unsigned_name(size) }
            )
        }
        Op::Store { size, base, off, src } => {
            write!(f, "*({} *)({base} {off:+}) = ", unsigned_name(size))?;
            match src {
                Operand::Reg(src) => write!(f, "{src}"),
                Operand::Imm(imm) => write!(f, "{imm}"),
            }
        }
        Op::Atomic { op, size, base, off, src } => write_atomic(f, op, size, base, off, src),
        Op::LoadAcquire { size, dst, base, off } => {
            write!(f, "{dst} = load_acquire(({} *)({base} {off:+}))", unsigned_name(size))
        }
        Op::StoreRelease { size, base, off, src } => {
            write!(f, "store_release(({} *)({base} {off:+}), {src})", unsigned_name(size))
        }
        Op::LoadPacket { size, index: None, off } => {
            write!(f, "r0 = *({} *)skb[{off}]", unsigned_name(size))
        }
        Op::LoadPacket { size, index: Some(index), off } => {
            write!(f, "r0 = *({} *)skb[{index} + {off}]", unsigned_name(size))
        }
        Op::Jump { off, long } => write!(f, "{} pc{off:+}", if long { "gotol" } else { "goto" }),
        Op::JumpIndirect { dst } => write!(f, "gotox {dst}"),
        Op::MayGoto { off } => write!(f, "may_goto pc{off:+}"),
        Op::Branch { cond, width, dst, src, off } => {
            write!(f, "if {} {} ", Sized(width, dst), condition(cond))?;
            match src {
                Operand::Reg(src) => write!(f, "{}", Sized(width, src))?,
                Operand::Imm(imm) => write!(f, "{imm:#x}")?,
            }
            write!(f, " goto pc{off:+}")
        }
        Op::Call(Call::Helper(id)) => match Helper::by_id(id) {
            Some(helper) => write!(f, "call {helper}#{id}"),
            None => write!(f, "call unknown#{id}"),
        },
        Op::Call(Call::Subprogram(distance)) => write!(f, "call pc{distance:+}"),
        Op::Call(Call::Kfunc { id, .. }) => write!(f, "call kernel-function#{id}"),
        Op::Exit => f.write_str("exit"),
    }
}

fn write_imm64(f: &mut fmt::Formatter<'_>, dst: Reg, value: Imm64) -> fmt::Result {
    let number = match value {
        Imm64::Value(value) => value,
        Imm64::MapFd(low) | Imm64::Function(low) | Imm64::MapIndex(low) => u64::from(low as u32),
        Imm64::MapValue { fd: low, offset: high }
        | Imm64::MapIndexValue { index: low, offset: high } => {
            u64::from(high) << 32 | u64::from(low as u32)
        }
        Imm64::BtfId { id: low, module_fd: high } => {
            u64::from(high as u32) << 32 | u64::from(low as u32)
        }
    };
    write!(f, "{dst} = {number:#x}")
}

fn write_atomic(
    f: &mut fmt::Formatter<'_>,
    op: AtomicOp,
    size: MemSize,
    base: Reg,
    off: i16,
    src: Reg,
) -> fmt::Result {
    let place = format_args!("({} *)({base} {off:+})", unsigned_name(size)).to_string();
    let wide = if size == MemSize::Dw { "64" } else { "" };
    match op {
        AtomicOp::Modify { op, fetch: false } => write!(f, "lock *{place} {} {src}", alu(op)),
        AtomicOp::Modify { op, fetch: true } => {
            let name = match op {
                AluOp::Add => "add",
                AluOp::Or => "or",
                AluOp::And => "and",
                _ => "xor",
            };
            write!(f, "{src} = atomic{wide}_fetch_{name}({place}, {src})")
        }
        AtomicOp::Exchange => write!(f, "{src} = atomic{wide}_xchg({place}, {src})"),
        AtomicOp::CompareExchange => write!(f, "r0 = atomic{wide}_cmpxchg({place}, r0, {src})"),
    }
}

/// A register under the name of the half that is used: `w1`, `r1`.
struct Sized(Width, Reg);

impl fmt::Display for Sized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = if self.0 == Width::W32 { 'w' } else { 'r' };
        write!(f, "{letter}{}", self.1.number())
    }
}

fn unsigned_name(size: MemSize) -> &'static str {
    match size {
        MemSize::B => "u8",
        MemSize::H => "u16",
        MemSize::W => "u32",
        MemSize::Dw => "u64",
    }
}

fn signed_name(size: MemSize) -> &'static str {
    match size {
        MemSize::B => "s8",
        MemSize::H => "s16",
        MemSize::W => "s32",
        MemSize::Dw => "s64",
    }
}

fn alu(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::SignedDiv => "s/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod => "%=",
        AluOp::SignedMod => "s%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
    }
}

fn condition(cond: Condition) -> &'static str {
    match cond {
        Condition::Eq => "==",
        Condition::Ne => "!=",
        Condition::Gt => ">",
        Condition::Ge => ">=",
        Condition::Lt => "<",
        Condition::Le => "<=",
        Condition::Set => "&",
        Condition::SignedGt => "s>",
        Condition::SignedGe => "s>=",
        Condition::SignedLt => "s<",
        Condition::SignedLe => "s<=",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> String {
        let second = Insn { imm: 1, ..Insn::default() };
        Disassembly::new(&[Insn { code, dst, src, off, imm }, second]).to_string()
    }

    /// The words are those of real verifier logs.
    #[test]
    fn instructions_read_as_in_the_verifier_log() {
        let cases = [
            (text(0x61, 1, 2, 4, 0), "r1 = *(u32 *)(r2 +4)"),
            (text(0x91, 1, 2, -1, 0), "r1 = *(s8 *)(r2 -1)"),
            (text(0x63, 10, 1, -4, 0), "*(u32 *)(r10 -4) = r1"),
            (text(0x7a, 10, 0, -8, -1), "*(u64 *)(r10 -8) = -1"),
            (text(0xbf, 6, 1, 0, 0), "r6 = r1"),
            (text(0xb4, 0, 0, 0, 5), "w0 = 5"),
            (text(0xbc, 1, 2, 16, 0), "w1 = (s16)w2"),
            (text(0x3f, 1, 2, 1, 0), "r1 s/= r2"),
            (text(0x87, 3, 0, 0, 0), "r3 = -r3"),
            (text(0xdc, 1, 0, 0, 16), "r1 = be16 r1"),
            (text(0xd7, 1, 0, 0, 64), "r1 = bswap64 r1"),
            (text(0x15, 0, 0, 3, 0), "if r0 == 0x0 goto pc+3"),
            (text(0xc6, 7, 0, -2, -1), "if w7 s< 0xffffffff goto pc-2"),
            (text(0x2e, 1, 2, 9, 0), "if w1 > w2 goto pc+9"),
            (text(0x05, 0, 0, -7, 0), "goto pc-7"),
            (text(0x06, 0, 0, 0, 70_000), "gotol pc+70000"),
            (text(0xe5, 0, 0, 2, 0), "may_goto pc+2"),
            (text(0x85, 0, 0, 0, 1), "call bpf_map_lookup_elem#1"),
            (text(0x85, 0, 1, 0, 12), "call pc+12"),
            (text(0x95, 0, 0, 0, 0), "exit"),
            (text(0x18, 1, 0, 0, -1), "r1 = 0x1ffffffff"),
            (text(0xc3, 1, 2, 8, 0), "lock *(u32 *)(r1 +8) += r2"),
            (text(0xdb, 1, 2, 0, 1), "r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)"),
            (text(0xdb, 1, 2, 0, 0xf1), "r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)"),
            (text(0xd3, 1, 2, 0, 0x100), "r1 = load_acquire((u8 *)(r2 +0))"),
            (text(0xcb, 1, 2, 2, 0x110), "store_release((u16 *)(r1 +2), r2)"),
            (text(0x50, 0, 3, 0, 14), "r0 = *(u8 *)skb[r3 + 14]"),
            (text(0xbf, 1, 2, 1, 1), "r1 = addr_space_cast(r2, 0, 1)"),
            (text(0xff, 1, 2, 3, 4), "<invalid code=0xff dst=1 src=2 off=3 imm=4>"),
        ];
        for (text, expected) in cases {
            assert_eq!(text, expected);
        }
    }
}
