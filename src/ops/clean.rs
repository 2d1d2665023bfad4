//! `skep clean`: removes what builds have made.

use super::build::Profile;
use super::{Packages, Session, packages};
use crate::base::fs;
use crate::build;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::{Kind, Project, Workspace};
use std::path::{Path, PathBuf};

pub use crate::build::Removed;

/// What is to be removed.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The projects, or directories in them. None: the project here.
    pub paths: Vec<PathBuf>,
    /// Which packages, where no path is named.
    pub packages: Packages,
    /// Only what belongs to this profile.
    pub profile: Option<Profile>,
}

/// Removes the build directories of projects. What the user wrote is never
/// touched: all that is made lies in `target/skep`.
///
/// # Errors
/// There is no such project, or a file cannot be removed.
pub fn run(session: &Session, request: &Request) -> Result<Removed, Failure> {
    let mut removed = Removed::default();
    let mut roots: Vec<PathBuf> = Vec::new();
    for project in projects(session, request)? {
        clean(session, &project.target, request, &mut removed)?;
        if project.kind == Kind::Skep && request.profile.is_none() {
            // `target` itself, unless somebody else keeps something there.
            fs::remove_if_empty(fs::parent_of(&project.target));
            roots.extend(project.workspace.filter(|root| !roots.contains(root)));
        }
    }
    for root in roots {
        // What is left there when all packages are clean was one's that is no
        // more.
        let target = root.join("target").join("skep");
        let packages = Workspace::find(&root)?.map_or_else(Vec::new, |found| found.packages);
        if !packages.iter().any(|package| fs::exists(&package.target)) {
            clean(session, &target, request, &mut removed)?;
            fs::remove_if_empty(fs::parent_of(&target));
        }
    }
    Ok(removed)
}

fn clean(
    session: &Session,
    target: &Path,
    request: &Request,
    removed: &mut Removed,
) -> Result<(), Failure> {
    let profile = request.profile.map(Profile::as_str);
    let part = build::clean(target, profile, &session.cancel, &*session.sink)?;
    removed.files += part.files;
    removed.bytes += part.bytes;
    Ok(())
}

fn projects(session: &Session, request: &Request) -> Result<Vec<Project>, Failure> {
    if request.paths.is_empty() {
        return Ok(request.packages.find(session)?);
    }
    let mut projects = Vec::new();
    for path in &request.paths {
        let dir = session.absolute(path);
        if !fs::is_dir(&dir) {
            let message = format!("{} is no directory", session.display(&dir).display());
            return Err(Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message)
                .help("name a project's directory")
                .into());
        }
        projects.extend(packages::of_dir(&dir)?);
    }
    Ok(projects)
}
