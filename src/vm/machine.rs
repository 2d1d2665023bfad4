//! One machine under way: its process, its console and its channel.

use super::Error;
use super::loader::Peer;
use super::monitor::Monitor;
use super::qemu::{Memory, Settings, Wires};
use super::snapshot::Snapshot;
use crate::base::Cancel;
use crate::base::process::{Command, Running};
use crate::wire::ring::{End, Ring};
use crate::wire::{self, CHANNEL_SIZE, Hello, Reply, Request, frame};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is kept of a console: enough for a kernel's last words.
const CONSOLE: usize = 64 << 10;
/// How many lines of it are shown.
const CONSOLE_LINES: usize = 30;
/// How many of them are those where the trouble began.
const BEGINNING_LINES: usize = 10;
/// How a kernel begins to tell of its end (arch/x86/kernel/dumpstack.c,
/// arch/x86/mm/fault.c, kernel/panic.c, lib/bug.c).
const ENDS: &[&str] = &[
    "Kernel panic",
    "BUG: ",
    "kernel BUG at",
    "Oops: ",
    "general protection fault",
    "Internal error",
];
/// The longest wait for the doorbell before everything else is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long a restored guest may take to answer: it takes a tenth of a second
/// where nothing else runs.
const RESTORE_LIMIT: Duration = Duration::from_secs(20);

/// A machine that booted and waits for requests.
#[derive(Debug)]
pub struct Machine {
    line: Line,
    /// What the guest said of itself.
    pub hello: Hello,
}

/// The process and the wires to it.
#[derive(Debug)]
struct Line {
    running: Running,
    console: Tail,
    console_input: UnixStream,
    output: Tail,
    monitor: Monitor,
    /// The number under which QEMU has the state it is to restore.
    saved_state: Option<RawFd>,
    doorbell: UnixStream,
    ring: Ring,
    serial: Serial,
    // Behind the ring: fields are dropped in order.
    _memory: memmap2::MmapRaw,
}

/// The serial line that stands for the ring where a guest cannot use it.
#[derive(Debug)]
struct Serial {
    stream: UnixStream,
    /// The guest talks over it.
    in_use: bool,
}

/// How a machine begins.
pub(super) enum Start<'s> {
    /// It boots.
    Boot {
        /// An image that QEMU's `-kernel` takes.
        kernel: &'s [u8],
        /// The root file system's archive.
        initramfs: &'s [u8],
        /// The file that is to keep the guest's memory, if it is to be saved.
        memory: Option<&'s File>,
    },
    /// It goes on where a snapshot was taken.
    Restore(&'s Snapshot),
}

/// Who gets what the console shows, as it comes.
pub type Follower = Box<dyn FnMut(&[u8]) + Send>;

impl Machine {
    /// Starts a machine and waits until the guest is there.
    pub fn start(settings: &Settings, start: &Start<'_>, cancel: &Cancel) -> Result<Self, Error> {
        let limit = match start {
            Start::Boot { .. } => settings.boot_limit,
            Start::Restore(_) => RESTORE_LIMIT,
        };
        let mut sandbox = true;
        loop {
            let mut line = Line::start(settings, start, sandbox)?;
            match line.wake(limit, cancel) {
                Ok(hello) => return Ok(Self { line, hello }),
                Err(Broken::Cancelled) => return Err(Error::Cancelled),
                // A QEMU built without seccomp says so and ends at once.
                Err(_) if sandbox && line.output.text().contains("sandbox") => sandbox = false,
                Err(broken) => {
                    let reason = broken.to_string();
                    return Err(Error::NotBooted { reason, console: line.last_words() });
                }
            }
        }
    }

    /// Saves devices and processor into a file and ends the machine. Its
    /// memory is in the file it was started with.
    ///
    /// Says whether its guest talks over the serial line.
    pub fn save(mut self, state: &File) -> Result<bool, Error> {
        self.line.monitor.save(state.as_fd())?;
        Ok(self.line.serial.in_use)
    }

    /// Waits a little for the guest to say something; whether it has.
    pub fn listen(&mut self) -> Result<bool, Error> {
        let line = &mut self.line;
        let is_waiting = |line: &Line| match line.serial.in_use {
            true => Ok(line.serial.has_bytes()),
            false => line.ring.is_empty().map(|is_empty| !is_empty),
        };
        if is_waiting(line).map_err(Error::System)? {
            return Ok(true);
        }
        match line.serial.in_use {
            true => std::thread::sleep(TICK / 4),
            false => {
                // A timeout is as good as a ring. Whether the process ended is
                // found out by who reads.
                if let Ok(0) = line.doorbell.read(&mut [0; 256]) {
                    std::thread::sleep(TICK);
                }
            }
        }
        is_waiting(line).map_err(Error::System)
    }

    /// Hands on what the console shows from now on.
    pub fn follow_console(&self, follower: Follower) {
        self.line.console.follow(follower);
    }

    /// Where the console's keyboard is: what is written there is typed.
    pub fn keyboard(&self) -> Result<UnixStream, Error> {
        self.line.console_input.try_clone().map_err(Error::System)
    }

    /// Waits until what the guest wrote to the console has come here: it has
    /// left the guest, but a thread has to read it.
    pub fn settle(&self) {
        let mut before = self.line.console.seen();
        loop {
            std::thread::sleep(TICK);
            let now = self.line.console.seen();
            if now == before {
                return;
            }
            before = now;
        }
    }

    fn lost(&self, broken: Broken) -> Error {
        match broken {
            Broken::Cancelled => Error::Cancelled,
            broken => Error::Lost { reason: broken.to_string(), console: self.line.last_words() },
        }
    }
}

impl Line {
    fn start(settings: &Settings, start: &Start<'_>, sandbox: bool) -> Result<Self, Error> {
        let pair = || UnixStream::pair().map_err(Error::System);
        let (console, console_there) = pair()?;
        let console_input = console.try_clone().map_err(Error::System)?;
        let (serial, serial_there) = pair()?;
        let (doorbell, doorbell_there) = pair()?;
        let (monitor, monitor_there) = pair()?;
        let (output, output_there) = pair()?;
        let channel = memory_file_of(CHANNEL_SIZE)?;
        let memory = memmap2::MmapRaw::map_raw(&channel).map_err(Error::System)?;
        let copy = |file: &File| file.try_clone().map(OwnedFd::from).map_err(Error::System);

        let mut inherited: Vec<OwnedFd> = Vec::new();
        let mut keep = |fd: OwnedFd| {
            let number = fd.as_raw_fd();
            inherited.push(fd);
            number
        };
        let wires = Wires {
            console: keep(console_there.into()),
            serial: keep(serial_there.into()),
            doorbell: keep(doorbell_there.into()),
            monitor: keep(monitor_there.into()),
            channel: keep(channel),
        };
        let mut saved_state = None;
        let mut in_use = false;
        let (backing, more) = match start {
            Start::Boot { kernel, initramfs, memory } => {
                let backing = match memory {
                    Some(file) => Memory::Kept(keep(copy(file)?)),
                    None => Memory::Anonymous,
                };
                let (kernel, initrd) = (keep(memory_file(kernel)?), keep(memory_file(initramfs)?));
                (backing, settings.boot(kernel, initrd, memory.is_some()))
            }
            Start::Restore(snapshot) => {
                saved_state = Some(keep(copy(&snapshot.state)?));
                in_use = snapshot.serial;
                let backing = Memory::Copied(keep(copy(&snapshot.ram)?));
                (backing, vec!["-incoming".to_owned(), "defer".to_owned()])
            }
        };
        let running = Command::new(settings.qemu.path())
            .args(settings.machine(&wires, backing, sandbox))
            .args(more)
            .start(inherited, output_there.into(), None)?;
        doorbell.set_read_timeout(Some(TICK)).map_err(Error::System)?;
        serial.set_read_timeout(Some(TICK)).map_err(Error::System)?;
        serial.set_write_timeout(Some(TICK)).map_err(Error::System)?;
        // SAFETY: the mapping has this size, is page-aligned and is dropped
        // behind the ring; nobody here refers into it otherwise.
        let ring = unsafe { Ring::new(memory.as_mut_ptr(), CHANNEL_SIZE as usize, End::Host) };
        Ok(Self {
            running,
            console: Tail::of(console),
            console_input,
            output: Tail::of(output),
            monitor: Monitor::new(monitor)?,
            saved_state,
            doorbell,
            ring,
            serial: Serial { stream: serial, in_use },
            _memory: memory,
        })
    }

    /// Restores what is to be restored, and waits until the guest answers.
    fn wake(&mut self, limit: Duration, cancel: &Cancel) -> Result<Hello, Broken> {
        if let Some(state) = self.saved_state.take() {
            let ended = |error: Error| Broken::Ended(error.to_string());
            self.monitor.restore(state).map_err(ended)?;
            if self.serial.in_use {
                // What comes before the line's state is restored is lost.
                self.monitor.wait_until_running().map_err(ended)?;
            }
        }
        let deadline = Instant::now() + limit;
        let wake = Request::Wake;
        self.send(&wake, &[], deadline, cancel)?;
        let answer = match self.receive(deadline, cancel) {
            // The guest cannot use the ring, and said so while we waited.
            Err(Broken::Switched) => {
                self.serial.in_use = true;
                self.send(&wake, &[], deadline, cancel)?;
                self.receive(deadline, cancel)?
            }
            answer => answer?,
        };
        match answer {
            (Reply::Hello(hello), _) if hello.version == wire::VERSION => Ok(hello),
            (reply, _) => Err(Broken::Garbled(format!("{reply:?}"))),
        }
    }

    fn send(
        &mut self,
        request: &Request,
        blob: &[u8],
        deadline: Instant,
        cancel: &Cancel,
    ) -> Result<(), Broken> {
        let mut stream = Stream { line: self, deadline, cancel, broken: None };
        let result = frame::write(&mut stream, request, blob);
        stream.result(result)
    }

    fn receive(&mut self, deadline: Instant, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Broken> {
        let mut stream = Stream { line: self, deadline, cancel, broken: None };
        let result = frame::read(&mut stream);
        stream.result(result)
    }

    /// The console's last lines with those where a kernel's end began, and what
    /// QEMU itself said.
    fn last_words(&self) -> String {
        // What was on its way is still read by the console's thread.
        if self.running.status().is_some() {
            self.console.wait();
            self.output.wait();
        }
        let (console, output) = (self.console.text(), self.output.text());
        excerpt(&console.lines().chain(output.lines()).collect::<Vec<_>>())
    }
}

/// What is shown of a console: its last lines, and what a kernel said first of
/// its end where the stacks after that are longer.
fn excerpt(lines: &[&str]) -> String {
    let last = lines.len().saturating_sub(CONSOLE_LINES);
    let is_end = |line: &&str| ENDS.iter().any(|end| line.contains(end));
    match lines[..last].iter().position(is_end) {
        None => lines[last..].join("\n"),
        Some(first) => {
            let beginning = &lines[first..last.min(first + BEGINNING_LINES)];
            let rest = &lines[last + beginning.len()..];
            [&beginning.join("\n"), "[...]", &rest.join("\n")].join("\n")
        }
    }
}

impl Peer for Machine {
    fn send(
        &mut self,
        request: &Request,
        blob: &[u8],
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        self.line.send(request, blob, deadline, cancel).map_err(|broken| self.lost(broken))
    }

    fn receive(&mut self, limit: Duration, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Error> {
        let deadline = Instant::now() + limit;
        self.line.receive(deadline, cancel).map_err(|broken| self.lost(broken))
    }
}

/// Why a conversation cannot go on.
#[derive(Debug)]
enum Broken {
    Ended(String),
    Silent(Duration),
    Garbled(String),
    /// It talks over the serial line from now on.
    Switched,
    Cancelled,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(how) => write!(f, "QEMU ended ({how})"),
            Self::Silent(time) => write!(f, "nothing was heard of it for {} s", time.as_secs()),
            Self::Garbled(reason) => write!(f, "what it said makes no sense: {reason}"),
            Self::Switched => f.write_str("it changed the channel in the middle of a message"),
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

/// The ring (or the serial line in its place) as a reader and writer that waits, for as long as it may.
struct Stream<'l> {
    line: &'l mut Line,
    deadline: Instant,
    cancel: &'l Cancel,
    broken: Option<Broken>,
}

impl Stream<'_> {
    fn result<T>(self, result: io::Result<T>) -> Result<T, Broken> {
        match (result, self.broken) {
            (Ok(value), _) => Ok(value),
            (Err(_), Some(broken)) => Err(broken),
            (Err(error), None) => Err(Broken::Garbled(error.to_string())),
        }
    }

    /// Waits for the doorbell, a little; fails if waiting is in vain.
    fn wait(&mut self, started: Instant) -> io::Result<()> {
        let mut bytes = [0; 256];
        // A timeout is as good as a ring; an end is noticed below.
        let ended =
            !self.line.serial.in_use && matches!(self.line.doorbell.read(&mut bytes), Ok(0));
        let broken = if self.cancel.is_cancelled() {
            Broken::Cancelled
        } else if let Some(status) = self.line.running.status() {
            if !self.line.ring.is_empty()? {
                return Ok(());
            }
            Broken::Ended(status.to_string())
        } else if Instant::now() > self.deadline {
            Broken::Silent(started.elapsed())
        } else if !self.line.serial.in_use && self.line.serial.is_ready() {
            Broken::Switched
        } else {
            if ended {
                std::thread::sleep(TICK);
            }
            return Ok(());
        };
        self.broken = Some(broken);
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let started = Instant::now();
        loop {
            let count = match self.line.serial.in_use {
                false => self.line.ring.read(bytes)?,
                true => self.line.serial.patiently(|mut stream| stream.read(bytes))?,
            };
            match count {
                0 if !bytes.is_empty() => self.wait(started)?,
                count => return Ok(count),
            }
        }
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let started = Instant::now();
        loop {
            let count = match self.line.serial.in_use {
                false => self.line.ring.write(bytes)?,
                true => self.line.serial.patiently(|mut stream| stream.write(bytes))?,
            };
            match count {
                0 if !bytes.is_empty() => self.wait(started)?,
                count => return Ok(count),
            }
        }
    }

    /// The guest looks by itself.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Serial {
    /// Whether the guest said that it uses the line; takes the byte.
    fn is_ready(&self) -> bool {
        let mut byte = [0];
        // SAFETY: a buffer of one byte.
        let count = unsafe {
            libc::recv(self.stream.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT)
        };
        count == 1 && byte[0] == wire::SERIAL_READY
    }

    /// Whether there is something to read.
    fn has_bytes(&self) -> bool {
        let mut entry =
            libc::pollfd { fd: self.stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        unsafe { libc::poll(&mut entry, 1, 0) > 0 }
    }

    /// Reads or writes; nothing, if that cannot be done for now.
    fn patiently(&self, act: impl FnOnce(&UnixStream) -> io::Result<usize>) -> io::Result<usize> {
        match act(&self.stream) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Ok(0)
            }
            result => result,
        }
    }
}

/// The end of a text that a thread reads.
pub(super) struct Tail {
    kept: Arc<Mutex<Kept>>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

/// What is kept of it, and who wants all of it.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// How many there were in all.
    seen: u64,
    follower: Option<Follower>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tail").field(&self.text()).finish()
    }
}

impl Tail {
    /// The end of what comes over this stream.
    pub(super) fn of(mut stream: UnixStream) -> Self {
        let shared = Arc::new(Mutex::new(Kept::default()));
        let kept = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(follower) = &mut kept.follower {
                    follower(&buffer[..count]);
                }
                kept.seen += count as u64;
                kept.bytes.extend_from_slice(&buffer[..count]);
                let surplus = kept.bytes.len().saturating_sub(CONSOLE);
                // In large steps, so that a flood is not moved byte by byte.
                if surplus > CONSOLE {
                    kept.bytes.drain(..surplus);
                }
            }
        });
        Self { kept: shared, reader: Mutex::new(Some(reader)) }
    }

    fn seen(&self) -> u64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).seen
    }

    fn follow(&self, follower: Follower) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).follower = Some(follower);
    }

    /// Waits for the end of the text.
    pub(super) fn wait(&self) {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            drop(reader.join());
        }
    }

    /// The end of what came so far.
    pub(super) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.bytes).replace('\r', "")
    }
}

/// A file in memory with this content.
pub(super) fn memory_file(content: &[u8]) -> Result<OwnedFd, Error> {
    let mut file = File::from(memory_file_of(0)?);
    file.write_all(content).map_err(Error::System)?;
    Ok(file.into())
}

/// A file in memory of this size, all zero.
fn memory_file_of(size: u64) -> Result<OwnedFd, Error> {
    // SAFETY: a plain system call with a constant name; the result is ours.
    let fd = unsafe {
        match libc::memfd_create(c"skep".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => return Err(Error::System(io::Error::last_os_error())),
            fd => OwnedFd::from_raw_fd(fd),
        }
    };
    let file = File::from(fd);
    file.set_len(size).map_err(Error::System)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stack_does_not_hide_why_there_is_one() {
        let stack: Vec<String> = (0..60).map(|frame| format!("[    4.1]  frame_{frame}")).collect();
        let mut lines = vec!["[    1.0] Run /init", "[    4.1] Kernel panic - not syncing: why"];
        lines.extend(stack.iter().map(String::as_str));
        let text = excerpt(&lines);
        let shown: Vec<&str> = text.lines().collect();
        assert_eq!(shown[0], lines[1]);
        assert_eq!(shown[BEGINNING_LINES], "[...]");
        assert_eq!(shown.last(), Some(&"[    4.1]  frame_59"));
        assert_eq!(shown.len(), CONSOLE_LINES + 1);
    }

    #[test]
    fn a_short_console_is_shown_as_it_is() {
        let lines = ["[    4.1] Kernel panic - not syncing: why", "[    4.2]  frame"];
        assert_eq!(excerpt(&lines), lines.join("\n"));
        let calm = ["line"; 40];
        assert_eq!(excerpt(&calm), ["line"; CONSOLE_LINES].join("\n"));
    }
}
