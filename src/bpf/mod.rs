//! Floor 1: the vocabulary of BPF. Instructions and how they are written
//! down, program types, attach types, map types, helpers, `SEC()` names, and
//! what each kernel version knows of them. Facts as data, each table with its
//! source; nothing here reads a file or knows an object.

pub mod action;
pub mod allowed;
pub mod arguments;
mod attach_type;
pub mod context;
mod disasm;
pub mod errno;
mod helper;
mod insn;
mod kernel;
pub mod kfuncs;
mod license;
mod map_type;
mod numbered;
mod op;
mod program_type;
mod section;
pub mod test_run;

pub use attach_type::AttachType;
pub use disasm::Disassembly;
pub use helper::{GplOnly, Helper};
pub use insn::{Endian, INSN_SIZE, Insn};
pub use kernel::{Feature, KernelModel, KernelVersion};
pub use license::is_gpl_compatible;
pub use map_type::{MapType, flags as map_flags};
pub use op::{
    AluOp, AtomicOp, Call, Condition, DecodeError, Imm64, MemSize, Op, Operand, Reg, Swap, Width,
};
pub use program_type::ProgramType;
pub use section::{AttachRule, SectionDef, SectionError, SectionTarget};

/// What a program type has of stack for each function, in bytes
/// (`MAX_BPF_STACK` in include/linux/filter.h).
pub const MAX_STACK: u32 = 512;

/// How many frames a call chain may have, the program's own included
/// (`MAX_CALL_FRAMES` in include/linux/bpf_verifier.h).
pub const MAX_CALL_FRAMES: usize = 8;
