//! What the test binaries share: running the real `skep`, on real files.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

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
