//! What is wrong with a project as a whole.

use crate::base::{fs, process};
use crate::diagnostics::{Diagnostic, Origin, codes};
use std::path::PathBuf;

/// Why a project could not be used.
#[derive(Debug)]
pub enum Error {
    /// Neither here nor above is there one.
    NotFound {
        /// Where the search began.
        from: PathBuf,
    },
    /// The nearest manifest is a workspace's and describes no package.
    NoPackage {
        /// It.
        manifest: PathBuf,
    },
    /// No package of the workspace has that name.
    NoSuchPackage {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The manifest has mistakes; at least one.
    Manifest(Vec<Diagnostic>),
    /// No source matches the manifest's patterns.
    NoSources {
        /// The manifest.
        manifest: PathBuf,
        /// The patterns.
        patterns: Vec<String>,
    },
    /// No source of the user program matches the manifest's patterns.
    NoUserSources {
        /// The manifest.
        manifest: PathBuf,
        /// The patterns.
        patterns: Vec<String>,
    },
    /// Two sources would be compiled to one object.
    SameObject {
        /// The manifest.
        manifest: PathBuf,
        /// The sources, relative to the project.
        sources: [PathBuf; 2],
    },
    /// `cargo metadata` failed.
    Cargo {
        /// The manifest it was asked about.
        manifest: PathBuf,
        /// What went wrong, the last words of cargo.
        reason: String,
    },
    /// A file or directory could not be read.
    File(fs::Error),
    /// Cargo could not be run to its end.
    Process(process::Error),
}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

impl Error {
    /// Everything there is to say; of a manifest, every mistake.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        match self {
            Self::Manifest(mistakes) if !mistakes.is_empty() => mistakes,
            other => vec![other.into()],
        }
    }
}

impl From<Error> for Diagnostic {
    /// One diagnostic: of a manifest's mistakes the first, with a note that
    /// counts the others.
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { from } => Self::new(
                codes::NO_PROJECT,
                Origin::Command,
                format!("no project in {} or any directory above it", from.display()),
            )
            .note("a project has a Skep.toml, or a Cargo.toml with [package.metadata.skep]")
            .help("make one with `skep new NAME` or `skep init`, or name a .bpf.c file"),
            Error::NoPackage { manifest } => Self::new(
                codes::NO_PROJECT,
                Origin::Manifest,
                "this manifest is a workspace's and describes no package",
            )
            .in_file(manifest)
            .help("go into the directory of one of its packages, or name that"),
            Error::NoSuchPackage { name, known } => {
                let message = format!("there is no package `{}`", name.escape_debug());
                let missing = Self::new(codes::NO_PROJECT, Origin::Command, message);
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                match super::reader::nearest(&name, &names) {
                    Some(near) => missing.help(format!("did you mean `{near}`?")),
                    None => missing.note(format!("there are: {}", names.join(", "))),
                }
            }
            Error::Manifest(mistakes) => {
                let more = mistakes.len().saturating_sub(1);
                let first = mistakes.into_iter().next();
                let diagnostic = first.unwrap_or_else(|| {
                    Self::new(codes::MANIFEST_VALUE, Origin::Manifest, "the manifest has mistakes")
                });
                match more {
                    0 => diagnostic,
                    1 => diagnostic.note("the manifest has one more mistake"),
                    more => diagnostic.note(format!("the manifest has {more} more mistakes")),
                }
            }
            Error::NoSources { manifest, patterns } => Self::new(
                codes::NO_SOURCES,
                Origin::Manifest,
                format!("no file matches the project's sources: {}", patterns.join(", ")),
            )
            .in_file(manifest)
            .help("add a BPF source, e.g. src/hello.bpf.c, or name others with `sources` in [bpf]"),
            Error::NoUserSources { manifest, patterns } => Self::new(
                codes::NO_SOURCES,
                Origin::Manifest,
                format!("no file matches the user program's sources: {}", patterns.join(", ")),
            )
            .in_file(manifest)
            .help("add a C source, or name others with `sources` in [user]")
            .help("or write `kind = \"none\"` in [user] if there is no user program"),
            Error::SameObject { manifest, sources: [a, b] } => Self::new(
                codes::MANIFEST_VALUE,
                Origin::Manifest,
                format!("{} and {} have the same object file", a.display(), b.display()),
            )
            .in_file(manifest)
            .help("rename one of them, or narrow `sources` in [bpf]"),
            Error::Cargo { manifest, reason } => Self::new(
                codes::PROGRAM_FAILED,
                Origin::Manifest,
                format!("`cargo metadata` failed: {reason}"),
            )
            .in_file(manifest),
            Error::File(error) => error.into(),
            Error::Process(process::Error::Cancelled) => {
                Self::new(codes::INTERRUPTED, Origin::Command, "interrupted")
            }
            Error::Process(error) => {
                Self::new(codes::PROGRAM_FAILED, Origin::Command, error.to_string())
            }
        }
    }
}
