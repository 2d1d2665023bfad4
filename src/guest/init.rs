//! What the first process of a machine has to do before anything works.

use crate::base::fs;
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
    // Before 5.11 maps and programs are charged to this limit.
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call; what it cannot do, loading will tell.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &unlimited) };
    // What the JIT compiled is counted too, so it must be on.
    drop(fs::write_existing(Path::new("/proc/sys/net/core/bpf_jit_enable"), b"1"));
    Ok(())
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
