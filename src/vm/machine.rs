//! One machine under way: its process, its console and its channel.

use super::Error;
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
use std::time::{Duration, Instant, SystemTime};

/// What is kept of a console: enough for a kernel's last words.
const CONSOLE: usize = 64 << 10;
/// How many lines of it are shown.
const CONSOLE_LINES: usize = 30;
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
    output: Tail,
    monitor: Monitor,
    /// The number under which QEMU has the state it is to restore.
    saved_state: Option<RawFd>,
    doorbell: UnixStream,
    ring: Ring,
    // Behind the ring: fields are dropped in order.
    _memory: memmap2::MmapRaw,
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
    pub fn save(mut self, state: &File) -> Result<(), Error> {
        self.line.monitor.save(state.as_fd())
    }

    /// Sends a request.
    pub fn send(
        &mut self,
        request: &Request,
        blob: &[u8],
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        self.line.send(request, blob, deadline, cancel).map_err(|broken| self.lost(broken))
    }

    /// Waits for the next reply, at most `limit`.
    pub fn receive(&mut self, limit: Duration, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Error> {
        let deadline = Instant::now() + limit;
        self.line.receive(deadline, cancel).map_err(|broken| self.lost(broken))
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
            doorbell: keep(doorbell_there.into()),
            monitor: keep(monitor_there.into()),
            channel: keep(channel),
        };
        let mut saved_state = None;
        let (backing, more) = match start {
            Start::Boot { kernel, initramfs, memory } => {
                let backing = match memory {
                    Some(file) => Memory::Kept(keep(copy(file)?)),
                    None => Memory::Anonymous,
                };
                let (kernel, initrd) = (keep(memory_file(kernel)?), keep(memory_file(initramfs)?));
                (backing, settings.boot(kernel, initrd))
            }
            Start::Restore(snapshot) => {
                saved_state = Some(keep(copy(&snapshot.state)?));
                let backing = Memory::Copied(keep(copy(&snapshot.ram)?));
                (backing, vec!["-incoming".to_owned(), "defer".to_owned()])
            }
        };
        let running = Command::new(settings.qemu.path())
            .args(settings.machine(&wires, backing, sandbox))
            .args(more)
            .start(inherited, output_there.into())?;
        doorbell.set_read_timeout(Some(TICK)).map_err(Error::System)?;
        // SAFETY: the mapping has this size, is page-aligned and is dropped
        // behind the ring; nobody here refers into it otherwise.
        let ring = unsafe { Ring::new(memory.as_mut_ptr(), CHANNEL_SIZE as usize, End::Host) };
        Ok(Self {
            running,
            console: Tail::of(console),
            output: Tail::of(output),
            monitor: Monitor::new(monitor)?,
            saved_state,
            doorbell,
            ring,
            _memory: memory,
        })
    }

    /// Restores what is to be restored, and waits until the guest answers.
    fn wake(&mut self, limit: Duration, cancel: &Cancel) -> Result<Hello, Broken> {
        if let Some(state) = self.saved_state.take() {
            self.monitor.restore(state).map_err(|error| Broken::Ended(error.to_string()))?;
        }
        let deadline = Instant::now() + limit;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut seed = [0; 32];
        // SAFETY: the buffer has this size. If there is no randomness to be
        // had, the guest does without.
        unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
        let wake = Request::Wake { now_ns: now.as_nanos() as u64, seed };
        self.send(&wake, &[], deadline, cancel)?;
        match self.receive(deadline, cancel)? {
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

    /// The console's last lines, and what QEMU itself said.
    fn last_words(&self) -> String {
        // What was on its way is still read by the console's thread.
        if self.running.status().is_some() {
            self.console.wait();
            self.output.wait();
        }
        let (console, output) = (self.console.text(), self.output.text());
        let lines: Vec<&str> = console.lines().chain(output.lines()).collect();
        lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n")
    }
}

/// Why a conversation cannot go on.
#[derive(Debug)]
enum Broken {
    Ended(String),
    Silent(Duration),
    Garbled(String),
    Cancelled,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(how) => write!(f, "QEMU ended ({how})"),
            Self::Silent(time) => write!(f, "nothing was heard of it for {} s", time.as_secs()),
            Self::Garbled(reason) => write!(f, "what it said makes no sense: {reason}"),
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

/// The ring as a reader and writer that waits, for as long as it may.
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
        let ended = matches!(self.line.doorbell.read(&mut bytes), Ok(0));
        let broken = if self.cancel.is_cancelled() {
            Broken::Cancelled
        } else if let Some(status) = self.line.running.status() {
            if !self.line.ring.is_empty()? {
                return Ok(());
            }
            Broken::Ended(status.to_string())
        } else if Instant::now() > self.deadline {
            Broken::Silent(started.elapsed())
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
            match self.line.ring.read(bytes)? {
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
            match self.line.ring.write(bytes)? {
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

/// The end of a text that a thread reads.
#[derive(Debug)]
struct Tail {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl Tail {
    fn of(mut stream: UnixStream) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..count]);
                let surplus = kept.len().saturating_sub(CONSOLE);
                // In large steps, so that a flood is not moved byte by byte.
                if surplus > CONSOLE {
                    kept.drain(..surplus);
                }
            }
        });
        Self { bytes, reader: Mutex::new(Some(reader)) }
    }

    /// Waits for the end of the text.
    fn wait(&self) {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            drop(reader.join());
        }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).replace('\r', "")
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
