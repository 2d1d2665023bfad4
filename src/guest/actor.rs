//! Who does what a test of attached programs asks for: a process whose number
//! is known beforehand, so that programs can be told to look at it and events
//! name it. It is there before programs are attached and waits without a
//! system call; what its deeds come to stands in memory that both sides see.

use super::run::{end, memory_file};
use super::shell::Shell;
use crate::base::process;
use crate::wire::{ACTOR, Act};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How much of what it writes is of interest, in bytes.
const MOST_OUTPUT: u64 = 64 << 10;
/// As little of the processor as can be while it waits.
const LAST: i32 = 19;
/// How often one looks whether it waits, and for how long.
const TICK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// What both sides see.
#[repr(C)]
struct Board {
    /// It is what programs are to see, and does nothing but wait.
    ready: AtomicBool,
    go: AtomicBool,
    /// How many deeds are done.
    done: AtomicU32,
}

/// What a deed came to.
#[repr(C)]
struct Result {
    errno: AtomicI32,
    code: AtomicI32,
}

/// The process.
pub struct Actor {
    pid: i32,
    board: *mut Board,
    size: usize,
    deeds: usize,
    output: File,
    /// Its exit code, once it has ended.
    ended: Option<i32>,
}

impl Actor {
    /// Starts it; it does nothing yet.
    pub fn start(deeds: &[String]) -> io::Result<Self> {
        let size = size_of::<Board>().next_multiple_of(align_of::<Result>())
            + deeds.len() * size_of::<Result>();
        // SAFETY: new memory, shared with the child; zeroes are valid there.
        let board = unsafe {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let board = libc::mmap(ptr::null_mut(), size, access, flags, -1, 0);
            if board == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            board.cast::<Board>()
        };
        // Whose parent is gone before it is this process's to reap: until then
        // the number of its group is taken.
        // SAFETY: a plain system call.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        let output = memory_file()?;
        let mut actor = Self { pid: 0, board, size, deeds: deeds.len(), output, ended: None };
        match numbered_fork()? {
            0 => actor.act(deeds),
            pid => actor.pid = pid,
        }
        // Programs must not see how it comes to be.
        let started = Instant::now();
        while !actor.board().ready.load(Ordering::Acquire) {
            if actor.has_ended() || started.elapsed() > PATIENCE {
                return Err(io::Error::other("it does not come up"));
            }
            std::thread::sleep(TICK);
        }
        Ok(actor)
    }

    /// Whether it has the number that everybody knows.
    pub fn is_numbered(&self) -> bool {
        self.pid == ACTOR
    }

    fn board(&self) -> &Board {
        // SAFETY: mapped as long as the actor lives.
        unsafe { &*self.board }
    }

    fn result(&self, index: usize) -> &Result {
        let start = size_of::<Board>().next_multiple_of(align_of::<Result>());
        // SAFETY: there is one for each deed, behind the board.
        unsafe { &*self.board.byte_add(start + index * size_of::<Result>()).cast() }
    }

    /// The other side: does everything, and ends.
    fn act(&self, deeds: &[String]) -> ! {
        // SAFETY: plain calls on descriptors that are open.
        unsafe {
            libc::setpgid(0, 0);
            let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            libc::dup2(nothing, 0);
            libc::dup2(self.output.as_raw_fd(), 1);
            libc::dup2(self.output.as_raw_fd(), 2);
        }
        let mut shell = Shell::new("dumb");
        // SAFETY: a plain call on this process.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, LAST) };
        self.board().ready.store(true, Ordering::Release);
        while !self.board().go.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
        let mut code = 0;
        for (index, deed) in deeds.iter().enumerate() {
            let result = self.result(index);
            let is_over = shell.line(deed);
            code = shell.code;
            result.errno.store(shell.errno, Ordering::Relaxed);
            // To leave with some code is no failure.
            result.code.store(if is_over { 0 } else { code }, Ordering::Relaxed);
            self.board().done.store(index as u32 + 1, Ordering::Release);
            if is_over {
                break;
            }
        }
        end(code)
    }

    /// Lets it begin.
    pub fn begin(&self) {
        // SAFETY: a plain call on a child that is not reaped yet.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, self.pid as u32, 0) };
        self.board().go.store(true, Ordering::Release);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            let mut status = 0;
            // SAFETY: a plain call on a child that is not reaped yet.
            let pid = unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) };
            if pid != 0 {
                self.ended = Some(process::exit_code(ExitStatus::from_raw(status)));
            }
        }
        self.ended.is_some()
    }

    /// What its deeds came to, as far as they were done, and what they wrote.
    pub fn acts(&mut self) -> (Vec<Act>, String) {
        let done = self.board().done.load(Ordering::Acquire) as usize;
        let act = |index: usize| {
            let result = self.result(index);
            let of = |number: &AtomicI32| number.load(Ordering::Relaxed);
            Act { errno: of(&result.errno), code: of(&result.code) }
        };
        let acts = (0..done.min(self.deeds)).map(act).collect();
        let mut text = Vec::new();
        drop(self.output.rewind());
        drop((&self.output).take(MOST_OUTPUT).read_to_end(&mut text));
        (acts, String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // SAFETY: a child that is not reaped, and the group it leads; the
        // memory is ours.
        unsafe {
            if !self.has_ended() {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, ptr::null_mut(), 0);
            }
            // What it left behind.
            libc::kill(-self.pid, libc::SIGKILL);
            while libc::waitpid(-self.pid, ptr::null_mut(), 0) > 0 {}
            libc::munmap(self.board.cast(), self.size);
        }
    }
}

/// `struct clone_args` of include/uapi/linux/sched.h, its second version.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
}

/// A child with the actor's number, or any other where the kernel cannot
/// choose (before 5.5).
fn numbered_fork() -> io::Result<i32> {
    let wanted = [ACTOR];
    let arguments = CloneArguments {
        exit_signal: libc::SIGCHLD as u64,
        set_tid: wanted.as_ptr() as u64,
        set_tid_size: 1,
        ..CloneArguments::default()
    };
    // SAFETY: the structure is as large as is said. The process has one
    // thread, so the child may go on as usual.
    unsafe {
        let size = size_of::<CloneArguments>();
        match libc::syscall(libc::SYS_clone3, &raw const arguments, size) {
            pid @ 0.. => Ok(pid as i32),
            _ => match libc::fork() {
                ..0 => Err(io::Error::last_os_error()),
                pid => Ok(pid),
            },
        }
    }
}
