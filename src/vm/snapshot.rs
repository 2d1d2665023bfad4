//! Snapshots: a machine that booted once is kept, and every later one begins
//! where it was.
//!
//! ```text
//! snapshots/
//!   KERNEL-KEY/ram       the guest's memory, with holes
//!   KERNEL-KEY/state     devices and processor, as QEMU migrates them
//!   KERNEL-KEY/seal      sizes, times and hashes of the two
//!   KERNEL-KEY.lock      held while it is made
//! ```
//! KEY stands for all that must be the same for a restored machine to be the
//! one that was saved: kernel, skep, QEMU, its whole command line. QEMU itself
//! would not notice. A snapshot is made in a temporary directory and renamed
//! into place; nothing in it is ever changed, and machines map its memory
//! copy-on-write, so any number of them share it.
//!
//! A snapshot of another key serves nobody once the skep or the QEMU that it
//! was made with is replaced, or when it has not been used for a week. It goes
//! when the next one of its kernel is made, unless a machine still runs on it
//! (which holds a lock on `state`).
//!
//! A flipped bit could turn into a wrong verdict. So the seal keeps hashes;
//! they are compared whenever the files' times are not those the seal knows,
//! which any change through the file system brings about.

use super::Error;
use crate::base::digest::Digest;
use crate::base::fs;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How many snapshots of one kernel are kept: accelerators and command lines
/// in turn.
const KEPT: usize = 3;
/// How long one is kept that nobody uses.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);
/// How exactly its last use is known.
const USE_STEP: Duration = Duration::from_secs(600);
/// Memory is hashed in pieces of this size; those that are all zero, or holes,
/// are left out.
const PIECE: usize = 64 << 10;

/// The place of one snapshot.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: PathBuf,
    kernel: String,
    name: String,
    made_with: Vec<PathBuf>,
}

/// A snapshot, open.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub ram: File,
    pub state: File,
    /// The guest talks over the serial line.
    pub serial: bool,
}

/// A snapshot in the making.
#[derive(Debug)]
pub(super) struct Draft {
    dir: tempfile::TempDir,
    _lock: fs::Lock,
    pub ram: File,
    pub state: File,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    ram: Sealed,
    state: Sealed,
    serial: bool,
    /// The programs it was made with: none of it is of use with others.
    made_with: Vec<Program>,
}

/// A program's file, and what changes when it is replaced.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Program {
    path: PathBuf,
    identity: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sealed {
    size: u64,
    hash: String,
    /// Inode and change time (seconds, nanoseconds) when the hash was known
    /// to be right.
    seen: (u64, i64, i64),
}

impl Place {
    /// Below `root`, for a kernel (its key in the store), with all that the
    /// snapshot depends on in `key`, and the programs among that.
    pub fn new(root: &Path, kernel: &str, key: Digest, made_with: &[&Path]) -> Self {
        let name = format!("{kernel}-{}", key.short());
        let made_with = made_with.iter().map(|path| path.to_path_buf()).collect();
        Self { root: root.to_owned(), kernel: kernel.to_owned(), name, made_with }
    }

    fn dir(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// The snapshot, if there is one that can be trusted.
    pub fn open(&self) -> Option<Snapshot> {
        let dir = self.dir();
        let seal_path = dir.join("seal");
        let mut seal: Seal = serde_json::from_slice(&fs::read_if_exists(&seal_path).ok()??).ok()?;
        let ram = fs::open_rw(&dir.join("ram")).ok()?;
        let state = fs::open_rw(&dir.join("state")).ok()?;
        // QEMU gets the same open file, so this lasts as long as both of us.
        // Who cannot have it goes on: nothing that is removed is lost to him.
        drop(state.try_lock_shared());
        note_use(&dir);
        let trusted = seal.ram.is_fresh(&ram) && seal.state.is_fresh(&state);
        if !trusted {
            let now = (Sealed::of(&ram)?, Sealed::of(&state)?);
            if now.0.hash != seal.ram.hash || now.1.hash != seal.state.hash {
                return None;
            }
            // Copied, say, but whole: look at it less closely next time.
            (seal.ram, seal.state) = now;
            drop(seal.write(&seal_path));
        }
        Some(Snapshot { ram, state, serial: seal.serial })
    }

    /// Begins to make the snapshot anew; `on_wait` is called if another
    /// process is at it. Nothing if that process made it meanwhile.
    pub fn draft(&self, ram_size: u64, on_wait: impl FnOnce()) -> Result<Option<Draft>, Error> {
        let mut waited = false;
        let lock = fs::Lock::acquire(&self.root.join(format!("{}.lock", self.name)), |_| {
            waited = true;
            on_wait();
        })?;
        if waited && self.open().is_some() {
            return Ok(None);
        }
        let dir = fs::temporary_dir(&self.root)?;
        let ram = fs::create(&dir.path().join("ram"))?;
        ram.set_len(ram_size).map_err(Error::System)?;
        let state = fs::create(&dir.path().join("state"))?;
        Ok(Some(Draft { dir, _lock: lock, ram, state }))
    }

    /// Puts a finished draft into the snapshot's place, and removes the oldest
    /// ones of the same kernel. `serial` is whether its guest talks over the
    /// serial line.
    pub fn publish(&self, draft: &Draft, serial: bool) -> Result<(), Error> {
        punch_holes(&draft.ram);
        let unreadable = || Error::Snapshot("it cannot be read back".into());
        let seal = Seal {
            ram: Sealed::of(&draft.ram).ok_or_else(unreadable)?,
            state: Sealed::of(&draft.state).ok_or_else(unreadable)?,
            serial,
            made_with: self.made_with.iter().map(|path| Program::at(path)).collect(),
        };
        seal.write(&draft.dir.path().join("seal"))?;
        let dir = self.dir();
        // A snapshot that is no good may be in the way.
        fs::remove_dir_all(&dir)?;
        fs::rename(draft.dir.path(), &dir)?;
        self.prune()
    }

    /// Removes the kernel's other snapshots that serve nobody any more.
    fn prune(&self) -> Result<(), Error> {
        let mut others = Vec::new();
        for path in fs::read_dir(&self.root)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_other = name != self.name && name.starts_with(&format!("{}-", self.kernel));
            if is_other && fs::is_dir(&path) {
                let used = fs::metadata(&path).ok().and_then(|metadata| metadata.modified().ok());
                others.push((used.unwrap_or(SystemTime::UNIX_EPOCH), path));
            }
        }
        others.sort();
        let mut surplus = others.len().saturating_sub(KEPT - 1);
        for (used, path) in others {
            let is_old = used.elapsed().is_ok_and(|age| age > UNUSED);
            if (surplus > 0 || is_old || !is_current(&path)) && !is_in_use(&path) {
                surplus = surplus.saturating_sub(1);
                fs::remove_dir_all(&path)?;
                fs::remove_file(&path.with_extension("lock"))?;
            }
        }
        Ok(())
    }
}

/// Whether the programs that a snapshot was made with are still there.
fn is_current(dir: &Path) -> bool {
    let seal = fs::read(&dir.join("seal")).ok();
    let seal: Option<Seal> = seal.and_then(|seal| serde_json::from_slice(&seal).ok());
    seal.is_some_and(|seal| {
        seal.made_with.iter().all(|program| *program == Program::at(&program.path))
    })
}

/// Whether somebody has a snapshot open.
fn is_in_use(dir: &Path) -> bool {
    fs::open_rw(&dir.join("state")).is_ok_and(|state| state.try_lock().is_err())
}

/// Has the directory's time say that the snapshot is used. Not every time:
/// that would be a write for every run.
fn note_use(dir: &Path) {
    let Ok(dir) = fs::open(dir) else { return };
    let now = SystemTime::now();
    let modified = dir.metadata().and_then(|metadata| metadata.modified());
    let is_recent = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age < USE_STEP);
    if !modified.is_ok_and(is_recent) {
        // Where the cache cannot be written, nothing is removed either.
        drop(dir.set_modified(now));
    }
}

impl Program {
    fn at(path: &Path) -> Self {
        let identity = fs::metadata(path).map_or_else(
            |_| String::new(),
            |file| {
                let (mtime, nanoseconds) = (file.mtime(), file.mtime_nsec());
                format!("{} {} {} {mtime} {nanoseconds}", file.dev(), file.ino(), file.len())
            },
        );
        Self { path: path.to_owned(), identity }
    }
}

impl Seal {
    fn write(&self, path: &Path) -> Result<(), Error> {
        // A struct of numbers and strings always serialises.
        let text = serde_json::to_vec(self).unwrap_or_default();
        Ok(fs::write_atomic(path, &text)?)
    }
}

impl Sealed {
    /// Hashes a file.
    fn of(file: &File) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        let seen = (metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
        Some(Self { size: metadata.len(), hash: hash(file, metadata.len())?.to_string(), seen })
    }

    /// Whether nothing was done to the file since the hash was right.
    fn is_fresh(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|metadata| {
            metadata.len() == self.size
                && self.seen == (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        })
    }
}

/// The hash of a file's pieces that are not all zero.
fn hash(file: &File, size: u64) -> Option<Digest> {
    use std::os::unix::fs::FileExt as _;
    let mut digests = Vec::new();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < size {
        at = next_data(file, at).unwrap_or(size) / PIECE as u64 * PIECE as u64;
        if at >= size {
            break;
        }
        let length = usize::try_from(size - at).map_or(PIECE, |left| left.min(PIECE));
        file.read_exact_at(&mut piece[..length], at).ok()?;
        if piece[..length].iter().any(|&byte| byte != 0) {
            digests.push(Digest::of_parts([&at.to_le_bytes()[..], &piece[..length]]).to_string());
        }
        at += length as u64;
    }
    Some(Digest::of_parts(digests.iter().map(|digest| digest.as_bytes())))
}

/// Makes holes of a file's pages that are all zero, which then take no room. A
/// file system that has no holes keeps them.
fn punch_holes(file: &File) {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::FileExt as _;
    const PAGE: usize = 4096;
    const ZERO: [u8; PAGE] = [0; PAGE];
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let punch = |from: u64, to: u64| {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let (from, length) = (from.cast_signed(), (to - from).cast_signed());
        // SAFETY: a plain system call on a file that is ours alone.
        to <= size && unsafe { libc::fallocate(file.as_raw_fd(), mode, from, length) } == 0
    };
    let mut piece = vec![0; 1 << 20];
    let mut at = 0;
    // Where the zero pages before `at` begin.
    let mut zeroes = None;
    while at < size {
        let length = usize::try_from(size - at).map_or(piece.len(), |left| left.min(piece.len()));
        if file.read_exact_at(&mut piece[..length], at).is_err() {
            return;
        }
        for page in piece[..length].chunks(PAGE) {
            let is_zero = page == &ZERO[..page.len()];
            match (is_zero, zeroes) {
                (true, None) => zeroes = Some(at),
                (false, Some(from)) => {
                    if !punch(from, at) {
                        return;
                    }
                    zeroes = None;
                }
                _ => {}
            }
            at += page.len() as u64;
        }
    }
    if let Some(from) = zeroes {
        punch(from, size);
    }
}

/// Where the next bytes that are not a hole begin; none up to the end.
fn next_data(file: &File, at: u64) -> Option<u64> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: a plain system call; the file's position is used by nobody.
    let found = unsafe { libc::lseek(file.as_raw_fd(), at.cast_signed(), libc::SEEK_DATA) };
    u64::try_from(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    fn place(root: &Path) -> Place {
        Place::new(root, "0123456789abcdef", Digest::of(b"key"), &[])
    }

    fn make(place: &Place) {
        let mut draft = place.draft(1 << 20, || {}).unwrap().unwrap();
        draft.ram.write_all_at(b"memory", 300_000).unwrap();
        draft.state.write_all(b"devices").unwrap();
        place.publish(&draft, false).unwrap();
    }

    #[test]
    fn a_snapshot_is_there_once_it_is_published() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        assert!(place.open().is_none());
        make(&place);
        let snapshot = place.open().unwrap();
        assert_eq!(snapshot.ram.metadata().unwrap().len(), 1 << 20);
        make(&place);
        assert!(place.open().is_some());
    }

    #[test]
    fn a_changed_bit_and_a_lost_end_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        for file in ["ram", "state"] {
            make(&place);
            let path = place.dir().join(file);
            let file = fs::open_rw(&path).unwrap();
            file.write_all_at(b"M", 300_000 * u64::from(path.ends_with("ram"))).unwrap();
            assert!(place.open().is_none(), "{path:?} changed");
            make(&place);
            let file = fs::open_rw(&path).unwrap();
            file.set_len(5).unwrap();
            assert!(place.open().is_none(), "{path:?} cut");
        }
    }

    #[test]
    fn a_copied_snapshot_is_whole_although_its_times_differ() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        make(&place);
        // Without holes, too.
        let path = place.dir().join("ram");
        let bytes = fs::read(&path).unwrap();
        fs::write_atomic(&path, &bytes).unwrap();
        assert!(place.open().is_some());
    }

    #[test]
    fn only_the_newest_of_a_kernel_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for key in 0..5_u8 {
            make(&Place::new(root.path(), "0123456789abcdef", Digest::of(&[key]), &[]));
        }
        let dirs = fs::read_dir(root.path()).unwrap().into_iter().filter(|path| fs::is_dir(path));
        assert_eq!(dirs.count(), KEPT);
    }

    #[test]
    fn what_nobody_can_or_does_use_makes_way_unless_it_runs() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("skep");
        fs::write_atomic(&program, b"one").unwrap();
        let kernel = "0123456789abcdef";
        let place = |key: &[u8]| Place::new(root.path(), kernel, Digest::of(key), &[&program]);
        let (old, kept, unused, new) =
            (place(b"old"), place(b"kept"), place(b"unused"), place(b"new"));
        make(&old);
        let held = old.open().unwrap();
        fs::write_atomic(&program, b"another").unwrap();
        make(&kept);
        make(&unused);
        let long_ago = SystemTime::now() - UNUSED - Duration::from_secs(60);
        fs::open(&unused.dir()).unwrap().set_modified(long_ago).unwrap();
        make(&new);
        // A machine runs on the old one; the unused one goes by its age.
        assert!(fs::is_dir(&old.dir()) && fs::is_dir(&kept.dir()) && !fs::is_dir(&unused.dir()));
        drop(held);
        make(&new);
        assert!(!fs::is_dir(&old.dir()) && kept.open().is_some() && new.open().is_some());
        // Another kernel's are not touched, and use is noted.
        let other = Place::new(root.path(), "fedcba9876543210", Digest::of(b"old"), &[]);
        make(&other);
        fs::open(&other.dir()).unwrap().set_modified(long_ago).unwrap();
        make(&new);
        assert!(other.open().is_some());
        let used = fs::metadata(&other.dir()).unwrap().modified().unwrap();
        assert!(used.elapsed().unwrap() < USE_STEP);
    }
}
