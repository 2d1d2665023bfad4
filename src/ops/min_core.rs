//! `skep vmlinux --min-core`: the smallest BTF that some objects need of a
//! kernel, one for each kernel.

use super::{Session, build, kernel, vmlinux};
use crate::base::fs;
use crate::btf::Btf;
use crate::btf::ext::CoreRelo;
use crate::diagnostics::{Diagnostic, Failure, ObjectPlace, Origin, Span, codes};
use crate::elf::{self, Object};
use crate::kernels::{Reference, image, looks_like_package};
use crate::relocate::core::{Minimal, MinimalError, Question, Target};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be made.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Objects, and projects and sources, which are built; the project here if
    /// there are none.
    pub paths: Vec<PathBuf>,
    /// Where the kernels' BTF is, as for [`vmlinux::Request::from`]; the
    /// running kernel's if nowhere is said.
    pub from: Vec<PathBuf>,
    /// Modules of those kernels that are searched too.
    pub modules: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The BTF, one for each kernel; none if something is wrong.
    pub made: Vec<Made>,
    /// What is wrong with the objects.
    pub diagnostics: Vec<Diagnostic>,
}

/// One kernel's minimal BTF.
#[derive(Clone, Debug)]
pub struct Made {
    /// The kernel, as the user named it.
    pub kernel: String,
    /// What to call the file in a directory of many: the kernel's release,
    /// which `uname -r` prints there, with `.btf`.
    pub file_name: String,
    /// The BTF.
    pub bytes: Vec<u8>,
    /// How many types it has.
    pub types: u32,
    /// How many relocations it was made for.
    pub relocations: usize,
    /// How many of those the kernel has no answer for: their instructions are
    /// poisoned, and programs must not reach them.
    pub unresolved: usize,
}

/// An object with what it asks of a kernel's BTF.
pub(super) struct Asking {
    /// As the user would write it.
    pub path: PathBuf,
    /// Where relative paths in its line information start from.
    pub root: PathBuf,
    pub object: Object,
    /// Its relocations with the section and slot of each.
    pub relocations: Vec<(usize, usize, CoreRelo)>,
}

impl Asking {
    /// A finding, on the C line of the relocation and with its program.
    pub fn locate(&self, session: &Session, relocation: usize, finding: Diagnostic) -> Diagnostic {
        let Some(&(section, slot, _)) = self.relocations.get(relocation) else { return finding };
        let function = self.object.function_at(section, slot);
        let place = ObjectPlace {
            object: self.path.clone(),
            section: self.object.sections.get(section).map(|section| section.name.clone()),
            instruction: function.and_then(|known| u32::try_from(slot - known.slots.start).ok()),
        };
        let mut finding = finding.object_place(place);
        if let Some(function) = function {
            finding = finding.program(function.name.clone());
        }
        match self.object.span(section, slot) {
            Some(span) => {
                let file = self.root.join(&span.file);
                let file = session.display(&file).to_owned();
                finding.at(Span { file, ..span })
            }
            None => finding,
        }
    }
}

/// Builds what has to be built and reads the objects. Findings that keep one
/// from being used go to `diagnostics`.
pub(super) fn asking(
    session: &Session,
    paths: &[PathBuf],
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(Vec<Asking>, build::Outcome), Failure> {
    let request = build::Request { paths: paths.to_vec(), ..build::Request::default() };
    let built = build::objects(session, &request)?;
    diagnostics.extend(built.diagnostics.iter().cloned());
    let mut asking = Vec::new();
    for artifact in &built.artifacts {
        let path = session.display(&artifact.object).to_owned();
        let place = ObjectPlace { object: path.clone(), ..ObjectPlace::default() };
        match Object::parse(&fs::read(&artifact.object)?) {
            Err(error) => diagnostics.push(Diagnostic::from(error).object_place(place)),
            Ok(object) => {
                for problem in &object.problems {
                    if let elf::Problem::BadBtf(error) | elf::Problem::BadBtfExt(error) = problem {
                        let finding = Diagnostic::from(error.clone());
                        diagnostics.push(finding.object_place(place.clone()));
                    }
                }
                let relocations = object.core_relocations();
                let root = artifact.root.clone();
                asking.push(Asking { path, root, object, relocations });
            }
        }
    }
    Ok((asking, built))
}

/// Makes minimal BTF for every kernel.
///
/// # Errors
/// If a kernel's BTF cannot be had, or something keeps the objects from being
/// built at all.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let (objects, _) = asking(session, &request.paths, &mut outcome.diagnostics)?;
    if outcome.diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(outcome);
    }
    warn_of_numbers(session, &objects, &mut outcome.diagnostics);
    let running = [PathBuf::from("host")];
    let from = if request.from.is_empty() { &running[..] } else { &request.from };
    for from in from {
        let target = target(session, from, &request.modules)?;
        let kernel = from.display().to_string();
        match minimal(session, &objects, &target, &kernel) {
            Err(finding) => outcome.diagnostics.push(*finding),
            Ok(made) => {
                let all = made.resolutions.iter().flatten();
                outcome.made.push(Made {
                    file_name: format!("{}.btf", release(session, from)?),
                    types: made.types,
                    relocations: all.clone().count(),
                    unresolved: all.filter(|resolution| resolution.answer.is_none()).count(),
                    bytes: made.bytes,
                    kernel,
                });
            }
        }
    }
    tell_apart(&mut outcome.made);
    Ok(outcome)
}

/// A kernel's BTF and that of its modules, ready to be searched.
pub(super) fn target(
    session: &Session,
    from: &Path,
    modules: &[String],
) -> Result<Target, Failure> {
    let kernel = Arc::new(vmlinux::kernel(session, Some(from))?);
    let modules = modules.iter().map(|module| {
        let path = vmlinux::module(session, module);
        vmlinux::file(session, &path, Some(kernel.clone())).map(Arc::new)
    });
    let modules = modules.collect::<Result<Vec<_>, _>>()?;
    Ok(Target::new(kernel).with_modules(modules))
}

fn minimal(
    session: &Session,
    objects: &[Asking],
    target: &Target,
    kernel: &str,
) -> Result<Minimal, Box<Diagnostic>> {
    let with_btf: Vec<&Asking> =
        objects.iter().filter(|asking| asking.object.btf.is_some()).collect();
    let questions: Vec<(&Btf, Vec<CoreRelo>)> = with_btf
        .iter()
        .filter_map(|asking| {
            let relocations = asking.relocations.iter().map(|(_, _, relo)| *relo).collect();
            Some((asking.object.btf.as_deref()?, relocations))
        })
        .collect();
    let made = target.minimal(&questions).map_err(|error| {
        let (object, relocation, finding) = match error {
            MinimalError::Refused { object, relocation, error } => {
                (object, relocation, Diagnostic::from(error))
            }
            MinimalError::Clash { object, relocation } => {
                let message = "one BTF cannot hold the kernel's types and the modules' for this";
                let finding = Diagnostic::new(codes::CORE_AMBIGUOUS, Origin::Core, message)
                    .help("leave out `--module`, or make one BTF for each object");
                (object, relocation, finding)
            }
        };
        Box::new(with_btf[object].locate(session, relocation, finding).kernel(kernel))
    })?;
    for (asking, resolutions) in with_btf.iter().zip(&made.resolutions) {
        let Some(local) = asking.object.btf.as_deref() else { continue };
        for resolution in resolutions.iter().filter(|resolution| resolution.answer.is_none()) {
            let what = resolution.local.describe(local);
            session.detail(format!("{kernel} has no {what}: {}", asking.path.display()));
        }
    }
    Ok(made)
}

/// Says where programs ask for the number of a kernel type.
fn warn_of_numbers(session: &Session, objects: &[Asking], diagnostics: &mut Vec<Diagnostic>) {
    for asking in objects {
        for (index, (_, _, relo)) in asking.relocations.iter().enumerate() {
            if Question::from_number(relo.kind) != Some(Question::TypeIdTarget) {
                continue;
            }
            let name = asking.object.btf.as_deref().map_or("", |btf| btf.name(relo.ty));
            let message = format!("the kernel's number of type `{name}` is not in minimal BTF");
            let finding = Diagnostic::new(codes::CORE_TYPE_ID, Origin::Core, message)
                .help("load this program only on kernels that have BTF of their own");
            diagnostics.push(asking.locate(session, index, finding));
        }
    }
}

/// The release of a kernel, or for a file that does not tell, its name.
pub(super) fn release(session: &Session, from: &Path) -> Result<String, Failure> {
    if from == Path::new("host") {
        let release = fs::read_to_string(Path::new("/proc/sys/kernel/osrelease"))?;
        return Ok(release.trim().to_owned());
    }
    let path = session.absolute(from);
    let name = || {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".btf").unwrap_or(&name);
        name.strip_prefix("vmlinux-").unwrap_or(name).to_owned()
    };
    if !fs::is_file(&path) {
        return Ok(kernel::named(session, &from.to_string_lossy())?.stored.release);
    }
    let bytes = fs::map(&path)?;
    let is_elf = bytes.starts_with(b"\x7fELF");
    if is_elf || !(looks_like_package(&bytes) || image::looks_like_image(&bytes)) {
        return Ok(name());
    }
    let reference = Reference::File(path.clone());
    let kernel = kernel::store(session).get(&reference, &session.cancel, &*session.sink);
    if vmlinux::is_foreign(&kernel) {
        return Ok(name());
    }
    Ok(kernel?.stored.release)
}

/// Gives each file a name of its own.
fn tell_apart(made: &mut [Made]) {
    let mut seen = HashSet::new();
    for made in made {
        let stem = made.file_name.trim_end_matches(".btf").to_owned();
        let mut number = 1;
        while !seen.insert(made.file_name.clone()) {
            number += 1;
            made.file_name = format!("{stem}-{number}.btf");
        }
    }
}
