//! The kernel's BTF, parsed once.
//!
//! libbpf parses all of the kernel's BTF (4 to 6 MB) for every object with a
//! tracing program or a CO-RE relocation: a tenth of a second or more in an
//! emulated guest. Here it is parsed before the first request, so before a
//! snapshot is taken, and every child process inherits the result and hands
//! it to libbpf.
//!
//! The linker leads libbpf's own calls of `btf__load_vmlinux_btf` and
//! `btf__free` here (`--wrap`, in build.rs), in the binary only. What libbpf
//! frees is kept for the next object that the same process loads: libbpf only
//! reads it.

use crate::base::fs;
use libbpf_sys as sys;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where the kernel shows its BTF.
pub const PATH: &str = "/sys/kernel/btf/vmlinux";

/// The parsed BTF, while libbpf does not have it.
static PARSED: AtomicPtr<sys::btf> = AtomicPtr::new(null_mut());
/// The same, whoever has it.
static KEPT: AtomicPtr<sys::btf> = AtomicPtr::new(null_mut());
/// libbpf's own `btf__free`, as an address.
static FREE: AtomicPtr<()> = AtomicPtr::new(null_mut());

/// libbpf's own type.
pub type Btf = sys::btf;
/// libbpf's own `btf__free`.
pub type Free = unsafe extern "C" fn(*mut Btf);

/// Takes libbpf's own `btf__free`, which only the binary can name: before
/// anything calls it.
pub fn frees_with(free: Free) {
    FREE.store(free as *mut (), Ordering::Relaxed);
}

/// Parses the kernel's BTF. A kernel without any is a matter of those objects
/// that need it.
pub fn prepare() {
    let parsed = parse();
    KEPT.store(parsed, Ordering::Relaxed);
    PARSED.store(parsed, Ordering::Relaxed);
    // The linker must not find these functions unused before it reads libbpf.
    std::hint::black_box(__wrap_btf__load_vmlinux_btf as *const ());
    std::hint::black_box(__wrap_btf__free as *const ());
}

fn parse() -> *mut sys::btf {
    // SAFETY: a constant string ending in a zero byte; null stands for an
    // error whose number is in errno, which is what libbpf's callers expect.
    unsafe { sys::btf__parse_raw(c"/sys/kernel/btf/vmlinux".as_ptr()) }
}

/// Whether this process still has the BTF, or the kernel has none.
pub fn is_there() -> bool {
    !PARSED.load(Ordering::Relaxed).is_null() || !fs::exists(Path::new(PATH))
}

/// What libbpf calls instead of its own `btf__load_vmlinux_btf`. The parsed
/// BTF is given away until libbpf frees it: who asks meanwhile gets another one.
#[unsafe(no_mangle)]
extern "C" fn __wrap_btf__load_vmlinux_btf() -> *mut sys::btf {
    match PARSED.swap(null_mut(), Ordering::Relaxed) {
        parsed if parsed.is_null() => parse(),
        parsed => parsed,
    }
}

/// What libbpf calls instead of its own `btf__free`.
#[unsafe(no_mangle)]
extern "C" fn __wrap_btf__free(btf: *mut sys::btf) {
    let free = FREE.load(Ordering::Relaxed);
    if !btf.is_null() && btf == KEPT.load(Ordering::Relaxed) {
        PARSED.store(btf, Ordering::Relaxed);
    } else if !free.is_null() {
        // SAFETY: nothing but a `Free` is stored there; the BTF is the
        // caller's to free.
        unsafe { std::mem::transmute::<*mut (), Free>(free)(btf) };
    }
}
