//! `skep check`: everything that can be known of objects without a kernel,
//! without root and without a machine.
//!
//! Projects and sources are built first; objects are taken as they are. Each
//! object is read and goes through every rule of [`analysis`]; what a comment
//! on the line or `[lints]` in the manifest allows is left out.

use super::build::{self, Artifact, Profile};
use super::{Packages, Session, levels, min_core, packages, vmlinux};
use crate::analysis::{self, kernel::Kernel};
use crate::base::fs;
use crate::base::jobs::side_by_side;
use crate::diagnostics::{self, Diagnostic, Failure, Origin, Severity, codes};
use crate::elf::Object;
use crate::project::{self, Project};
use std::path::{Path, PathBuf};

/// What to check.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Projects, directories in them, sources and objects. None: the project
    /// here.
    pub paths: Vec<PathBuf>,
    /// Which packages, where no path is named.
    pub packages: Packages,
    /// The profile that projects are built with.
    pub profile: Profile,
    /// Kernels to compare the objects with: references, or files that hold
    /// BTF. A project's oldest kernel is compared by its version besides.
    pub kernels: Vec<PathBuf>,
}

/// An object that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its name, without `.bpf.o`.
    pub name: String,
    /// The file, as the user would write it.
    pub path: PathBuf,
    /// What is in it; none for a file that is no object.
    pub content: Option<Content>,
    /// How many findings at error level there are about it.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
}

/// How much is in an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Programs.
    pub programs: usize,
    /// Functions in `.text`.
    pub subprograms: usize,
    /// Maps, those of global data not counted.
    pub maps: usize,
    /// Instructions, in slots of eight bytes.
    pub instructions: usize,
    /// Whether a program names a function that it replaces.
    pub extends: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The objects, in the order of the command line.
    pub objects: Vec<Checked>,
    /// What is wrong, the build's diagnostics first.
    pub diagnostics: Vec<Diagnostic>,
    /// How many findings the manifest or a comment allows.
    pub allowed: usize,
}

/// Checks.
///
/// # Errors
/// What kept the check from being done at all.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    directories(session, &request.paths)?;
    let build = build::Request {
        paths: request.paths.clone(),
        packages: request.packages.clone(),
        profile: request.profile,
        ..build::Request::default()
    };
    let built = build::objects(session, &build)?;
    let mut outcome =
        Outcome { diagnostics: built.diagnostics, allowed: built.allowed, ..Outcome::default() };
    let width = session.jobs.get();
    let target = |reference: &PathBuf| -> Result<_, Failure> {
        let version = min_core::release(session, reference)?.parse().ok();
        Ok((version, min_core::target(session, reference, &[])?))
    };
    let targets: Result<Vec<_>, Failure> =
        side_by_side(&request.kernels, width, &target).into_iter().collect();
    let targets = targets?;
    let modules: Vec<_> = request
        .kernels
        .iter()
        .zip(&targets)
        .map(|(reference, (_, target))| vmlinux::Modules::of(session, reference, target.kernel()))
        .collect();
    let kernels: Vec<Kernel<'_>> = request
        .kernels
        .iter()
        .zip(&targets)
        .zip(&modules)
        .map(|((reference, (version, target)), modules)| {
            let reference = reference.display().to_string();
            Kernel::of_btf(reference, *version, target).with_modules(modules)
        })
        .collect();
    let check = |artifact: &Artifact| {
        let project = artifact.project.and_then(|index| built.projects.get(index));
        check(session, artifact, project, &kernels)
    };
    for part in side_by_side(&built.artifacts, width, &check) {
        let part = part?;
        outcome.objects.extend(part.objects);
        outcome.diagnostics.extend(part.diagnostics);
        outcome.allowed += part.allowed;
    }
    extensions(session, &built.artifacts, &built.projects, &mut outcome)?;
    Ok(outcome)
}

/// The oldest kernel that a project is for, of which only the version is
/// known.
fn oldest(project: &Project) -> Option<Kernel<'static>> {
    let version = project.manifest.kernels.min?;
    Some(Kernel::of_version(format!("linux {version}"), version))
}

/// A directory must be a project's, or lie in one.
pub(super) fn directories(session: &Session, paths: &[PathBuf]) -> Result<(), Failure> {
    for path in paths {
        let absolute = session.absolute(path);
        if !fs::is_dir(&absolute) {
            continue;
        }
        if let Err(project::Error::NotFound { .. }) = packages::of_dir(&absolute) {
            let message = format!("{} is a directory without a project", path.display());
            let mut diagnostic = Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message);
            let objects: Vec<_> = fs::read_dir(&absolute)?
                .into_iter()
                .filter(|file| file.to_string_lossy().ends_with(".bpf.o"))
                .collect();
            diagnostic = match objects.first() {
                Some(object) => {
                    let count = objects.len();
                    let first = session.display(object).display().to_string();
                    let example = if count == 1 {
                        format!("name the object in it: `skep check {first}`")
                    } else {
                        format!(
                            "name the {count} objects in it: `skep check {}/*.bpf.o`",
                            path.display()
                        )
                    };
                    diagnostic.help(example)
                }
                None => {
                    diagnostic.help("name a project, a source (`.bpf.c`) or an object (`.bpf.o`)")
                }
            };
            return Err(diagnostic.into());
        }
    }
    Ok(())
}

fn check(
    session: &Session,
    artifact: &Artifact,
    project: Option<&Project>,
    kernels: &[Kernel<'_>],
) -> Result<Outcome, Failure> {
    let bytes = fs::read(&artifact.object)?;
    let path = session.display(&artifact.object).to_owned();
    let sources = sources(&artifact.root);
    let (content, findings) = match Object::parse(&bytes) {
        Ok(object) => {
            let content = Content {
                programs: object.programs().count(),
                subprograms: object.functions.len() - object.programs().count(),
                maps: object.maps.len(),
                instructions: object.sections.iter().map(|section| section.insns.len()).sum(),
                extends: analysis::extends(&object),
            };
            let mut findings = analysis::check(&object, &path, &sources);
            let mut on_kernels = Vec::new();
            if let Some(oldest) = project.and_then(oldest) {
                on_kernels.extend(analysis::check_on(&object, &path, &sources, &[oldest]));
            }
            on_kernels.extend(analysis::check_on(&object, &path, &sources, kernels));
            findings.extend(diagnostics::fold(on_kernels));
            (Some(content), findings)
        }
        Err(error) => (None, vec![Diagnostic::from(error).in_file(&path)]),
    };
    let (findings, allowed) = levels::apply(session, project, &artifact.root, findings);
    let diagnostics: Vec<_> =
        findings.into_iter().map(|finding| displayed(session, artifact, finding)).collect();
    let count =
        |severity| diagnostics.iter().filter(|finding| finding.severity == severity).count();
    let checked = Checked {
        name: artifact.name.clone(),
        path,
        content,
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
    };
    Ok(Outcome { objects: vec![checked], diagnostics, allowed })
}

/// Holds `freplace` programs against the functions of all objects at hand.
fn extensions(
    session: &Session,
    artifacts: &[Artifact],
    projects: &[Project],
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    if !outcome.objects.iter().any(|object| object.content.is_some_and(|known| known.extends)) {
        return Ok(());
    }
    let mut objects = Vec::new();
    for artifact in artifacts {
        objects.push(Object::parse(&fs::read(&artifact.object)?).ok());
    }
    let paths: Vec<&Path> =
        artifacts.iter().map(|artifact| session.display(&artifact.object)).collect();
    let all: Vec<_> = objects
        .iter()
        .zip(&paths)
        .filter_map(|(object, path)| Some((object.as_ref()?, *path)))
        .collect();
    for ((artifact, object), checked) in artifacts.iter().zip(&objects).zip(&mut outcome.objects) {
        let Some(object) = object else { continue };
        let sources = sources(&artifact.root);
        let findings = analysis::check_extensions(object, &checked.path, &sources, &all);
        let project = artifact.project.and_then(|index| projects.get(index));
        let (findings, allowed) = levels::apply(session, project, &artifact.root, findings);
        outcome.allowed += allowed;
        for finding in findings {
            match finding.severity {
                Severity::Error => checked.errors += 1,
                _ => checked.warnings += 1,
            }
            outcome.diagnostics.push(displayed(session, artifact, finding));
        }
    }
    Ok(())
}

/// Reads the sources that line information names, relative to `root`.
pub(super) fn sources(root: &Path) -> impl Fn(&Path) -> Option<String> {
    |file| fs::read(&root.join(file)).ok().map(lossy)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The finding with its files as the user would write them.
pub(super) fn displayed(
    session: &Session,
    artifact: &Artifact,
    mut finding: Diagnostic,
) -> Diagnostic {
    let labels = finding.primary.iter_mut().chain(&mut finding.secondary);
    for span in labels.map(|label| &mut label.span) {
        if span.file == session.display(&artifact.object) {
            continue;
        }
        let absolute = artifact.root.join(&span.file);
        span.file = session.display(&absolute).to_owned();
    }
    finding
}
