//! Installed programs: where `clang`, `qemu-system-x86_64` and the others are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The search path for programs, as it was when skep started.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    search: OsString,
    cwd: PathBuf,
}

impl Programs {
    /// Searches the directories of `search` (the value of `PATH`); relative
    /// names are taken from `cwd`.
    pub fn new(search: OsString, cwd: PathBuf) -> Self {
        Self { search, cwd }
    }

    /// The program that a shell would run for `name`, which is a bare name or
    /// a path.
    pub fn find(&self, name: impl AsRef<Path>) -> Option<PathBuf> {
        which::which_in(name.as_ref(), Some(&self.search), &self.cwd).ok()
    }

    /// Every `name` and `name-N` on the search path, the plain name first,
    /// then the highest N first: the way Debian installs several versions of
    /// one compiler beside each other.
    pub fn find_versioned(&self, name: &str) -> Vec<PathBuf> {
        let versions = (10..=40).rev().map(|version| format!("{name}-{version}"));
        std::iter::once(name.to_owned())
            .chain(versions)
            .filter_map(|name| self.find(name))
            .collect()
    }

    /// The directories that are searched, in order.
    pub fn directories(&self) -> impl Iterator<Item = PathBuf> {
        std::env::split_paths(&self.search).map(|dir| self.cwd.join(dir))
    }

    /// The search path itself, to hand to a child process.
    pub fn search_path(&self) -> &OsString {
        &self.search
    }
}
