//! What the test binaries share: running the real `skep`, on real files.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

pub mod debian;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory of a test's own with a `skep` started in it. Caches are shared
/// between tests through `SKEP_TEST_CACHE` (kernels are large), or private.
pub struct Place {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// What a run of `skep` left behind.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    /// An empty directory whose name has a space and a letter beyond ASCII,
    /// because users' directories do.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("skep tést ").tempdir().unwrap();
        Self { dir, env: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Sets a variable of the environment for later runs.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_str().unwrap().into()));
        self
    }

    /// Writes a file below the directory.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The text of a file below the directory.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// The command that runs `skep` here.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skep"));
        command
            .args(args)
            .current_dir(self.path())
            .env_remove("SKEP_CLANG")
            .env("SKEP_CACHE_DIR", shared_cache())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs `skep` here without a terminal.
    pub fn skep(&self, args: &[&str]) -> Run {
        Run::from(self.command(args).output().unwrap())
    }

    /// Runs `skep` here with this standard input.
    pub fn fed(&self, args: &[&str], input: &str) -> Run {
        use std::io::Write as _;
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Run::from(child.wait_with_output().unwrap())
    }

    /// Text with this directory's name replaced by `[DIR]`, for goldens.
    pub fn redact(&self, text: &str) -> String {
        text.replace(self.path().to_str().unwrap(), "[DIR]")
    }
}

/// The cache that all tests share: `SKEP_TEST_CACHE`, else one beside cargo's
/// build output, so that a kernel is fetched once.
pub fn shared_cache() -> PathBuf {
    match std::env::var_os("SKEP_TEST_CACHE") {
        Some(dir) => dir.into(),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("skep-cache"),
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Fails with everything that was printed unless the exit code is this.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code; {self}");
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// A run of `skep` on a terminal of its own, typed at by the test.
pub struct Session {
    child: std::process::Child,
    terminal: std::fs::File,
    /// All that was shown so far.
    pub shown: String,
}

impl Place {
    /// Runs `skep` here on a terminal of 100 columns.
    pub fn on_terminal(&self, args: &[&str]) -> Session {
        self.on_terminal_of(100, args)
    }

    /// Runs `skep` here on a terminal of so many columns.
    pub fn on_terminal_of(&self, columns: u16, args: &[&str]) -> Session {
        use std::os::fd::{AsRawFd as _, FromRawFd as _};
        use std::os::unix::process::CommandExt as _;
        let (mut ours, mut theirs) = (0, 0);
        let size = libc::winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the pointers are to locals, or null where that is allowed;
        // both descriptors are ours once the call has succeeded.
        let (terminal, theirs) = unsafe {
            let null = std::ptr::null_mut();
            assert_eq!(libc::openpty(&mut ours, &mut theirs, null, null.cast(), &size), 0);
            (std::fs::File::from_raw_fd(ours), std::fs::File::from_raw_fd(theirs))
        };
        let mut command = self.command(args);
        command
            .env("TERM", "xterm")
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs);
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        // The command keeps the other side open; it must not.
        drop(command);
        // SAFETY: the descriptor is open.
        unsafe { libc::fcntl(terminal.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        Session { child, terminal, shown: String::new() }
    }
}

impl Session {
    /// Types these characters.
    pub fn type_in(&mut self, keys: &str) -> &mut Self {
        use std::io::Write as _;
        self.terminal.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits until this was shown.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !self.shown.contains(text) {
            assert!(self.look(), "it ended without showing {text:?}: {}", self.shown);
            assert!(std::time::Instant::now() < deadline, "no {text:?} in {}", self.shown);
        }
        self
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for the end; returns the exit code.
    pub fn finish(&mut self) -> i32 {
        while self.look() {}
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Reads what is there; says whether there may be more.
    fn look(&mut self) -> bool {
        use std::io::Read as _;
        let mut buffer = [0; 4096];
        match self.terminal.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(std::time::Duration::from_millis(5));
                true
            }
            // The other side is closed.
            Err(_) => false,
        }
    }
}
