//! `skep verify`: the verdict of real kernels on every program of every
//! object.
//!
//! Each kernel is a job of its own: its image comes from the store, a machine
//! runs it, and every program is loaded there on its own. Jobs run side by
//! side as far as the machine's processors go; their results are put together
//! in the order the kernels were asked for. Or the kernel that skep runs on is
//! asked, without a machine.

mod blame;
mod budget;
mod compare;
pub(super) mod finding;
mod job;
mod machines;
pub(super) mod modules;
pub(super) mod plan;
pub(super) mod select;
pub(super) mod sets;
mod target;
mod trace;
mod verdict;

pub use blame::{Blame, LineCost};
pub(in crate::ops) use compare::object_name;
pub use compare::{Files, Gate};
pub use machines::OWN;
pub use select::Partition;
pub use trace::{Part, Step, Traced, View};
pub use verdict::{Statistics, Verdict, Word};

use super::kernel::reference;
use super::{Packages, Session, build, levels};
use crate::base::fs;
use crate::baseline::Change;
use crate::diagnostics::{self, Diagnostic, Failure};
use crate::elf;
use crate::kernels::{Reference, Stored};
use select::{Names, Selection};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to verify, and where.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Projects, sources and objects; the project here if empty.
    pub paths: Vec<PathBuf>,
    /// Which packages, where no path is named.
    pub packages: Packages,
    /// How what has to be built is built.
    pub profile: build::Profile,
    /// Kernel references; the project's matrix if empty.
    pub kernels: Vec<String>,
    /// Ask the kernel that skep runs on, and no other.
    pub host: bool,
    /// With this `sudo`.
    pub sudo: Option<PathBuf>,
    /// Only objects whose path or name matches one of these globs; all if
    /// empty.
    pub objects: Vec<String>,
    /// Only programs whose name matches one of these globs; all if empty.
    pub programs: Vec<String>,
    /// Only this part of them.
    pub partition: Option<Partition>,
    /// Globals that get other values: `VAR=VALUE[,VALUE…]`.
    pub sets: Vec<String>,
    /// Programs that are loaded as if they stood in another section:
    /// `PROGRAM=SECTION`.
    pub placed: Vec<String>,
    /// The verifier's log level, 1 or 2, for accepted programs too; rejected
    /// ones are logged at level 2 in any case.
    pub level: Option<u32>,
    /// Where all logs go.
    pub log: Option<PathBuf>,
    /// How long one program may take.
    pub limit: Duration,
    /// Boot every machine instead of restoring a snapshot.
    pub cold: bool,
    /// Say what C lines cost.
    pub blame: bool,
    /// Keep what the verifier saw, step by step.
    pub trace: bool,
    /// Figures to keep and to compare with.
    pub files: Files,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One for each program, set of globals and kernel: objects and programs
    /// in their order, kernels in the order they were asked for.
    pub verdicts: Vec<Verdict>,
    /// What is wrong, folded over the kernels.
    pub diagnostics: Vec<Diagnostic>,
    /// What C lines cost, if that was asked for.
    pub blames: Vec<Blame>,
    /// What the verifier saw, if that was asked for.
    pub traced: Vec<Traced>,
    /// What is different from the baseline, if there is one.
    pub changes: Vec<Change>,
}

/// An object to verify.
pub(in crate::ops) struct Object {
    /// The file, as the user would write it.
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// The same, read.
    pub elf: elf::Object,
    /// The directory that relative paths in its line information start from.
    pub root: PathBuf,
    /// The build directory of its project, if it belongs to one.
    target: Option<PathBuf>,
    /// The project it belongs to, if any.
    pub project: Option<usize>,
    /// What its globals are set to, one after the other.
    sets: Vec<sets::Set>,
}

/// A kernel, and the objects (by index) that are verified on it.
pub(in crate::ops) struct Task {
    pub reference: Reference,
    /// The exact kernel it stands for, where a project's lock says so.
    pub pin: Option<Stored>,
    /// The projects whose matrix it is of.
    projects: Vec<usize>,
    pub objects: Vec<usize>,
}

/// One kernel's part of the work.
#[derive(Default)]
pub(in crate::ops) struct Results {
    verdicts: Vec<Verdict>,
    findings: Vec<Found>,
    logs: Vec<(String, Vec<u8>)>,
    blames: Vec<Blame>,
    traced: Vec<Traced>,
    /// The kernel that was found.
    pub kernel: Option<Stored>,
}

impl Results {
    /// Of work that is another's, the kernel.
    pub fn of_kernel(kernel: Option<Stored>) -> Self {
        Self { kernel, ..Self::default() }
    }
}

/// A finding, and the globals that were set when it was made.
pub(in crate::ops) struct Found {
    diagnostic: Diagnostic,
    set: String,
}

/// Verifies, and says what came of it.
///
/// # Errors
/// What keeps it from beginning: wrong arguments, no QEMU. A kernel that
/// cannot be had or does not boot is a finding, so that the others count.
pub fn verify(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let programs = Names::new(&request.programs)?;
    let wanted = Names::new(&request.objects)?;
    let choices = sets::choices(&request.sets)?;
    let baseline = request.files.baseline(session)?;
    // Mistyped references are told before anything is built.
    for text in &request.kernels {
        reference(session, text)?;
    }
    let build = build::Request {
        paths: request.paths.clone(),
        packages: request.packages.clone(),
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
    let objects = plan::objects(session, &built, &mut outcome.diagnostics)?;
    if objects.is_empty() {
        return Ok(outcome);
    }
    let mut objects = select::objects(&wanted, objects)?;
    for note in sets::check(&choices, &objects)? {
        session.note(note);
    }
    for object in &mut objects {
        object.sets = sets::of_object(&choices, object)?;
    }
    let placed = plan::placed(&request.placed, &objects)?;
    let budgets = budget::of_projects(session, &built.projects)?;
    let selection = Selection::new(programs, request.partition, &objects)?;
    let tasks = match request.host {
        true => Vec::new(),
        false => plan::tasks(session, request, &built, &objects)?,
    };
    let work = machines::Work {
        session,
        request,
        objects: &objects,
        selection: &selection,
        placed: &placed,
    };
    let parts = match request.host {
        true => vec![work.on_own_kernel()?],
        false => work.on_machines(&tasks)?,
    };
    if let Some(path) = &request.log {
        write_logs(&session.absolute(path), &parts)?;
    }
    plan::keep_pins(session, &built.projects, &tasks, &parts)?;
    put_together(parts, &objects, &mut outcome);
    outcome.diagnostics.extend(budget::check(session, &budgets, &objects, &outcome.verdicts));
    let is_whole = request.paths.is_empty()
        && request.packages.names.is_empty()
        && request.objects.is_empty()
        && request.programs.is_empty()
        && request.partition.is_none();
    request.files.finish(session, baseline.as_deref(), &objects, is_whole, &mut outcome)?;
    outcome.diagnostics = levelled(session, &built, &objects, outcome.diagnostics);
    outcome.diagnostics = diagnostics::fold(outcome.diagnostics);
    for blame in &outcome.blames {
        if let Some(verified) = blame.verified.filter(|verified| *verified > blame.told) {
            session.note(format!(
                "{} on {}: the log holds {} of the {verified} instructions that were verified, and \
                 the shares are of those",
                blame.program, blame.kernel, blame.told
            ));
        }
    }
    for note in fixups(&outcome.verdicts) {
        session.note(note);
    }
    Ok(outcome)
}

/// Findings at the levels of the projects they are about. What building found
/// has its levels already.
fn levelled(
    session: &Session,
    built: &build::Outcome,
    objects: &[Object],
    findings: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let mut left = Vec::with_capacity(findings.len());
    for finding in findings {
        let place = finding.place.as_ref();
        let object = place.and_then(|place| objects.iter().find(|o| o.path == place.object));
        let project = object.and_then(|object| built.projects.get(object.project?));
        let root = object.map_or(&session.cwd, |object| &object.root);
        left.extend(levels::apply(session, project, root, vec![finding]).0);
    }
    left
}

fn write_logs(path: &Path, parts: &[Results]) -> Result<(), Failure> {
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

/// Sorts verdicts by object and program, then kernel; folds findings over
/// kernels and over what globals were set to.
fn put_together(parts: Vec<Results>, objects: &[Object], outcome: &mut Outcome) {
    let mut folded: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    for part in parts {
        outcome.verdicts.extend(part.verdicts);
        outcome.blames.extend(part.blames);
        outcome.traced.extend(part.traced);
        for Found { diagnostic, set } in part.findings {
            let same =
                folded.iter_mut().find(|(known, _)| diagnostics::is_same(known, &diagnostic));
            let Some((known, sets)) = same else {
                folded.push((diagnostic, vec![set]));
                continue;
            };
            for kernel in diagnostic.kernels {
                if !known.kernels.contains(&kernel) {
                    known.kernels.push(kernel);
                }
            }
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
    }
    outcome.diagnostics.extend(folded.into_iter().map(|(diagnostic, sets)| {
        let sets: Vec<String> =
            sets.iter().filter(|set| !set.is_empty()).map(|set| format!("`{set}`")).collect();
        match sets.as_slice() {
            [] => diagnostic,
            sets => diagnostic.note(format!("with {}", sets.join(", "))),
        }
    }));
    // Stable: kernels stay in the order they were asked for.
    outcome.verdicts.sort_by_key(|verdict| {
        let object = objects.iter().position(|object| object.path == verdict.object);
        (object, verdict.index)
    });
}

/// What had to be changed to load the programs, each change once.
fn fixups(verdicts: &[Verdict]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for verdict in verdicts {
        for fixup in &verdict.fixups {
            // What is said of a map holds for each program that has it.
            let of = match fixup.starts_with("map ") {
                true => verdict.object.display().to_string(),
                false => verdict.program.clone(),
            };
            let note = format!("{of}: {fixup}");
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

impl Outcome {
    /// The verdicts that differ only in the kernel, together: no group is
    /// empty, and the groups are in the order of the verdicts.
    pub fn folded(&self) -> Vec<Vec<&Verdict>> {
        let mut groups: Vec<Vec<&Verdict>> = Vec::new();
        for verdict in &self.verdicts {
            let is_same = |other: &Verdict| {
                other.object == verdict.object
                    && other.index == verdict.index
                    && other.set == verdict.set
                    && other.word == verdict.word
            };
            match groups.iter_mut().find(|group| is_same(group[0])) {
                Some(group) => group.push(verdict),
                None => groups.push(vec![verdict]),
            }
        }
        groups
    }

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
