//! Work in a child process with a time limit: a crash in libbpf, a kernel
//! that kills it, or a verifier that takes a minute costs one program only.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Room for the child's report, in bytes.
const REPORT: usize = 2 << 20;
/// Where the report begins; its length and the stage stand before it.
const HEAD: usize = 64;

/// Memory that a child fills and its parent reads.
pub struct Shared {
    base: *mut u8,
    size: usize,
}

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It reported.
    Reported(Vec<u8>),
    /// It was killed because its time was up.
    TimedOut,
    /// It ended without a report; by this signal if not 0.
    Died(i32),
}

impl Shared {
    /// Memory with a log of `log` bytes behind the report.
    pub fn new(log: usize) -> io::Result<Self> {
        let size = HEAD + REPORT + log;
        // SAFETY: a fresh mapping at an address of the kernel's choosing.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base: base.cast(), size })
    }

    /// The stage the child is in, as a small number of its own.
    pub fn stage(&self) -> &AtomicU8 {
        // SAFETY: inside the mapping, which lives as long as `self`.
        unsafe { AtomicU8::from_ptr(self.base) }
    }

    fn length(&self) -> &AtomicU32 {
        // SAFETY: inside the mapping, aligned, as above.
        unsafe { AtomicU32::from_ptr(self.base.add(4).cast()) }
    }

    /// The log's memory.
    pub fn log(&self) -> *mut u8 {
        // SAFETY: inside the mapping, or at its end if there is no log.
        unsafe { self.base.add(HEAD + REPORT) }
    }

    /// The log's bytes up to its zero byte.
    pub fn log_bytes(&self) -> Vec<u8> {
        let size = self.size - HEAD - REPORT;
        // SAFETY: inside the mapping; the child has ended, so nobody writes.
        let bytes = unsafe { std::slice::from_raw_parts(self.log(), size) };
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(size);
        bytes[..end].to_vec()
    }

    fn report(&self, bytes: &[u8]) {
        if bytes.len() <= REPORT {
            // SAFETY: the report's room is inside the mapping and large enough.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(HEAD), bytes.len());
            }
            self.length().store(bytes.len() as u32, Ordering::Release);
        }
    }

    fn reported(&self) -> Option<Vec<u8>> {
        let length = self.length().load(Ordering::Acquire) as usize;
        if length == 0 || length > REPORT {
            return None;
        }
        // SAFETY: inside the mapping; the child has ended, so nobody writes.
        Some(unsafe { std::slice::from_raw_parts(self.base.add(HEAD), length) }.to_vec())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; nothing borrows from it any more.
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}

/// Runs `work` in a child process and waits for its report, at most `limit`.
pub fn run(shared: &Shared, limit: Duration, work: impl FnOnce() -> Vec<u8>) -> io::Result<Ended> {
    // SAFETY: the guest has one thread, so the child may go on as usual.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    if pid == 0 {
        // When memory runs out, this process is to go, and not the first one.
        drop(crate::base::fs::write_existing(
            std::path::Path::new("/proc/self/oom_score_adj"),
            b"1000",
        ));
        shared.report(&work());
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    match wait(pid, limit)? {
        None => Ok(Ended::TimedOut),
        Some(status) => Ok(match shared.reported() {
            Some(report) => Ended::Reported(report),
            None if libc::WIFSIGNALED(status) => Ended::Died(libc::WTERMSIG(status)),
            None => Ended::Died(0),
        }),
    }
}

/// Waits for a child and reaps it; kills it when its time is up.
fn wait(pid: i32, limit: Duration) -> io::Result<Option<i32>> {
    let deadline = Instant::now() + limit;
    // SAFETY: plain system calls on a child that is not reaped yet.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
    if pidfd < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut entry = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    let ready = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one valid entry.
        let ready = unsafe { libc::poll(&mut entry, 1, millis) };
        if ready >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break ready > 0;
        }
    };
    let mut status = 0;
    // SAFETY: as above; the status is ours.
    unsafe {
        if !ready {
            libc::kill(pid, libc::SIGKILL);
        }
        libc::close(pidfd);
        libc::waitpid(pid, &mut status, 0);
    }
    Ok(ready.then_some(status))
}
