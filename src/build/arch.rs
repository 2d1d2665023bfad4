//! Architectures that BPF programs are compiled for: what `bpf_tracing.h`
//! needs to know of registers, and the byte order.

/// An architecture, by the name that libbpf's `__TARGET_ARCH_…` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 32- and 64-bit x86.
    X86,
    /// 64-bit Arm.
    Arm64,
    /// 32-bit Arm.
    Arm,
    /// RISC-V.
    Riscv,
    /// IBM Z; big-endian.
    S390,
    /// 64-bit POWER, little-endian.
    Powerpc,
    /// LoongArch.
    Loongarch,
    /// MIPS, little-endian.
    Mips,
}

impl Arch {
    /// Every architecture.
    pub const ALL: &'static [Self] = &[
        Self::X86,
        Self::Arm64,
        Self::Arm,
        Self::Riscv,
        Self::S390,
        Self::Powerpc,
        Self::Loongarch,
        Self::Mips,
    ];

    /// The one this skep runs on.
    pub fn host() -> Self {
        match std::env::consts::ARCH {
            "aarch64" => Self::Arm64,
            "arm" => Self::Arm,
            "riscv64" | "riscv32" => Self::Riscv,
            "s390x" => Self::S390,
            "powerpc64" | "powerpc" => Self::Powerpc,
            "loongarch64" => Self::Loongarch,
            "mips" | "mips64" | "mips32r6" | "mips64r6" => Self::Mips,
            _ => Self::X86,
        }
    }

    /// The ending of `__TARGET_ARCH_` in libbpf's bpf_tracing.h.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::Arm64 => "arm64",
            Self::Arm => "arm",
            Self::Riscv => "riscv",
            Self::S390 => "s390",
            Self::Powerpc => "powerpc",
            Self::Loongarch => "loongarch",
            Self::Mips => "mips",
        }
    }

    /// The value of clang's `-target`: plain `bpf` is the byte order of the
    /// machine that compiles.
    pub fn target(self) -> &'static str {
        match (self == Self::S390, cfg!(target_endian = "big")) {
            (true, true) | (false, false) => "bpf",
            (true, false) => "bpfeb",
            (false, true) => "bpfel",
        }
    }
}
