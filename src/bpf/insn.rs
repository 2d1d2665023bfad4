//! One instruction as it stands in memory: eight bytes, nothing interpreted.

/// The size of an instruction slot in bytes; a 64-bit immediate takes two.
pub const INSN_SIZE: usize = 8;

/// The byte order of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Endian {
    /// `bpfel`, what x86-64 and arm64 use.
    #[default]
    Little,
    /// `bpfeb`, what s390x uses.
    Big,
}

/// An instruction slot, its fields in the machine's own order (`struct
/// bpf_insn` in include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Insn {
    /// Class, operation or mode, source or size.
    pub code: u8,
    /// The destination register's number; four bits, so up to 15.
    pub dst: u8,
    /// The source register's number, or what kind of immediate follows.
    pub src: u8,
    /// A signed offset.
    pub off: i16,
    /// A signed immediate.
    pub imm: i32,
}

impl Insn {
    /// Reads an instruction. In a big-endian object the registers' nibbles
    /// are swapped too (RFC 9669, section 3).
    pub fn from_bytes(bytes: [u8; INSN_SIZE], endian: Endian) -> Self {
        let [code, regs, off0, off1, imm @ ..] = bytes;
        match endian {
            Endian::Little => Self {
                code,
                dst: regs & 0xf,
                src: regs >> 4,
                off: i16::from_le_bytes([off0, off1]),
                imm: i32::from_le_bytes(imm),
            },
            Endian::Big => Self {
                code,
                dst: regs >> 4,
                src: regs & 0xf,
                off: i16::from_be_bytes([off0, off1]),
                imm: i32::from_be_bytes(imm),
            },
        }
    }

    /// The eight bytes of the instruction.
    pub fn to_bytes(self, endian: Endian) -> [u8; INSN_SIZE] {
        let (regs, off, imm) = match endian {
            Endian::Little => {
                (self.dst | self.src << 4, self.off.to_le_bytes(), self.imm.to_le_bytes())
            }
            Endian::Big => {
                (self.dst << 4 | self.src, self.off.to_be_bytes(), self.imm.to_be_bytes())
            }
        };
        [self.code, regs, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
    }

    /// Reads a run of instructions; bytes behind the last whole one are left.
    pub fn read_all(bytes: &[u8], endian: Endian) -> Vec<Self> {
        let (slots, _) = bytes.as_chunks::<INSN_SIZE>();
        slots.iter().map(|slot| Self::from_bytes(*slot, endian)).collect()
    }

    /// Whether this is the first half of a 64-bit immediate load, so that the
    /// slot behind it is no instruction of its own.
    pub fn is_wide(self) -> bool {
        self.code == 0x18
    }

    /// Whether this calls another function of the same program
    /// (`BPF_PSEUDO_CALL`).
    pub fn is_subprogram_call(self) -> bool {
        self.code == 0x85 && self.src == 1
    }

    /// The number of the helper that this calls.
    pub fn helper(self) -> Option<i32> {
        (self.code == 0x85 && self.src == 0).then_some(self.imm)
    }

    /// Whether this loads the address of a function of the same program
    /// (`BPF_PSEUDO_FUNC`).
    pub fn is_function_address(self) -> bool {
        self.is_wide() && self.src == 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_are_read_and_written() {
        let insn = Insn { code: 0x63, dst: 10, src: 1, off: -4, imm: 0x0102_0304 };
        let little = insn.to_bytes(Endian::Little);
        assert_eq!(little, [0x63, 0x1a, 0xfc, 0xff, 4, 3, 2, 1]);
        let big = insn.to_bytes(Endian::Big);
        assert_eq!(big, [0x63, 0xa1, 0xff, 0xfc, 1, 2, 3, 4]);
        assert_eq!(Insn::from_bytes(little, Endian::Little), insn);
        assert_eq!(Insn::from_bytes(big, Endian::Big), insn);
    }
}
