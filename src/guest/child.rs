//! Work in a child process with a time limit: a crash in libbpf, a kernel
//! that kills it, or a verifier that takes a minute costs one program only.
//!
//! A child is forked ahead, before it is known what it will have to do, and
//! then waits for orders. So the first one is part of a snapshot, and a
//! restored machine need not fork before it has an answer. One that did its
//! work well does the next one, too: in an emulated guest, to fork and to end a
//! process takes longer than to load a small program.

use crate::wire::frame;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Room for the child's report, in bytes.
const REPORT: usize = 2 << 20;
/// Where the report begins; its length and the stage stand before it.
const HEAD: usize = 64;
/// How much of the memory is made ready before there is anything to do: what
/// a small report and a small log need.
const READY: usize = 16 << 10;

/// Memory that a child fills and its parent reads.
struct Shared {
    base: *mut u8,
    size: usize,
}

/// How a child's work ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It reported.
    Reported(Vec<u8>),
    /// It was killed because its time was up.
    TimedOut,
    /// It ended without a report; by this signal if not 0.
    Died(i32),
}

/// A child process, seen by its parent; killed when dropped.
pub struct Worker {
    /// None if it is gone.
    pid: Option<i32>,
    orders: File,
    done: File,
    shared: Shared,
    /// It has done work before.
    used: bool,
}

/// A child process, seen by itself.
pub struct Desk {
    orders: File,
    done: File,
    shared: Shared,
}

/// Child processes: one that waits for work, and those that have done theirs.
pub struct Workers {
    work: fn(&mut Desk),
    log: usize,
    spare: Option<Worker>,
    spent: Vec<Worker>,
}

impl Workers {
    /// Workers that do `work` and have `log` bytes for a log.
    pub fn new(work: fn(&mut Desk), log: usize) -> Self {
        Self { work, log, spare: None, spent: Vec::new() }
    }

    /// Has a worker ready for later, and clears away those that are done.
    pub fn prepare(&mut self) -> io::Result<()> {
        let worker = self.take()?;
        self.spare = Some(worker);
        Ok(())
    }

    /// A worker that has not done anything yet.
    pub fn take(&mut self) -> io::Result<Worker> {
        self.spent.clear();
        match self.spare.take() {
            Some(worker) => Ok(worker),
            None => Worker::fork(self.work, self.log, None),
        }
    }

    /// As [`Workers::prepare`], and the worker rehearses first: so it has its
    /// own copy of the memory it will write to, and what it runs is mapped.
    pub fn rehearse(&mut self, rehearsal: fn()) -> io::Result<()> {
        let mut worker = Worker::fork(self.work, self.log, Some(rehearsal))?;
        // It says so when it is ready.
        worker.wait(Duration::from_secs(20))?;
        self.spare = Some(worker);
        Ok(())
    }

    /// Takes back a worker that has reported all it was asked for. If it does
    /// not go on, its end takes time, so that comes when somebody waits for
    /// nothing.
    pub fn give_back(&mut self, mut worker: Worker) {
        let goes_on = worker.pid.is_some() && worker.shared.goes_on().load(Ordering::Relaxed) == 1;
        if goes_on && self.spare.is_none() {
            worker.used = true;
            self.spare = Some(worker);
        } else {
            self.spent.push(worker);
        }
    }
}

impl Worker {
    fn fork(work: fn(&mut Desk), log: usize, rehearsal: Option<fn()>) -> io::Result<Self> {
        let shared = Shared::new(log)?;
        let (orders_there, orders) = pipe()?;
        let (done, done_there) = pipe()?;
        // SAFETY: the guest has one thread, so the child may go on as usual.
        let pid = unsafe { libc::fork() };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        if pid > 0 {
            return Ok(Self { pid: Some(pid), orders, done, shared, used: false });
        }
        drop((orders, done));
        // Where the parent is not the first process of its machine, it may be
        // killed.
        // SAFETY: a plain system call.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // When memory runs out, this process is to go, and not the first one.
        drop(crate::base::fs::write_existing(
            std::path::Path::new("/proc/self/oom_score_adj"),
            b"1000",
        ));
        shared.make_ready();
        let mut desk = Desk { orders: orders_there, done: done_there, shared };
        if let Some(rehearsal) = rehearsal {
            rehearsal();
            desk.report(&[0]);
        }
        work(&mut desk);
        // To end is work, too: the parent is to go on first.
        loop {
            // SAFETY: a plain system call.
            unsafe { libc::pause() };
        }
    }

    /// Tells it what to do. A child that cannot hear it any more is noticed
    /// when its report is waited for.
    pub fn order(&mut self, order: &impl Serialize, blob: &[u8]) {
        self.shared.length().store(0, Ordering::Relaxed);
        self.shared.goes_on().store(0, Ordering::Relaxed);
        drop(frame::write(&mut self.orders, order, blob));
    }

    /// Waits for its report, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<Ended> {
        let deadline = Instant::now() + limit;
        let mut entry =
            libc::pollfd { fd: self.done.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let is_ready = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
            // SAFETY: one valid entry.
            let ready = unsafe { libc::poll(&mut entry, 1, millis) };
            if ready >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                break ready > 0;
            }
        };
        if !is_ready {
            self.end();
            return Ok(Ended::TimedOut);
        }
        // The pipe's end is the child's.
        if self.done.read(&mut [0])? == 1
            && let Some(report) = self.shared.reported()
        {
            return Ok(Ended::Reported(report));
        }
        let status = self.end();
        Ok(Ended::Died(if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 }))
    }

    /// Whether it has done work before this.
    pub fn is_used(&self) -> bool {
        self.used
    }

    /// The stage it is in, as a small number of its own.
    pub fn stage(&self) -> u8 {
        self.shared.stage().load(Ordering::Relaxed)
    }

    /// The log's bytes up to its zero byte.
    pub fn log(&self) -> Vec<u8> {
        self.shared.log_bytes()
    }

    /// Kills and reaps the child; its status, 0 if that was done before.
    fn end(&mut self) -> i32 {
        let mut status = 0;
        if let Some(pid) = self.pid.take() {
            // SAFETY: plain system calls on a child that is not reaped yet; to
            // kill what has ended by itself does not change its status.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, &mut status, 0);
            }
        }
        status
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

impl Desk {
    /// Waits for an order.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<(T, Vec<u8>)> {
        frame::read(&mut self.orders)
    }

    /// Reports, and lets the parent go on.
    pub fn report(&mut self, bytes: &[u8]) {
        self.shared.report(bytes);
        drop(self.done.write(&[1]));
    }

    /// Says, before the report, that this process can be given more work.
    pub fn go_on(&self) {
        self.shared.goes_on().store(1, Ordering::Relaxed);
    }

    /// The stage this process is in, as a small number of its own.
    pub fn stage(&self) -> &AtomicU8 {
        self.shared.stage()
    }

    /// The log's memory.
    pub fn log(&self) -> *mut u8 {
        self.shared.log()
    }
}

/// The two ends of a pipe: to read from, and to write to.
fn pipe() -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which are ours then.
    unsafe {
        match libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) {
            0 => Ok((File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Shared {
    /// Memory with a log of `log` bytes behind the report.
    fn new(log: usize) -> io::Result<Self> {
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

    fn stage(&self) -> &AtomicU8 {
        // SAFETY: inside the mapping, which lives as long as `self`.
        unsafe { AtomicU8::from_ptr(self.base) }
    }

    fn goes_on(&self) -> &AtomicU8 {
        // SAFETY: as above.
        unsafe { AtomicU8::from_ptr(self.base.add(1)) }
    }

    fn length(&self) -> &AtomicU32 {
        // SAFETY: inside the mapping, aligned, as above.
        unsafe { AtomicU32::from_ptr(self.base.add(4).cast()) }
    }

    /// The log's memory.
    fn log(&self) -> *mut u8 {
        // SAFETY: inside the mapping, or at its end if there is no log.
        unsafe { self.base.add(HEAD + REPORT) }
    }

    /// The log's bytes up to its zero byte.
    fn log_bytes(&self) -> Vec<u8> {
        let size = self.size - HEAD - REPORT;
        // SAFETY: inside the mapping; the child has ended or waits for orders,
        // so nobody writes.
        let bytes = unsafe { std::slice::from_raw_parts(self.log(), size) };
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(size);
        bytes[..end].to_vec()
    }

    /// Has the kernel hand out the memory that is always needed.
    fn make_ready(&self) {
        for start in [0, HEAD + REPORT] {
            for at in (start..self.size.min(start + READY)).step_by(4096) {
                // SAFETY: inside the mapping, of which nobody knows yet.
                unsafe { self.base.add(at).write_volatile(0) };
            }
        }
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
        // SAFETY: as for the log.
        Some(unsafe { std::slice::from_raw_parts(self.base.add(HEAD), length) }.to_vec())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; nothing borrows from it any more.
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}
