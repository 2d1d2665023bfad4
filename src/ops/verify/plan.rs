//! What there is to do: the objects, and the kernels each is verified on.

use super::{Object, Request, Results, Task};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, ObjectPlace, Origin, codes};
use crate::elf;
use crate::kernels::{Reference, Stored};
use crate::ops::kernel::{reference, store};
use crate::ops::{Session, build, pins};
use crate::project::Project;
use crate::project::lock::{LOCK, Lock};
use crate::wire::Placed;
use globset::Glob;

/// The kernel that is taken where neither the user nor a manifest names one
/// and the running kernel's image is not at hand.
const DEFAULT: &str = "debian/bookworm";

/// Reads the objects; what is none is a finding.
pub(in crate::ops) fn objects(
    session: &Session,
    built: &build::Outcome,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Vec<Object>, Failure> {
    let mut objects = Vec::new();
    for artifact in &built.artifacts {
        let bytes = fs::read(&artifact.object)?;
        let path = session.display(&artifact.object).to_owned();
        match elf::Object::parse(&bytes) {
            Ok(elf) => objects.push(Object {
                path,
                bytes,
                elf,
                root: artifact.root.clone(),
                target: artifact.project.map(|project| built.projects[project].target.clone()),
                project: artifact.project,
                sets: Vec::new(),
            }),
            Err(error) => {
                let place = ObjectPlace { object: path, ..ObjectPlace::default() };
                diagnostics.push(Diagnostic::from(error).object_place(place));
            }
        }
    }
    Ok(objects)
}

/// Which objects go to which kernels: those the user named, else those of
/// each object's project, else the one that is most likely meant.
pub(in crate::ops) fn tasks(
    session: &Session,
    request: &Request,
    built: &build::Outcome,
    objects: &[Object],
) -> Result<Vec<Task>, Failure> {
    let locks = built.projects.iter().map(Lock::read).collect::<Result<Vec<_>, _>>()?;
    let mut tasks: Vec<Task> = Vec::new();
    let mut add = |reference: &Reference, object: usize, of: Option<usize>, pinning: bool| {
        let pin = of.and_then(|of| pins::pin(&locks[of], &built.projects[of], reference));
        let is_it = |task: &Task| task.reference == *reference && task.pin == pin;
        let place = tasks.iter().position(is_it).unwrap_or_else(|| {
            let (projects, objects) = (Vec::new(), Vec::new());
            tasks.push(Task { reference: reference.clone(), pin, projects, objects });
            tasks.len() - 1
        });
        let task = &mut tasks[place];
        task.objects.push(object);
        if let Some(of) = of.filter(|of| pinning && !task.projects.contains(of)) {
            task.projects.push(of);
        }
    };
    let mut default = None;
    for (index, object) in objects.iter().enumerate() {
        let project = object.project.map(|project| &built.projects[project]);
        let matrix = match project.filter(|_| request.kernels.is_empty()) {
            Some(project) => pins::matrix(session, project)?,
            None => Vec::new(),
        };
        if !request.kernels.is_empty() {
            let mut seen = Vec::new();
            for text in &request.kernels {
                let reference = reference(session, text)?;
                if !seen.contains(&reference) {
                    add(&reference, index, object.project, false);
                    seen.push(reference);
                }
            }
        } else if !matrix.is_empty() {
            for reference in &matrix {
                if let Some(of) = object.project {
                    pins::refuse_unpinned(session, &locks[of], &built.projects[of], reference)?;
                }
                add(reference, index, object.project, true);
            }
        } else {
            if default.is_none() {
                default = Some(default_kernel(session)?);
            }
            if let Some(reference) = &default {
                add(reference, index, object.project, false);
            }
        }
    }
    Ok(tasks)
}

/// Pins the projects' matrices to the kernels that they came to.
pub(in crate::ops) fn keep_pins(
    session: &Session,
    projects: &[Project],
    tasks: &[Task],
    parts: &[Results],
) -> Result<(), Failure> {
    for (index, project) in projects.iter().enumerate() {
        let found: Vec<(Reference, Stored)> = tasks
            .iter()
            .zip(parts)
            .filter(|(task, _)| task.projects.contains(&index))
            .filter_map(|(task, part)| Some((task.reference.clone(), part.kernel.clone()?)))
            .collect();
        if !found.is_empty() && pins::keep(session, project, &found)? {
            session.note(format!("{LOCK} pins the kernels of the matrix"));
        }
    }
    Ok(())
}

/// The running kernel if its image is at hand, else a usual one.
pub(in crate::ops) fn default_kernel(session: &Session) -> Result<Reference, Failure> {
    let host = store(session).get(&Reference::Host, &session.cancel, &*session.sink);
    let reference = match host {
        Ok(_) => Reference::Host,
        Err(_) => reference(session, DEFAULT)?,
    };
    session.note(format!("no kernel is named; taking {reference} (`--kernel` names others)"));
    Ok(reference)
}

/// `PROGRAM=SECTION`: the programs that a text's pattern names.
///
/// # Errors
/// Text of another form, or a pattern that no program has for a name.
pub(super) fn placed(texts: &[String], objects: &[Object]) -> Result<Vec<Placed>, Failure> {
    let usage = |message: String| Diagnostic::new(codes::USAGE, Origin::Command, message);
    let mut placed = Vec::new();
    for text in texts {
        let parts = text.split_once('=').filter(|(_, section)| !section.is_empty());
        let glob = parts.and_then(|(pattern, _)| Glob::new(pattern).ok());
        let (Some((pattern, section)), Some(glob)) = (parts, glob) else {
            return Err(usage(format!("`--as {text}` is not understood"))
                .help("write PROGRAM=SECTION, such as --as 'on_*=xdp'")
                .into());
        };
        let glob = glob.compile_matcher();
        let programs = objects.iter().flat_map(|object| object.elf.programs());
        let named: Vec<_> = programs.filter(|program| glob.is_match(&program.name)).collect();
        if named.is_empty() {
            return Err(usage(format!("no program is called `{pattern}`")).into());
        }
        placed.extend(
            named.into_iter().map(|program| Placed {
                program: program.name.clone(),
                section: section.to_owned(),
            }),
        );
    }
    Ok(placed)
}
