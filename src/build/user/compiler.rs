//! The C compiler of user programs, and what it calls itself.

use crate::base::process::Command;
use crate::base::programs::Programs;
use crate::base::{Cancel, fs};
use crate::build::Error;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A C compiler for this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Compiler {
    /// The executable.
    pub path: PathBuf,
    /// The first line of `--version`.
    pub version: String,
    /// Time of change in seconds and nanoseconds, size, and inode.
    stamp: [i64; 4],
}

/// Finds the compiler: the machine's `cc` or `gcc`, else `fallback`, the clang
/// that compiles the BPF side. `answers` is a file that remembers what the
/// compiler said.
///
/// # Errors
/// The compiler cannot be run.
pub fn find(
    programs: &Programs,
    fallback: &Path,
    answers: &Path,
    cancel: &Cancel,
) -> Result<Compiler, Error> {
    let found = ["cc", "gcc"].iter().find_map(|name| programs.find(name));
    let path = found.unwrap_or_else(|| fallback.to_owned());
    let meta = fs::metadata(&path)?;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let stamp = [meta.mtime(), meta.mtime_nsec(), number(meta.size()), number(meta.ino())];
    let known = fs::read_if_exists(answers).ok().flatten().unwrap_or_default();
    if let Ok(known) = serde_json::from_slice::<Compiler>(&known)
        && known.path == path
        && known.stamp == stamp
    {
        return Ok(known);
    }
    let said = Command::new(&path).arg("--version").env("LC_ALL", "C").run(cancel)?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.lines().next().unwrap_or_default().trim().to_owned();
    let compiler = Compiler { path, version, stamp };
    if let Ok(bytes) = serde_json::to_vec(&compiler) {
        // Only speed is lost if this cannot be kept.
        drop(fs::write_atomic(answers, &bytes));
    }
    Ok(compiler)
}
