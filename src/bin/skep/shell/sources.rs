//! Source files for excerpts, read once.

use skep::base::fs;
use skep::report::{Source, Sources};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Nobody writes a longer source file; what is longer is something else.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The files below and around a directory.
pub struct Files {
    cwd: PathBuf,
    known: Mutex<HashMap<PathBuf, Option<Arc<Source>>>>,
}

impl Files {
    /// Relative paths are taken from `cwd`.
    pub fn new(cwd: PathBuf) -> Self {
        Self { cwd, known: Mutex::default() }
    }
}

impl Sources for Files {
    fn get(&self, file: &Path) -> Option<Arc<Source>> {
        let mut known = self.known.lock().unwrap_or_else(|poison| poison.into_inner());
        if let Some(source) = known.get(file) {
            return source.clone();
        }
        let source = read(&self.cwd.join(file)).map(|bytes| Arc::new(Source::new(bytes)));
        known.insert(file.to_owned(), source.clone());
        source
    }
}

/// A path in an object may name anything: only regular files are read.
fn read(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.is_file() && metadata.len() <= LARGEST { fs::read(path).ok() } else { None }
}
