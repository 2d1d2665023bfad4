//! The kernel that skep itself runs on, without a virtual machine: a child
//! process of skep's own executable loads there what a guest would load in its
//! kernel, or attaches it if that is what the user wants.

use super::Error;
use super::loader::{Each, Loader, Peer, converse};
use super::machine::Tail;
use crate::base::Cancel;
use crate::base::process::{self, Command, Companion, Running};
use crate::bpf::ProgramType;
use crate::wire::{self, Hello, Probe, Reply, Request, frame};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// The longest wait for the other side before everything else is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long the process may take to come up. It parses the kernel's BTF.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the user may take to say who they are.
const LOGIN: Duration = Duration::from_secs(60 * 60);
/// How long the process may take to detach what it has attached.
const GRACE: Duration = Duration::from_secs(20);

/// How the process that loads comes to the rights that it needs.
#[derive(Clone, Debug)]
pub enum Rights {
    /// It has those that skep has, or none, and attaches nothing: so it may be
    /// killed.
    Plain,
    /// It is root as skep is, and detaches what it has attached before it ends.
    Root,
    /// The same, but this `sudo` makes it root.
    Sudo(PathBuf),
}

/// The machine's own kernel, and a process that loads objects into it when
/// one is needed.
pub struct Own<'o> {
    executable: &'o Path,
    rights: Rights,
    limit: Duration,
    cancel: &'o Cancel,
    process: Option<Process>,
}

/// The process that loads, and the wires to it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: File,
    replies: File,
    hello: Hello,
}

#[derive(Debug)]
enum Child {
    /// It ends when we do, in whatever way; and what it wrote.
    Tied(Running, Tail),
    /// It ends when requests do.
    Free(Companion),
}

impl<'o> Own<'o> {
    /// Loads with skep's `executable`, each program within `limit`.
    pub fn new(executable: &'o Path, rights: Rights, limit: Duration, cancel: &'o Cancel) -> Self {
        Self { executable, rights, limit, cancel, process: None }
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
            Some(answer) => {
                let is_root = match self.rights {
                    Rights::Plain => process::is_root(),
                    Rights::Root | Rights::Sudo(_) => true,
                };
                Err(Error::Denied { errno: answer.errno, release: hello.release, is_root })
            }
            None => Err(Error::Guest("it did not answer".into())),
        }
    }

    /// The process, for something else than to load.
    pub(super) fn into_process(mut self) -> Result<Process, Error> {
        self.process()?;
        self.process.take().ok_or_else(|| Error::Guest("it is gone".into()))
    }

    fn process(&mut self) -> Result<&mut Process, Error> {
        let process = match self.process.take() {
            Some(process) => process,
            None => Process::start(self.executable, &self.rights, self.cancel)?,
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
    fn start(executable: &Path, rights: &Rights, cancel: &Cancel) -> Result<Self, Error> {
        let hello = Hello { version: 0, release: String::new(), libbpf: String::new(), btf: false };
        let (child, requests, replies) = match rights {
            Rights::Plain => tied(executable)?,
            Rights::Root => free(Command::new(executable))?,
            Rights::Sudo(sudo) => free(Command::new(sudo).arg("--").arg(executable))?,
        };
        let mut process = Self { child, requests, replies, hello };
        let patience = match rights {
            Rights::Sudo(_) => LOGIN,
            Rights::Plain | Rights::Root => PATIENCE,
        };
        let said = process
            .send(&Request::Wake, &[], patience, cancel)
            .and_then(|()| process.receive(patience, cancel));
        match said {
            Ok((Reply::Hello(hello), _)) if hello.version == wire::VERSION => process.hello = hello,
            Ok((reply, _)) => return Err(process.gone(&format!("it says {reply:?}"))),
            // It is for sudo to say why.
            Err(Error::Gone { reason, .. }) if matches!(rights, Rights::Sudo(_)) => {
                return Err(Error::NoRoot { reason });
            }
            Err(error) => return Err(error),
        }
        Ok(process)
    }

    /// What it replies over, to be polled.
    pub fn replies(&self) -> &File {
        &self.replies
    }

    fn broken(&mut self, error: &io::Error, cancel: &Cancel) -> Error {
        match error.kind() {
            _ if cancel.is_cancelled() => Error::Cancelled,
            io::ErrorKind::TimedOut => self.gone("it does not answer"),
            // What closed the stream is about to be known.
            _ => {
                let reason = match self.end() {
                    Some(status) if !status.success() => process::ending(status),
                    _ => error.to_string(),
                };
                self.gone(&reason)
            }
        }
    }

    /// Has it end, and waits for that; how it ended.
    fn end(&mut self) -> Option<ExitStatus> {
        match &mut self.child {
            Child::Tied(running, _) => Some(running.kill()),
            Child::Free(companion) => {
                // Neither has another side then.
                if let Ok((reader, writer)) = io::pipe() {
                    self.requests = File::from(OwnedFd::from(writer));
                    self.replies = File::from(OwnedFd::from(reader));
                }
                companion.wait(GRACE)
            }
        }
    }

    fn gone(&mut self, reason: &str) -> Error {
        self.end();
        let said = match &self.child {
            Child::Tied(_, output) => {
                output.wait();
                output.text()
            }
            // The user has seen it.
            Child::Free(_) => String::new(),
        };
        Error::Gone { reason: reason.to_owned(), said }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a process that dies with us, in whatever way that is.
fn tied(executable: &Path) -> Result<(Child, File, File), Error> {
    let pair = || UnixStream::pair().map_err(Error::System);
    let (stream, stream_there) = pair()?;
    let (output, output_there) = pair()?;
    stream.set_nonblocking(true).map_err(Error::System)?;
    let stream_there = OwnedFd::from(stream_there);
    let number = stream_there.as_raw_fd().to_string();
    let running = Command::new(executable).args([wire::LOADER, &number, &number]).start(
        vec![stream_there],
        output_there.into(),
        None,
    )?;
    let requests = stream.try_clone().map_err(Error::System)?;
    let files = [requests, stream].map(|stream| File::from(OwnedFd::from(stream)));
    let [requests, replies] = files;
    Ok((Child::Tied(running, Tail::of(output)), requests, replies))
}

/// Starts a process that ends by itself when requests do. sudo closes all
/// descriptors but the first three, and takes the terminal for the command's if
/// its standard streams are no pipes.
fn free(command: Command) -> Result<(Child, File, File), Error> {
    let (requests_there, requests) = io::pipe().map_err(Error::System)?;
    let (replies, replies_there) = io::pipe().map_err(Error::System)?;
    let companion = command
        .args([wire::LOADER, "0", "1"])
        .start_in_front(requests_there.into(), replies_there.into())?;
    let requests = OwnedFd::from(requests);
    let replies = OwnedFd::from(replies);
    for fd in [&requests, &replies] {
        // SAFETY: a plain system call on a descriptor of ours.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } != 0 {
            return Err(Error::System(io::Error::last_os_error()));
        }
    }
    Ok((Child::Free(companion), requests.into(), replies.into()))
}

impl Peer for Process {
    fn send(
        &mut self,
        request: &Request,
        blob: &[u8],
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let mut patient = Patient { file: &self.requests, left: limit, cancel };
        let result = frame::write(&mut patient, request, blob);
        result.map_err(|error| self.broken(&error, cancel))
    }

    fn receive(&mut self, limit: Duration, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Error> {
        let mut patient = Patient { file: &self.replies, left: limit, cancel };
        let result = frame::read(&mut patient);
        result.map_err(|error| self.broken(&error, cancel))
    }
}

/// A file that waits for the other side, for as long as it may. What it has
/// waited is counted and not measured: who is stopped for some time has not
/// waited.
struct Patient<'p> {
    file: &'p File,
    left: Duration,
    cancel: &'p Cancel,
}

impl Patient<'_> {
    fn wait<T>(
        &mut self,
        events: i16,
        mut act: impl FnMut(&File) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match act(self.file) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if self.cancel.is_cancelled() || self.left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if !poll(&[(self.file, events)], TICK) {
                self.left = self.left.saturating_sub(TICK);
            }
        }
    }
}

/// Waits until something can be done with one of some files, at most `limit`;
/// whether that is so.
pub(super) fn poll(files: &[(&File, i16)], limit: Duration) -> bool {
    let mut entries: Vec<libc::pollfd> = files
        .iter()
        .map(|&(file, events)| libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 })
        .collect();
    let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: an array of that many valid entries.
    unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as u64, limit) > 0 }
}

impl Read for Patient<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.wait(libc::POLLIN, |mut file| file.read(bytes))
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(libc::POLLOUT, |mut file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
