//! The guest's root: skep itself as `/init`, with the shared libraries it
//! runs on, in a cpio archive (the `newc` format that
//! Documentation/driver-api/early-userspace/buffer-format.rst describes).
//!
//! The archive has no times and no owners in it, so the same skep makes the
//! same bytes. Of an ELF file only what is loaded goes in: debug information
//! lies behind that.

use super::Error;
use crate::base::digest::Digest;
use crate::base::fs;
use crate::elf::{Executable, loaded_part};
use crate::wire;
use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A root file system in an archive, which is made when it is first needed.
#[derive(Debug)]
pub struct Initramfs {
    executable: PathBuf,
    archive: Mutex<Option<Arc<[u8]>>>,
}

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// Where the guest's shared libraries lie: `LD_LIBRARY_PATH` says so there.
pub(super) const LIBRARIES: &str = "/lib";

impl Initramfs {
    /// The root for the running skep, whose executable is at `executable`.
    pub fn of_skep(executable: &Path) -> Self {
        // Another skep may have been installed while we run.
        let own = Path::new("/proc/self/exe");
        let executable = if fs::is_file(executable) { executable } else { own };
        Self { executable: executable.to_owned(), archive: Mutex::new(None) }
    }

    /// The skep that it is made of.
    pub(super) fn executable(&self) -> &Path {
        &self.executable
    }

    /// What stands for the archive's bytes without making them: which files
    /// it is made of, and when they were changed last.
    pub(super) fn identity(&self) -> Result<Digest, Error> {
        let mut parts = vec![env!("CARGO_PKG_VERSION").to_owned()];
        for path in shared_libraries().iter().chain([&self.executable]) {
            let metadata = fs::metadata(path)?;
            let times = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime());
            let file = (metadata.dev(), metadata.ino(), metadata.len());
            parts.push(format!("{} {file:?} {times:?}", path.display()));
        }
        Ok(Digest::of_parts(parts.iter().map(|part| part.as_bytes())))
    }

    /// The archive.
    pub(super) fn archive(&self) -> Result<Arc<[u8]>, Error> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = &*archive {
            return Ok(Arc::clone(archive));
        }
        let made: Arc<[u8]> = pack(&self.executable)?.into();
        Ok(Arc::clone(archive.insert(made)))
    }
}

/// Packs an executable and, if it is dynamic, the shared libraries that this
/// process runs on.
fn pack(executable: &Path) -> Result<Vec<u8>, Error> {
    let init = fs::read(executable)?;
    let interpreter = Executable::read(&init).and_then(|file| file.interpreter);
    let interpreter = interpreter.map(PathBuf::from);
    let mut archive = Archive::default();
    for dir in ["dev", "proc", "sys", "tmp", "lib"] {
        archive.directory(dir);
    }
    archive.entry("dev/console", CHARACTER_DEVICE, (5, 1), &[]);
    archive.entry(wire::MARK.trim_start_matches('/'), EXECUTABLE, (0, 0), &[]);
    let loaded = |path: &Path, bytes: Vec<u8>| {
        loaded_part(bytes).ok_or_else(|| Error::Pack {
            path: path.to_owned(),
            reason: "it is not a 64-bit ELF file".into(),
        })
    };
    archive.file("init", &loaded(executable, init)?);
    if let Some(interpreter) = interpreter {
        archive.file_at(&interpreter, &loaded(&interpreter, fs::read(&interpreter)?)?);
        for library in shared_libraries() {
            let Some(name) = library.file_name() else { continue };
            let place = Path::new(LIBRARIES).join(name);
            if place != interpreter && library != interpreter {
                archive.file_at(&place, &loaded(&library, fs::read(&library)?)?);
            }
        }
    }
    Ok(archive.finish())
}

/// The files of the shared libraries that this process runs on, under the
/// names the dynamic linker found them by.
fn shared_libraries() -> BTreeSet<PathBuf> {
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: the linker hands out valid entries; `found` is the set below.
        let (name, found) = unsafe { ((*info).dlpi_name, &mut *found.cast::<BTreeSet<PathBuf>>()) };
        if !name.is_null() {
            // SAFETY: a string of the linker's, ending in a zero byte.
            let name = OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes());
            // The executable has no name, the kernel's own pages no file.
            if Path::new(name).is_absolute() {
                found.insert(PathBuf::from(name));
            }
        }
        0
    }
    let mut found = BTreeSet::new();
    // SAFETY: the callback gets back the pointer it expects, and only now.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
    found
}

/// A cpio archive in the making.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<PathBuf>,
    entries: u32,
}

impl Archive {
    fn directory(&mut self, path: &str) {
        if self.directories.insert(PathBuf::from(path)) {
            self.entry(path, DIRECTORY, (0, 0), &[]);
        }
    }

    fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, EXECUTABLE, (0, 0), content);
    }

    /// A file at an absolute path, with the directories above it.
    fn file_at(&mut self, path: &Path, content: &[u8]) {
        let relative = path.strip_prefix("/").unwrap_or(path).to_string_lossy().into_owned();
        let above: Vec<&Path> = Path::new(&relative).ancestors().skip(1).collect();
        for dir in above.into_iter().rev().filter(|dir| *dir != Path::new("")) {
            self.directory(&dir.to_string_lossy());
        }
        self.file(&relative, content);
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let fields = [
            self.entries, // inode
            mode,
            0, // user
            0, // group
            1, // links
            0, // time
            content.len() as u32,
            0, // device, major and minor
            0,
            device.0,
            device.1,
            path.len() as u32 + 1,
            0, // checksum
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    /// Names and contents begin at multiples of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_test_can_be_packed_with_what_it_runs_on() {
        let executable = Path::new("/proc/self/exe");
        let one = Initramfs::of_skep(executable);
        let archive = one.archive().unwrap();
        let size = fs::metadata(executable).unwrap().len();
        assert_eq!(archive, Initramfs::of_skep(executable).archive().unwrap());
        assert_eq!(one.identity().unwrap(), Initramfs::of_skep(executable).identity().unwrap());
        assert!((archive.len() as u64) < size + (8 << 20));
        let has = |text: &str| archive.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(has("init\0") && has("lib/libc.so.6\0") && has("TRAILER!!!\0"));
    }
}
