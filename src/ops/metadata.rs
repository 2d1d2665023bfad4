//! `skep metadata`: what a project is and what its objects hold. Nothing is
//! built, and nothing is said of objects that are not there.

use super::build::{Profile, objects_of};
use super::contents::{self, Contents};
use super::{Packages, Session};
use crate::base::fs;
use crate::build;
use crate::diagnostics::Diagnostic;
use crate::elf::Object;
use crate::project::{self, Project, Workspace};
use std::path::{Path, PathBuf};

/// What there is.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The workspace's directory; that of a project which stands alone.
    pub workspace_root: PathBuf,
    /// The packages.
    pub packages: Vec<Package>,
}

/// A project and its objects.
#[derive(Clone, Debug)]
pub struct Package {
    /// The project with its manifest.
    pub project: Project,
    /// Its sources, absolute.
    pub sources: Vec<PathBuf>,
    /// What is made of them, for each profile.
    pub objects: Vec<Artifact>,
}

/// An object, which may not be built yet.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its name, without `.bpf.o`.
    pub name: String,
    /// The profile.
    pub profile: Profile,
    /// The file, absolute.
    pub path: PathBuf,
    /// The sources it is made of, absolute.
    pub sources: Vec<PathBuf>,
    /// The clang that made it, as it calls itself; nothing for one that is not
    /// built.
    pub compiler: Option<String>,
    /// What is in it; nothing for one that is not built or cannot be read.
    pub contents: Option<Contents>,
}

/// Describes the packages of the workspace that the current directory lies in,
/// or those of them that are named.
///
/// # Errors
/// Every mistake in a manifest, or that there is no project.
pub fn run(session: &Session, packages: &Packages) -> Result<Outcome, Vec<Diagnostic>> {
    let describe = || -> Result<Outcome, project::Error> {
        let all = Packages { all: packages.names.is_empty(), names: packages.names.clone() };
        let projects = all.find(session)?;
        let workspace = Workspace::find(&session.cwd)?.map(|workspace| workspace.root);
        let root = workspace.or_else(|| projects.first().map(|project| project.root.clone()));
        let packages = projects.into_iter().map(package).collect::<Result<_, _>>()?;
        Ok(Outcome { workspace_root: root.unwrap_or_else(|| session.cwd.clone()), packages })
    };
    describe().map_err(project::Error::into_diagnostics)
}

fn package(project: Project) -> Result<Package, project::Error> {
    let sources = project.sources()?;
    let absolute = |source: &project::Source| project.root.join(&source.path);
    let mut objects = Vec::new();
    for profile in [Profile::Dev, Profile::Release] {
        for object in objects_of(&project, &sources, &project.target, profile, false) {
            objects.push(Artifact {
                sources: object.sources.iter().map(|&index| absolute(&sources[index])).collect(),
                compiler: object.sources.first().and_then(|&index| {
                    let source = &sources[index].path;
                    build::compiler_of(&project.target, profile.as_str(), source)
                }),
                contents: contents(&object.path),
                name: object.name,
                path: object.path,
                profile,
            });
        }
    }
    Ok(Package { sources: sources.iter().map(absolute).collect(), objects, project })
}

fn contents(path: &Path) -> Option<Contents> {
    Some(contents::of(&Object::parse(&fs::read(path).ok()?).ok()?))
}
