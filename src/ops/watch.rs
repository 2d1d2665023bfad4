//! `skep watch`: which files decide about the outcome of a command, and
//! waiting until one of them changes.

use super::{Packages, Session, packages};
use crate::base::fs;
use crate::base::watch::Watch;
use crate::diagnostics::Failure;
use crate::project::{self, Project};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long nothing may change before what changed is looked at: editors
/// write several files, and some of them more than once.
const QUIET: Duration = Duration::from_millis(80);

/// What skep writes outside of build directories.
const OUR_OWN: &[&str] = &["compile_commands.json", project::lock::LOCK];

/// The files of a command's projects, sources and objects.
pub struct Watcher<'s> {
    session: &'s Session,
    paths: Vec<PathBuf>,
    packages: Packages,
    watch: Watch,
    /// Objects that were named: others come and go with builds.
    objects: Vec<PathBuf>,
}

impl<'s> Watcher<'s> {
    /// Watches what a command line stands for.
    ///
    /// # Errors
    /// There is no project, or too much is watched already.
    pub fn new(
        session: &'s Session,
        paths: Vec<PathBuf>,
        packages: Packages,
    ) -> Result<Self, Failure> {
        let absolute = |path: &PathBuf| session.absolute(path).components().collect();
        let paths: Vec<PathBuf> = paths.iter().map(absolute).collect();
        let objects = paths.iter().filter(|path| is_object(path)).cloned().collect();
        let mut watcher = Self { session, paths, packages, watch: Watch::new()?, objects };
        watcher.update()?;
        Ok(watcher)
    }

    /// Watches what a changed manifest names besides.
    ///
    /// # Errors
    /// As those of [`Self::new`].
    pub fn update(&mut self) -> Result<(), Failure> {
        if self.paths.is_empty() {
            let session = self.session;
            return match self.packages.find(session) {
                Ok(projects) => self.add_projects(&projects),
                Err(error) => self.add_broken(&session.cwd, error),
            };
        }
        for path in self.paths.clone() {
            let dir = if fs::is_dir(&path) { path.as_path() } else { fs::parent_of(&path) };
            match packages::of_dir(dir) {
                Ok(projects) => self.add_projects(&projects)?,
                // A file stands for itself.
                Err(project::Error::NotFound { .. }) if dir != path => {
                    self.watch.add(dir, false, &is_passed_over)?;
                }
                Err(error) => self.add_broken(dir, error)?,
            }
        }
        Ok(())
    }

    fn add_projects(&mut self, projects: &[Project]) -> Result<(), Failure> {
        for project in projects {
            let workspace = project.workspace.iter().cloned();
            let include = project.manifest.bpf.include.iter();
            let include = include.map(|dir| project.root.join(&dir.value));
            for dir in std::iter::once(project.root.clone()).chain(workspace).chain(include) {
                if fs::is_dir(&dir) {
                    self.watch.add(&dir, true, &is_passed_over)?;
                }
            }
        }
        Ok(())
    }

    /// A manifest with mistakes is watched until it has none.
    fn add_broken(&mut self, dir: &Path, error: project::Error) -> Result<(), Failure> {
        let has_manifest = |dir: &&Path| {
            fs::is_file(&dir.join(project::MANIFEST)) || fs::is_file(&dir.join("Cargo.toml"))
        };
        match (&error, dir.ancestors().find(has_manifest)) {
            (project::Error::Manifest(_) | project::Error::NoSources { .. }, Some(root)) => {
                Ok(self.watch.add(root, true, &is_passed_over)?)
            }
            _ => Err(error.into()),
        }
    }

    /// Waits until something changes that may change the outcome; returns the
    /// files as the user would write them, none once the user wants to stop.
    ///
    /// # Errors
    /// The kernel tells of no changes any more.
    pub fn wait(&mut self) -> Result<Vec<PathBuf>, Failure> {
        let objects = &self.objects;
        let wanted = |path: &Path| match is_object(path) {
            true => objects.iter().any(|object| object == path),
            false => !is_passed_over(path) && !is_noise(path),
        };
        let cancel = &self.session.cancel;
        let changed = self.watch.wait(QUIET, cancel, &is_passed_over, &wanted)?;
        Ok(changed.iter().map(|path| self.session.display(path).to_owned()).collect())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_object(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "o")
}

/// Directories without sources, as for a project's patterns; and hidden files.
fn is_passed_over(path: &Path) -> bool {
    let name = name_of(path);
    name.starts_with('.') || name == "target" || name == "node_modules"
}

/// Files that skep writes, and those that editors write beside the real one.
fn is_noise(path: &Path) -> bool {
    let name = name_of(path);
    OUR_OWN.contains(&name.as_str())
        || name.ends_with(['~', '#'])
        || [".swp", ".swx", ".tmp", ".bak"].iter().any(|end| name.ends_with(end))
        // vim tries whether it can make a file here.
        || name == "4913"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_and_builds_leave_is_noise() {
        for name in ["a.bpf.c~", "#a.bpf.c#", "a.c.swp", "4913", "compile_commands.json"] {
            assert!(is_noise(&Path::new("/p/src").join(name)), "{name}");
        }
        for name in ["a.bpf.c", "a.h", "Skep.toml", "generated.inc"] {
            let path = Path::new("/p/src").join(name);
            assert!(!is_noise(&path) && !is_passed_over(&path), "{name}");
        }
    }
}
