//! `skep run`: programs at work in a virtual machine, or on this machine's own
//! kernel (`--host`). The object is built, attached as a whole, and everything
//! that comes out of it (events, what programs print, what maps hold) is handed
//! on as values. Where the project has a user program, that does the work
//! instead ([`program`]).

pub mod events;
mod happening;
mod host;
pub mod program;
mod send;
mod sides;
mod source;
mod symbols;
mod tags;
mod watch;

pub use happening::{Happening, Told};
use sides::Stops;
use watch::Watch;
pub(super) use watch::printed;

pub use super::verify::OWN;

use super::brought::Luggage;
use super::kernel::reference;
use super::machines::{Machines, Wish};
use super::verify::select::{Names, stem};
use super::verify::{self, Verdict, Word, modules as needed, plan, sets};
use super::{Packages, Session, build, pins};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf;
use crate::kernels::{Kernel, Reference};
use crate::project::lock::Lock;
use crate::vm::{self, Brought, Live, Plan, Settings};
use crate::wire::{Attach, NOWHERE, Patch, Refusal, Target};
use events::Types;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What is to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A project, a source or an object; the project here if there is none.
    pub path: Option<PathBuf>,
    /// Which package, where no path is named.
    pub packages: Packages,
    /// How what has to be built is built.
    pub profile: build::Profile,
    /// The kernels; else the last of the project's matrix.
    pub kernels: Vec<String>,
    /// Where programs are attached: `PROGRAM=PLACE`.
    pub targets: Vec<String>,
    /// What events are: `MAP=TYPE`.
    pub events: Vec<String>,
    /// Globals that get other values: `VAR=VALUE`.
    pub sets: Vec<String>,
    /// A line for the guest's shell, run when everything is attached.
    pub workload: Option<String>,
    /// Packets that are sent when everything is attached: files, or layers.
    pub sends: Vec<String>,
    /// How fast: a number a second, or `recorded`.
    pub send_rate: Option<String>,
    /// On this machine's own kernel.
    pub host: bool,
    /// The user agreed to that.
    pub is_agreed: bool,
    /// Attach the programs even if there is a user program that does so.
    pub no_user: bool,
    /// Which user program, if there are several.
    pub program: Option<String>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Somebody keeps what happens.
    pub is_recorded: bool,
    /// Files and directories that it finds.
    pub bring: Vec<PathBuf>,
    /// Modules that the kernel is to have.
    pub modules: Vec<String>,
    /// How often maps are told.
    pub interval: Option<Duration>,
    /// When it ends.
    pub limit: Option<Duration>,
    /// With how many events it ends.
    pub count: Option<u64>,
    /// Boot instead of restoring a snapshot.
    pub cold: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// The workload's exit code.
    pub exit: Option<i32>,
    /// How many events came.
    pub events: u64,
}

/// The object that is to run.
struct Subject {
    /// As the user would write it.
    path: PathBuf,
    bytes: Vec<u8>,
    elf: elf::Object,
    /// Its source, if there is one, and only one.
    source: Option<PathBuf>,
    targets: Vec<Target>,
}

/// Runs an object's programs until they are stopped; tells what happens.
///
/// # Errors
/// What keeps it from beginning.
pub fn run(
    session: &Session,
    request: &Request,
    front: &mut dyn program::Front,
    tell: &mut (dyn FnMut(&Told<'_>) + Send),
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    if request.host {
        host::refuse_guests_own(request)?;
    }
    let build = build::Request {
        paths: request.path.iter().cloned().collect(),
        packages: request.packages.clone(),
        profile: request.profile,
        user: !request.no_user && !request.path.as_deref().is_some_and(is_single),
        ..Default::default()
    };
    let built = build::objects(session, &build)?;
    if built.failed() {
        outcome.diagnostics.extend(built.diagnostics);
        outcome.diagnostics.extend(built.cargo_diagnostics);
        return Ok(outcome);
    }
    let program = program::choose(request, &built)?;
    if let Some(program) = program {
        // Standard output is the program's.
        let found = built.diagnostics.iter().chain(&built.cargo_diagnostics);
        front.remarks(&found.cloned().collect::<Vec<_>>());
        return match request.host {
            true => host::program(session, request, program, front),
            false => program::run(session, request, &built, program, front),
        };
    }
    outcome.diagnostics.extend(built.diagnostics.iter().cloned());
    let subject = subject(session, request, &built)?;
    let globals = request.sets.iter().map(|text| sets::patch(text, &subject.path, &subject.elf));
    let globals = globals.collect::<Result<Vec<_>, _>>()?;
    let source = subject.source.clone();
    let types = Types::of(session, &subject.elf, source, request.profile, &request.events)?;
    outcome.diagnostics.extend(tags::unknown(&types.unknown, subject.source.as_deref()));
    let brought = luggage(session, request)?.into_files().into();
    let places = match request.host {
        true => vec![Place::Own(host::enter(session, request, &subject, front)?)],
        false => kernels(session, request, &built)?.into_iter().map(Place::Machine).collect(),
    };
    let (subject, globals, types) = (&subject, &globals[..], &types);
    let work = Work { session, request, subject, globals, types, brought };
    sides::all(&work, &places, &mut outcome, tell)?;
    Ok(outcome)
}

/// Where programs run.
enum Place {
    /// In a machine with this kernel.
    Machine(Kernel),
    /// On the kernel that skep itself runs on.
    Own(host::Entry),
}

impl Place {
    /// As the user names the kernel.
    fn name(&self) -> &str {
        match self {
            Self::Machine(kernel) => &kernel.reference,
            Self::Own(_) => OWN,
        }
    }
}

/// What is to run, whatever the kernel.
struct Work<'w> {
    session: &'w Session,
    request: &'w Request,
    subject: &'w Subject,
    globals: &'w [Patch],
    types: &'w Types<'w>,
    brought: Arc<[Brought]>,
}

impl Work<'_> {
    /// Runs it on one kernel.
    fn on(
        &self,
        place: &Place,
        stops: &Stops<'_>,
        tell: &mut dyn FnMut(&Happening),
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let result = self.at_work(place, stops, tell, outcome);
        match place {
            Place::Machine(_) => result,
            Place::Own(_) => host::explain(result, outcome),
        }
    }

    /// The same, without what only the user's own kernel has to say.
    fn at_work(
        &self,
        place: &Place,
        stops: &Stops<'_>,
        tell: &mut dyn FnMut(&Happening),
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let Self { session, request, subject, types, .. } = *self;
        let mut plan = Plan {
            attach: Attach {
                name: stem(&subject.path),
                only: None,
                globals: self.globals.to_vec(),
                targets: subject.targets.clone(),
                network: send::needs_network(request, &[&subject.elf]),
                workload: send::workload(request),
                interval_ms: request.interval.map(|interval| interval.as_millis() as u64),
            },
            object: subject.bytes.clone(),
            modules: match place {
                Place::Machine(kernel) => modules(session, request, kernel, &[&subject.elf])?,
                Place::Own(_) => Vec::new(),
            },
            brought: Arc::clone(&self.brought),
        };
        let stage = Stage { session, request, place };
        let mut begun = stage.begin(&plan)?;
        if let Err(refusal) = &begun {
            session.detail(format!("refused as a whole: {}", refusal.messages.join("; ")));
            plan.attach.only = self.accepted(place, refusal, tell, outcome)?;
            if plan.attach.only.is_none() {
                return Ok(());
            }
            begun = stage.begin(&plan)?;
        }
        match begun {
            Ok(live) => {
                let kernel = place.name();
                Watch { request, types, kernel, session, stops, tell }.all(live, outcome)
            }
            Err(refusal) => {
                outcome.diagnostics.push(whole(subject, &refusal.messages));
                Ok(())
            }
        }
    }

    /// The programs of an object that was refused as a whole which can do without
    /// the others; none if what is wrong is told instead.
    fn accepted(
        &self,
        place: &Place,
        refusal: &Refusal,
        tell: &mut dyn FnMut(&Happening),
        outcome: &mut Outcome,
    ) -> Result<Option<Vec<u32>>, Failure> {
        let Self { session, request, subject, .. } = *self;
        if matches!(place, Place::Own(_)) && host::lacks_btf(refusal) {
            outcome.diagnostics.push(whole(subject, &refusal.messages));
            return Ok(None);
        }
        let verdicts = verdicts(session, request, subject, place)?;
        let is_rejected = |word: Word| matches!(word, Word::Rejected | Word::None);
        // What was said of those is for another place than the user's, where the
        // kernel has to know the place when it loads a program.
        let aim = |one: &Verdict| {
            let mut targets = subject.targets.iter();
            let place = &targets.find(|target| target.program == one.program)?.place;
            let is_aimed = matches!(one.kind.as_str(), "tracing" | "lsm");
            (is_aimed || place == NOWHERE).then_some(place.as_str())
        };
        let (placed, rest): (Vec<_>, Vec<_>) =
            verdicts.verdicts.iter().partition(|one| aim(one).is_some());
        let left: Vec<u32> = rest
            .iter()
            .filter(|verdict| verdict.word == Word::Accepted)
            .chain(placed.iter().filter(|one| aim(one) != Some(NOWHERE)))
            .map(|verdict| verdict.index)
            .collect();
        if left.is_empty() || rest.iter().any(|one| is_rejected(one.word)) {
            outcome.diagnostics.extend(verdicts.diagnostics);
            if !outcome.diagnostics.iter().any(Diagnostic::is_error) {
                outcome.diagnostics.push(whole(subject, &refusal.messages));
            }
            return Ok(None);
        }
        for verdict in rest.iter().filter(|one| one.word != Word::Accepted) {
            let said = verdict.said.first().cloned();
            tell(&Happening::Attached {
                program: verdict.program.clone(),
                section: verdict.section.clone(),
                result: Err(
                    said.unwrap_or_else(|| format!("it cannot be loaded on {}", place.name()))
                ),
            });
        }
        Ok(Some(left))
    }
}

/// Whether a path names a single source or object, and not a project.
fn is_single(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "c" || extension == "o")
}

/// What is taken along into the guest: what the user names, and packets.
fn luggage<'s>(session: &'s Session, request: &Request) -> Result<Luggage<'s>, Failure> {
    let mut luggage = Luggage::new(session);
    luggage.add(&request.bring)?;
    if let Some(packets) = send::packets(session, request)? {
        luggage.add_made(send::place(), packets)?;
    }
    Ok(luggage)
}

/// The modules that the kernel is to have for some objects.
fn modules(
    session: &Session,
    request: &Request,
    kernel: &Kernel,
    objects: &[&elf::Object],
) -> Result<Vec<vm::Module>, Failure> {
    let mut modules = Vec::new();
    for name in &request.modules {
        kernel.add_module(name, &mut modules)?;
    }
    let mut programs =
        objects.iter().flat_map(|object| object.programs().map(|one| object.section_name(one)));
    if programs.any(is_filter) {
        for name in ["sch_ingress", "cls_bpf"] {
            // It may be built in.
            if let Err(error) = kernel.add_module(name, &mut modules) {
                session.detail(error.to_string());
            }
        }
    }
    if send::needs_network(request, objects)
        && let Err(error) = kernel.add_module("veth", &mut modules)
    {
        session.detail(error.to_string());
    }
    for object in objects {
        needed::add_needed(session, kernel, object, &mut modules);
    }
    Ok(modules.into_iter().map(|module| (module.name, module.bytes)).collect())
}

/// Whether a section's programs are filters of the traffic control, which is
/// a module.
fn is_filter(section: &str) -> bool {
    matches!(kind(section), "tc" | "classifier" | "action")
}

/// What a section's name says of the kind of its programs: what stands before
/// the place.
fn kind(section: &str) -> &str {
    section.trim_start_matches('?').split('/').next().unwrap_or_default()
}

fn whole(subject: &Subject, messages: &[String]) -> Diagnostic {
    let message = format!("{} cannot be loaded as a whole", subject.path.display());
    let diagnostic = Diagnostic::new(codes::LOAD_REFUSED, Origin::Vm, message);
    messages.iter().fold(diagnostic, |diagnostic, said| diagnostic.note(format!("libbpf: {said}")))
}

/// The one object that is to run.
fn subject(
    session: &Session,
    request: &Request,
    built: &build::Outcome,
) -> Result<Subject, Failure> {
    let usage = |message: String| Diagnostic::new(codes::USAGE, Origin::Command, message);
    let artifact = match built.artifacts.as_slice() {
        [one] => one,
        [] => return Err(usage("there is no BPF source to run".to_owned()).into()),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|one| match one.sources.first() {
                    Some(source) => session.display(source).display().to_string(),
                    None => session.display(&one.object).display().to_string(),
                })
                .collect();
            return Err(usage("there are several objects, and one can run at a time".to_owned())
                .help(format!("name one of them: {}", names.join(", ")))
                .into());
        }
    };
    let bytes = fs::read(&artifact.object)?;
    let path = session.display(&artifact.object).to_owned();
    let elf = elf::Object::parse(&bytes)?;
    let source = match artifact.sources.as_slice() {
        [source] => Some(source.clone()),
        _ => None,
    };
    let mut texts: Vec<String> = Vec::new();
    for source in &artifact.sources {
        let text = fs::read(source)?;
        let text = String::from_utf8_lossy(&text);
        let said = text.lines().filter_map(|line| line.trim().strip_prefix("// skep: attach "));
        texts.extend(said.map(|said| said.trim().to_owned()));
    }
    texts.extend(request.targets.iter().cloned());
    let targets = targets(&elf, &texts)?;
    Ok(Subject { path, bytes, elf, source, targets })
}

/// Where programs are attached: lines of `PROGRAM=PLACE`, whose programs may be
/// a pattern.
fn targets(elf: &elf::Object, texts: &[String]) -> Result<Vec<Target>, Failure> {
    let usage = |message: String| Diagnostic::new(codes::USAGE, Origin::Command, message);
    let known: Vec<&str> = elf.programs().map(|program| program.name.as_str()).collect();
    let mut targets: Vec<Target> = Vec::new();
    for text in texts {
        let parts =
            text.split_once('=').filter(|(name, place)| !name.is_empty() && !place.is_empty());
        let Some((program, place)) = parts else {
            return Err(usage(format!("`attach {text}` is not written as PROGRAM=PLACE")).into());
        };
        let names = Names::new(&[program.to_owned()])?;
        let meant: Vec<&str> = known.iter().copied().filter(|name| names.mean(name)).collect();
        if meant.is_empty() {
            return Err(usage(format!("no program is called `{program}`"))
                .note(format!("there are: {}", known.join(", ")))
                .into());
        }
        for program in meant {
            // What is said last counts: the command line.
            targets.retain(|target| target.program != program);
            targets.push(Target { program: program.to_owned(), place: place.to_owned() });
        }
    }
    Ok(targets)
}

/// The kernels it runs on: those that are named, else the last of the
/// project's matrix, which is mostly the newest.
fn kernels(
    session: &Session,
    request: &Request,
    built: &build::Outcome,
) -> Result<Vec<Kernel>, Failure> {
    if !request.kernels.is_empty() {
        let mut kernels: Vec<Kernel> = Vec::new();
        for text in &request.kernels {
            let kernel = pins::kernel(session, &reference(session, text)?, None)?;
            if kernels.iter().any(|known| known.reference == kernel.reference) {
                let message = format!("the kernel `{text}` is named twice");
                return Err(Diagnostic::new(codes::USAGE, Origin::Command, message).into());
            }
            kernels.push(kernel);
        }
        return Ok(kernels);
    }
    let project = built.projects.first();
    let last = match project {
        Some(project) => pins::matrix(session, project)?.pop(),
        None => None,
    };
    let kernel = match (project, last) {
        (Some(project), Some(reference)) => {
            let pin = pins::pin(&Lock::read(project)?, project, &reference);
            pins::kernel(session, &reference, pin.as_ref())?
        }
        _ => {
            let reference: Reference = plan::default_kernel(session)?;
            pins::kernel(session, &reference, None)?
        }
    };
    Ok(vec![kernel])
}

/// What the kernel says of each program on its own.
fn verdicts(
    session: &Session,
    request: &Request,
    subject: &Subject,
    place: &Place,
) -> Result<verify::Outcome, Failure> {
    let path = subject.source.clone().or_else(|| request.path.clone());
    let (kernels, sudo) = match place {
        Place::Machine(kernel) => (vec![kernel.reference.clone()], None),
        Place::Own(entry) => (Vec::new(), entry.sudo.clone()),
    };
    let request = verify::Request {
        paths: path.into_iter().collect(),
        packages: request.packages.clone(),
        profile: request.profile,
        kernels,
        host: matches!(place, Place::Own(_)),
        sudo,
        sets: request.sets.clone(),
        limit: Duration::from_secs(120),
        ..Default::default()
    };
    verify::verify(session, &request)
}

/// Who puts programs to work.
struct Stage<'s> {
    session: &'s Session,
    request: &'s Request,
    place: &'s Place,
}

impl Stage<'_> {
    /// Has a plan attached.
    fn begin(&self, plan: &Plan) -> Result<Result<Live, Refusal>, Failure> {
        let Self { session, request, place } = *self;
        let kernel = match place {
            Place::Machine(kernel) => kernel,
            Place::Own(entry) => return entry.begin(session, plan),
        };
        let machines = Machines::new(session)?;
        let wish = Wish { cold: request.cold, ..Wish::default() };
        let begin = |settings: &Settings| {
            let blueprint = machines.blueprint(&wish, settings, kernel);
            Live::begin(&blueprint, plan, &session.cancel)
        };
        let failed =
            |result: &Result<_, vm::Error>| matches!(result, Err(vm::Error::NotBooted { .. }));
        Ok(machines.with(&wish, begin, failed)?)
    }
}
