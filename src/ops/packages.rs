//! Which packages a command is for, where no path says so: the one that the
//! current directory lies in; those of a workspace that are named; all.

use super::Session;
use crate::project::{Error, Project, Workspace};
use std::path::Path;

/// The packages that are meant. By default those that the current directory
/// stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// Their names.
    pub names: Vec<String>,
    /// All of the workspace.
    pub all: bool,
}

impl Packages {
    /// The projects, each once.
    pub(super) fn find(&self, session: &Session) -> Result<Vec<Project>, Error> {
        if self.names.is_empty() && !self.all {
            return of_dir(&session.cwd);
        }
        let workspace = match Workspace::find(&session.cwd)? {
            Some(workspace) => workspace,
            // A project that stands alone is a workspace of one.
            None => {
                let project = Project::find(&session.cwd)?;
                Workspace { root: project.root.clone(), packages: vec![project] }
            }
        };
        if self.all {
            return Ok(workspace.packages);
        }
        let mut found: Vec<Project> = Vec::new();
        for name in &self.names {
            let package = workspace.package(name)?;
            if !found.iter().any(|known| known.root == package.root) {
                found.push(package.clone());
            }
        }
        Ok(found)
    }
}

/// The project that a directory lies in; where that is none but a workspace,
/// all of its packages.
pub(super) fn of_dir(dir: &Path) -> Result<Vec<Project>, Error> {
    match Project::find(dir) {
        Ok(project) => Ok(vec![project]),
        Err(error @ (Error::NoPackage { .. } | Error::NotFound { .. })) => {
            let workspace = Workspace::find(dir)?;
            workspace.map(|workspace| workspace.packages).ok_or(error)
        }
        Err(error) => Err(error),
    }
}
