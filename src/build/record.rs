//! What is remembered of a step that was done, and whether it still holds.
//!
//! The truth about a file is the hash of its bytes. Reading and hashing every
//! header at every run would be slow, so a file whose time, size and inode are
//! those of the record is taken to have the bytes of the record.
//!
//! File times tick every few milliseconds: a file may change twice within one
//! tick and look the same. So a file's stamp is trusted only if the file was
//! already older than one tick when it was hashed; else the record keeps the
//! hash alone, and the next run hashes again.

use crate::base::digest::Digest;
use crate::base::fs;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The version of the format and of what steps do: records of another one
/// count as none.
pub const FORMAT: u32 = 1;

/// The part of a key that says which clang it was.
pub const COMPILER: &str = "the compiler";

/// What identifies a state of a file without reading it: seconds and
/// nanoseconds of its last change in content and in status, size, inode,
/// device.
pub type Stamp = [i64; STAMP_LEN];

/// How many numbers a stamp has.
pub const STAMP_LEN: usize = 7;

/// A file as a step read or wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Relative to the project where it lies inside, so that a project can be
    /// moved.
    path: PathBuf,
    /// The hash of its bytes; none for a file that changed while the step ran,
    /// whose bytes nobody knows.
    digest: Option<String>,
    /// The stamp it had then, if that can be trusted.
    stamp: Option<Stamp>,
}

/// What is remembered of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    /// What determines the result besides files, by name: the name is what
    /// is said to be the cause when it changes.
    key: Vec<(String, String)>,
    inputs: Vec<FileState>,
    outputs: Vec<FileState>,
    /// What the tool wrote to standard error: its warnings, to be shown again
    /// as long as the result is used.
    pub log: String,
}

/// Why a step has to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It was never done here, or its record is lost.
    New,
    /// Something besides files changed.
    Changed {
        /// What, by its name in the key.
        what: String,
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A file it read has other bytes, or is gone.
    Input(PathBuf),
    /// What it wrote is gone or is not what it wrote.
    Output(PathBuf),
}

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::New => f.write_str("it was not built yet"),
            // Long values are command lines or hashes.
            Self::Changed { what, from, to } if from.len() < 80 && to.len() < 80 => {
                write!(f, "{what} changed from {from} to {to}")
            }
            Self::Changed { what, .. } => write!(f, "{what} changed"),
            Self::Input(path) => write!(f, "{} changed", path.display()),
            Self::Output(path) => write!(f, "{} is gone or was changed", path.display()),
        }
    }
}

/// The files of one build: looks at each only once, from any thread.
pub struct Files {
    root: PathBuf,
    known: Mutex<HashMap<PathBuf, Arc<Known>>>,
}

/// What is known of a file in this run.
struct Known {
    /// Nothing if there is no such file.
    stamp: Option<Stamp>,
    digest: Mutex<Option<Digest>>,
}

impl Files {
    /// Files of the project in `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), known: Mutex::default() }
    }

    fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    fn known(&self, path: &Path) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = known.get(path) {
            return Arc::clone(file);
        }
        let file = Arc::new(Known { stamp: stamp_of(path), digest: Mutex::new(None) });
        known.insert(path.to_owned(), Arc::clone(&file));
        file
    }

    /// Looks at a file anew, because a step has taken time or written it.
    /// The hash is kept if it looks the same.
    fn look_again(&self, path: &Path) -> Option<Stamp> {
        let stamp = stamp_of(path);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(path).is_some_and(|file| file.stamp != stamp) {
            known.remove(path);
        }
        drop(known);
        self.known(path).stamp
    }

    /// Whether every one of these files was last changed before now.
    pub fn are_settled(&self, paths: &[PathBuf]) -> bool {
        let now = fs::timestamp();
        paths.iter().all(|path| self.look_again(path).is_none_or(|stamp| is_settled(&stamp, now)))
    }

    /// The hash of a file's bytes; nothing if it cannot be read.
    fn digest(&self, path: &Path) -> Option<Digest> {
        let known = self.known(path);
        known.stamp?;
        let mut digest = known.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if digest.is_none() {
            *digest = fs::read(path).ok().map(|bytes| Digest::of(&bytes));
        }
        *digest
    }

    /// Whether a file is as it was; `refreshed` is set if its bytes are but
    /// its stamp was not, so that the record can learn the new one.
    fn is_same(&self, state: &mut FileState, refreshed: &mut bool) -> bool {
        let path = self.root.join(&state.path);
        let Some(now) = self.known(&path).stamp else { return false };
        let Some(digest) = &state.digest else { return false };
        if state.stamp == Some(now) {
            return true;
        }
        let same = self.digest(&path).is_some_and(|found| found.to_string() == *digest);
        if same && is_settled(&now, fs::timestamp()) {
            state.stamp = Some(now);
            *refreshed = true;
        }
        same
    }

    /// What is to be remembered of a file that a step read, which began at
    /// `began`.
    fn input(&self, path: &Path, began: (i64, i64)) -> FileState {
        let stamp = self.look_again(path);
        // A file that changed since the step began may have been read before
        // that or after it.
        let settled = stamp.is_some_and(|stamp| is_settled(&stamp, began));
        let digest = if settled { self.digest(path) } else { None };
        FileState {
            path: self.relative(path).to_owned(),
            digest: digest.map(|digest| digest.to_string()),
            stamp: stamp.filter(|_| settled),
        }
    }

    fn output(&self, path: &Path) -> FileState {
        let stamp = self.look_again(path);
        let digest = self.digest(path);
        FileState {
            path: self.relative(path).to_owned(),
            digest: digest.map(|digest| digest.to_string()),
            stamp: stamp.filter(|stamp| is_settled(stamp, fs::timestamp())),
        }
    }
}

/// The stamp of the file at a path; nothing if there is none.
pub fn stamp_of(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| stamp(&meta))
}

/// The stamp of the file at a path, if it can be trusted.
pub fn settled_stamp_of(path: &Path) -> Option<Stamp> {
    stamp_of(path).filter(|stamp| is_settled(stamp, fs::timestamp()))
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    [
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
        number(meta.size()),
        number(meta.ino()),
        number(meta.dev()),
    ]
}

/// Whether a file was last changed before the tick of `moment`.
fn is_settled(stamp: &Stamp, moment: (i64, i64)) -> bool {
    let before = |seconds: i64, nanos: i64| match nanos {
        // Probably a file system that keeps whole seconds, or two.
        0 => seconds + 2 < moment.0,
        _ => (seconds, nanos) < moment,
    };
    before(stamp[0], stamp[1]) && before(stamp[2], stamp[3])
}

/// Waits until the clock of file times has passed the present, so that every
/// file written until now counts as settled. Takes a few milliseconds; returns
/// the moment.
pub fn next_tick() -> (i64, i64) {
    let began = Instant::now();
    let present = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let present =
        (i64::try_from(present.as_secs()).unwrap_or(i64::MAX), i64::from(present.subsec_nanos()));
    loop {
        let now = fs::timestamp();
        // A clock that somebody turns back must not hang us; all that is lost
        // then is that files are hashed again.
        if now > present || began.elapsed() > Duration::from_millis(100) {
            return now;
        }
        std::thread::sleep(Duration::from_micros(250));
    }
}

impl Record {
    /// What is to be remembered of a step that began at `began` and has just
    /// ended.
    pub fn of_step(
        files: &Files,
        key: &[(&str, String)],
        inputs: &[PathBuf],
        outputs: &[PathBuf],
        began: (i64, i64),
        log: String,
    ) -> Self {
        Self {
            format: FORMAT,
            key: key.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            inputs: inputs.iter().map(|path| files.input(path, began)).collect(),
            outputs: outputs.iter().map(|path| files.output(path)).collect(),
            log,
        }
    }

    /// The files that the step read, relative to the project where they lie
    /// inside.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.inputs.iter().map(|state| state.path.as_path())
    }

    /// The files that the step read and wrote, relative to the project where
    /// they lie inside, with the stamps they had, as far as those can be
    /// trusted.
    pub fn files(&self) -> impl Iterator<Item = (&Path, Option<Stamp>)> {
        let states = self.inputs.iter().chain(&self.outputs);
        states.map(|state| (state.path.as_path(), state.stamp.filter(|_| state.digest.is_some())))
    }

    /// The record in a file, if there is one that can be read.
    pub fn read(path: &Path) -> Option<Self> {
        let bytes = fs::read_if_exists(path).ok()??;
        serde_json::from_slice(&bytes).ok().filter(|record: &Self| record.format == FORMAT)
    }

    /// The text form; nothing where a path is not UTF-8, which JSON cannot
    /// hold: such a step is done at every run.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// A part of the key.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.key.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the step's result still holds. The flag says that the record
    /// learned something worth writing.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(
        &mut self,
        files: &Files,
        key: &[(&str, String)],
        inputs: &[PathBuf],
        outputs: &[PathBuf],
    ) -> Result<bool, Stale> {
        for (index, (name, value)) in key.iter().enumerate() {
            match self.key.get(index) {
                Some((known, same)) if known == name && same == value => {}
                Some((known, other)) if known == name => {
                    return Err(Stale::Changed {
                        what: known.clone(),
                        from: other.clone(),
                        to: value.clone(),
                    });
                }
                _ => return Err(Stale::New),
            }
        }
        if self.key.len() != key.len() {
            return Err(Stale::New);
        }
        let is_known = |states: &[FileState], path: &PathBuf| {
            states.iter().any(|state| state.path == files.relative(path))
        };
        if !inputs.iter().all(|path| is_known(&self.inputs, path))
            || outputs.len() != self.outputs.len()
            || !outputs.iter().all(|path| is_known(&self.outputs, path))
        {
            return Err(Stale::New);
        }
        let mut refreshed = false;
        for state in &mut self.inputs {
            if !files.is_same(state, &mut refreshed) {
                return Err(Stale::Input(state.path.clone()));
            }
        }
        for state in &mut self.outputs {
            if !files.is_same(state, &mut refreshed) {
                return Err(Stale::Output(state.path.clone()));
            }
        }
        Ok(refreshed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Setting {
        dir: tempfile::TempDir,
        key: Vec<(&'static str, String)>,
    }

    impl Setting {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::write_atomic(&dir.path().join("in"), b"one").unwrap();
            fs::write_atomic(&dir.path().join("out"), b"result").unwrap();
            next_tick();
            Self { dir, key: vec![("the flags", "-O2".to_owned())] }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn record(&self, began: (i64, i64)) -> Record {
            let files = Files::new(self.dir.path());
            let (inputs, outputs) = ([self.path("in")], [self.path("out")]);
            Record::of_step(&files, &self.key, &inputs, &outputs, began, String::new())
        }

        fn check(&self, record: &mut Record) -> Result<bool, Stale> {
            let files = Files::new(self.dir.path());
            record.check(&files, &self.key, &[self.path("in")], &[self.path("out")])
        }
    }

    #[test]
    fn bytes_decide_not_times() {
        let setting = Setting::new();
        let mut record = setting.record(fs::timestamp());
        assert_eq!(setting.check(&mut record), Ok(false));
        fs::write_atomic(&setting.path("in"), b"one").unwrap();
        next_tick();
        assert_eq!(setting.check(&mut record), Ok(true), "new stamp, same bytes");
        assert_eq!(setting.check(&mut record), Ok(false), "the new stamp was learned");
        fs::write_atomic(&setting.path("in"), b"two").unwrap();
        assert_eq!(setting.check(&mut record), Err(Stale::Input("in".into())));
    }

    #[test]
    fn a_changed_or_missing_output_is_stale() {
        let setting = Setting::new();
        let mut record = setting.record(fs::timestamp());
        fs::write_atomic(&setting.path("out"), b"damage").unwrap();
        assert_eq!(setting.check(&mut record), Err(Stale::Output("out".into())));
        fs::remove_file(&setting.path("out")).unwrap();
        assert_eq!(setting.check(&mut record), Err(Stale::Output("out".into())));
    }

    #[test]
    fn an_input_that_changed_during_the_step_is_never_fresh() {
        let setting = Setting::new();
        let began = next_tick();
        fs::write_atomic(&setting.path("in"), b"one").unwrap();
        let mut record = setting.record(began);
        assert_eq!(setting.check(&mut record), Err(Stale::Input("in".into())));
    }

    #[test]
    fn a_file_of_this_very_tick_is_hashed_again() {
        let setting = Setting::new();
        let mut record = setting.record(fs::timestamp());
        // Whatever the stamp says: it is not trusted without the hash.
        record.outputs[0].stamp = None;
        assert_eq!(setting.check(&mut record), Ok(true));
    }

    #[test]
    fn the_cause_of_a_change_is_named() {
        let mut setting = Setting::new();
        let mut record = setting.record(fs::timestamp());
        setting.key[0].1 = "-O3".to_owned();
        let stale = setting.check(&mut record).unwrap_err();
        assert_eq!(stale.to_string(), "the flags changed from -O2 to -O3");
    }

    #[test]
    fn records_survive_their_text_form() {
        let setting = Setting::new();
        let record = setting.record(fs::timestamp());
        let path = setting.path("record");
        fs::write_atomic(&path, &record.to_bytes().unwrap()).unwrap();
        assert_eq!(Record::read(&path), Some(record));
        fs::write_atomic(&path, b"{\"format\":").unwrap();
        assert_eq!(Record::read(&path), None);
    }
}
