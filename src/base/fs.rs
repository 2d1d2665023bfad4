//! Files: every read, write and lock of skep goes through here.
//!
//! Writing is always atomic: bytes go to a temporary file in the target's
//! directory, are flushed, and take the target's name by `rename(2)`. A crash,
//! a full disk or Ctrl-C leaves either the old file or the new one.
#![expect(clippy::disallowed_methods, reason = "this is the door to std::fs")]

use super::Cancel;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{error, fmt};

/// An operation on a path that the operating system refused.
#[derive(Debug)]
pub struct Error {
    /// What was tried, as a verb phrase that fits behind "cannot": `read`.
    pub action: &'static str,
    /// The path it was tried on.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// The result of an operation on a path.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, path, source } = self;
        write!(f, "cannot {action} {}: {}", path.display(), reason(source))
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The operating system's message without Rust's ` (os error N)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn at<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| Error { action, path: path.to_owned(), source })
}

/// The whole content of a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    at("read", path, fs::read(path))
}

/// Writes a file into a directory that nobody else knows yet: what is there
/// is replaced, and a crash may leave half of it.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    at("write", path, fs::write(path, bytes))
}

/// The whole content of a file, or nothing where there is no such file.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => at("read", path, result).map(Some),
    }
}

/// The whole content of a text file.
pub fn read_to_string(path: &Path) -> Result<String> {
    at("read", path, fs::read_to_string(path))
}

/// A file opened for reading.
pub fn open(path: &Path) -> Result<File> {
    at("open", path, File::open(path))
}

/// A new, empty file opened for reading and writing.
pub fn create(path: &Path) -> Result<File> {
    let options = File::options().read(true).write(true).create(true).truncate(true).open(path);
    at("create", path, options)
}

/// An empty file in memory, which has no path and ends with the value.
pub fn in_memory(name: &str) -> Result<File> {
    use std::os::fd::FromRawFd as _;
    let path = Path::new(name);
    let name = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: the name ends with a zero byte; what comes back is a descriptor
    // of ours, or negative.
    let file = unsafe {
        match libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) {
            fd if fd >= 0 => Ok(File::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    };
    at("create in memory", path, file)
}

/// The whole content of an open file, wherever it was read to; `name` is what
/// errors call it.
pub fn read_whole(mut file: File, name: &Path) -> Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    let mut read = || -> io::Result<()> {
        file.rewind()?;
        file.read_to_end(&mut bytes).map(drop)
    };
    let result = read();
    at("read", name, result).map(|()| bytes)
}

/// An existing file opened for reading and writing.
pub fn open_rw(path: &Path) -> Result<File> {
    at("open", path, File::options().read(true).write(true).open(path))
}

/// Writes into a file that exists, in place: a setting of the kernel's.
pub fn write_existing(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || File::options().write(true).open(path)?.write_all(bytes);
    at("write", path, write())
}

/// A file's bytes, mapped read-only.
///
/// The file must not be truncated while it is mapped: map files that skep
/// owns and replaces by rename, and read the user's own files instead.
pub fn map(path: &Path) -> Result<Mapped> {
    let file = open(path)?;
    // Private, which is the only way the kernel's own BTF can be mapped.
    // SAFETY: the caller keeps to the rule above, so the pages stay readable.
    at("map", path, unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) }).map(Mapped)
}

/// The bytes of a file that is mapped.
#[derive(Debug)]
pub struct Mapped(memmap2::Mmap);

impl std::ops::Deref for Mapped {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Writes a file so that it is there whole or not at all.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with_mode(path, bytes, 0o644)
}

/// [`write_atomic`] with the permission bits of the new file (the process's
/// umask is not applied).
pub fn write_atomic_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut file = Pending::with_mode(path, mode)?;
    file.write(bytes)?;
    file.finish()
}

/// A file that is written part by part: it takes its place when it is whole,
/// and leaves nothing behind if it never is.
#[derive(Debug)]
pub struct Pending<'p> {
    path: &'p Path,
    mode: u32,
    file: tempfile::NamedTempFile,
}

impl<'p> Pending<'p> {
    /// Begins a file that is to be at `path`.
    pub fn new(path: &'p Path) -> Result<Self> {
        Self::with_mode(path, 0o644)
    }

    fn with_mode(path: &'p Path, mode: u32) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let begin = || -> io::Result<_> {
            let parent = parent_of(path);
            fs::create_dir_all(parent)?;
            tempfile::Builder::new()
                .prefix(".skep-")
                .permissions(fs::Permissions::from_mode(mode))
                .tempfile_in(parent)
        };
        Ok(Self { path, mode, file: at("write", path, begin())? })
    }

    /// Adds to it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        at("write", self.path, self.file.write_all(bytes))
    }

    /// Puts it in its place.
    pub fn finish(self) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let Self { path, mode, file } = self;
        let finish = || -> io::Result<()> {
            file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        at("write", path, finish())
    }
}

/// A file that grows while others may read it: what is added is there whole,
/// or not at all.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: File,
    /// None until something was added: what was there before goes then.
    length: Option<u64>,
}

impl Growing {
    /// Begins a file that can be written, in place of what may be at `path`,
    /// which stays until something is added.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).open(path);
        Ok(Self { path: path.to_owned(), file: at("create", path, file)?, length: None })
    }

    /// Adds to it.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let length = match self.length {
            Some(length) => length,
            None => {
                // A pipe or a device has no length.
                let _ = self.file.set_len(0);
                0
            }
        };
        if let Err(error) = self.file.write_all(bytes) {
            // If that fails, too, the last line is in pieces.
            let _ = self.file.set_len(length);
            return at("write", &self.path, Err(error));
        }
        self.length = Some(length + bytes.len() as u64);
        Ok(())
    }
}

/// Writes a file unless it has these bytes already, so that nothing that
/// watches its time is woken in vain. Says whether it wrote.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if read_if_exists(path)?.as_deref() == Some(bytes) {
        return Ok(false);
    }
    write_atomic(path, bytes).map(|()| true)
}

/// The directory a path lies in; `.` for a bare name.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory and all that is missing above it.
pub fn create_dir_all(path: &Path) -> Result<()> {
    at("create the directory", path, fs::create_dir_all(path))
}

/// A fresh directory below `parent`, removed when the value is dropped.
pub fn temporary_dir(parent: &Path) -> Result<tempfile::TempDir> {
    create_dir_all(parent)?;
    let result = tempfile::Builder::new().prefix(".skep-").tempdir_in(parent);
    at("create a temporary directory in", parent, result)
}

/// Gives a file or directory another name.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    at("replace", to, fs::rename(from, to))
}

/// Removes a file; that it is not there is no error.
pub fn remove_file(path: &Path) -> Result<()> {
    at("remove", path, ignore_not_found(fs::remove_file(path)))
}

/// Removes a directory with all it holds; that it is not there is no error.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    at("remove", path, ignore_not_found(fs::remove_dir_all(path)))
}

/// Removes a directory if nothing is in it, and says whether it did.
pub fn remove_if_empty(path: &Path) -> bool {
    fs::remove_dir(path).is_ok()
}

fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The path with symbolic links and `..` resolved.
pub fn canonicalize(path: &Path) -> Result<PathBuf> {
    at("find", path, fs::canonicalize(path))
}

/// Size and times of what stands at a path, symbolic links followed.
pub fn metadata(path: &Path) -> Result<fs::Metadata> {
    at("look at", path, fs::metadata(path))
}

/// How many bytes may still be written where a path lies or will lie.
pub fn free_space(path: &Path) -> Result<u64> {
    use std::os::unix::ffi::OsStrExt as _;
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    let ask = || -> io::Result<u64> {
        let name = std::ffi::CString::new(there.as_os_str().as_bytes())?;
        let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: the name ends with a zero byte, and the answer has the
        // right size; it is read only where the call filled it in.
        let answer = unsafe {
            if libc::statvfs(name.as_ptr(), answer.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            answer.assume_init()
        };
        Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
    };
    at("look at", path, ask())
}

/// [`metadata`] of a symbolic link itself.
pub fn link_metadata(path: &Path) -> Result<fs::Metadata> {
    at("look at", path, fs::symlink_metadata(path))
}

/// Now, on the clock that the kernel takes file times from: a file that is
/// changed from now on has no earlier time. The clock ticks every few
/// milliseconds.
pub fn timestamp() -> (i64, i64) {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the right type.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut now) };
    (now.tv_sec, now.tv_nsec)
}

/// Whether anything stands at a path.
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// Whether a regular file stands at a path, symbolic links followed.
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether a directory stands at a path, symbolic links followed.
pub fn is_dir(path: &Path) -> bool {
    path.is_dir()
}

/// The paths in a directory, sorted by name.
pub fn read_dir(path: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(path)? {
            paths.push(entry?.path());
        }
        paths.sort();
        Ok(paths)
    };
    at("list", path, list())
}

/// Every file below a directory, sorted by path; what cannot be read is left
/// out, and symbolic links are not followed.
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in read_dir(dir).unwrap_or_default() {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => files.extend(files_below(&path)),
            Ok(metadata) if metadata.is_file() => files.push(path),
            _ => {}
        }
    }
    files
}

/// The bytes that a file, or everything below a directory, takes on the disk:
/// holes take none. Nothing where nothing is.
pub fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    // Counted in units of 512 bytes (stat(2)).
    let own = metadata.blocks() * 512;
    match metadata.is_dir() {
        true => {
            read_dir(path).unwrap_or_default().iter().map(|path| disk_usage(path)).sum::<u64>()
                + own
        }
        false => own,
    }
}

/// An exclusive lock between processes, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock that the file at `path` stands for, making the file if
    /// need be. `on_wait` is called once if another process holds it; what
    /// the holder wrote into the file (see [`Lock::acquire_as`]) is its
    /// argument.
    pub fn acquire(path: &Path, on_wait: impl FnOnce(&str)) -> Result<Self> {
        Self::acquire_as(path, "", on_wait)
    }

    /// [`Lock::acquire_as`] whose wait ends without the lock once `cancel` is
    /// set.
    pub fn acquire_unless(
        path: &Path,
        holder: &str,
        cancel: &Cancel,
        on_wait: impl FnOnce(&str),
    ) -> Result<Option<Self>> {
        create_dir_all(parent_of(path))?;
        let mut on_wait = Some(on_wait);
        let mut lock = || -> io::Result<Option<File>> {
            let mut file = Self::open_file(path)?;
            loop {
                match file.try_lock() {
                    Ok(()) if Self::is_at(&file, path) => break,
                    // Whoever held it removed the file, with all the rest.
                    Ok(()) => file = Self::open_file(path)?,
                    Err(TryLockError::WouldBlock) if cancel.is_cancelled() => return Ok(None),
                    Err(TryLockError::WouldBlock) => {
                        if let Some(on_wait) = on_wait.take() {
                            on_wait(fs::read_to_string(path).unwrap_or_default().trim());
                        }
                        std::thread::sleep(std::time::Duration::from_millis(5));
                    }
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
            file.set_len(0)?;
            file.write_all(holder.as_bytes())?;
            Ok(Some(file))
        };
        at("lock", path, lock()).map(|file| file.map(|file| Self { _file: file }))
    }

    fn open_file(path: &Path) -> io::Result<File> {
        fs::create_dir_all(parent_of(path))?;
        File::options().read(true).write(true).create(true).truncate(false).open(path)
    }

    /// Whether an open file is still the one at a path.
    fn is_at(file: &File, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        match (file.metadata(), fs::metadata(path)) {
            (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    /// [`Lock::acquire`] that writes `holder` into the lock file, so that who
    /// waits can say for whom.
    pub fn acquire_as(path: &Path, holder: &str, on_wait: impl FnOnce(&str)) -> Result<Self> {
        create_dir_all(parent_of(path))?;
        let lock = || -> io::Result<File> {
            let mut file =
                File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    on_wait(fs::read_to_string(path).unwrap_or_default().trim());
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if !holder.is_empty() {
                file.set_len(0)?;
                file.write_all(holder.as_bytes())?;
            }
            Ok(file)
        };
        at("lock", path, lock()).map(|file| Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atomic_write_replaces_and_makes_directories() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        write_atomic(&path, b"one").unwrap();
        assert!(write_if_changed(&path, b"two").unwrap());
        assert!(!write_if_changed(&path, b"two").unwrap());
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(read_dir(&dir.path().join("a")).unwrap(), [path]);
    }

    #[test]
    fn an_error_names_the_path_and_the_reason() {
        let error = read(Path::new("/nonexistent/x")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/x: No such file or directory");
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_taken_on_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/lock");
        let first = Lock::acquire(&path, |_| {}).unwrap();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || Lock::acquire_unless(&path, "second", &Cancel::new(), |_| {}).unwrap().unwrap()
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        remove_dir_all(&dir.path().join("deep")).unwrap();
        drop(first);
        let second = waiter.join().unwrap();
        assert_eq!(read(&path).unwrap(), b"second");
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(Lock::acquire_unless(&path, "third", &cancel, |_| {}).unwrap().is_none());
        drop(second);
    }

    #[test]
    fn a_second_holder_waits_and_learns_for_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::acquire_as(&path, "skep build (pid 1)", |_| unreachable!()).unwrap();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut seen = String::new();
                Lock::acquire(&path, |holder| seen = holder.to_owned()).unwrap();
                seen
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(first);
        assert_eq!(waiter.join().unwrap(), "skep build (pid 1)");
    }
}
