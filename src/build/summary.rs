//! What a build that found nothing to do knew, in one file: the next one reads
//! it, looks at each file once, and makes no step and reads no source.
//!
//! A build whose steps were all fresh writes it. It holds what determined them
//! besides files (the request, and the source of `vmlinux.h`), the stamps of
//! all files that were read and written, and where headers were looked for in
//! vain. So it is as good as the records whatever became of those since, and
//! where anything does not fit, the records decide as if it were not there. It
//! is written only if every stamp can be trusted (see [`super::record`]).

use super::record::{self, Record, STAMP_LEN, Stamp};
use super::steps::put;
use super::{Request, compile_commands, libbpf, link};
use crate::base::digest::Digest;
use crate::base::fs;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::hash::{Hash as _, Hasher};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What is known of a build with nothing to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// What each step's tool said, from the first source's on.
    pub logs: Vec<String>,
    /// The indices of the sources with a comment that allows findings.
    pub remarked: Vec<usize>,
}

/// What a build found whose steps were all fresh.
pub struct Fresh<'a> {
    /// The steps' records.
    pub records: &'a [Record],
    /// The index of the first source's step.
    pub first: usize,
    /// Where headers were looked for in vain; absolute.
    pub absent: BTreeSet<&'a PathBuf>,
    /// What decides about `vmlinux.h`, if it is needed.
    pub header: Option<&'a str>,
    /// As [`Known::remarked`].
    pub remarked: &'a [usize],
    /// The stamp of the command lines for editors before they were compared.
    pub commands: Option<Stamp>,
}

/// What the file at `path` says, if everything is still as it was then.
pub fn read(path: &Path, request: &Request<'_>) -> Option<Known> {
    let bytes = fs::read_if_exists(path).ok()??;
    let mut rest = Reader(bytes.strip_prefix(identity(request).as_bytes())?);
    match rest.text()? {
        header if header.is_empty() => {}
        header => (request.vmlinux?().ok()?.identity() == header).then_some(())?,
    }
    let logs: Option<Vec<String>> = (0..rest.count()?).map(|_| rest.text()).collect();
    let remarked: Option<Vec<usize>> = (0..rest.count()?).map(|_| rest.count()).collect();
    for _ in 0..rest.count()? {
        let path = rest.path()?;
        let then = rest.stamp()?;
        if record::stamp_of(&request.root.join(path)) != Some(then) {
            return None;
        }
    }
    for _ in 0..rest.count()? {
        if fs::is_file(&request.root.join(rest.path()?)) {
            return None;
        }
    }
    Some(Known { logs: logs?, remarked: remarked? })
}

/// Writes a summary of what was just found to hold, unless one of the files is
/// too new to say anything certain about it.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    path: &Path,
    request: &Request<'_>,
    fresh: &Fresh<'_>,
    aside: &Path,
) -> Result<(), fs::Error> {
    let mut files: BTreeMap<&Path, Stamp> = BTreeMap::new();
    for (file, stamp) in fresh.records.iter().flat_map(Record::files) {
        let Some(stamp) = stamp else { return Ok(()) };
        // Two records of one file differ where its bytes were hashed again.
        if files.insert(file, stamp).is_some_and(|other| other != stamp) {
            return Ok(());
        }
    }
    if request.compile_commands {
        let Some(stamp) = fresh.commands else { return Ok(()) };
        files.insert(Path::new(compile_commands::NAME), stamp);
    }
    let mut out = identity(request).into_bytes();
    add(&mut out, fresh.header.unwrap_or_default().as_bytes());
    let logs = &fresh.records[fresh.first..];
    add_count(&mut out, logs.len());
    for record in logs {
        add(&mut out, record.log.as_bytes());
    }
    add_count(&mut out, fresh.remarked.len());
    for source in fresh.remarked {
        add_count(&mut out, *source);
    }
    add_count(&mut out, files.len());
    for (file, stamp) in files {
        add(&mut out, file.as_os_str().as_bytes());
        for number in stamp {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    add_count(&mut out, fresh.absent.len());
    for file in &fresh.absent {
        add(&mut out, file.as_os_str().as_bytes());
    }
    put(path, &out, aside)
}

/// What determines a build besides the bytes of files and the source of
/// `vmlinux.h`.
fn identity(request: &Request<'_>) -> String {
    // Everything is named, so that nothing new is forgotten.
    let Request {
        root,
        target,
        profile,
        sources,
        objects,
        skeletons,
        user,
        include,
        launcher,
        arch,
        clang,
        vmlinux,
        compile_commands,
        jobs: _,
        cancel: _,
        sink: _,
    } = request;
    let mut bytes = Bytes(Vec::with_capacity(16 << 10));
    (record::FORMAT, env!("CARGO_PKG_VERSION"), libbpf::HASH, link::version()).hash(&mut bytes);
    (root, target, profile, sources, objects, skeletons, user).hash(&mut bytes);
    (include, launcher, arch, clang, vmlinux.is_some(), compile_commands).hash(&mut bytes);
    Digest::of(&bytes.0).to_string()
}

/// Takes what is hashed as it is: the standard library's hashers may differ
/// from one version to the next.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn add(out: &mut Vec<u8>, bytes: &[u8]) {
    add_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn add_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u64).to_le_bytes());
}

/// What is not read yet. Nothing comes of a file that was cut.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn word(&mut self) -> Option<[u8; 8]> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*word)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.word()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn path(&mut self) -> Option<&'b Path> {
        Some(Path::new(OsStr::from_bytes(self.bytes()?)))
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let mut stamp = [0; STAMP_LEN];
        for number in &mut stamp {
            *number = i64::from_le_bytes(self.word()?);
        }
        Some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::super::clang::Clang;
    use super::super::record::{Files, next_tick, settled_stamp_of};
    use super::super::{Arch, Source};
    use super::*;
    use crate::base::{Cancel, Jobs};
    use crate::events::Silent;
    use std::num::NonZeroUsize;

    /// A project of one source with a header and an object.
    struct Place {
        dir: tempfile::TempDir,
        sources: [Source; 1],
        clang: Clang,
        cancel: Cancel,
        jobs: Jobs,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for name in ["in", "header", "out", compile_commands::NAME] {
                fs::write_atomic(&dir.path().join(name), name.as_bytes()).unwrap();
            }
            let source = Source { path: "in".into(), defines: vec![], cflags: vec![], mcpu: "v3" };
            let clang = Clang {
                path: "/clang".into(),
                version: "clang 19".to_owned(),
                major: 19,
                include: Vec::new(),
            };
            Self {
                dir,
                sources: [source],
                clang,
                cancel: Cancel::new(),
                jobs: Jobs::new(NonZeroUsize::MIN),
            }
        }

        fn request(&self) -> Request<'_> {
            Request {
                root: self.dir.path(),
                target: self.dir.path(),
                profile: "dev",
                sources: &self.sources,
                objects: &[],
                skeletons: &[],
                user: None,
                include: &[],
                launcher: &[],
                arch: Arch::X86,
                clang: &self.clang,
                vmlinux: None,
                compile_commands: true,
                jobs: &self.jobs,
                cancel: &self.cancel,
                sink: &Silent,
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// Writes the summary of a step that began at a time.
        fn summarise(&self, began: (i64, i64)) {
            let inputs = [self.path("in"), self.path("header")];
            let (key, log) = ([("the flags", String::new())], "a warning".to_owned());
            let files = Files::new(self.dir.path());
            let record = Record::of_step(&files, &key, &inputs, &[self.path("out")], began, log);
            let absent = self.path("none.h");
            let fresh = Fresh {
                records: &[record],
                first: 0,
                absent: [&absent].into(),
                header: None,
                remarked: &[0],
                commands: settled_stamp_of(&self.path(compile_commands::NAME)),
            };
            write(&self.path("summary"), &self.request(), &fresh, &self.path("aside")).unwrap();
        }

        fn read(&self) -> Option<Known> {
            read(&self.path("summary"), &self.request())
        }
    }

    #[test]
    fn it_holds_as_long_as_everything_is_as_it_was() {
        for name in ["in", "header", "out", "none.h", compile_commands::NAME] {
            let mut place = Place::new();
            place.summarise(next_tick());
            let known = Known { logs: vec!["a warning".to_owned()], remarked: vec![0] };
            assert_eq!(place.read(), Some(known));
            place.sources[0].cflags.push("-O1".to_owned());
            assert_eq!(place.read(), None, "other flags");
            place.sources[0].cflags.clear();
            assert!(place.read().is_some());
            fs::write_atomic(&place.path(name), name.as_bytes()).unwrap();
            assert_eq!(place.read(), None, "{name} is another file");
        }
    }

    #[test]
    fn what_was_cut_says_nothing() {
        let place = Place::new();
        place.summarise(next_tick());
        let whole = fs::read(&place.path("summary")).unwrap();
        for length in 0..whole.len() {
            fs::write_atomic(&place.path("summary"), &whole[..length]).unwrap();
            assert_eq!(place.read(), None, "{length} bytes");
        }
    }

    #[test]
    fn a_file_that_cannot_be_trusted_keeps_it_from_being_written() {
        let place = Place::new();
        // It changed after the step began: nobody knows which bytes were read.
        place.summarise((0, 0));
        assert!(!fs::exists(&place.path("summary")));
    }
}
