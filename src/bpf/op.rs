//! Instructions with their meaning: what the eight bytes of an [`Insn`] do,
//! as the instruction set (RFC 9669) and the kernel's own extensions to it
//! define them, or why they mean nothing.
//!
//! Decoding is as strict as the kernel's verifier: an instruction whose
//! unused fields are not zero is an error (`check_alu_op`,
//! `check_ld_imm64` and the rest of `do_check` in kernel/bpf/verifier.c),
//! because later kernels give those fields a meaning.

use super::Insn;
use std::fmt;

/// A register that programs can name, `r0` to `r10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

impl Reg {
    /// Return value.
    pub const R0: Self = Self(0);
    /// First argument; the context when a program starts.
    pub const R1: Self = Self(1);
    /// The frame pointer; read-only.
    pub const R10: Self = Self(10);

    /// The register of that number.
    pub fn new(number: u8) -> Option<Self> {
        (number <= 10).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// How much of its registers an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// The lower half; the upper half of the destination becomes zero.
    W32,
    /// All of it.
    W64,
}

impl Width {
    /// Its size in bits.
    pub fn bits(self) -> u8 {
        match self {
            Self::W32 => 32,
            Self::W64 => 64,
        }
    }
}

/// How much of memory an access touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemSize {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
    /// Eight bytes.
    Dw,
}

impl MemSize {
    /// Its size in bytes.
    pub fn bytes(self) -> u8 {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::Dw => 8,
        }
    }

    fn of(code: u8) -> Self {
        match code & 0x18 {
            0x00 => Self::W,
            0x08 => Self::H,
            0x10 => Self::B,
            _ => Self::Dw,
        }
    }
}

/// The second operand of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// An immediate; sign-extended where the operation is 64 bits wide.
    Imm(i32),
}

/// A binary operation on registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in the instruction set")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    SignedDiv,
    Or,
    And,
    Lsh,
    Rsh,
    Mod,
    SignedMod,
    Xor,
    Mov,
    Arsh,
}

/// A change of byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Swap {
    /// Host order to little-endian.
    ToLittle,
    /// Host order to big-endian.
    ToBig,
    /// Unconditionally (ISA v4).
    Always,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in the instruction set")]
pub enum Condition {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Set,
    SignedGt,
    SignedGe,
    SignedLt,
    SignedLe,
}

/// What an atomic operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// `*p += r`, or its like; with `fetch`, the old value comes back in the
    /// source register.
    Modify {
        /// Add, or, and, or xor.
        op: AluOp,
        /// Whether the old value is fetched.
        fetch: bool,
    },
    /// Exchange with the source register.
    Exchange,
    /// Store the source register if memory equals `r0`; the old value comes
    /// back in `r0`.
    CompareExchange,
}

/// What the 64-bit immediate of a wide load stands for (`BPF_PSEUDO_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// A number.
    Value(u64),
    /// The map with this file descriptor.
    MapFd(i32),
    /// An address within the value of the map with this file descriptor.
    MapValue {
        /// The file descriptor.
        fd: i32,
        /// The offset in the value, in bytes.
        offset: u32,
    },
    /// A variable of the kernel, by its BTF type.
    BtfId {
        /// The variable's type id.
        id: i32,
        /// The file descriptor of the module's BTF; 0 means vmlinux.
        module_fd: i32,
    },
    /// A function of this program, as a distance in slots.
    Function(i32),
    /// The map of this index in the loader's array.
    MapIndex(i32),
    /// An address within the value of the map of this index.
    MapIndexValue {
        /// The index.
        index: i32,
        /// The offset in the value, in bytes.
        offset: u32,
    },
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// A helper, by its number.
    Helper(i32),
    /// A function of this program, at this distance in slots from the next
    /// instruction.
    Subprogram(i32),
    /// A kernel function, by its BTF type.
    Kfunc {
        /// The function's type id.
        id: i32,
        /// The index of the module's BTF in the loader's array; 0 means
        /// vmlinux.
        module: i16,
    },
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `dst op= src`.
    Alu {
        /// What is done.
        op: AluOp,
        /// How wide.
        width: Width,
        /// The destination and first operand.
        dst: Reg,
        /// The second operand.
        src: Operand,
    },
    /// `dst = -dst`.
    Neg {
        /// How wide.
        width: Width,
        /// The register.
        dst: Reg,
    },
    /// `dst = (sN)src`: a move with sign extension (ISA v4).
    MovSignExtend {
        /// How wide the result is.
        width: Width,
        /// The destination.
        dst: Reg,
        /// The source.
        src: Reg,
        /// How many bits of the source count: 8, 16 or 32.
        bits: u8,
    },
    /// `dst = addr_space_cast(src, to, from)` (arenas, Linux 6.9).
    AddrSpaceCast {
        /// The destination.
        dst: Reg,
        /// The source.
        src: Reg,
        /// The address space it becomes one of.
        to: u16,
        /// The address space it comes from.
        from: u16,
    },
    /// A change of byte order.
    Swap {
        /// Of what kind.
        kind: Swap,
        /// How many bits: 16, 32 or 64.
        bits: u8,
        /// The register.
        dst: Reg,
    },
    /// `dst = imm64`, two slots long.
    LoadImm64 {
        /// The destination.
        dst: Reg,
        /// The value.
        value: Imm64,
    },
    /// `dst = *(size *)(base + off)`.
    Load {
        /// How much.
        size: MemSize,
        /// Whether the value is sign-extended (ISA v4).
        signed: bool,
        /// The destination.
        dst: Reg,
        /// The address.
        base: Reg,
        /// Added to the address.
        off: i16,
    },
    /// `*(size *)(base + off) = src`.
    Store {
        /// How much.
        size: MemSize,
        /// The address.
        base: Reg,
        /// Added to the address.
        off: i16,
        /// The value.
        src: Operand,
    },
    /// An atomic operation on `*(size *)(base + off)`.
    Atomic {
        /// Which one.
        op: AtomicOp,
        /// How much.
        size: MemSize,
        /// The address.
        base: Reg,
        /// Added to the address.
        off: i16,
        /// The operand.
        src: Reg,
    },
    /// `dst = load_acquire(base + off)` (Linux 6.15).
    LoadAcquire {
        /// How much.
        size: MemSize,
        /// The destination.
        dst: Reg,
        /// The address.
        base: Reg,
        /// Added to the address.
        off: i16,
    },
    /// `store_release(base + off, src)` (Linux 6.15).
    StoreRelease {
        /// How much.
        size: MemSize,
        /// The address.
        base: Reg,
        /// Added to the address.
        off: i16,
        /// The value.
        src: Reg,
    },
    /// `r0 = skb[index + off]`: the packet loads of classic BPF.
    LoadPacket {
        /// How much.
        size: MemSize,
        /// A register that is added to the offset.
        index: Option<Reg>,
        /// The offset.
        off: i32,
    },
    /// Goes on elsewhere.
    Jump {
        /// The distance in slots from the next instruction.
        off: i32,
        /// Whether the distance is the 32-bit one (`gotol`, ISA v4).
        long: bool,
    },
    /// Goes to the address in a register (`gotox`, jump tables).
    JumpIndirect {
        /// The register.
        dst: Reg,
    },
    /// Goes on elsewhere once the program's loop budget is used up
    /// (Linux 6.9).
    MayGoto {
        /// The distance in slots from the next instruction.
        off: i16,
    },
    /// Goes on elsewhere if a comparison holds.
    Branch {
        /// The comparison.
        cond: Condition,
        /// How wide it is.
        width: Width,
        /// The first operand.
        dst: Reg,
        /// The second operand.
        src: Operand,
        /// The distance in slots from the next instruction.
        off: i16,
    },
    /// Calls a function.
    Call(Call),
    /// Returns.
    Exit,
}

/// Why eight bytes are no instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeError {
    /// No instruction has this opcode.
    UnknownOpcode(u8),
    /// A register above `r10` is named.
    BadRegister(u8),
    /// The frame pointer is written to.
    WriteToFramePointer,
    /// A field that this instruction does not use is not zero.
    ReservedField(&'static str),
    /// A field has a value that means nothing here.
    BadField {
        /// The field: `imm`, `off`, `src_reg`.
        field: &'static str,
        /// Its value.
        value: i32,
    },
    /// The second half of a 64-bit immediate is missing or no second half.
    BrokenImm64,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOpcode(code) => write!(f, "unknown opcode {code:#04x}"),
            Self::BadRegister(number) => write!(f, "there is no register r{number}"),
            Self::WriteToFramePointer => f.write_str("the frame pointer r10 is read-only"),
            Self::ReservedField(field) => write!(f, "the unused field {field} is not zero"),
            Self::BadField { field, value } => {
                write!(f, "the field {field} cannot be {value} here")
            }
            Self::BrokenImm64 => {
                f.write_str("the second half of a 64-bit immediate is missing or damaged")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

type Result<T> = std::result::Result<T, DecodeError>;

impl Op {
    /// Decodes the instruction at the start of `insns`; only a 64-bit
    /// immediate looks at the second one.
    ///
    /// # Errors
    /// Where the bytes are no instruction, or none that a kernel loads.
    ///
    /// # Panics
    /// If `insns` is empty.
    pub fn decode(insns: &[Insn]) -> Result<Self> {
        let insn = insns[0];
        match insn.code & 0x07 {
            0x00 => decode_ld(insn, insns.get(1).copied()),
            0x01 => decode_ldx(insn),
            0x02 => decode_st(insn),
            0x03 => decode_stx(insn),
            0x04 => decode_alu(insn, Width::W32),
            0x05 => decode_jmp(insn, Width::W64),
            0x06 => decode_jmp(insn, Width::W32),
            _ => decode_alu(insn, Width::W64),
        }
    }

    /// How many slots it takes: 2 for a 64-bit immediate, else 1.
    pub fn slots(&self) -> usize {
        if matches!(self, Self::LoadImm64 { .. }) { 2 } else { 1 }
    }

    /// How far from the next instruction control may go instead, in slots.
    pub fn jump(&self) -> Option<i32> {
        match *self {
            Self::Jump { off, .. } => Some(off),
            Self::Branch { off, .. } | Self::MayGoto { off } => Some(off.into()),
            _ => None,
        }
    }

    /// Whether control never goes on to the next instruction.
    pub fn ends_flow(&self) -> bool {
        matches!(self, Self::Exit | Self::Jump { .. } | Self::JumpIndirect { .. })
    }

    /// The register it writes, other than what a call clobbers.
    pub fn writes(&self) -> Option<Reg> {
        match *self {
            Self::Alu { dst, .. }
            | Self::Neg { dst, .. }
            | Self::MovSignExtend { dst, .. }
            | Self::AddrSpaceCast { dst, .. }
            | Self::Swap { dst, .. }
            | Self::LoadImm64 { dst, .. }
            | Self::Load { dst, .. }
            | Self::LoadAcquire { dst, .. } => Some(dst),
            Self::Atomic { op: AtomicOp::CompareExchange, .. } => Some(Reg::R0),
            Self::Atomic { op: AtomicOp::Exchange, src, .. }
            | Self::Atomic { op: AtomicOp::Modify { fetch: true, .. }, src, .. } => Some(src),
            Self::LoadPacket { .. } | Self::Call(_) => Some(Reg::R0),
            _ => None,
        }
    }
}

/// A register that is read.
fn reg(number: u8) -> Result<Reg> {
    Reg::new(number).ok_or(DecodeError::BadRegister(number))
}

/// A register that is written.
fn target(number: u8) -> Result<Reg> {
    match reg(number)? {
        Reg::R10 => Err(DecodeError::WriteToFramePointer),
        reg => Ok(reg),
    }
}

fn unused(field: &'static str, value: impl Into<i32>) -> Result<()> {
    if value.into() == 0 { Ok(()) } else { Err(DecodeError::ReservedField(field)) }
}

/// The operand that bit 3 of the opcode chooses; the other one must be zero.
fn operand(insn: Insn) -> Result<Operand> {
    if insn.code & 0x08 != 0 {
        unused("imm", insn.imm)?;
        Ok(Operand::Reg(reg(insn.src)?))
    } else {
        unused("src_reg", insn.src)?;
        Ok(Operand::Imm(insn.imm))
    }
}

fn decode_alu(insn: Insn, width: Width) -> Result<Op> {
    let is_register = insn.code & 0x08 != 0;
    let op = match insn.code & 0xf0 {
        0x00 => AluOp::Add,
        0x10 => AluOp::Sub,
        0x20 => AluOp::Mul,
        0x30 => AluOp::Div,
        0x40 => AluOp::Or,
        0x50 => AluOp::And,
        0x60 => AluOp::Lsh,
        0x70 => AluOp::Rsh,
        0x80 => {
            if is_register {
                return Err(DecodeError::UnknownOpcode(insn.code));
            }
            unused("src_reg", insn.src)?;
            unused("off", insn.off)?;
            unused("imm", insn.imm)?;
            return Ok(Op::Neg { width, dst: target(insn.dst)? });
        }
        0x90 => AluOp::Mod,
        0xa0 => AluOp::Xor,
        0xb0 => return decode_mov(insn, width),
        0xc0 => AluOp::Arsh,
        0xd0 => {
            let kind = match (width, is_register) {
                (Width::W32, false) => Swap::ToLittle,
                (Width::W32, true) => Swap::ToBig,
                (Width::W64, false) => Swap::Always,
                (Width::W64, true) => return Err(DecodeError::UnknownOpcode(insn.code)),
            };
            unused("src_reg", insn.src)?;
            unused("off", insn.off)?;
            let bits = match insn.imm {
                16 => 16,
                32 => 32,
                64 => 64,
                value => return Err(DecodeError::BadField { field: "imm", value }),
            };
            return Ok(Op::Swap { kind, bits, dst: target(insn.dst)? });
        }
        _ => return Err(DecodeError::UnknownOpcode(insn.code)),
    };
    let op = match (op, insn.off) {
        (op, 0) => op,
        (AluOp::Div, 1) => AluOp::SignedDiv,
        (AluOp::Mod, 1) => AluOp::SignedMod,
        (AluOp::Div | AluOp::Mod, off) => {
            return Err(DecodeError::BadField { field: "off", value: off.into() });
        }
        _ => return Err(DecodeError::ReservedField("off")),
    };
    Ok(Op::Alu { op, width, src: operand(insn)?, dst: target(insn.dst)? })
}

fn decode_mov(insn: Insn, width: Width) -> Result<Op> {
    let bad_offset = Err(DecodeError::BadField { field: "off", value: insn.off.into() });
    let dst = target(insn.dst)?;
    if insn.code & 0x08 == 0 {
        unused("off", insn.off)?;
        return Ok(Op::Alu { op: AluOp::Mov, width, src: operand(insn)?, dst });
    }
    let src = reg(insn.src)?;
    match (insn.off, width) {
        (0, _) => {
            unused("imm", insn.imm)?;
            Ok(Op::Alu { op: AluOp::Mov, width, dst, src: Operand::Reg(src) })
        }
        (8 | 16, _) | (32, Width::W64) => {
            unused("imm", insn.imm)?;
            let bits = insn.off as u8;
            Ok(Op::MovSignExtend { width, dst, src, bits })
        }
        // BPF_ADDR_SPACE_CAST. The kernel knows two address spaces, 0 for its
        // own and 1 for an arena, and only casts between them.
        (1, Width::W64) => match insn.imm {
            0x1 => Ok(Op::AddrSpaceCast { dst, src, to: 0, from: 1 }),
            0x1_0000 => Ok(Op::AddrSpaceCast { dst, src, to: 1, from: 0 }),
            value => Err(DecodeError::BadField { field: "imm", value }),
        },
        _ => bad_offset,
    }
}

fn decode_ld(insn: Insn, second: Option<Insn>) -> Result<Op> {
    let size = MemSize::of(insn.code);
    match insn.code & 0xe0 {
        0x00 if size == MemSize::Dw => decode_imm64(insn, second),
        mode @ (0x20 | 0x40) if size != MemSize::Dw => {
            unused("dst_reg", insn.dst)?;
            unused("off", insn.off)?;
            let index = if mode == 0x40 {
                Some(reg(insn.src)?)
            } else {
                unused("src_reg", insn.src)?;
                None
            };
            Ok(Op::LoadPacket { size, index, off: insn.imm })
        }
        _ => Err(DecodeError::UnknownOpcode(insn.code)),
    }
}

fn decode_imm64(insn: Insn, second: Option<Insn>) -> Result<Op> {
    let dst = target(insn.dst)?;
    unused("off", insn.off)?;
    let high = match second {
        Some(Insn { code: 0, dst: 0, src: 0, off: 0, imm }) => imm,
        _ => return Err(DecodeError::BrokenImm64),
    };
    let (low, offset) = (insn.imm, high as u32);
    let value = match insn.src {
        0 => Imm64::Value(u64::from(offset) << 32 | u64::from(low as u32)),
        1 => Imm64::MapFd(low),
        2 => Imm64::MapValue { fd: low, offset },
        3 => Imm64::BtfId { id: low, module_fd: high },
        4 => Imm64::Function(low),
        5 => Imm64::MapIndex(low),
        6 => Imm64::MapIndexValue { index: low, offset },
        src => return Err(DecodeError::BadField { field: "src_reg", value: src.into() }),
    };
    if matches!(insn.src, 1 | 4 | 5) && high != 0 {
        return Err(DecodeError::ReservedField("imm"));
    }
    Ok(Op::LoadImm64 { dst, value })
}

fn decode_ldx(insn: Insn) -> Result<Op> {
    let size = MemSize::of(insn.code);
    let signed = match insn.code & 0xe0 {
        0x60 => false,
        0x80 if size != MemSize::Dw => true,
        _ => return Err(DecodeError::UnknownOpcode(insn.code)),
    };
    unused("imm", insn.imm)?;
    Ok(Op::Load { size, signed, dst: target(insn.dst)?, base: reg(insn.src)?, off: insn.off })
}

fn decode_st(insn: Insn) -> Result<Op> {
    if insn.code & 0xe0 != 0x60 {
        return Err(DecodeError::UnknownOpcode(insn.code));
    }
    unused("src_reg", insn.src)?;
    Ok(Op::Store {
        size: MemSize::of(insn.code),
        base: reg(insn.dst)?,
        off: insn.off,
        src: Operand::Imm(insn.imm),
    })
}

fn decode_stx(insn: Insn) -> Result<Op> {
    let size = MemSize::of(insn.code);
    let off = insn.off;
    match insn.code & 0xe0 {
        0x60 => {
            unused("imm", insn.imm)?;
            Ok(Op::Store { size, base: reg(insn.dst)?, off, src: Operand::Reg(reg(insn.src)?) })
        }
        0xc0 => {
            // Load-acquire names the address in src, all others in dst.
            match insn.imm {
                0x100 => {
                    return Ok(Op::LoadAcquire {
                        size,
                        dst: target(insn.dst)?,
                        base: reg(insn.src)?,
                        off,
                    });
                }
                0x110 => {
                    let (base, src) = (reg(insn.dst)?, reg(insn.src)?);
                    return Ok(Op::StoreRelease { size, base, off, src });
                }
                _ => {}
            }
            if !matches!(size, MemSize::W | MemSize::Dw) {
                return Err(DecodeError::UnknownOpcode(insn.code));
            }
            let fetch = insn.imm & 1 != 0;
            let op = match insn.imm & !1 {
                0x00 => AtomicOp::Modify { op: AluOp::Add, fetch },
                0x40 => AtomicOp::Modify { op: AluOp::Or, fetch },
                0x50 => AtomicOp::Modify { op: AluOp::And, fetch },
                0xa0 => AtomicOp::Modify { op: AluOp::Xor, fetch },
                0xe0 if fetch => AtomicOp::Exchange,
                0xf0 if fetch => AtomicOp::CompareExchange,
                _ => return Err(DecodeError::BadField { field: "imm", value: insn.imm }),
            };
            let op = Op::Atomic { op, size, base: reg(insn.dst)?, off, src: reg(insn.src)? };
            match op.writes() {
                Some(Reg::R10) => Err(DecodeError::WriteToFramePointer),
                _ => Ok(op),
            }
        }
        _ => Err(DecodeError::UnknownOpcode(insn.code)),
    }
}

fn decode_jmp(insn: Insn, width: Width) -> Result<Op> {
    let is_register = insn.code & 0x08 != 0;
    let off = insn.off;
    let only = |wanted: Width| {
        if width == wanted { Ok(()) } else { Err(DecodeError::UnknownOpcode(insn.code)) }
    };
    let immediate_form =
        || if is_register { Err(DecodeError::UnknownOpcode(insn.code)) } else { Ok(()) };
    let cond = match insn.code & 0xf0 {
        0x00 => return decode_goto(insn, width),
        0x10 => Condition::Eq,
        0x20 => Condition::Gt,
        0x30 => Condition::Ge,
        0x40 => Condition::Set,
        0x50 => Condition::Ne,
        0x60 => Condition::SignedGt,
        0x70 => Condition::SignedGe,
        0x80 => {
            only(Width::W64)?;
            immediate_form()?;
            return decode_call(insn);
        }
        0x90 => {
            only(Width::W64)?;
            immediate_form()?;
            unused("dst_reg", insn.dst)?;
            unused("src_reg", insn.src)?;
            unused("imm", insn.imm)?;
            return Ok(Op::Exit);
        }
        0xa0 => Condition::Lt,
        0xb0 => Condition::Le,
        0xc0 => Condition::SignedLt,
        0xd0 => Condition::SignedLe,
        0xe0 => {
            only(Width::W64)?;
            immediate_form()?;
            unused("dst_reg", insn.dst)?;
            unused("src_reg", insn.src)?;
            unused("imm", insn.imm)?;
            return Ok(Op::MayGoto { off });
        }
        _ => return Err(DecodeError::UnknownOpcode(insn.code)),
    };
    Ok(Op::Branch { cond, width, src: operand(insn)?, dst: reg(insn.dst)?, off })
}

fn decode_goto(insn: Insn, width: Width) -> Result<Op> {
    let is_register = insn.code & 0x08 != 0;
    match (width, is_register) {
        (Width::W64, true) => {
            unused("src_reg", insn.src)?;
            unused("off", insn.off)?;
            unused("imm", insn.imm)?;
            Ok(Op::JumpIndirect { dst: reg(insn.dst)? })
        }
        (Width::W32, true) => Err(DecodeError::UnknownOpcode(insn.code)),
        (width, false) => {
            unused("dst_reg", insn.dst)?;
            unused("src_reg", insn.src)?;
            if width == Width::W64 {
                unused("imm", insn.imm)?;
                Ok(Op::Jump { off: insn.off.into(), long: false })
            } else {
                unused("off", insn.off)?;
                Ok(Op::Jump { off: insn.imm, long: true })
            }
        }
    }
}

fn decode_call(insn: Insn) -> Result<Op> {
    unused("dst_reg", insn.dst)?;
    let call = match insn.src {
        0 => Call::Helper(insn.imm),
        1 => Call::Subprogram(insn.imm),
        2 => return Ok(Op::Call(Call::Kfunc { id: insn.imm, module: insn.off })),
        src => return Err(DecodeError::BadField { field: "src_reg", value: src.into() }),
    };
    unused("off", insn.off)?;
    Ok(Op::Call(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
        Insn { code, dst, src, off, imm }
    }

    #[test]
    fn unused_fields_must_be_zero() {
        let cases = [
            (insn(0x07, 1, 2, 0, 1), DecodeError::ReservedField("src_reg")),
            (insn(0x0f, 1, 2, 0, 1), DecodeError::ReservedField("imm")),
            (insn(0x0f, 1, 2, 1, 0), DecodeError::ReservedField("off")),
            (insn(0x3f, 1, 2, 2, 0), DecodeError::BadField { field: "off", value: 2 }),
            (insn(0x61, 1, 2, 0, 1), DecodeError::ReservedField("imm")),
            (insn(0x95, 0, 0, 0, 1), DecodeError::ReservedField("imm")),
            (insn(0x05, 0, 1, 0, 0), DecodeError::ReservedField("src_reg")),
            (insn(0xbf, 1, 2, 5, 0), DecodeError::BadField { field: "off", value: 5 }),
            (insn(0xbc, 1, 2, 32, 0), DecodeError::BadField { field: "off", value: 32 }),
            (insn(0x85, 0, 3, 0, 0), DecodeError::BadField { field: "src_reg", value: 3 }),
            (insn(0xdc, 1, 0, 0, 8), DecodeError::BadField { field: "imm", value: 8 }),
        ];
        for (insn, error) in cases {
            assert_eq!(Op::decode(&[insn]), Err(error), "{insn:?}");
        }
    }

    #[test]
    fn the_frame_pointer_is_read_only() {
        for insn in [insn(0xb7, 10, 0, 0, 0), insn(0x61, 10, 1, 0, 0), insn(0xdb, 1, 10, 0, 1)] {
            assert_eq!(Op::decode(&[insn]), Err(DecodeError::WriteToFramePointer), "{insn:?}");
        }
        assert!(Op::decode(&[insn(0x7b, 10, 1, -8, 0)]).is_ok());
    }

    #[test]
    fn a_wide_load_needs_its_second_half() {
        let first = insn(0x18, 1, 0, 0, -1);
        assert_eq!(Op::decode(&[first]), Err(DecodeError::BrokenImm64));
        assert_eq!(Op::decode(&[first, insn(0x95, 0, 0, 0, 0)]), Err(DecodeError::BrokenImm64));
        let op = Op::decode(&[first, insn(0, 0, 0, 0, 1)]).unwrap();
        let value = Imm64::Value(0x1_ffff_ffff);
        assert_eq!(op, Op::LoadImm64 { dst: Reg::R1, value });
        assert_eq!(op.slots(), 2);
    }

    /// Every one of the 256 opcodes either decodes with sensible fields or is
    /// unknown whatever its fields are.
    #[test]
    fn the_opcode_map_has_the_size_of_the_instruction_set() {
        let known = (0..=255u8)
            .filter(|&code| {
                let forms = [
                    insn(code, 1, 0, 0, 0),
                    insn(code, 1, 2, 0, 0),
                    insn(code, 0, 0, 0, 0),
                    insn(code, 0, 1, 0, 0),
                    insn(code, 1, 0, 0, 16),
                    insn(code, 1, 2, 0, 0x100),
                ];
                forms.iter().any(|&form| Op::decode(&[form, Insn::default()]).is_ok())
            })
            .count();
        // ALU: 12 operations × 2 operands × 2 widths + neg × 2 + end 3.
        let alu = 12 * 4 + 2 + 3;
        // Comparisons: 11 × 2 × 2; ja, gotol, gotox, call, exit, may_goto.
        let jmp = 11 * 4 + 6;
        // lddw, ld abs/ind × 3, ldx × 4, ldxs × 3, st × 4, stx × 4, atomics.
        let memory = 1 + 6 + 4 + 3 + 4 + 4 + 4;
        assert_eq!(known, alu + jmp + memory);
    }
}
