//! `skep ide`: the files of a project as they stand, and writing some.

use super::Session;
use crate::base::fs;
use crate::diagnostics::Failure;
use crate::project;
use std::path::{Path, PathBuf};

/// The directory of the project here or above. Its manifest may have
/// mistakes; editors are there to mend them.
pub fn project_root(session: &Session) -> Result<PathBuf, Failure> {
    let found = session.cwd.ancestors().find(|dir| project::is_project_dir(dir));
    match found {
        Some(dir) => Ok(dir.to_owned()),
        None => Err(project::Error::NotFound { from: session.cwd.clone() }.into()),
    }
}

/// What stands in a file, if there is one.
pub fn existing(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    Ok(fs::read_if_exists(path)?)
}

/// Writes a file, whole or not at all.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(fs::write_atomic(path, text.as_bytes())?)
}
