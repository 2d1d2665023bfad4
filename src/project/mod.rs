//! Projects: finding them, reading their manifests, listing their sources.
//!
//! A project is a directory with `Skep.toml`, or a Cargo package with
//! `[package.metadata.skep]`, or a few files named on the command line
//! ([`Project::ad_hoc`]), which get every default. Several that belong
//! together are the packages of a [`Workspace`].
//!
//! The manifest is read from TOML's syntax tree and not through serde's
//! derive: so every mistake in it is found at once, each on its own bytes,
//! and an unknown key can be compared with those that are known at its place.

mod cargo;
pub mod cargo_build;
mod discover;
mod error;
pub mod lock;
pub mod manifest;
pub mod name;
mod reader;
mod sources;
pub mod suite;
mod workspace;

pub use error::Error;
pub use manifest::Manifest;
pub use sources::{Options, Source};
pub use workspace::Workspace;

use crate::base::fs;
use crate::diagnostics::Span;
use std::path::{Path, PathBuf};

/// The name of skep's own manifest.
pub const MANIFEST: &str = "Skep.toml";

/// What makes a directory a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has a `Skep.toml`.
    Skep,
    /// It has a `Cargo.toml` with `[package.metadata.skep]`.
    Cargo,
    /// Nothing; files were named on the command line.
    AdHoc,
}

/// A project with its manifest read.
#[derive(Clone, Debug)]
pub struct Project {
    /// What makes it one.
    pub kind: Kind,
    /// Its directory, absolute.
    pub root: PathBuf,
    /// The file the manifest was read from; none for [`Kind::AdHoc`].
    pub manifest_path: Option<PathBuf>,
    /// Its name: the manifest's, else Cargo's, else the directory's.
    pub name: String,
    /// What the manifest says, defaults filled in.
    pub manifest: Manifest,
    /// Where built things go, absolute: `target/skep` in the project, or
    /// `skep` in Cargo's target directory; for one package of several in a
    /// workspace, `target/skep/NAME` in the workspace's.
    pub target: PathBuf,
    /// The directory of the workspace it belongs to; none for one that stands
    /// alone.
    pub workspace: Option<PathBuf>,
}

impl Project {
    /// A project of files that no manifest speaks of. Paths in objects and
    /// diagnostics are relative to `root`; `target` takes what must be kept
    /// between builds.
    pub fn ad_hoc(root: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            kind: Kind::AdHoc,
            name: directory_name(&root),
            root,
            manifest_path: None,
            manifest: Manifest::default(),
            target: target.into(),
            workspace: None,
        }
    }

    /// Where in the manifest a value was written; the whole file if it cannot
    /// be said better, nothing for a default.
    pub fn span<T>(&self, value: &manifest::Located<T>) -> Option<Span> {
        let (path, range) = (self.manifest_path.as_ref()?, value.range.clone()?);
        // Read again: this is only for mistakes.
        match fs::read_to_string(path) {
            Ok(text) => Some(Span::of_bytes(path, &text, range)),
            Err(_) => Some(Span::file(path)),
        }
    }

    /// The manifest as messages call it.
    pub fn manifest_name(&self) -> &str {
        match self.kind {
            Kind::Cargo => "Cargo.toml",
            Kind::Skep | Kind::AdHoc => MANIFEST,
        }
    }
}

/// The last part of a directory's name, as a project's name.
fn directory_name(dir: &Path) -> String {
    dir.file_name().map_or_else(|| "bpf".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Whether a directory is a project's own: it has a manifest of skep's, or
/// one of Cargo's that speaks of skep.
pub fn is_project_dir(dir: &Path) -> bool {
    fs::is_file(&dir.join(MANIFEST)) || cargo::speaks_of_skep(&dir.join("Cargo.toml"))
}
