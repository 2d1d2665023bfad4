//! `skep clean`: removes what builds have made.

use super::Session;
use super::build::Profile;
use crate::base::fs;
use crate::build::{self, Removed};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::{Kind, Project};
use std::path::PathBuf;

/// What is to be removed.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The projects, or directories in them. None: the project here.
    pub paths: Vec<PathBuf>,
    /// Only what belongs to this profile.
    pub profile: Option<Profile>,
}

/// Removes the build directories of projects. What the user wrote is never
/// touched: all that is made lies in `target/skep`.
pub fn run(session: &Session, request: &Request) -> Result<Removed, Failure> {
    let mut dirs: Vec<PathBuf> = request.paths.iter().map(|path| session.absolute(path)).collect();
    if dirs.is_empty() {
        dirs.push(session.cwd.clone());
    }
    let mut removed = Removed::default();
    for dir in dirs {
        if !fs::is_dir(&dir) {
            let message = format!("{} is no directory", session.display(&dir).display());
            return Err(Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message)
                .help("name a project's directory")
                .into());
        }
        let project = Project::find(&dir)?;
        let profile = request.profile.map(Profile::as_str);
        let part = build::clean(&project.target, profile, &session.cancel, &*session.sink)?;
        removed.files += part.files;
        removed.bytes += part.bytes;
        if project.kind == Kind::Skep && request.profile.is_none() {
            // `target` itself, unless somebody else keeps something there.
            fs::remove_if_empty(fs::parent_of(&project.target));
        }
    }
    Ok(removed)
}
