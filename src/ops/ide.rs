//! What editors ask of a project: where it is, the files they want in it.

use super::Session;
use crate::base::fs;
use crate::bpf::KernelVersion;
use crate::diagnostics::Failure;
use crate::project::{self, Project};
use std::path::{Path, PathBuf};

/// The directory of the project here or above. Its manifest may have
/// mistakes; editors are there to mend them.
pub fn project_root(session: &Session) -> Result<PathBuf, Failure> {
    match root_above(&session.cwd) {
        Some(dir) => Ok(dir),
        None => Err(project::Error::NotFound { from: session.cwd.clone() }.into()),
    }
}

/// The nearest of a directory and those above it that is a project's.
pub fn root_above(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|dir| project::is_project_dir(dir)).map(Path::to_owned)
}

/// The file that is the manifest of the project in this directory.
pub fn manifest_of(root: &Path) -> PathBuf {
    let own = root.join(project::MANIFEST);
    if fs::is_file(&own) { own } else { root.join("Cargo.toml") }
}

/// The oldest kernel that the project around a file supports, where its
/// manifest can be read and says so.
pub fn oldest_kernel(file: &Path) -> Option<KernelVersion> {
    let project = Project::at(&root_above(file.parent()?)?).ok()??;
    project.manifest.kernels.min
}

/// What stands in a file, if there is one.
pub fn existing(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    Ok(fs::read_if_exists(path)?)
}

/// Writes a file, whole or not at all.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(fs::write_atomic(path, text.as_bytes())?)
}
