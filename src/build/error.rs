//! Why a build could not be done.

use super::clang::{Clang, OLDEST};
use crate::base::{fs, process};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use std::path::{Path, PathBuf};

/// What keeps a build from being done at all. That clang rejects a source is
/// none of these: it is a finding.
#[derive(Debug)]
pub enum Error {
    /// There is no clang on the search path.
    ClangMissing,
    /// The clang that somebody named is not there.
    NamedClangMissing {
        /// The name or path.
        name: PathBuf,
        /// Who named it.
        by: &'static str,
    },
    /// Every clang that was found is too old.
    ClangTooOld {
        /// Them, the newest first.
        found: Vec<Clang>,
    },
    /// The clang that was found was built without BPF.
    ClangWithoutBpf {
        /// It.
        path: PathBuf,
        /// What it calls itself.
        version: String,
    },
    /// A file or directory could not be read or written.
    File(fs::Error),
    /// clang could not be run.
    Process(process::Error),
    /// A compiler ended without saying what is wrong.
    CompilerFailed {
        /// Its name.
        compiler: String,
        /// The source it was given.
        source: PathBuf,
        /// How it ended, in words.
        ending: String,
        /// The last lines it wrote.
        said: String,
    },
    /// There is no space left for what clang writes.
    DiskFull {
        /// The source it was given.
        source: PathBuf,
    },
    /// libbpf's linker refuses the objects.
    Link {
        /// The error it returned, in words.
        reason: String,
        /// What it said.
        said: String,
    },
    /// The program that should launch clang is not there.
    LauncherMissing {
        /// Its name.
        name: PathBuf,
    },
    /// `vmlinux.h` could not be made.
    Header(Failure),
}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

impl From<process::Error> for Error {
    fn from(error: process::Error) -> Self {
        Self::Process(error)
    }
}

/// How to get a clang.
const INSTALL: &str = "install one: `sudo apt-get install clang` (Debian, Ubuntu) or `sudo dnf install clang` \
     (Fedora); `skep doctor --fix` does it";

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let new = |code, message: String| Self::new(code, Origin::Command, message);
        match error {
            Error::ClangMissing => {
                new(codes::CLANG_MISSING, "no clang was found on the search path".to_owned())
                    .help(INSTALL)
                    .help("or name one with SKEP_CLANG=/path/to/clang")
            }
            Error::NamedClangMissing { name, by } => new(
                codes::CLANG_MISSING,
                format!("there is no clang `{}`, which {by} names", name.display()),
            )
            .help(format!(
                "name a clang that is there, or none to have skep look for one; {INSTALL}"
            )),
            Error::ClangTooOld { found } => {
                let newest = found
                    .first()
                    .map(|clang| format!("{} is clang {}", clang.path.display(), clang.number()));
                let newest = newest.unwrap_or_else(|| "clang is too old".to_owned());
                let mut diagnostic = new(
                    codes::CLANG_TOO_OLD,
                    format!("{newest}, and BPF needs clang {OLDEST} or newer"),
                );
                for clang in found.iter().skip(1) {
                    let (path, number) = (clang.path.display(), clang.number());
                    diagnostic = diagnostic.note(format!("{path} is clang {number}"));
                }
                diagnostic.help(INSTALL)
            }
            Error::ClangWithoutBpf { path, version } => {
                new(codes::CLANG_MISSING, format!("{} cannot compile for BPF", path.display()))
                    .note(format!("it calls itself: {version}"))
                    .help(INSTALL)
            }
            Error::File(error) => error.into(),
            Error::Process(process::Error::Cancelled) => {
                new(codes::INTERRUPTED, "interrupted".to_owned())
            }
            Error::Process(error) => new(codes::PROGRAM_FAILED, error.to_string()),
            Error::CompilerFailed { compiler, source, ending, said } => {
                let message =
                    format!("{compiler} ended with {ending} without saying what is wrong");
                let diagnostic =
                    Self::new(codes::CLANG_FAILED, Origin::Clang, message).in_file(source);
                match said.trim() {
                    "" => diagnostic,
                    said => diagnostic.note(format!("its last words:\n{said}")),
                }
            }
            Error::DiskFull { source } => new(
                codes::DISK_FULL,
                format!("no space left on the disk for the object of {}", source.display()),
            )
            .help("free some space, then run the command again"),
            Error::Link { reason, said } => link_failed(&reason, &said),
            Error::LauncherMissing { name } => new(
                codes::PROGRAM_FAILED,
                format!("`launcher` names {}, which was not found", name.display()),
            )
            .help("install it, or leave `launcher` out of the manifest's [bpf]"),
            Error::Header(failure) => failure.into_diagnostic(),
        }
    }
}

/// What libbpf's linker says, as a finding about the objects.
pub fn link_failed(reason: &str, said: &str) -> Diagnostic {
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    let message = match lines.next_back() {
        Some(last) => format!("the objects cannot be linked: {}", last.trim()),
        None => format!("the objects cannot be linked: {reason}"),
    };
    let mut diagnostic = Diagnostic::new(codes::LINK_FAILED, Origin::Object, message);
    for line in lines {
        diagnostic = diagnostic.note(line.trim());
    }
    diagnostic
}

/// Why an object has no skeleton, as a finding about it.
pub fn skeleton_failed(object: &Path, reason: &str) -> Diagnostic {
    let message = format!("no skeleton can be written: {reason}");
    Diagnostic::new(codes::SKELETON_FAILED, Origin::Object, message).in_file(object)
}
