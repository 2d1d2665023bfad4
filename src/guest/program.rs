//! A program that the user built, run as on any machine: its streams go to
//! the host and come from there as they are, signals reach it, and its exit
//! code is told. Where the user has a terminal, it writes to one, so that it
//! flushes and colours as it does there.
#![expect(clippy::disallowed_methods, reason = "the guest is alone in its machine")]

use super::channel::Channel;
use super::live::net;
use super::network;
use super::run::{Outputs, Piped, lay_out, pipe};
use crate::base::{self, process};
use crate::wire::{BROUGHT, Reply, Request, Start, Terminal, frame};
use libbpf_sys as sys;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long nothing may happen before the host is listened to.
const TICK: Duration = Duration::from_millis(10);
/// How often the host is told that the guest is there.
const SIGN_OF_LIFE: Duration = Duration::from_millis(200);
/// A program that has attached nothing new for so long, and waits, has
/// attached all.
const SETTLED: Duration = Duration::from_millis(300);
/// One that waits and has attached nothing for so long will attach nothing.
const NOTHING: Duration = Duration::from_secs(3);
/// The workload waits no longer for a program to be ready.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the program still says after the workload's end.
const AFTERMATH: Duration = Duration::from_millis(500);
/// The device that terminals are made of.
const MULTIPLEXER: &str = "/dev/ptmx";

/// Runs a program; returns when its end was told.
pub fn run(request: &Start, channel: &mut Channel) -> io::Result<()> {
    net::bring_up("lo");
    if request.network {
        // A program that looks for it will say so.
        drop(network::lay());
    }
    lay_out();
    let mut program = match Program::start(request) {
        Ok(program) => program,
        Err(error) => {
            let reason = base::fs::reason(&error);
            let reason = format!("{} cannot be run: {reason}", request.path);
            return frame::write(channel, &Reply::Failed(reason), &[]);
        }
    };
    frame::write(channel, &Reply::Done, &[])?;
    let mut workload = request.workload.as_deref().map(Workload::new);
    let mut told = Instant::now();
    loop {
        program.wait(workload.as_ref().and_then(Workload::piped));
        let mut happened = program.outputs.pass_on(channel)? | program.feed(channel)?;
        if let Some(waiting) = &mut workload {
            happened |= waiting.go_on(program.child.id(), channel)?;
        }
        while channel.is_waiting()? {
            happened = true;
            match frame::read::<Request>(channel)? {
                (Request::Input, bytes) => program.take(&bytes),
                (Request::Signal(number), _) => program.signal(number),
                _ => return Err(io::Error::other("the host asks for something else now")),
            }
        }
        if let Some(status) = program.child.try_wait()? {
            // What it wrote before its end; what it left running may hold the
            // streams open.
            while program.outputs.pass_on(channel)? {}
            if let Some(piped) = workload.and_then(Workload::into_piped) {
                piped.kill();
            }
            return frame::write(channel, &Reply::Exited { code: process::exit_code(status) }, &[]);
        }
        if happened {
            told = Instant::now();
        } else if told.elapsed() >= SIGN_OF_LIFE {
            frame::write(channel, &Reply::Idle, &[])?;
            told = Instant::now();
        }
    }
}

/// A program at work, and the wires to it.
struct Program {
    child: Child,
    /// Its standard input, until its end was told or nobody reads it.
    input: Option<File>,
    /// What it has not taken yet.
    pending: VecDeque<u8>,
    /// No more will come.
    is_all: bool,
    /// How much the host is to be told that was taken.
    taken: u64,
    outputs: Outputs,
}

impl Program {
    fn start(request: &Start) -> io::Result<Self> {
        let (input_there, input) = pipe()?;
        let [(out, out_there), (error, error_there)] =
            [stream(request.terminals[0].as_ref())?, stream(request.terminals[1].as_ref())?];
        let terminal = request.terminals.iter().flatten().next();
        let directory = format!("/{BROUGHT}");
        let mut command = Command::new(&request.path);
        command
            .args(&request.arguments)
            .env_clear()
            .env("PATH", &directory)
            .env("HOME", "/")
            .env("TERM", terminal.map_or("dumb", |terminal| &terminal.kind))
            .envs(request.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&directory)
            .stdin(Stdio::from(input_there))
            .stdout(Stdio::from(out_there))
            .stderr(Stdio::from(error_there))
            .process_group(0);
        let child = command.spawn()?;
        let input = File::from(input);
        // SAFETY: an open descriptor of our own.
        unsafe { libc::fcntl(input.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        Ok(Self {
            child,
            input: Some(input),
            pending: VecDeque::new(),
            is_all: false,
            taken: 0,
            outputs: Outputs::new(out, error),
        })
    }

    /// Waits until something may have happened.
    fn wait(&self, workload: Option<&Piped>) {
        let outputs = self.outputs.fds().chain(workload.into_iter().flat_map(Piped::fds));
        let entry = |fd: RawFd, events| libc::pollfd { fd, events, revents: 0 };
        let mut entries: Vec<libc::pollfd> = outputs.map(|fd| entry(fd, libc::POLLIN)).collect();
        if let Some(input) = self.input.as_ref().filter(|_| !self.pending.is_empty()) {
            entries.push(entry(input.as_raw_fd(), libc::POLLOUT));
        }
        // SAFETY: an array of that many valid entries.
        unsafe {
            libc::poll(entries.as_mut_ptr(), entries.len() as u64, TICK.as_millis() as i32);
        }
    }

    /// Takes input from the host; its end, if there is none.
    fn take(&mut self, bytes: &[u8]) {
        match (bytes.is_empty(), self.input.is_some()) {
            (true, _) => self.is_all = true,
            (false, true) => self.pending.extend(bytes),
            // Nobody reads it.
            (false, false) => self.taken += bytes.len() as u64,
        }
    }

    /// Writes of its input what it takes; whether it took any.
    fn feed(&mut self, channel: &mut Channel) -> io::Result<bool> {
        while let Some(input) = &mut self.input {
            let (front, _) = self.pending.as_slices();
            if front.is_empty() {
                if self.is_all {
                    self.input = None;
                }
                break;
            }
            match input.write(front) {
                Ok(count) => {
                    self.pending.drain(..count);
                    self.taken += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.taken += self.pending.len() as u64;
                    self.pending.clear();
                    self.input = None;
                }
            }
        }
        match std::mem::take(&mut self.taken) {
            0 => Ok(false),
            bytes => frame::write(channel, &Reply::Took { bytes }, &[]).map(|()| true),
        }
    }

    /// Sends a signal to the program and all it started.
    fn signal(&self, number: i32) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            // SAFETY: a group whose leader is not reaped yet.
            unsafe { libc::kill(-group, number) };
        }
    }
}

/// The two ends of a stream that the program writes to: a pipe, or a terminal
/// that changes nothing of what is written.
fn stream(terminal: Option<&Terminal>) -> io::Result<(File, File)> {
    let Some(terminal) = terminal else {
        let (ours, theirs) = pipe()?;
        return Ok((ours.into(), theirs.into()));
    };
    let ours = File::options().read(true).write(true).open(MULTIPLEXER)?;
    // SAFETY: plain calls on an open terminal with values that they read, or
    // fill; the descriptor is ours if there is one.
    unsafe {
        let unlocked: libc::c_int = 0;
        if libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) != 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let theirs = libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags);
        if theirs < 0 {
            return Err(io::Error::last_os_error());
        }
        let theirs = File::from_raw_fd(theirs);
        let mut settings = std::mem::zeroed::<libc::termios>();
        libc::tcgetattr(theirs.as_raw_fd(), &mut settings);
        libc::cfmakeraw(&mut settings);
        libc::tcsetattr(theirs.as_raw_fd(), libc::TCSANOW, &settings);
        let size = libc::winsize {
            ws_row: terminal.rows,
            ws_col: terminal.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        libc::ioctl(theirs.as_raw_fd(), libc::TIOCSWINSZ, &raw const size);
        Ok((ours, theirs))
    }
}

/// A line for the shell that waits until the program has attached what it
/// attaches.
struct Workload<'l> {
    line: &'l str,
    started: Instant,
    /// How many programs and links there are, and since when.
    seen: (usize, Instant),
    /// How often the program was looked at since then, and how often it was
    /// not waiting.
    looks: (u32, u32),
    state: State,
}

enum State {
    /// The program may go on attaching.
    Waiting,
    /// The shell runs the line.
    Running(Piped),
    /// It ended with this exit code, at that time.
    Ended(i32, Instant),
    /// The host was told.
    Told,
}

impl<'l> Workload<'l> {
    fn new(line: &'l str) -> Self {
        let started = Instant::now();
        Self { line, started, seen: (0, started), looks: (0, 0), state: State::Waiting }
    }

    fn piped(&self) -> Option<&Piped> {
        match &self.state {
            State::Running(piped) => Some(piped),
            _ => None,
        }
    }

    fn into_piped(self) -> Option<Piped> {
        match self.state {
            State::Running(piped) => Some(piped),
            _ => None,
        }
    }

    /// Whether the program has attached what it attaches, as far as can be
    /// told from outside: nothing new for a while, in which it mostly waited.
    fn is_settled(&mut self, count: usize, is_busy: bool) -> bool {
        self.looks = (self.looks.0 + 1, self.looks.1 + u32::from(is_busy));
        let settled = if count > 0 { SETTLED } else { NOTHING };
        let is_over = count == self.seen.0 && self.seen.1.elapsed() >= settled;
        let waited = self.looks.1 * 2 < self.looks.0;
        if count != self.seen.0 || is_over {
            self.seen = (count, Instant::now());
            self.looks = (0, 0);
        }
        is_over && waited
    }

    /// Goes on with it; whether anything happened.
    fn go_on(&mut self, pid: u32, channel: &mut Channel) -> io::Result<bool> {
        match std::mem::replace(&mut self.state, State::Told) {
            State::Waiting => {
                let is_ready = self.is_settled(attached(), is_busy(pid));
                self.state = match is_ready || self.started.elapsed() >= PATIENCE {
                    true => State::Running(Piped::start(&[], self.line.as_bytes())?),
                    false => State::Waiting,
                };
                Ok(false)
            }
            State::Running(mut piped) => {
                let happened = piped.pass_on(channel)?;
                self.state = match piped.is_silent() {
                    true => State::Ended(piped.wait(), Instant::now()),
                    false => State::Running(piped),
                };
                Ok(happened)
            }
            State::Ended(code, at) if at.elapsed() >= AFTERMATH => {
                frame::write(channel, &Reply::WorkloadEnded { code }, &[])?;
                Ok(true)
            }
            state => {
                self.state = state;
                Ok(false)
            }
        }
    }
}

/// How many programs and links the kernel has. skep's own are none of them:
/// it attaches nothing where a user's program does.
fn attached() -> usize {
    let count = |next: unsafe extern "C" fn(u32, *mut u32) -> i32| {
        let mut id = 0;
        // SAFETY: both numbers are valid for the call.
        (0..).take_while(|_| unsafe { next(id, &mut id) } == 0).count()
    };
    count(sys::bpf_prog_get_next_id) + count(sys::bpf_link_get_next_id)
}

/// Whether a process runs, or would if it could (proc_pid_stat(5): `state`).
fn is_busy(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
}
