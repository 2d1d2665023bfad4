//! The machine's own libbpf, and what else of libraries is asked of
//! pkg-config.
//!
//! Asking takes a few milliseconds, which is more than a build with nothing to
//! do may take. So the answer is kept as long as pkg-config itself and the
//! directories it looks in are as they were: installing, upgrading or removing
//! a package changes one of those.

use super::Libbpf;
use crate::base::process::Command;
use crate::base::programs::Programs;
use crate::base::{Cancel, fs};
use crate::build::Error;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The oldest libbpf that is taken where either would do: the first with links
/// for struct_ops maps in skeletons.
const OLDEST: (u32, u32) = (1, 5);

/// What pkg-config said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// pkg-config and its directories, with the time of their last change;
    /// none for what is not there.
    looked_at: Vec<(PathBuf, Option<(i64, i64)>)>,
    /// The additional directories that the environment names.
    path: Option<OsString>,
    /// The version of the system's libbpf; nothing if there is none.
    pub version: Option<String>,
    /// The compiler's arguments for it.
    cflags: Vec<String>,
    /// The linker's arguments for it.
    libs: Vec<String>,
    /// The linker's arguments for a program without shared libraries.
    static_libs: Vec<String>,
    /// The same for libelf and zlib alone, which the bundled libbpf needs.
    static_requires: Vec<String>,
}

/// Asks pkg-config, or remembers what it said; without pkg-config, the machine
/// counts as one without libbpf.
///
/// # Errors
/// pkg-config cannot be run.
pub fn ask(
    programs: &Programs,
    path: Option<&OsString>,
    answers: &Path,
    cancel: &Cancel,
) -> Result<Answer, Error> {
    let Some(program) = programs.find("pkg-config").or_else(|| programs.find("pkgconf")) else {
        return Ok(Answer::default());
    };
    let known = fs::read_if_exists(answers).ok().flatten().unwrap_or_default();
    if let Ok(known) = serde_json::from_slice::<Answer>(&known)
        && known.path.as_ref() == path
        && known.looked_at.first().is_some_and(|(known, _)| *known == program)
        && known.looked_at.iter().all(|(path, time)| changed(path) == *time)
    {
        return Ok(known);
    }
    let ask = |args: &[&str]| -> Result<Option<String>, Error> {
        let said = Command::new(&program).args(args).run(cancel)?;
        let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        Ok(said.success().then_some(text))
    };
    let words = |args: &[&str]| -> Result<Vec<String>, Error> {
        let said = ask(args)?.unwrap_or_default();
        Ok(said.split_whitespace().map(str::to_owned).collect())
    };
    let standard = ask(&["--variable", "pc_path", "pkg-config"])?.unwrap_or_default();
    let own = path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let directories = own.split(':').chain(standard.split(':')).filter(|dir| !dir.is_empty());
    let mut looked_at: Vec<PathBuf> = vec![program.clone()];
    looked_at.extend(directories.map(PathBuf::from));
    let looked_at = looked_at.into_iter().map(|path| (changed(&path), path));
    let version = ask(&["--modversion", "libbpf"])?.filter(|text| number(text).is_some());
    let answer = Answer {
        looked_at: looked_at.map(|(time, path)| (path, time)).collect(),
        path: path.cloned(),
        cflags: if version.is_some() { words(&["--cflags", "libbpf"])? } else { Vec::new() },
        libs: if version.is_some() { words(&["--libs", "libbpf"])? } else { Vec::new() },
        static_libs: match version {
            Some(_) => words(&["--static", "--libs", "libbpf"])?,
            None => Vec::new(),
        },
        static_requires: words(&["--static", "--libs", "libelf", "zlib"])?,
        version,
    };
    if let Ok(bytes) = serde_json::to_vec(&answer) {
        // Only speed is lost if this cannot be kept.
        drop(fs::write_atomic(answers, &bytes));
    }
    Ok(answer)
}

fn changed(path: &Path) -> Option<(i64, i64)> {
    fs::metadata(path).ok().map(|meta| (meta.mtime(), meta.mtime_nsec()))
}

/// The first two parts of a version.
fn number(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

impl Answer {
    /// Whether the system's libbpf is new enough to be preferred.
    pub fn is_new_enough(&self) -> bool {
        self.version.as_deref().and_then(number).is_some_and(|version| version >= OLDEST)
    }

    /// The system's libbpf, if it has one.
    pub fn libbpf(&self, is_static: bool) -> Option<Libbpf> {
        let version = self.version.as_ref()?;
        let libs = if is_static { &self.static_libs } else { &self.libs };
        Some(Libbpf {
            identity: format!("the system's {version}"),
            cflags: self.cflags.iter().map(OsString::from).collect(),
            link: libs.iter().map(OsString::from).collect(),
            requires: vec!["-lelf".into(), "-lz".into()],
            files: Vec::new(),
        })
    }

    /// What libelf and zlib need where nothing is shared.
    pub fn static_requires(&self) -> Option<Vec<OsString>> {
        let words = &self.static_requires;
        (!words.is_empty()).then(|| words.iter().map(OsString::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let answer = |version: &str| Answer { version: Some(version.into()), ..Answer::default() };
        assert!(answer("1.10.0").is_new_enough() && answer("1.5.0").is_new_enough());
        assert!(!answer("1.1.2").is_new_enough() && !answer("0.8").is_new_enough());
        assert!(!Answer::default().is_new_enough());
    }
}
