//! Where tests are written: `tests/*.toml` of each project, blocks
//! `// skep: test` of each source, and files that the user names.

use super::captures::Captures;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure};
use crate::ops::{Session, build};
use crate::project::suite::{self, DIRECTORY, Suite};
use crate::project::{Kind, Project};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A suite, and which objects it may be about.
pub(super) struct Found {
    pub suite: Suite,
    /// What its tests are called by in front: the file's name.
    pub stem: String,
    pub about: About,
    /// The directory that paths in it start from.
    pub dir: PathBuf,
    /// The packets of the files that it names.
    pub captures: Captures,
}

/// Which objects a suite may be about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Those of a project.
    Project(usize),
    /// The one that a source was compiled to; the artifact's place.
    Artifact(usize),
    /// Any.
    Any,
}

/// Finds and reads them. Mistakes in them go to `diagnostics`.
pub(super) fn find(
    session: &Session,
    named: &[PathBuf],
    built: &build::Outcome,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    let mut add =
        |path: &Path, text: &str, about: About| match suite::read(session.display(path), text) {
            Ok(suite) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let stem = file.split('.').next().unwrap_or_default().to_owned();
                let dir = path.parent().unwrap_or(path);
                let (captures, mut findings) = Captures::of(session, &suite, dir);
                diagnostics.append(&mut findings);
                let dir = dir.to_owned();
                all.push(Found { suite, stem, about, dir, captures });
            }
            Err(mistakes) => diagnostics.extend(mistakes),
        };
    for path in named {
        let path = session.absolute(path);
        add(&path, &fs::read_to_string(&path)?, About::Any);
    }
    if !named.is_empty() {
        return Ok(all);
    }
    for (index, project) in built.projects.iter().enumerate() {
        for path in files(project)? {
            add(&path, &fs::read_to_string(&path)?, About::Project(index));
        }
    }
    for (index, artifact) in built.artifacts.iter().enumerate() {
        for source in &artifact.sources {
            // A source that is no text has no comments that we could read.
            let Ok(text) = String::from_utf8(fs::read(source)?) else { continue };
            if let Some(blocks) = suite::of_source(&text) {
                add(source, &blocks, About::Artifact(index));
            }
        }
    }
    Ok(all)
}

/// The files of a project's directory of tests.
fn files(project: &Project) -> Result<Vec<PathBuf>, Failure> {
    let dir = project.root.join(DIRECTORY);
    if project.kind == Kind::AdHoc || !fs::is_dir(&dir) {
        return Ok(Vec::new());
    }
    let is_suite = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let mut files: Vec<PathBuf> = fs::read_dir(&dir)?.into_iter().filter(is_suite).collect();
    files.sort();
    Ok(files)
}

/// What the words of a command line stand for.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Files of tests.
    pub suites: Vec<PathBuf>,
    /// What is built for them.
    pub paths: Vec<PathBuf>,
    /// Programs and tests, by their names.
    pub names: Vec<String>,
}

/// Sorts them. A path that is there outweighs a name; a file of tests alone
/// stands for its project.
pub(super) fn sort(session: &Session, words: &[PathBuf]) -> Words {
    let mut sorted = Words::default();
    for word in words {
        if !is_path(session, word) {
            sorted.names.push(word.to_string_lossy().into_owned());
        } else if word.extension().is_some_and(|extension| extension == "toml") {
            sorted.suites.push(word.clone());
        } else {
            sorted.paths.push(word.clone());
        }
    }
    if sorted.paths.is_empty() {
        for path in &sorted.suites {
            let path = session.absolute(path);
            let dir = path.ancestors().skip(1).find(|dir| crate::project::is_project_dir(dir));
            if let Some(dir) = dir.filter(|dir| sorted.paths.iter().all(|known| known != dir)) {
                sorted.paths.push(dir.to_owned());
            }
        }
    }
    sorted
}

/// Whether a word is a path: what is there, and what nobody would write for a
/// name, so that it is missed as a file where it is mistyped.
fn is_path(session: &Session, word: &Path) -> bool {
    let is_file = |extension: &OsStr| ["c", "o", "toml"].iter().any(|known| extension == *known);
    fs::exists(&session.absolute(word))
        || word.extension().is_some_and(is_file)
        || word.is_absolute()
        || word.starts_with(".")
        || word.starts_with("..")
        || word.as_os_str().as_encoded_bytes().ends_with(b"/")
}
