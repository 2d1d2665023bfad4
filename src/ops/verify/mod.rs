//! `skep verify`: the verdict of real kernels on every program of every
//! object.
//!
//! Each kernel is a job of its own: its image comes from the store, a machine
//! runs it, and every program is loaded there on its own. Jobs run side by
//! side as far as the machine's processors go; their results are put together
//! in the order the kernels were asked for.

mod finding;
mod job;

use super::kernel::{reference, store};
use super::{Session, build};
use crate::base::fs;
use crate::diagnostics::{self, Diagnostic, Failure, ObjectPlace, Origin, codes};
use crate::elf;
use crate::kernels::Reference;
use crate::vm::{self, Accelerator, Initramfs, Qemu, Settings};
use crate::{verifier_log, wire};
use globset::{Glob, GlobMatcher};
use job::Job;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The kernel that is taken where neither the user nor a manifest names one
/// and the running kernel's image is not at hand.
const DEFAULT: &str = "debian/bookworm";
/// How long a machine may take to come up.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// The same where the processor runs the guest: it takes a second or two.
const KVM_BOOT_LIMIT: Duration = Duration::from_secs(20);
/// What to verify, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// Projects, sources and objects; the project here if empty.
    pub paths: Vec<PathBuf>,
    /// How what has to be built is built.
    pub profile: build::Profile,
    /// Kernel references; the project's matrix if empty.
    pub kernels: Vec<String>,
    /// Only programs whose name matches one of these globs; all if empty.
    pub programs: Vec<String>,
    /// The verifier's log level, 1 or 2, for accepted programs too; rejected
    /// ones are logged at level 2 in any case.
    pub level: Option<u32>,
    /// Where all logs go.
    pub log: Option<PathBuf>,
    /// How long one program may take.
    pub limit: Duration,
    /// Boot every machine instead of restoring a snapshot.
    pub cold: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One for each program and kernel: objects and programs in their order,
    /// kernels in the order they were asked for.
    pub verdicts: Vec<Verdict>,
    /// What is wrong, folded over the kernels.
    pub diagnostics: Vec<Diagnostic>,
}

/// What a kernel said of a program.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The object, as the user wrote it.
    pub object: PathBuf,
    /// The program's place in the object.
    pub index: u32,
    /// The program's name.
    pub program: String,
    /// Its section.
    pub section: String,
    /// Its type, in libbpf's words.
    pub kind: String,
    /// The kernel's reference.
    pub kernel: String,
    /// The kernel's release.
    pub release: String,
    /// Accepted, rejected, or nothing.
    pub word: Word,
    /// What the verifier counted.
    pub statistics: Statistics,
    /// Instructions of the program itself.
    pub size: Option<u32>,
    /// The time the load took, in microseconds.
    pub micros: Option<u64>,
    /// Bytes of the program after verification, if it was accepted.
    pub xlated: Option<u32>,
    /// Bytes of machine code, if it was accepted and compiled.
    pub jited: Option<u32>,
    /// What had to be changed to load it.
    pub fixups: Vec<String>,
}

/// The verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The kernel took it.
    Accepted,
    /// The kernel's verifier refused it.
    Rejected,
    /// It was refused before the verifier saw it, at this stage.
    NotLoaded(wire::Stage),
    /// There is no verdict.
    None,
}

impl Word {
    /// The stable text for tables.
    pub fn text(self) -> String {
        match self {
            Self::Accepted => "accepted".into(),
            Self::Rejected => "rejected".into(),
            Self::NotLoaded(stage) => format!("refused ({})", stage.as_str()),
            Self::None => "no verdict".into(),
        }
    }
}

/// What the verifier's log ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Instructions walked, over all paths.
    pub instructions: Option<u64>,
    /// States kept, over the whole walk.
    pub states: Option<u64>,
    /// The most states kept at once.
    pub peak_states: Option<u64>,
    /// Bytes of stack, over all frames of the deepest call.
    pub stack: Option<u64>,
    /// Microseconds the verifier took.
    pub micros: Option<u64>,
}

impl Statistics {
    /// Reads them from the end of a log.
    fn of_log(log: &str) -> Self {
        let Some(summary) = verifier_log::Log::parse(log).summary else { return Self::default() };
        Self {
            instructions: Some(summary.processed),
            states: Some(summary.total_states),
            peak_states: Some(summary.peak_states),
            stack: Some(summary.stack_depth.iter().map(|&bytes| u64::from(bytes)).sum()),
            micros: summary.verification_time,
        }
    }
}

/// An object to verify.
struct Object {
    /// The file, as the user would write it.
    path: PathBuf,
    bytes: Vec<u8>,
    /// The same, read.
    elf: elf::Object,
    /// The directory that relative paths in its line information start from.
    root: PathBuf,
    /// The build directory of its project, if it belongs to one.
    target: Option<PathBuf>,
    /// The project it belongs to, if any.
    project: Option<usize>,
}

/// A kernel, and the objects (by index) that are verified on it.
struct Task {
    reference: Reference,
    objects: Vec<usize>,
}

/// One kernel's part of the work.
#[derive(Default)]
struct Part {
    verdicts: Vec<Verdict>,
    diagnostics: Vec<Diagnostic>,
    logs: Vec<(String, Vec<u8>)>,
}

/// Verifies, and says what came of it.
///
/// # Errors
/// What keeps it from beginning: wrong arguments, no QEMU. A kernel that
/// cannot be had or does not boot is a finding, so that the others count.
pub fn verify(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let globs = globs(&request.programs)?;
    // Mistyped references are told before anything is built.
    for text in &request.kernels {
        reference(session, text)?;
    }
    let build = build::Request {
        paths: request.paths.clone(),
        profile: request.profile,
        ..Default::default()
    };
    let built = build::objects(session, &build)?;
    let mut outcome = Outcome::default();
    let failed = built.failed();
    outcome.diagnostics.extend(built.diagnostics.iter().cloned());
    if failed {
        return Ok(outcome);
    }
    let objects = objects(session, &built, &mut outcome.diagnostics)?;
    if objects.is_empty() {
        return Ok(outcome);
    }
    programs_match(&request.programs, &globs, &objects)?;
    let tasks = tasks(session, request, &built, &objects)?;
    let qemu = Qemu::find(&session.programs)?;
    let initramfs = Initramfs::of_skep(&session.executable);
    let memory = session.cache.join("accelerator");
    let note = |text| session.note(text);
    let mut accelerator = Accelerator::choose(&qemu, &memory, &session.cancel, &note);
    let parts = loop {
        let settings = Settings {
            qemu: qemu.clone(),
            accelerator,
            boot_limit: match accelerator {
                Accelerator::Kvm => KVM_BOOT_LIMIT,
                Accelerator::Tcg => BOOT_LIMIT,
            },
            program_limit: request.limit,
        };
        let not_booted = AtomicBool::new(false);
        let run = |task: &Task| {
            let mut part = Part::default();
            let job = Job {
                session,
                request,
                settings: &settings,
                initramfs: &initramfs,
                objects: &objects,
                globs: &globs,
            };
            if let Err(failure) = job.run(task, &mut part) {
                let diagnostic = failure.into_diagnostic();
                if diagnostic.code == codes::VM_DID_NOT_BOOT {
                    not_booted.store(true, Ordering::Relaxed);
                }
                part.diagnostics.push(diagnostic.kernel(task.reference.to_string()));
            }
            part
        };
        let parts = side_by_side(&tasks, session.jobs.get(), &run);
        if accelerator == Accelerator::Tcg || !not_booted.into_inner() {
            break parts;
        }
        accelerator = Accelerator::give_up_kvm(&qemu, &memory, &note);
    };
    if session.cancel.is_cancelled() {
        return Err(vm::Error::Cancelled.into());
    }
    if let Some(path) = &request.log {
        write_logs(&session.absolute(path), &parts)?;
    }
    put_together(parts, &objects, &mut outcome);
    Ok(outcome)
}

/// Runs jobs on several threads, at most `width` at once; results in order.
fn side_by_side<'i, I: Sync, O: Send>(
    items: &'i [I],
    width: usize,
    run: &(dyn Fn(&'i I) -> O + Sync),
) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<O>>> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..width.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = run(item);
                    *results[index].lock().unwrap_or_else(|poison| poison.into_inner()) =
                        Some(result);
                }
            });
        }
    });
    results
        .into_iter()
        .filter_map(|result| result.into_inner().unwrap_or_else(|poison| poison.into_inner()))
        .collect()
}

/// Reads the objects; what is none is a finding.
fn objects(
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
            }),
            Err(error) => {
                let place = ObjectPlace { object: path, ..ObjectPlace::default() };
                diagnostics.push(Diagnostic::from(error).object_place(place));
            }
        }
    }
    Ok(objects)
}

fn globs(patterns: &[String]) -> Result<Vec<GlobMatcher>, Failure> {
    let compile = |pattern: &String| {
        Glob::new(pattern).map(|glob| glob.compile_matcher()).map_err(|error| {
            let message = format!("`{pattern}` is not a pattern: {}", error.kind());
            Failure::from(Diagnostic::new(codes::USAGE, Origin::Command, message))
        })
    };
    patterns.iter().map(compile).collect()
}

/// Whether each pattern is the name of some program; a mistyped one must not
/// pass for a program that was verified.
fn programs_match(
    patterns: &[String],
    globs: &[GlobMatcher],
    objects: &[Object],
) -> Result<(), Failure> {
    let functions = objects.iter().flat_map(|object| &object.elf.functions);
    let names: Vec<&str> = functions
        .filter(|function| !function.is_subprogram)
        .map(|function| function.name.as_str())
        .collect();
    for (pattern, glob) in patterns.iter().zip(globs) {
        if !names.iter().any(|name| glob.is_match(name)) {
            let message = format!("no program is called `{pattern}`");
            let diagnostic = Diagnostic::new(codes::USAGE, Origin::Command, message);
            return Err(match names.as_slice() {
                [] => diagnostic.note("the objects hold no program"),
                names => diagnostic.note(format!("there are: {}", names.join(", "))),
            }
            .into());
        }
    }
    Ok(())
}

/// Which objects go to which kernels: those the user named, else those of
/// each object's project, else the one that is most likely meant.
fn tasks(
    session: &Session,
    request: &Request,
    built: &build::Outcome,
    objects: &[Object],
) -> Result<Vec<Task>, Failure> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut add = |reference: Reference, object: usize| match tasks
        .iter_mut()
        .find(|task| task.reference == reference)
    {
        Some(task) => task.objects.push(object),
        None => tasks.push(Task { reference, objects: vec![object] }),
    };
    let mut default = None;
    for (index, object) in objects.iter().enumerate() {
        let project = object.project.map(|project| &built.projects[project]);
        let matrix = project.map_or(&[][..], |project| &project.manifest.kernels.matrix);
        if !request.kernels.is_empty() {
            let mut seen = Vec::new();
            for text in &request.kernels {
                let reference = reference(session, text)?;
                if !seen.contains(&reference) {
                    seen.push(reference.clone());
                    add(reference, index);
                }
            }
        } else if let Some(project) = project.filter(|_| !matrix.is_empty()) {
            for entry in matrix {
                // Paths in a manifest start from the manifest.
                let parsed =
                    Reference::parse(&entry.value, |path| fs::exists(&project.root.join(path)));
                let reference = match parsed {
                    Ok(Reference::File(path)) => Reference::File(project.root.join(path)),
                    Ok(other) => other,
                    Err(error) => {
                        let mut diagnostic = Diagnostic::from(error);
                        if let Some(mut span) = project.span(entry) {
                            span.file = session.display(&span.file).to_owned();
                            diagnostic = diagnostic.at(span);
                        }
                        return Err(diagnostic.into());
                    }
                };
                add(reference, index);
            }
        } else {
            if default.is_none() {
                default = Some(default_kernel(session)?);
            }
            if let Some(reference) = &default {
                add(reference.clone(), index);
            }
        }
    }
    Ok(tasks)
}

/// The running kernel if its image is at hand, else a usual one.
fn default_kernel(session: &Session) -> Result<Reference, Failure> {
    let host = store(session).get(&Reference::Host, &session.cancel, &*session.sink);
    let reference = match host {
        Ok(_) => Reference::Host,
        Err(_) => reference(session, DEFAULT)?,
    };
    session.note(format!("no kernel is named; verifying on {reference} (`--kernel` names others)"));
    Ok(reference)
}

fn write_logs(path: &Path, parts: &[Part]) -> Result<(), Failure> {
    let mut all = Vec::new();
    for (title, log) in parts.iter().flat_map(|part| &part.logs) {
        all.extend_from_slice(format!("==> {title} <==\n").as_bytes());
        all.extend_from_slice(log);
        if !log.ends_with(b"\n") {
            all.push(b'\n');
        }
    }
    Ok(fs::write_atomic(path, &all)?)
}

/// Sorts verdicts by object and program, then kernel, and folds findings.
fn put_together(parts: Vec<Part>, objects: &[Object], outcome: &mut Outcome) {
    let mut diagnostics = std::mem::take(&mut outcome.diagnostics);
    for part in parts {
        outcome.verdicts.extend(part.verdicts);
        diagnostics.extend(part.diagnostics);
    }
    // Stable: kernels stay in the order they were asked for.
    outcome.verdicts.sort_by_key(|verdict| {
        let object = objects.iter().position(|object| object.path == verdict.object);
        (object, verdict.index)
    });
    outcome.diagnostics = diagnostics::fold(diagnostics);
}

impl Outcome {
    /// One line that counts the verdicts: `3 accepted, 1 rejected`.
    pub fn summary(&self) -> String {
        let (mut accepted, mut rejected, mut not_loaded, mut none) = (0, 0, 0, 0);
        for verdict in &self.verdicts {
            *match verdict.word {
                Word::Accepted => &mut accepted,
                Word::Rejected => &mut rejected,
                Word::NotLoaded(_) => &mut not_loaded,
                Word::None => &mut none,
            } += 1;
        }
        let mut text = format!("{accepted} accepted");
        for (what, count) in
            [("rejected", rejected), ("not loaded", not_loaded), ("without a verdict", none)]
        {
            if count > 0 {
                // Writing to a string cannot fail.
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_stand_at_the_end_of_a_log() {
        let log = "0: (95) exit\nverification time 12 usec\nstack depth 8+16\n\
                   processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 2 \
                   peak_states 1 mark_read 0\n";
        let expected = Statistics {
            instructions: Some(3),
            states: Some(2),
            peak_states: Some(1),
            stack: Some(24),
            micros: Some(12),
        };
        assert_eq!(Statistics::of_log(log), expected);
        assert_eq!(Statistics::of_log(""), Statistics::default());
    }
}
