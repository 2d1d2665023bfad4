//! Finding clang, and asking it what it is: its version, whether it can
//! compile for BPF, and where the system's headers are.

use super::Error;
use crate::base::process::Command;
use crate::base::programs::Programs;
use crate::base::{Cancel, fs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The oldest major version that is used. clang 11 is the first with
/// `-mcpu=v3`'s code generation settled and `-ffile-prefix-map`; libbpf's
/// `bpf_core_read.h` needs nothing newer unless its type-based queries are
/// used.
pub const OLDEST: u32 = 11;

/// A clang that can compile BPF.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Clang {
    /// The executable.
    pub path: PathBuf,
    /// The first line of `clang -v`: `Debian clang version 19.1.7 (3+b1)`.
    pub version: String,
    /// The first number of the version.
    pub major: u32,
    /// Where the machine's own compiler looks for headers; the BPF target
    /// leaves out the directory that has `asm/types.h` on Debian.
    pub include: Vec<PathBuf>,
}

impl Clang {
    /// The version's numbers alone: `19.1.7`.
    pub fn number(&self) -> &str {
        version_number(&self.version).unwrap_or(&self.version)
    }
}

/// Who said which clang to use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The value of `SKEP_CLANG`.
    pub environment: Option<&'a Path>,
    /// The value of `clang` in the manifest.
    pub manifest: Option<&'a str>,
}

/// What is known of an executable, so that it need not be asked again.
#[derive(Clone, Serialize, Deserialize)]
struct Known {
    /// Time of change in seconds and nanoseconds, size, and inode.
    stamp: [i64; 4],
    /// Nothing for a clang that cannot compile for BPF.
    clang: Option<Clang>,
    /// What the executable calls itself.
    version: String,
}

/// What identifies a state of a directory: its path, and the times of its last
/// changes in content and in status in seconds and nanoseconds, and inode;
/// nothing for one that is not there.
type DirState = (PathBuf, Option<[i64; 5]>);

/// Which clangs are on a search path. Looking takes some hundred system calls,
/// so what was found holds until one of the directories changes.
#[derive(Clone, Serialize, Deserialize)]
struct Search {
    dirs: Vec<DirState>,
    found: Vec<PathBuf>,
}

/// What earlier runs found out.
#[derive(Default, Serialize, Deserialize)]
struct Remembered {
    clangs: BTreeMap<PathBuf, Known>,
    search: Option<Search>,
}

/// Answers of earlier runs, in a file of the build directory.
struct Answers<'a> {
    file: &'a Path,
    remembered: Remembered,
}

/// Finds the clang to use: the one that `SKEP_CLANG` names, else the one of
/// the manifest, else the newest of `clang` and `clang-N` on the search path
/// that can compile for BPF. `answers` is a file that remembers what each
/// executable said, until it changes.
pub fn find(
    wanted: Wanted<'_>,
    programs: &Programs,
    answers: &Path,
    cancel: &Cancel,
) -> Result<Clang, Error> {
    let mut answers = Answers::read(answers);
    let named = match (wanted.environment, wanted.manifest) {
        (Some(name), _) => Some((name, "SKEP_CLANG")),
        (None, Some(name)) => Some((Path::new(name), "the manifest")),
        (None, None) => None,
    };
    if let Some((name, by)) = named {
        let Some(path) = programs.find(name) else {
            return Err(Error::NamedClangMissing { name: name.to_owned(), by });
        };
        let known = answers.ask(&path, cancel)?;
        return match known.clang {
            Some(clang) if clang.major >= OLDEST => Ok(clang),
            Some(clang) => Err(Error::ClangTooOld { found: vec![clang] }),
            None => Err(Error::ClangWithoutBpf { path, version: known.version }),
        };
    }
    let mut too_old = Vec::new();
    let mut without_bpf = None;
    for path in newest_first(programs, &mut answers, cancel)? {
        let known = answers.ask(&path, cancel)?;
        match known.clang {
            Some(clang) if clang.major >= OLDEST => return Ok(clang),
            Some(clang) => too_old.push(clang),
            None => without_bpf = without_bpf.or(Some((path, known.version))),
        }
    }
    match (too_old.is_empty(), without_bpf) {
        (false, _) => Err(Error::ClangTooOld { found: too_old }),
        (true, Some((path, version))) => Err(Error::ClangWithoutBpf { path, version }),
        (true, None) => Err(Error::ClangMissing),
    }
}

/// Every clang on the search path. The numbered ones say their version by
/// their name; plain `clang` must be asked to be put in its place, which is
/// in front of its equals.
fn newest_first(
    programs: &Programs,
    answers: &mut Answers<'_>,
    cancel: &Cancel,
) -> Result<Vec<PathBuf>, Error> {
    let mut found = answers.on_path(programs);
    let is_plain = |path: &PathBuf| path.file_name().is_some_and(|name| name == "clang");
    if found.len() > 1 && is_plain(&found[0]) {
        let plain = found.remove(0);
        let major = match answers.ask(&plain, cancel)?.clang {
            Some(clang) => clang.major,
            None => 0,
        };
        let place = found.iter().take_while(|path| number_in_name(path) > major).count();
        found.insert(place, plain);
    }
    Ok(found)
}

/// The N of `clang-N`.
fn number_in_name(path: &Path) -> u32 {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl<'a> Answers<'a> {
    fn read(file: &'a Path) -> Self {
        // A file that cannot be read has nothing to say.
        let bytes = fs::read_if_exists(file).ok().flatten().unwrap_or_default();
        Self { file, remembered: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// Only speed is lost if the answers cannot be kept; what the disk lacks
    /// will be said when something that matters is written.
    fn save(&self) {
        if let Ok(bytes) = serde_json::to_vec(&self.remembered) {
            drop(fs::write_atomic(self.file, &bytes));
        }
    }

    /// Every `clang` and `clang-N` on the search path.
    fn on_path(&mut self, programs: &Programs) -> Vec<PathBuf> {
        let now = fs::timestamp();
        let dirs: Vec<DirState> = programs.directories().map(dir_state).collect();
        if let Some(known) = self.remembered.search.as_ref().filter(|known| known.dirs == dirs)
            // What a link leads to lies in another directory.
            && known.found.iter().all(|path| fs::is_file(path))
        {
            return known.found.clone();
        }
        let found = programs.find_versioned("clang");
        // A directory may change again within the same tick of the clock.
        let is_settled = |(_, state): &DirState| {
            state.is_none_or(|[s, ns, cs, cns, _]| (s, ns) < now && (cs, cns) < now)
        };
        if dirs.iter().all(is_settled) {
            self.remembered.search = Some(Search { dirs, found: found.clone() });
            self.save();
        }
        found
    }

    fn ask(&mut self, path: &Path, cancel: &Cancel) -> Result<Known, Error> {
        let meta = fs::metadata(path)?;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let stamp = [meta.mtime(), meta.mtime_nsec(), number(meta.size()), number(meta.ino())];
        let known = self.remembered.clangs.get(path).filter(|known| known.stamp == stamp);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let known = interrogate(path, stamp, cancel)?;
        self.remembered.clangs.insert(path.to_owned(), known.clone());
        self.save();
        Ok(known)
    }
}

fn dir_state(dir: PathBuf) -> DirState {
    let state = fs::metadata(&dir).ok().map(|meta| {
        let inode = i64::try_from(meta.ino()).unwrap_or(i64::MAX);
        [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec(), inode]
    });
    (dir, state)
}

fn interrogate(path: &Path, stamp: [i64; 4], cancel: &Cancel) -> Result<Known, Error> {
    let asked = Command::new(path).args(["-v", "-E", "-x", "c", "/dev/null"]).run(cancel)?;
    let text = asked.stderr_text();
    let version = text
        .lines()
        .find(|line| line.contains("clang version"))
        .or_else(|| text.lines().next())
        .unwrap_or_default()
        .trim()
        .to_owned();
    let Some(major) = version_number(&version)
        .and_then(|number| number.split('.').next())
        .and_then(|major| major.parse().ok())
    else {
        // gcc under clang's name, or something else altogether.
        return Ok(Known { stamp, clang: None, version: without_version(&asked, version) });
    };
    let clang = Clang { path: path.to_owned(), version, major, include: include_dirs(&text) };
    let version = clang.version.clone();
    // Below the limit nothing more is of interest.
    if major < OLDEST {
        return Ok(Known { stamp, clang: Some(clang), version });
    }
    // A clang built without the BPF back end knows the name of the target,
    // and fails only when it is to generate code.
    let compiled = Command::new(path)
        .args(["-target", "bpf", "-S", "-o", "-", "-x", "c", "/dev/null"])
        .run(cancel)?;
    Ok(Known { stamp, clang: compiled.success().then_some(clang), version })
}

fn without_version(output: &crate::base::process::Output, line: String) -> String {
    if line.is_empty() { format!("it ended with {}", output.ending()) } else { line }
}

/// The `19.1.7` behind the word `version`.
fn version_number(line: &str) -> Option<&str> {
    let rest = line.split("clang version ").nth(1)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.')).filter(|number| !number.is_empty())
}

/// The directories that `clang -v -E` says it searches for `<…>`, without its
/// own: that one comes first for every target anyway.
fn include_dirs(text: &str) -> Vec<PathBuf> {
    text.lines()
        .skip_while(|line| !line.starts_with("#include <...> search starts here"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.trim().trim_end_matches(" (framework directory)"))
        .filter(|dir| !(dir.contains("/lib/clang/") || dir.contains("/lib64/clang/")))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_several_builders() {
        for (line, number) in [
            ("Debian clang version 19.1.7 (3+b1)", Some("19.1.7")),
            ("Ubuntu clang version 14.0.0-1ubuntu1.1", Some("14.0.0")),
            ("clang version 21.0.0git (https://… 123)", Some("21.0.0")),
            ("gcc version 12.2.0 (Debian 12.2.0-14)", None),
            ("", None),
        ] {
            assert_eq!(version_number(line), number, "{line}");
        }
    }

    #[test]
    fn what_is_on_the_path_holds_until_a_directory_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let program = |name: &str| fs::write_atomic_with_mode(&path(name), b"#!", 0o755).unwrap();
        program("one/clang-17");
        fs::create_dir_all(&path("two")).unwrap();
        let search = std::env::join_paths([path("one"), path("two"), path("three")]).unwrap();
        let programs = Programs::new(search, dir.path().to_owned());
        let settle = || std::thread::sleep(std::time::Duration::from_millis(20));
        let file = path("answers");
        let found = || Answers::read(&file).on_path(&programs);
        let is_remembered = || Answers::read(&file).remembered.search.is_some();
        settle();
        assert_eq!(found(), [path("one/clang-17")]);
        assert!(is_remembered());
        assert_eq!(found(), [path("one/clang-17")]);
        program("two/clang-18");
        assert_eq!(found(), [path("two/clang-18"), path("one/clang-17")]);
        program("three/clang-19");
        assert_eq!(found().len(), 3, "a directory that was not there");
        settle();
        assert_eq!(found().len(), 3);
        // A link's target lies elsewhere.
        program("else/clang");
        std::os::unix::fs::symlink(path("else/clang"), path("one/clang")).unwrap();
        settle();
        assert_eq!(found().len(), 4);
        fs::remove_file(&path("else/clang")).unwrap();
        assert_eq!(found().len(), 3);
    }

    #[test]
    fn include_directories_are_read() {
        let text = "clang version 19\n#include \"...\" search starts here:\n\
                    #include <...> search starts here:\n /usr/lib/llvm-19/lib/clang/19/include\n \
                    /usr/include/x86_64-linux-gnu\n /usr/include\nEnd of search list.\n";
        assert_eq!(
            include_dirs(text),
            ["/usr/include/x86_64-linux-gnu", "/usr/include"].map(PathBuf::from)
        );
    }
}
