//! Child processes: started in a group of their own, listened to, and never
//! left behind.
#![expect(clippy::disallowed_methods, reason = "this is the door to std::process::Command")]

use super::Cancel;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
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
        command.spawn().map_err(|source| Error::Start { program: self.program.clone(), source })
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
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => self.status.to_string(),
        }
    }
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
    fn cancellation_ends_a_wait() {
        let cancel = Cancel::new();
        cancel.cancel();
        let command = Command::new("/bin/sh").args(["-c", "sleep 30"]);
        assert!(matches!(command.run(&cancel), Err(Error::Cancelled)));
    }
}
