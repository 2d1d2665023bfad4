//! libbpf's headers for BPF programs (`bpf/bpf_helpers.h` and its kin), so
//! that nobody needs libbpf's development package or a submodule to compile.
//! They are those of the libbpf that skep's guest loads programs with.

/// A header: its name below the include directory, and its text.
pub struct Header {
    /// `bpf/bpf_helpers.h`.
    pub name: &'static str,
    /// The text.
    pub text: &'static str,
}

/// What identifies the headers' bytes. Made when skep is built: hashing them
/// at every run would take longer than all else that a build with nothing to
/// do does.
pub const HASH: &str = env!("SKEP_LIBBPF_HASH");

macro_rules! headers {
    ($($name:literal),* $(,)?) => {
        /// The headers. `build.rs` finds them where libbpf was installed to.
        pub const HEADERS: &[Header] = &[$(Header {
            name: concat!("bpf/", $name),
            text: include_str!(concat!(env!("SKEP_LIBBPF_INCLUDE"), "/bpf/", $name)),
        }),*];
    };
}

headers! {
    "bpf_core_read.h",
    "bpf_endian.h",
    "bpf_helper_defs.h",
    "bpf_helpers.h",
    "bpf_tracing.h",
    "usdt.bpf.h",
}
