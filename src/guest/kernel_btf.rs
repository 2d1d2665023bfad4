//! The kernel's BTF, parsed once.
//!
//! libbpf parses all of the kernel's BTF (4 to 6 MB) for every object with a
//! tracing program or a CO-RE relocation: a tenth of a second or more in an
//! emulated guest. Here it is parsed before the first request, so before a
//! snapshot is taken, and every child process inherits the result and hands
//! it to libbpf.
//!
//! The linker leads libbpf's own call of `btf__load_vmlinux_btf` here
//! (`--wrap`, in build.rs), in the binary only; libbpf otherwise works as
//! always and may do with the BTF what it wants, even free it, because it is
//! the child's own copy.

use libbpf_sys as sys;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where the kernel shows its BTF.
pub const PATH: &str = "/sys/kernel/btf/vmlinux";

/// The parsed BTF, until libbpf takes it.
static PARSED: AtomicPtr<sys::btf> = AtomicPtr::new(null_mut());

/// Parses the kernel's BTF. A kernel without any is a matter of those objects
/// that need it.
pub fn prepare() {
    PARSED.store(parse(), Ordering::Relaxed);
    // The linker must not find this function unused before it reads libbpf.
    std::hint::black_box(__wrap_btf__load_vmlinux_btf as *const ());
}

fn parse() -> *mut sys::btf {
    // SAFETY: a constant string ending in a zero byte; null stands for an
    // error whose number is in errno, which is what libbpf's callers expect.
    unsafe { sys::btf__parse_raw(c"/sys/kernel/btf/vmlinux".as_ptr()) }
}

/// What libbpf calls instead of its own `btf__load_vmlinux_btf`. The parsed
/// BTF is given away once in a process, because libbpf frees what it gets.
#[unsafe(no_mangle)]
extern "C" fn __wrap_btf__load_vmlinux_btf() -> *mut sys::btf {
    match PARSED.swap(null_mut(), Ordering::Relaxed) {
        parsed if parsed.is_null() => parse(),
        parsed => parsed,
    }
}
