//! What tests take along into the guest: files and directories, and programs
//! that the project itself builds. Those are built only if a test wants one.

use super::Request;
use super::ready::Ready;
use crate::diagnostics::{Diagnostic, Failure, Origin, Span, codes};
use crate::ops::brought::Luggage;
use crate::ops::verify::Object;
use crate::ops::{Session, build};
use crate::project::Kind;
use crate::vm::Brought;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that a test wants to have brought.
#[derive(Clone)]
pub(super) struct Wanted {
    pub what: What,
    /// Where that is written.
    pub span: Span,
}

/// What it is.
#[derive(Clone)]
pub(super) enum What {
    /// A file or directory, absolute.
    Path(PathBuf),
    /// A program of the project that the test's object belongs to.
    Program(String),
}

/// Gives tests that do something the files that they find in the guest; what
/// is wrong with what they want, and what building it brought up.
///
/// # Errors
/// What the command line names cannot be brought, or nothing can be built.
pub(super) fn pack(
    session: &Session,
    request: &Request,
    (built, objects): (&build::Outcome, &[Object]),
    tests: &mut [Ready],
) -> Result<Vec<Diagnostic>, Failure> {
    let mut findings = Vec::new();
    let programs = programs(session, request, (built, objects), tests, &mut findings)?;
    if findings.iter().any(Diagnostic::is_error) {
        return Ok(findings);
    }
    let mut packed: Vec<(Vec<PathBuf>, Arc<[Brought]>)> = Vec::new();
    for test in tests.iter_mut().filter(|test| test.case.scene.is_some()) {
        let mut paths = Vec::new();
        for wanted in &test.bring {
            let path = match &wanted.what {
                What::Path(path) => Ok(path.clone()),
                What::Program(name) => find(name, &programs, objects[test.object].project),
            };
            match path {
                Ok(path) => paths.push((path, &wanted.span)),
                Err(mistake) => findings.push(mistake.into_diagnostic().at(wanted.span.clone())),
            }
        }
        let all = request.bring.iter().chain(paths.iter().map(|(path, _)| path));
        let all: Vec<PathBuf> = all.cloned().collect();
        if let Some((_, known)) = packed.iter().find(|(known, _)| *known == all) {
            test.brought = Arc::clone(known);
            continue;
        }
        let mut luggage = Luggage::new(session).with_symbols();
        luggage.add(&request.bring)?;
        for (path, span) in paths {
            if let Err(failure) = luggage.add(&[path]) {
                findings.push(failure.into_diagnostic().at(span.clone()));
            }
        }
        test.brought = luggage.into_files().into();
        packed.push((all, Arc::clone(&test.brought)));
    }
    Ok(findings)
}

/// A program of a project.
struct Program {
    /// The project's place among those that were built.
    project: usize,
    name: String,
    path: PathBuf,
}

/// Builds the programs of the projects whose tests want one.
fn programs(
    session: &Session,
    request: &Request,
    (built, objects): (&build::Outcome, &[Object]),
    tests: &[Ready],
    findings: &mut Vec<Diagnostic>,
) -> Result<Vec<Program>, Failure> {
    let wants = |test: &&Ready| {
        let is_own = |wanted: &Wanted| matches!(wanted.what, What::Program(_));
        test.bring.iter().any(is_own)
    };
    let projects = tests.iter().filter(wants).filter_map(|test| objects[test.object].project);
    let roots = projects.map(|index| &built.projects[index]);
    let mut roots: Vec<PathBuf> =
        roots.filter(|project| project.kind != Kind::AdHoc).map(|one| one.root.clone()).collect();
    roots.sort();
    roots.dedup();
    if roots.is_empty() {
        return Ok(Vec::new());
    }
    let build = build::Request {
        paths: roots,
        profile: request.profile,
        user: true,
        ..build::Request::default()
    };
    let with_users = build::run(session, &build)?;
    // What is wrong with the BPF side was told already.
    let all = with_users.diagnostics.into_iter().chain(with_users.cargo_diagnostics);
    findings.extend(all.filter(|finding| !built.diagnostics.contains(finding)));
    let place = |root: &Path| built.projects.iter().position(|known| known.root == root);
    let of = |known: build::UserProgram| {
        let project = place(&with_users.projects[known.project].root)?;
        Some(Program { project, name: known.name, path: known.path })
    };
    Ok(with_users.programs.into_iter().filter_map(of).collect())
}

/// The program of a project that is called that.
fn find(name: &str, programs: &[Program], project: Option<usize>) -> Result<PathBuf, Failure> {
    let own = || programs.iter().filter(|program| Some(program.project) == project);
    if let Some(found) = own().find(|program| program.name == name) {
        return Ok(found.path.clone());
    }
    let message = format!("the project builds no program `{name}`");
    let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
    let names: Vec<&str> = own().map(|program| program.name.as_str()).collect();
    let mistake = match names.as_slice() {
        [] => {
            mistake.note("it builds none: `kind` in the manifest's [user] says in which language")
        }
        names => mistake.note(format!("there are: {}", names.join(", "))),
    };
    Err(mistake.into())
}
