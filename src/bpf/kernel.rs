//! What kernels can do, by version: the data behind every "needs 5.8".

use super::{AttachType, Helper, MapType, ProgramType};
use std::fmt;
use std::str::FromStr;

/// A kernel's release, as far as features follow it: `5.10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl KernelVersion {
    /// The release of these numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Text that is no kernel version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionError;

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kernel version has the form 5.10")
    }
}

impl std::error::Error for VersionError {}

impl FromStr for KernelVersion {
    type Err = VersionError;

    /// Reads the first two numbers; `6.12.117-1-cloud-amd64` is 6.12.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (major, rest) = text.split_once('.').ok_or(VersionError)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let minor = rest[..digits].parse().map_err(|_| VersionError)?;
        let major = major.parse().map_err(|_| VersionError)?;
        if rest[digits..].starts_with(|c: char| c.is_alphanumeric() && c != 'r') {
            return Err(VersionError);
        }
        Ok(Self { major, minor })
    }
}

macro_rules! features {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, ($major:literal, $minor:literal);)*) => {
        /// What a program can need of a kernel besides types and helpers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature { $($(#[$doc])* $variant,)* }

        impl Feature {
            /// Every feature.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// What it is, as the subject of a sentence.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The first kernel that has it.
            pub fn since(self) -> KernelVersion {
                match self { $(Self::$variant => KernelVersion::new($major, $minor),)* }
            }
        }
    };
}

// The releases that first had each, most with the commit that brought it.
features! {
    /// ISA v2: `<`, `<=` and their signed kin (92b31a9af73b).
    JumpLess, "the ISA v2 comparisons", (4, 14);
    /// Functions calling functions (cc8b0b92a169).
    Subprograms, "a call between functions", (4, 16);
    /// BTF and line info of programs (c454a46b5efd).
    ProgramBtf, "BTF for programs", (5, 0);
    /// ISA v3: comparisons of 32-bit halves (092ed0968bb6).
    Jump32, "the ISA v3 32-bit comparisons", (5, 1);
    /// Global variables (d8eca5bbb2be).
    GlobalData, "global data", (5, 2);
    /// Programs of up to a million instructions (c04c0d2b968a).
    LargePrograms, "a program of more than 4096 instructions", (5, 2);
    /// Loops that the verifier can see the end of (2589726d12a1).
    BoundedLoops, "a loop", (5, 3);
    /// Functions that are verified on their own (51c39bb1d5d1).
    GlobalFunctions, "a global function", (5, 6);
    /// Programs that may sleep (1e6c62a88215).
    Sleepable, "a sleepable program", (5, 10);
    /// Variables of the kernel by their BTF: `extern … __ksym` with a type
    /// (4976b718c355).
    TypedKsyms, "a typed variable of the kernel", (5, 10);
    /// Calls and tail calls in one program, on x86-64 (e411901c0b77).
    TailCallsWithSubprograms, "a tail call in a program with subprograms", (5, 10);
    /// Atomic operations other than an addition (5ffa25502b5a).
    Atomics, "an atomic operation other than an addition without fetch", (5, 12);
    /// Addresses of functions as values: callbacks (69c087ba6225).
    Callbacks, "a callback", (5, 13);
    /// Calls of kernel functions (e6ac2450d6de).
    Kfuncs, "a kfunc", (5, 13);
    /// Of a function in a module only that module's address counts
    /// (31bf1dbccfb0).
    ModuleSymbols, "a function sought in one module alone", (6, 3);
    /// Sign-extending loads and moves, `bswap`, `gotol`, signed division
    /// (1f9a1ea821ff and its series).
    IsaV4, "an ISA v4 instruction", (6, 6);
    /// `may_goto` (011832b97b31).
    MayGoto, "may_goto", (6, 9);
    /// Casts between address spaces.
    AddrSpaceCast, "an arena address cast", (6, 9);
    /// Load-acquire and store-release (880442305a39).
    LoadAcquire, "load-acquire or store-release", (6, 15);
    /// Jumps to an address in a register.
    IndirectJumps, "an indirect jump", (6, 19);
}

/// One kernel, as far as its version says what it can do. Distributions
/// carry features back, and configurations leave some out: what a kernel's
/// own BTF says outweighs this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelModel {
    version: KernelVersion,
}

impl KernelModel {
    /// The kernel of that version.
    pub const fn new(version: KernelVersion) -> Self {
        Self { version }
    }

    /// Its version.
    pub fn version(self) -> KernelVersion {
        self.version
    }

    /// Whether it has the helper.
    pub fn has_helper(self, helper: Helper) -> bool {
        helper.since() <= self.version
    }

    /// Whether it has the program type.
    pub fn has_program_type(self, program_type: ProgramType) -> bool {
        program_type.since() <= self.version
    }

    /// Whether it has the attach type.
    pub fn has_attach_type(self, attach_type: AttachType) -> bool {
        attach_type.since() <= self.version
    }

    /// Whether it has the map type.
    pub fn has_map_type(self, map_type: MapType) -> bool {
        map_type.since() <= self.version
    }

    /// Whether it has the feature.
    pub fn has(self, feature: Feature) -> bool {
        feature.since() <= self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_releases() {
        let version = |text: &str| text.parse::<KernelVersion>();
        assert_eq!(version("5.10"), Ok(KernelVersion::new(5, 10)));
        assert_eq!(version("6.12.117-1-cloud-amd64"), Ok(KernelVersion::new(6, 12)));
        assert_eq!(version("7.2-rc1"), Ok(KernelVersion::new(7, 2)));
        assert_eq!(version("6.1+"), Ok(KernelVersion::new(6, 1)));
        for bad in ["", "6", "6.", "a.b", "6.x", "6.1x"] {
            assert_eq!(version(bad), Err(VersionError), "{bad}");
        }
    }

    #[test]
    fn a_newer_kernel_can_more() {
        let (old, new) = (KernelVersion::new(5, 4), KernelVersion::new(5, 10));
        let ringbuf = Helper::by_name("bpf_ringbuf_output").unwrap();
        assert!(!KernelModel::new(old).has_helper(ringbuf));
        assert!(KernelModel::new(new).has_helper(ringbuf));
        assert!(KernelModel::new(new).has(Feature::Sleepable));
        assert!(!KernelModel::new(new).has_map_type(MapType::Arena));
    }
}
