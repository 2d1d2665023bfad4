//! Whether a program that was loaded could be attached: the kernel looks for
//! what a kprobe is to stop at only then. So a probe without a program is
//! made there and taken away again.

use crate::base::fs;
use std::ffi::CString;
use std::path::Path;

/// Where the kernel says which number its kprobes have among sources of
/// events.
const KIND: &str = "/sys/bus/event_source/devices/kprobe/type";
/// `PERF_FLAG_FD_CLOEXEC` (include/uapi/linux/perf_event.h).
const CLOEXEC: libc::c_ulong = 8;

/// The first part of `struct perf_event_attr` (include/uapi/linux/perf_event.h),
/// which is all that a probe needs.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    unused: [u64; 3],
    /// The lowest bit: it does not begin to count.
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    function: u64,
    offset: u64,
}

/// Tries a probe at a function's start; the error number with which the kernel
/// refuses, 0 if it does not. Nothing if this kernel has no such probes.
pub fn try_kprobe(function: &str) -> Option<i32> {
    let kind = fs::read_to_string(Path::new(KIND)).ok()?.trim().parse().ok()?;
    let function = CString::new(function).ok()?;
    let attributes = Attributes {
        kind,
        size: size_of::<Attributes>() as u32,
        config: 0,
        unused: [0; 3],
        flags: 1,
        wakeup: 0,
        breakpoint: 0,
        function: function.as_ptr() as u64,
        offset: 0,
    };
    // SAFETY: the struct says how large it is, and the name ends in a zero
    // byte; both outlive the call. The descriptor is ours to close.
    unsafe {
        let (all, first, none) = (-1_i32, 0_i32, -1_i32);
        let fd = libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            all,
            first,
            none,
            CLOEXEC,
        );
        if fd < 0 {
            return std::io::Error::last_os_error().raw_os_error();
        }
        libc::close(fd as i32);
    }
    Some(0)
}
