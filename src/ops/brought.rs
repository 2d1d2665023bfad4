//! What is taken from this machine into a guest: files and directories that
//! the user names, and with every dynamic program among them its dynamic
//! linker and its shared libraries, each where the program looks for it.
//!
//! Libraries are looked for as glibc's ld.so does (ld.so(8)): the directories
//! that the file itself names, the linker's cache, the usual directories.
//! Variants for newer processors (`glibc-hwcaps`) are left out: the guest's
//! processor is an old one.

use super::Session;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf::{Executable, loaded_part};
use crate::vm::Brought;
use crate::wire::BROUGHT;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// No more is taken into a guest, in bytes: it has no disk.
const MAX: u64 = 64 << 20;
/// A larger program loses what is not loaded of it, in bytes.
const LARGE: usize = 8 << 20;
/// The same where probes are put into it by its symbols and notes.
const LARGE_WITH_SYMBOLS: usize = 32 << 20;
/// Where ld.so keeps what libraries there are.
const CACHE: &str = "/etc/ld.so.cache";
/// Where dynamic linkers look without being told; which of them do is their
/// distribution's choice.
const USUAL: [&str; 6] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// What is to be taken along.
pub(super) struct Luggage<'s> {
    session: &'s Session,
    /// By their place in the guest.
    files: BTreeMap<PathBuf, Brought>,
    size: u64,
    /// How large a program may be that is taken as it is.
    large: usize,
    cache: Option<Cache>,
}

/// A file on this machine, and where it is in the guest.
struct Placed<'p> {
    here: &'p Path,
    there: &'p Path,
}

impl<'s> Luggage<'s> {
    /// Nothing yet.
    pub fn new(session: &'s Session) -> Self {
        Self { session, files: BTreeMap::new(), size: 0, large: LARGE, cache: None }
    }

    /// Leaves programs their symbols and notes, if they are not very large:
    /// probes find their places by them.
    pub fn with_symbols(self) -> Self {
        Self { large: LARGE_WITH_SYMBOLS, ..self }
    }

    /// What a user names: a file under its name, a directory with all that is
    /// below it.
    ///
    /// # Errors
    /// What cannot be read or is too large; and a file that was named itself
    /// whose library is missing.
    pub fn add(&mut self, paths: &[PathBuf]) -> Result<(), Failure> {
        for path in paths {
            let path = self.session.absolute(path);
            let path = match path.file_name() {
                Some(_) => path,
                // `..` has a name, too.
                None => fs::canonicalize(&path)?,
            };
            let name = path.file_name().map(PathBuf::from).unwrap_or_default();
            let root = Path::new("/").join(BROUGHT).join(name);
            if !fs::is_dir(&path) {
                self.add_file(&path, &root, true)?;
                continue;
            }
            for file in fs::files_below(&path) {
                let below = file.strip_prefix(&path).unwrap_or(Path::new(""));
                self.add_file(&file, &root.join(below), false)?;
            }
        }
        Ok(())
    }

    /// A file that skep makes itself, at its place from the root on.
    pub fn add_made(&mut self, path: String, bytes: Vec<u8>) -> Result<(), Failure> {
        self.size += bytes.len() as u64;
        if self.size > MAX {
            return Err(too_large());
        }
        self.files.insert(PathBuf::from(&path), Brought { path, executable: false, bytes });
        Ok(())
    }

    /// A program; where it is in the guest.
    pub fn add_program(&mut self, path: &Path) -> Result<PathBuf, Failure> {
        let there = Path::new("/").join(BROUGHT).join(path.file_name().unwrap_or_default());
        self.files.remove(&there);
        self.add_file(path, &there, true)?;
        Ok(there)
    }

    /// All of it.
    pub fn into_files(self) -> Vec<Brought> {
        self.files.into_values().collect()
    }

    fn add_file(&mut self, here: &Path, there: &Path, is_named: bool) -> Result<(), Failure> {
        let executable = fs::metadata(here)?.permissions().mode() & 0o111 != 0;
        let bytes = self.lay(here, there, executable)?;
        // A directory may have programs for other machines in it, or libraries
        // that only one of its programs can load.
        let Some(file) = bytes.as_deref().and_then(Executable::read) else { return Ok(()) };
        if file.interpreter.is_none() && !is_named {
            return Ok(());
        }
        // The linker sees what a link leads to.
        let real = fs::canonicalize(here)?;
        match self.add_libraries(&file, &Placed { here: &real, there })? {
            None => Ok(()),
            Some(missing) if is_named => Err(missing.into()),
            Some(missing) => {
                self.session.note(missing.message);
                Ok(())
            }
        }
    }

    /// Lays one file; its bytes if it was not there yet.
    fn lay(
        &mut self,
        here: &Path,
        there: &Path,
        executable: bool,
    ) -> Result<Option<Vec<u8>>, Failure> {
        if self.files.contains_key(there) {
            return Ok(None);
        }
        // It is not read only to be refused.
        let whole = fs::metadata(here)?.len();
        if whole > 16 * MAX {
            return Err(too_large());
        }
        let bytes = fs::read(here)?;
        let laid = match bytes.len() > self.large && Executable::read(&bytes).is_some() {
            true => {
                let part = loaded_part(bytes.clone()).unwrap_or_else(|| bytes.clone());
                self.session.detail(format!(
                    "{} leaves its symbols and debug information behind: {} of {} MiB are loaded",
                    self.session.display(here).display(),
                    part.len() >> 20,
                    bytes.len() >> 20
                ));
                part
            }
            false => bytes.clone(),
        };
        self.size += laid.len() as u64;
        if self.size > MAX {
            return Err(too_large());
        }
        let path = there.strip_prefix("/").unwrap_or(there).to_string_lossy().into_owned();
        self.files.insert(there.to_owned(), Brought { path, executable, bytes: laid });
        Ok(Some(bytes))
    }

    /// Adds what a file needs, and what that needs; or says what is missing.
    fn add_libraries(
        &mut self,
        file: &Executable,
        place: &Placed<'_>,
    ) -> Result<Option<Diagnostic>, Failure> {
        let mut known = BTreeSet::new();
        if let Some(interpreter) = &file.interpreter {
            let path = Path::new(interpreter);
            if !fs::is_file(path) {
                return Ok(Some(missing(self.session, place.here, interpreter)));
            }
            self.lay(path, path, true)?;
            known.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        let is_musl = file.interpreter.as_ref().is_some_and(|path| path.contains("ld-musl"));
        if !is_musl && self.cache.is_none() {
            self.cache = Some(Cache::read());
        }
        let mut wanted =
            vec![(file.clone(), place.here.to_owned(), place.there.to_owned(), vec![])];
        while let Some((file, here, there, mut inherited)) = wanted.pop() {
            let origins = Placed { here: fs::parent_of(&here), there: fs::parent_of(&there) };
            let mut dirs = Vec::new();
            if file.runpath.is_empty() {
                let own = expand(&file.rpath, &origins);
                inherited = own.into_iter().chain(inherited).collect();
                dirs.clone_from(&inherited);
            }
            dirs.extend(expand(&file.runpath, &origins));
            for name in &file.needed {
                if !known.insert(name.clone()) {
                    continue;
                }
                let Some((from, to)) = self.find(name, file.machine, &dirs, is_musl)? else {
                    return Ok(Some(missing(self.session, place.here, name)));
                };
                self.session.detail(format!("brings {} along", from.display()));
                let bytes = self.lay(&from, &to, true)?;
                // One that was laid for another program may need more than was
                // known then.
                let bytes = bytes.map_or_else(|| fs::read(&from), Ok)?;
                if let Some(library) = Executable::read(&bytes) {
                    wanted.push((library, from, to, inherited.clone()));
                }
            }
        }
        Ok(None)
    }

    /// Where a library is here, and where it is to be in the guest.
    fn find(
        &mut self,
        name: &str,
        machine: u16,
        dirs: &[(PathBuf, PathBuf)],
        is_musl: bool,
    ) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
        let fits = |path: &Path| {
            fs::is_file(path)
                && fs::read(path).is_ok_and(|bytes| {
                    Executable::read(&bytes).is_some_and(|f| f.machine == machine)
                })
        };
        if name.contains('/') {
            let path = PathBuf::from(name);
            return Ok((path.is_absolute() && fits(&path)).then(|| (path.clone(), path)));
        }
        for (here, there) in dirs {
            let path = here.join(name);
            if fits(&path) {
                return Ok(Some((path, there.join(name))));
            }
        }
        let cached = self.cache.as_ref().filter(|_| !is_musl).and_then(|cache| cache.find(name));
        if let Some(path) = cached.filter(|path| fits(path)) {
            let is_usual = USUAL.iter().any(|dir| fs::parent_of(&path) == Path::new(dir));
            if !is_usual {
                // The linker in the guest has to be told the same.
                self.lay(Path::new(CACHE), Path::new(CACHE), false)?;
            }
            return Ok(Some((path.clone(), path)));
        }
        let usual: &[&str] = if is_musl { &["/lib", "/usr/local/lib", "/usr/lib"] } else { &USUAL };
        let mut paths = usual.iter().map(|dir| Path::new(dir).join(name));
        Ok(paths.find(|path| fits(path)).map(|path| (path.clone(), path)))
    }
}

fn too_large() -> Failure {
    let message = format!(
        "what is to be brought is larger than {} MiB, and the guest has no disk",
        MAX >> 20
    );
    Diagnostic::new(codes::USAGE, Origin::Command, message).into()
}

fn missing(session: &Session, program: &Path, library: &str) -> Diagnostic {
    let message = format!(
        "{} needs {library}, which is not on this machine",
        session.display(program).display()
    );
    Diagnostic::new(codes::LIBRARY_MISSING, Origin::Command, message)
        .help("install the package that has it, or link the program statically")
}

/// Directories that a file names, here and in the guest.
fn expand(dirs: &[String], origins: &Placed<'_>) -> Vec<(PathBuf, PathBuf)> {
    let with = |dir: &str, origin: &Path| {
        let origin = origin.to_string_lossy();
        plain(Path::new(&dir.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", &origin)))
    };
    let dirs = dirs.iter().map(|dir| (with(dir, origins.here), with(dir, origins.there)));
    // Other variables stand for what processors are called.
    dirs.filter(|(here, _)| here.is_absolute() && !here.to_string_lossy().contains('$')).collect()
}

/// A path without `.` and `..`: in the guest there may be no directory to go
/// up from.
fn plain(path: &Path) -> PathBuf {
    let mut all = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                all.pop();
            }
            Component::CurDir => {}
            part => all.push(part),
        }
    }
    all
}

/// ld.so's cache: names and paths (glibc's sysdeps/generic/dl-cache.h).
struct Cache {
    bytes: Vec<u8>,
    /// Where its header begins: an older one may stand in front.
    start: usize,
}

impl Cache {
    const MAGIC: &'static [u8] = b"glibc-ld.so.cache1.1";
    /// The header's size, and an entry's, in bytes.
    const HEADER: usize = 48;
    const ENTRY: usize = 24;
    /// `FLAG_ELF_LIBC6 | FLAG_X8664_LIB64`.
    const X86_64: u32 = 0x0303;

    /// Empty, if there is none.
    fn read() -> Self {
        Self::of(fs::read(Path::new(CACHE)).unwrap_or_default())
    }

    fn of(bytes: Vec<u8>) -> Self {
        let start = bytes.windows(Self::MAGIC.len()).position(|part| part == Self::MAGIC);
        Self { start: start.unwrap_or(bytes.len()), bytes }
    }

    /// The path of a library.
    fn find(&self, name: &str) -> Option<PathBuf> {
        let table = self.bytes.get(self.start..)?;
        let number = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(table.get(at..at + 4)?.try_into().ok()?))
        };
        let text = |at: u32| -> Option<&str> {
            let rest = table.get(at as usize..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            std::str::from_utf8(&rest[..end]).ok()
        };
        let count = number(Self::MAGIC.len())? as usize;
        (0..count.min(table.len() / Self::ENTRY)).find_map(|index| {
            let at = Self::HEADER + index * Self::ENTRY;
            // Behind flags, key, value and version: what processors must have.
            let is_plain = number(at + 16)? == 0 && number(at + 20)? == 0;
            let fits = number(at)? == Self::X86_64 && is_plain && text(number(at + 4)?)? == name;
            fits.then(|| text(number(at + 8)?).map(PathBuf::from)).flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_cache_is_read() {
        let strings: &[u8] = b"libz.so.1\0/lib/old/libz.so.1\0/lib/libz.so.1\0";
        let entries: [(u32, u32, u32, u64); 3] =
            [(0x0003, 0, 10, 0), (0x0303, 0, 10, 1 << 62), (0x0303, 0, 29, 0)];
        let base = (Cache::HEADER + entries.len() * Cache::ENTRY) as u32;
        let mut bytes = Cache::MAGIC.to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.resize(Cache::HEADER, 0);
        for (flags, key, value, hwcap) in entries {
            for number in [flags, base + key, base + value, 0] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(hwcap.to_le_bytes());
        }
        bytes.extend(strings);
        // An old table in front; offsets count from the new one.
        let cache = Cache::of([b"ld.so-1.7.0\0".as_slice(), &bytes].concat());
        assert_eq!(cache.find("libz.so.1"), Some(PathBuf::from("/lib/libz.so.1")));
        assert_eq!(cache.find("libz.so"), None);
        for end in 0..bytes.len() {
            Cache::of(bytes[..end].to_vec()).find("libz.so.1");
        }
        assert_eq!(Cache::of(Vec::new()).find("libz.so.1"), None);
    }

    #[test]
    fn directories_are_relative_to_the_file_on_either_side() {
        let origins = Placed { here: Path::new("/home/me/bin"), there: Path::new("/bring") };
        let dirs: Vec<String> =
            ["$ORIGIN/../lib", "${ORIGIN}/x", "/opt/$LIB", "relative", "/opt/lib"]
                .map(str::to_owned)
                .into();
        let pairs = expand(&dirs, &origins);
        let shown: Vec<String> =
            pairs.iter().map(|(a, b)| format!("{} {}", a.display(), b.display())).collect();
        assert_eq!(shown, ["/home/me/lib /lib", "/home/me/bin/x /bring/x", "/opt/lib /opt/lib"]);
    }
}
