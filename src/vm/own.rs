//! The kernel that skep itself runs on, without a virtual machine: a child
//! process of skep's own executable loads there what a guest would load in its
//! kernel. Nothing is attached.

use super::Error;
use super::loader::{Each, Loader, Peer, converse};
use super::machine::Tail;
use crate::base::Cancel;
use crate::base::process::{Command, Running};
use crate::bpf::ProgramType;
use crate::wire::{self, Hello, Probe, Reply, Request, frame};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest wait for the other side before everything else is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long the process may take to come up. It parses the kernel's BTF.
const PATIENCE: Duration = Duration::from_secs(60);

/// The machine's own kernel, and a process that loads objects into it when
/// one is needed.
pub struct Own<'o> {
    executable: &'o Path,
    limit: Duration,
    cancel: &'o Cancel,
    process: Option<Process>,
}

/// The process that loads, and the wires to it.
struct Process {
    running: Running,
    stream: UnixStream,
    output: Tail,
    hello: Hello,
}

impl<'o> Own<'o> {
    /// Loads with skep's `executable`, each program within `limit`.
    pub fn new(executable: &'o Path, limit: Duration, cancel: &'o Cancel) -> Self {
        Self { executable, limit, cancel, process: None }
    }

    /// Has the process up, and asks the kernel whether it lets this user load
    /// anything at all; what it says of itself.
    ///
    /// # Errors
    /// [`Error::Denied`] if the kernel refuses.
    pub fn start(&mut self) -> Result<Hello, Error> {
        let hello = self.process()?.hello.clone();
        // r0 = 0; exit: of a kind that is for users with privileges only.
        let probe = Probe {
            program_type: ProgramType::Kprobe as u32,
            attach_type: 0,
            attach_btf_id: 0,
            flags: 0,
            insns: vec![[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]],
        };
        match self.probe(vec![probe])?.first() {
            Some(answer) if answer.errno == 0 => Ok(hello),
            Some(answer) => Err(Error::Denied { errno: answer.errno, release: hello.release }),
            None => Err(Error::Guest("it did not answer".into())),
        }
    }

    fn process(&mut self) -> Result<&mut Process, Error> {
        let process = match self.process.take() {
            Some(process) => process,
            None => Process::start(self.executable, self.cancel)?,
        };
        Ok(self.process.insert(process))
    }
}

impl Loader for Own<'_> {
    fn program_limit(&self) -> Duration {
        self.limit
    }

    fn talk(&mut self, request: &Request, blob: &[u8], each: &mut Each<'_>) -> Result<(), Error> {
        let (limit, cancel) = (self.limit, self.cancel);
        let result = converse(self.process()?, limit, cancel, (request, blob), each);
        if result.is_err() {
            self.process = None;
        }
        result
    }
}

impl Process {
    fn start(executable: &Path, cancel: &Cancel) -> Result<Self, Error> {
        let pair = || UnixStream::pair().map_err(Error::System);
        let (stream, stream_there) = pair()?;
        let (output, output_there) = pair()?;
        stream.set_read_timeout(Some(TICK)).map_err(Error::System)?;
        stream.set_write_timeout(Some(TICK)).map_err(Error::System)?;
        let stream_there = OwnedFd::from(stream_there);
        let running = Command::new(executable)
            .arg(wire::LOADER)
            .arg(stream_there.as_raw_fd().to_string())
            .start(vec![stream_there], output_there.into())?;
        let hello = Hello { version: 0, release: String::new(), libbpf: String::new(), btf: false };
        let mut process = Self { running, stream, output: Tail::of(output), hello };
        process.send(&Request::Wake, &[], PATIENCE, cancel)?;
        match process.receive(PATIENCE, cancel)? {
            (Reply::Hello(hello), _) if hello.version == wire::VERSION => process.hello = hello,
            (reply, _) => return Err(process.gone(&format!("it says {reply:?}"))),
        }
        Ok(process)
    }

    fn patiently<'p>(&'p self, limit: Duration, cancel: &'p Cancel) -> Patient<'p> {
        Patient { stream: &self.stream, deadline: Instant::now() + limit, cancel }
    }

    fn broken(&self, error: &io::Error, cancel: &Cancel) -> Error {
        match error.kind() {
            _ if cancel.is_cancelled() => Error::Cancelled,
            io::ErrorKind::TimedOut => self.gone("it does not answer"),
            // What closed the stream is about to be known.
            _ => self.gone(&match self.running.kill() {
                status if status.success() => error.to_string(),
                status => crate::base::process::ending(status),
            }),
        }
    }

    fn gone(&self, reason: &str) -> Error {
        self.running.kill();
        self.output.wait();
        Error::Gone { reason: reason.to_owned(), said: self.output.text() }
    }
}

impl Peer for Process {
    fn send(
        &mut self,
        request: &Request,
        blob: &[u8],
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let result = frame::write(&mut self.patiently(limit, cancel), request, blob);
        result.map_err(|error| self.broken(&error, cancel))
    }

    fn receive(&mut self, limit: Duration, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Error> {
        let result = frame::read(&mut self.patiently(limit, cancel));
        result.map_err(|error| self.broken(&error, cancel))
    }
}

/// A stream that waits for the other side, for as long as it may.
struct Patient<'p> {
    stream: &'p UnixStream,
    deadline: Instant,
    cancel: &'p Cancel,
}

impl Patient<'_> {
    fn wait<T>(&self, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match act() {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    if self.cancel.is_cancelled() || Instant::now() > self.deadline {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                result => return result,
            }
        }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.stream;
        self.wait(|| stream.read(bytes))
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.stream;
        self.wait(|| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
