//! Child processes: started in a group of their own, listened to, and never
//! left behind.
#![expect(clippy::disallowed_methods, reason = "this is the door to std::process::Command")]

use super::Cancel;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{error, fmt, thread};

/// How often a wait looks at the cancellation flag.
const TICK: Duration = Duration::from_millis(20);

/// A program with its arguments, environment and limits.
#[derive(Clone, Debug)]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    stdin: Vec<u8>,
    timeout: Option<Duration>,
}

/// What a child process left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote to standard output.
    pub stdout: Vec<u8>,
    /// All it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// A child process that could not run to its end.
#[derive(Debug)]
pub enum Error {
    /// The operating system did not start it.
    Start {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It ran longer than it was allowed to and was killed.
    TimedOut {
        /// The program.
        program: PathBuf,
        /// The limit.
        after: Duration,
    },
    /// The user asked to stop; the child was killed.
    Cancelled,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, source } => {
                write!(f, "cannot run {}: {source}", program.display())
            }
            Self::TimedOut { program, after } => {
                write!(f, "{} did not finish within {} s", program.display(), after.as_secs())
            }
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

impl error::Error for Error {}

impl Command {
    /// A command that runs `program` without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            stdin: Vec::new(),
            timeout: None,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the child's environment, which is otherwise ours.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs in this directory.
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Feeds these bytes to standard input, which is otherwise empty.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Kills the child after this time.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The program and its arguments, for `compile_commands.json` and hashes.
    pub fn words(&self) -> impl Iterator<Item = &OsStr> {
        std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str))
    }

    /// Runs to the end, collecting both outputs.
    pub fn run(&self, cancel: &Cancel) -> Result<Output, Error> {
        let mut child = Guard(self.spawn()?);
        let (done, ended) = mpsc::channel::<()>();
        let stdout = child.0.stdout.take().map(|pipe| drain(pipe, done.clone()));
        let stderr = child.0.stderr.take().map(|pipe| drain(pipe, done));
        if let Some(mut pipe) = child.0.stdin.take() {
            let bytes = self.stdin.clone();
            // A child that does not read its input closes the pipe; that is
            // its affair, its exit code tells the rest.
            thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let deadline = self.timeout.map(|limit| Instant::now() + limit);
        // Both pipes closing is the usual end; only then is the child polled,
        // so that a short command costs no tick.
        loop {
            match ended.recv_timeout(TICK) {
                Ok(()) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => self.may_wait(cancel, deadline)?,
            }
        }
        let status = loop {
            match child.0.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => thread::sleep(Duration::from_micros(200)),
                Err(source) => return Err(Error::Start { program: self.program.clone(), source }),
            }
            self.may_wait(cancel, deadline)?;
        };
        let join = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
        };
        Ok(Output { status, stdout: join(stdout), stderr: join(stderr) })
    }

    /// Runs to the end in the foreground: the child has our terminal, may ask
    /// its user there, and gets Ctrl-C itself. What it writes goes to standard
    /// error, because it is no result of ours.
    pub fn run_in_front(&self, cancel: &Cancel) -> Result<ExitStatus, Error> {
        let failed = |source| Error::Start { program: self.program.clone(), source };
        let stderr = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from).map_err(failed);
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::inherit())
            .stdout(stderr()?)
            .stderr(stderr()?);
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(failed)?;
        loop {
            match child.try_wait() {
                Ok(Some(_)) if cancel.is_cancelled() => return Err(Error::Cancelled),
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(source) => return Err(failed(source)),
            }
            if cancel.is_cancelled() {
                // It heard the same signal, unless that was meant for us
                // alone; an installer must not be torn from its work.
                return child.wait().map_err(failed).and(Err(Error::Cancelled));
            }
            thread::sleep(TICK);
        }
    }

    /// Runs to the end on our own streams: what the child writes is our result.
    /// A terminal sends it Ctrl-C itself; elsewhere a wish to stop is passed
    /// on.
    pub fn run_through(&self, cancel: &Cancel) -> Result<ExitStatus, Error> {
        let failed = |source| Error::Start { program: self.program.clone(), source };
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().map_err(failed)?;
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                // The end that it came to is the answer.
                cancel.take();
                return Ok(status);
            }
            if cancel.take()
                && !io::stdin().is_terminal()
                && let Ok(pid) = i32::try_from(child.id())
            {
                // SAFETY: a child that is not reaped yet.
                unsafe { libc::kill(pid, libc::SIGINT) };
            }
            thread::sleep(TICK);
        }
    }

    fn may_wait(&self, cancel: &Cancel, deadline: Option<Instant>) -> Result<(), Error> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match (deadline, self.timeout) {
            (Some(deadline), Some(after)) if Instant::now() > deadline => {
                Err(Error::TimedOut { program: self.program.clone(), after })
            }
            _ => Ok(()),
        }
    }

    /// Starts the command and lets it run beside us in our own process group,
    /// with our standard error: it may ask its user at our terminal, and hears
    /// Ctrl-C when we do. Nobody kills it, as it may have something to put in
    /// order: it is to end when its `input` does.
    pub fn start_in_front(&self, input: OwnedFd, output: OwnedFd) -> Result<Companion, Error> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(input)
            .stdout(output);
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        let failed = |source| Error::Start { program: self.program.clone(), source };
        command.spawn().map(Companion).map_err(failed)
    }

    /// Starts the command and lets it run beside us, as its own process group
    /// with empty input; its standard output goes into `out`, and so does its
    /// standard error if it has no `error` of its own.
    ///
    /// `inherited` are descriptors that the child keeps, under the numbers
    /// they have here. The child is killed when the value is dropped, and by
    /// the kernel when this process ends in whatever way.
    pub fn start(
        &self,
        inherited: Vec<OwnedFd>,
        out: OwnedFd,
        error: Option<OwnedFd>,
    ) -> Result<Running, Error> {
        let shared = Arc::new(Shared::default());
        let (report, started) = mpsc::channel();
        let command = self.clone();
        let state = Arc::clone(&shared);
        // The parent-death signal comes when the *thread* that forked ends.
        // This thread does nothing but wait for the child, so it lives as long.
        thread::spawn(move || {
            match command.spawn_tied(inherited, out, error) {
                Ok(mut child) => {
                    drop(report.send(Ok(child.id())));
                    state.end_of(&mut child);
                }
                Err(error) => drop(report.send(Err(error))),
            };
        });
        let pid = started.recv().map_err(|_| Error::Start {
            program: self.program.clone(),
            source: io::Error::other("the thread that starts it ended"),
        })??;
        Ok(Running { pid, shared })
    }

    fn spawn_tied(
        &self,
        inherited: Vec<OwnedFd>,
        out: OwnedFd,
        error: Option<OwnedFd>,
    ) -> Result<Child, Error> {
        let failed = |source| Error::Start { program: self.program.clone(), source };
        let error = error.map_or_else(|| out.try_clone(), Ok).map_err(failed)?;
        let numbers: Vec<i32> = inherited.iter().map(|fd| fd.as_raw_fd()).collect();
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(error)
            .process_group(0);
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        tie(&mut command, numbers);
        let child = command.spawn().map_err(failed);
        drop(inherited);
        child
    }

    fn spawn(&self) -> Result<Child, Error> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        // Whoever calls this waits in the same thread.
        tie(&mut command, Vec::new());
        command.spawn().map_err(|source| Error::Start { program: self.program.clone(), source })
    }
}

/// Makes the kernel kill the child when the thread that starts it ends, in
/// whatever way. The child keeps the descriptors `kept`, which must be open.
fn tie(command: &mut std::process::Command, kept: Vec<i32>) {
    let parent = std::process::id();
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for &fd in &kept {
                if libc::fcntl(fd, libc::F_SETFD, 0) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before the signal was asked for.
            if libc::getppid() as u32 != parent {
                return Err(io::Error::other("the parent is gone"));
            }
            Ok(())
        });
    }
}

impl Output {
    /// Whether the child exited with 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Standard error as text, with what is not UTF-8 replaced.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// How the child ended, in words: `exit code 1`, `signal 9`.
    pub fn ending(&self) -> String {
        ending(self.status)
    }
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    // SAFETY: a plain system call.
    unsafe { libc::geteuid() == 0 }
}

/// How a child ended, in words: `exit code 1`, `signal 9`.
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// How a child ended, as the exit code that shells make of it: 128 and the
/// number of the signal that killed it.
pub fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn drain(
    mut pipe: impl Read + Send + 'static,
    done: mpsc::Sender<()>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A read error ends the stream like its end does.
        drop(pipe.read_to_end(&mut bytes));
        drop(done);
        bytes
    })
}

/// Kills the child's whole process group unless it has ended.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            kill_group(self.0.id());
            drop(self.0.wait());
        }
    }
}

/// A child process that runs beside us (see [`Command::start`]); killed with
/// its whole group when dropped.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    shared: Arc<Shared>,
}

/// What the thread that waits for a child shares with who holds it.
#[derive(Debug, Default)]
struct Shared {
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl Shared {
    /// Waits for the child and publishes how it ended.
    fn end_of(&self, child: &mut Child) {
        // Look first and reap under the lock, so that nobody who holds the
        // lock and sees no status can signal a number that was reused.
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        loop {
            // SAFETY: `info` is writable; the child is ours and not reaped.
            let result = unsafe {
                libc::waitid(
                    libc::P_PID,
                    child.id(),
                    info.as_mut_ptr(),
                    libc::WEXITED | libc::WNOWAIT,
                )
            };
            if result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                break;
            }
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        *status = Some(child.wait().unwrap_or_default());
        self.ended.notify_all();
    }
}

impl Running {
    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the child's group, if it still runs, and waits until it is gone.
    pub fn kill(&self) -> ExitStatus {
        let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(status) = *status {
                return status;
            }
            kill_group(self.pid);
            status = self.shared.ended.wait(status).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A child process in our own group (see [`Command::start_in_front`]).
#[derive(Debug)]
pub struct Companion(Child);

impl Companion {
    /// Waits for its end, at most `limit`; how it ended, if it did.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(TICK),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// Ends a process group that [`Command`] started.
fn kill_group(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: plain system call; the group is one we made and its leader
        // has not been waited for, so the number cannot have been reused.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_outputs_and_feeds_input() {
        let command = Command::new("/bin/sh").args(["-c", "cat; echo err >&2; exit 3"]).stdin("in");
        let output = command.run(&Cancel::new()).unwrap();
        assert_eq!(output.stdout, b"in");
        assert_eq!(output.stderr_text(), "err\n");
        assert_eq!(output.ending(), "exit code 3");
    }

    #[test]
    fn a_time_limit_kills_the_whole_group() {
        let started = Instant::now();
        let command = Command::new("/bin/sh")
            .args(["-c", "sleep 30 & sleep 30"])
            .timeout(Duration::from_millis(100));
        assert!(matches!(command.run(&Cancel::new()), Err(Error::TimedOut { .. })));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_running_child_ends_with_its_holder() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", "echo up; sleep 30 & sleep 30"])
            .start(Vec::new(), theirs.into(), None)
            .unwrap();
        let mut reader = io::BufReader::new(ours);
        let mut line = String::new();
        io::BufRead::read_line(&mut reader, &mut line).unwrap();
        assert_eq!(line, "up\n");
        assert!(child.status().is_none());
        drop(child);
        // Both sleeps held the other end; it closes only when both are gone.
        assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn a_companion_ends_with_its_input() {
        let (input, ours) = io::pipe().unwrap();
        let (mut output, theirs) = io::pipe().unwrap();
        let command = Command::new("/bin/sh").args(["-c", "cat; exit 3"]);
        let mut child = command.start_in_front(input.into(), theirs.into()).unwrap();
        (&ours).write_all(b"x").unwrap();
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        assert_eq!((byte, child.wait(Duration::ZERO)), (*b"x", None));
        drop(ours);
        let status = child.wait(Duration::from_secs(60)).unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn cancellation_ends_a_wait() {
        let cancel = Cancel::new();
        cancel.cancel();
        let command = Command::new("/bin/sh").args(["-c", "sleep 30"]);
        assert!(matches!(command.run(&cancel), Err(Error::Cancelled)));
    }
}
