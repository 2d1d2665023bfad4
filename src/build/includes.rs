//! Which of a project's own files a source includes, by a look at its text.
//!
//! The truth about headers comes from clang's dependency files. This look is
//! only for what must be known before clang runs: whether `vmlinux.h` is
//! needed at all, and in which files the types are used that it must have.
//! Conditions are not evaluated, so it may see too much, which costs nothing.

use crate::base::fs;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The header that skep makes.
pub const VMLINUX: &str = "vmlinux.h";

/// What a look at some sources found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether one of them includes a `vmlinux.h` that the project does not
    /// have itself.
    pub needs_vmlinux: bool,
    /// The sources and the headers of the project that they include.
    pub files: BTreeSet<PathBuf>,
    /// Where a header was looked for in vain: what is put there changes what
    /// is included.
    pub absent: BTreeSet<PathBuf>,
}

/// What flags of clang say about includes and macros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Directories; absolute.
    pub include: Vec<PathBuf>,
    /// Files that are included before the source; absolute.
    pub files: Vec<PathBuf>,
    /// Macros, as `NAME=VALUE`.
    pub definitions: Vec<String>,
}

impl Flags {
    /// Reads flags, whose paths are relative to `root`.
    pub fn of(root: &Path, cflags: &[String]) -> Self {
        let mut flags = Self::default();
        let mut words = cflags.iter();
        while let Some(word) = words.next() {
            let known = ["-isystem", "-iquote", "-idirafter", "-include", "-I", "-D"];
            let Some(name) = known.into_iter().find(|name| word.starts_with(name)) else {
                continue;
            };
            let Some(value) = Some(&word[name.len()..])
                .filter(|value| !value.is_empty())
                .or_else(|| words.next().map(String::as_str))
            else {
                break;
            };
            match name {
                "-D" => flags.definitions.push(value.to_owned()),
                "-include" => flags.files.push(normal(&root.join(value))),
                _ => flags.include.push(normal(&root.join(value))),
            }
        }
        flags
    }
}

/// Follows the includes of `sources`, absolute paths, through the directories
/// `include` (absolute).
pub fn follow(sources: impl IntoIterator<Item = PathBuf>, include: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut todo: Vec<PathBuf> = sources.into_iter().collect();
    while let Some(file) = todo.pop() {
        if found.files.contains(&file) {
            continue;
        }
        // What cannot be read, clang will complain about.
        let Ok(bytes) = fs::read(&file) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for (name, quoted) in text.lines().filter_map(included) {
            let beside = fs::parent_of(&file);
            let mut places = quoted
                .then_some(beside)
                .into_iter()
                .chain(include.iter().map(PathBuf::as_path))
                .map(|dir| normal(&dir.join(name)));
            let own = places.find(|path| {
                let is_there = fs::is_file(path);
                if !is_there && !found.absent.contains(path) {
                    found.absent.insert(path.clone());
                }
                is_there
            });
            match own {
                Some(path) => todo.push(path),
                None if name == VMLINUX => found.needs_vmlinux = true,
                None => {}
            }
        }
        found.files.insert(file);
    }
    found
}

/// The name in an `#include` line, and whether it stands in quotes.
fn included(line: &str) -> Option<(&str, bool)> {
    let rest = line.trim_start().strip_prefix('#')?.trim_start();
    let rest = rest.strip_prefix("include")?.trim_start();
    match rest.as_bytes().first()? {
        b'"' => rest[1..].split_once('"').map(|(name, _)| (name, true)),
        b'<' => rest[1..].split_once('>').map(|(name, _)| (name, false)),
        _ => None,
    }
}

/// The path without `.` and `..`, by its text alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_followed_to_vmlinux() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write_atomic(&path("src/a.bpf.c"), b"#include \"../b.h\"\n#include <c.h>\n").unwrap();
        fs::write_atomic(&path("b.h"), b"#include \"src/a.bpf.c\"\n").unwrap();
        fs::write_atomic(&path("inc/c.h"), b"  #  include <vmlinux.h>\n").unwrap();
        let found = follow([path("src/a.bpf.c")], &[path("inc")]);
        assert!(found.needs_vmlinux);
        assert_eq!(found.files, ["b.h", "inc/c.h", "src/a.bpf.c"].map(path).into());
        assert_eq!(found.absent, [path("inc/vmlinux.h")].into());
        fs::write_atomic(&path("inc/vmlinux.h"), b"").unwrap();
        assert!(!follow([path("src/a.bpf.c")], &[path("inc")]).needs_vmlinux);
    }

    #[test]
    fn flags_name_directories_files_and_macros() {
        let words =
            ["-O1", "-Ione", "-I", "../two", "-include", "a.h", "-DX=struct y", "-isystemz"];
        let flags = Flags::of(Path::new("/p/q"), &words.map(str::to_owned));
        assert_eq!(flags.include, ["/p/q/one", "/p/two", "/p/q/z"].map(PathBuf::from));
        assert_eq!(flags.files, [PathBuf::from("/p/q/a.h")]);
        assert_eq!(flags.definitions, ["X=struct y"]);
    }

    #[test]
    fn other_lines_are_none() {
        for line in ["// #include \"a.h\"", "include \"a.h\"", "#include", "#include \"a.h", "#"] {
            assert_eq!(included(line), None, "{line}");
        }
    }
}
