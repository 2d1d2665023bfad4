//! Loading as somebody without privileges does: the capabilities that BPF asks
//! for are given up, and taken again.
#![expect(clippy::disallowed_methods, reason = "the guest is alone in its machine")]

use libbpf_sys as sys;
use std::fs;
use std::io;

/// Where the kernel is told whether such loads are allowed at all.
const SWITCH: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";
/// `_LINUX_CAPABILITY_VERSION_3` (include/uapi/linux/capability.h).
const VERSION: u32 = 0x2008_0522;
/// `CAP_NET_ADMIN`, `CAP_SYS_ADMIN`, `CAP_PERFMON`, `CAP_BPF`.
const GIVEN_UP: u64 = 1 << 12 | 1 << 21 | 1 << 38 | 1 << 39;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// This process without privileges; it has them again when this is dropped.
pub struct Unprivileged([Data; 2]);

impl Unprivileged {
    /// Gives the privileges up, and lets those who have none load programs.
    pub fn new() -> io::Result<Self> {
        fs::write(SWITCH, "0")?;
        let old = get()?;
        let mut new = old;
        for (index, data) in new.iter_mut().enumerate() {
            data.effective &= !((GIVEN_UP >> (32 * index)) as u32);
        }
        set(new)?;
        Ok(Self(old))
    }
}

impl Drop for Unprivileged {
    fn drop(&mut self) {
        // What they may have they can take; if not, what follows fails.
        drop(set(self.0));
    }
}

fn get() -> io::Result<[Data; 2]> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: this version has two records of data.
    match unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } {
        0 => Ok(data),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set(data: [Data; 2]) -> io::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    // SAFETY: as above.
    match unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether somebody without privileges may make a map of this kind
/// (`map_create` in kernel/bpf/syscall.c).
pub fn may_make(map: *const sys::bpf_map) -> bool {
    // SAFETY: the map belongs to a live object.
    let (kind, flags) = unsafe { (sys::bpf_map__type(map), sys::bpf_map__map_flags(map)) };
    match kind {
        sys::BPF_MAP_TYPE_HASH | sys::BPF_MAP_TYPE_PERCPU_HASH | sys::BPF_MAP_TYPE_HASH_OF_MAPS => {
            flags & sys::BPF_F_ZERO_SEED == 0
        }
        sys::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
        | sys::BPF_MAP_TYPE_ARRAY
        | sys::BPF_MAP_TYPE_RINGBUF
        | sys::BPF_MAP_TYPE_PROG_ARRAY
        | sys::BPF_MAP_TYPE_CGROUP_ARRAY
        | sys::BPF_MAP_TYPE_PERCPU_ARRAY
        | sys::BPF_MAP_TYPE_USER_RINGBUF
        | sys::BPF_MAP_TYPE_ARRAY_OF_MAPS
        | sys::BPF_MAP_TYPE_CGROUP_STORAGE
        | sys::BPF_MAP_TYPE_PERF_EVENT_ARRAY => true,
        _ => false,
    }
}
