//! What every operation may use: where it was started, the cache, the search
//! path, the wish to stop, and who listens.

use crate::base::Cancel;
use crate::base::programs::Programs;
use crate::events::{Event, Sink};
use crate::kernels::Mirrors;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The circumstances of one run of skep: flags, caches and the sink for
/// events. Made once, by a front end; engines get single parts of it.
#[derive(Clone)]
pub struct Session {
    /// The directory relative paths are taken from (`-C` applied).
    pub cwd: PathBuf,
    /// skep's cache: `SKEP_CACHE_DIR`, else `$XDG_CACHE_HOME/skep`.
    pub cache: PathBuf,
    /// Installed programs.
    pub programs: Programs,
    /// The clang that `SKEP_CLANG` names.
    pub clang: Option<PathBuf>,
    /// The directories that `PKG_CONFIG_PATH` names.
    pub pkg_config_path: Option<OsString>,
    /// The directory that cargo has given the build script that started skep.
    pub out_dir: Option<PathBuf>,
    /// Mirrors of distributions that the machine's own sources do not name.
    pub mirrors: Mirrors,
    /// The running executable: what the guest's initramfs is made of.
    pub executable: PathBuf,
    /// How many pieces of work run at once.
    pub jobs: NonZeroUsize,
    /// Nothing may be fetched.
    pub offline: bool,
    /// `Skep.lock` must not change.
    pub locked: bool,
    /// Warnings are errors.
    pub deny_warnings: bool,
    /// The wish to stop.
    pub cancel: Cancel,
    /// Who listens to events.
    pub sink: Arc<dyn Sink>,
}

impl Session {
    /// A path as the user gave it, made absolute.
    pub fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        self.cwd.join(path)
    }

    /// A path as the user would write it: relative to where they are, if it
    /// lies below.
    pub fn display<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.cwd).unwrap_or(path)
    }

    /// Says a sentence to everyone who is not quiet.
    pub fn note(&self, text: impl Into<String>) {
        self.sink.emit(Event::Note(text.into()));
    }

    /// Says a sentence to who asked for details.
    pub fn detail(&self, text: impl Into<String>) {
        self.sink.emit(Event::Detail(text.into()));
    }
}
