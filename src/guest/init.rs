//! What the first process of a machine has to do before anything works.

use crate::base::fs;
use crate::wire::{BROUGHT, TO_BE_SAVED};
use std::ffi::CStr;
use std::io;
use std::path::Path;

/// The file systems that libbpf and the programs' helpers look into. Those
/// that a kernel was built without are not missed here: libbpf says so when
/// it needs them.
const MOUNTS: &[(&CStr, &CStr, &CStr, bool)] = &[
    (c"/proc", c"proc", c"proc", true),
    (c"/sys", c"sysfs", c"sysfs", true),
    (c"/dev", c"devtmpfs", c"devtmpfs", true),
    (c"/sys/kernel/debug", c"debugfs", c"debugfs", false),
    (c"/sys/kernel/tracing", c"tracefs", c"tracefs", false),
    (c"/sys/fs/bpf", c"bpf", c"bpf", false),
    (c"/sys/fs/cgroup", c"cgroup2", c"cgroup2", false),
];

/// Mounts the file systems and lifts the limits that stand in the way.
pub fn prepare() -> io::Result<()> {
    for (target, source, kind, needed) in MOUNTS {
        // SAFETY: all strings end in a zero byte; no data is passed.
        let result = unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null())
        };
        if result != 0 && *needed {
            let error = io::Error::last_os_error();
            // The kernel may have mounted /dev itself.
            if error.raw_os_error() != Some(libc::EBUSY) {
                return Err(io::Error::new(
                    error.kind(),
                    format!("cannot mount {target:?}: {error}"),
                ));
            }
        }
    }
    look_in_brought_files();
    // Before 5.11 maps and programs are charged to this limit.
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call; what it cannot do, loading will tell.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &unlimited) };
    // What the JIT compiled is counted too, so it must be on.
    drop(fs::write_existing(Path::new("/proc/sys/net/core/bpf_jit_enable"), b"1"));
    Ok(())
}

/// Has libbpf look among brought files for a program that is named without a
/// directory.
fn look_in_brought_files() {
    // SAFETY: the guest has one thread.
    unsafe { std::env::set_var("PATH", format!("/{BROUGHT}")) };
}

/// Whether this machine was booted to be saved.
pub fn is_to_be_saved() -> bool {
    let line = fs::read_to_string(Path::new("/proc/cmdline")).unwrap_or_default();
    line.split_whitespace().any(|word| word == TO_BE_SAVED)
}

/// Takes nearly all free memory and gives it back: the kernel clears what it
/// hands out, so that what it read at boot does not end up in a snapshot.
pub fn clear_free_memory() {
    /// What is left alone: the kernel must not run short, in bytes.
    const MARGIN: usize = 24 << 20;
    let about = fs::read_to_string(Path::new("/proc/meminfo")).unwrap_or_default();
    let free = about.lines().find_map(|line| line.strip_prefix("MemFree:"));
    let free = free.and_then(|free| free.split_whitespace().next()?.parse::<usize>().ok());
    let Some(size) = free.and_then(|kib| (kib << 10).checked_sub(MARGIN)) else { return };
    // SAFETY: a fresh mapping at an address of the kernel's choosing, of which
    // nobody knows and which is gone at once. If there is none, the snapshot is
    // larger, no worse.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        let memory = libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        );
        if memory != libc::MAP_FAILED {
            libc::munmap(memory, size);
        }
    }
}

/// Sets the wall clock: a restored guest's stands at the snapshot's time.
pub fn set_clock(now_ns: u64) {
    let now = libc::timespec {
        tv_sec: (now_ns / 1_000_000_000).cast_signed(),
        tv_nsec: (now_ns % 1_000_000_000).cast_signed(),
    };
    // SAFETY: a plain system call. A wrong clock is no reason to give up.
    unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &now) };
}

/// Mixes bytes into the kernel's random numbers.
pub fn stir_random(seed: &[u8]) {
    // Without it they are as good as the snapshot's, no worse.
    drop(fs::write_existing(Path::new("/dev/urandom"), seed));
}

/// Ends the machine.
pub fn power_off() -> ! {
    // SAFETY: plain system calls. QEMU ends on a reboot (`-no-reboot`).
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
    }
    // The first process must not end; the host's time limit ends it all.
    loop {
        std::thread::park();
    }
}
