//! `skep run`: programs at work in a virtual machine. The object is built,
//! attached as a whole, and everything that comes out of it (events, what
//! programs print, what maps hold) is handed on as values.

pub(super) mod events;
mod source;

use super::kernel::reference;
use super::machines::{Machines, Wish};
use super::verify::{self, Word, modules, plan, sets};
use super::{Packages, Session, build, pins};
use crate::base::{Cancel, fs};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf;
use crate::kernels::{Kernel, Reference};
use crate::project::lock::Lock;
use crate::values::Value;
use crate::vm::{self, Live, Plan, Settings, Stream};
use crate::wire::{Attach, Content, Reply, Target, records};
use events::Types;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A project, a source or an object; the project here if there is none.
    pub path: Option<PathBuf>,
    /// Which package, where no path is named.
    pub packages: Packages,
    /// How what has to be built is built.
    pub profile: build::Profile,
    /// The kernel; else the last of the project's matrix.
    pub kernel: Option<String>,
    /// Where programs are attached: `PROGRAM=PLACE`.
    pub targets: Vec<String>,
    /// What events are: `MAP=TYPE`.
    pub events: Vec<String>,
    /// Globals that get other values: `VAR=VALUE`.
    pub sets: Vec<String>,
    /// A line for the guest's shell, run when everything is attached.
    pub workload: Option<String>,
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

/// Something that happens while programs are at work.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A program is attached, or it is not.
    Attached {
        /// The program.
        program: String,
        /// Its section.
        section: String,
        /// Where it is attached, or why it is not.
        result: Result<String, String>,
    },
    /// Everything is attached; the kernel's reference and release.
    Ready {
        /// As the user names it.
        kernel: String,
        /// As `uname -r` does.
        release: String,
    },
    /// An event.
    Event {
        /// The map it came through.
        map: String,
        /// What it says.
        value: Value,
    },
    /// Events that nobody was fast enough for.
    Lost {
        /// The map they would have come through.
        map: String,
        /// How many.
        count: u64,
    },
    /// What a program printed.
    Printed {
        /// The task it ran in.
        task: String,
        /// That task's number.
        pid: u32,
        /// The text.
        text: String,
    },
    /// What a map holds.
    Map {
        /// The map.
        name: String,
        /// Keys and values.
        entries: Vec<(Value, Value)>,
        /// There are more.
        is_cut: bool,
        /// It is one of libbpf's, for global variables.
        is_data: bool,
        /// The programs are detached: it will not change any more.
        is_last: bool,
    },
    /// What an iterator shows.
    Iterated {
        /// The program.
        program: String,
        /// The text.
        text: String,
    },
    /// What the workload wrote.
    Output(Stream, Vec<u8>),
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
    tell: &mut dyn FnMut(Happening),
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let build = build::Request {
        paths: request.path.iter().cloned().collect(),
        packages: request.packages.clone(),
        profile: request.profile,
        ..Default::default()
    };
    let built = build::objects(session, &build)?;
    outcome.diagnostics.extend(built.diagnostics.iter().cloned());
    if built.failed() {
        return Ok(outcome);
    }
    let subject = subject(session, request, &built)?;
    let globals = request.sets.iter().map(|text| sets::patch(text, &subject.path, &subject.elf));
    let globals = globals.collect::<Result<Vec<_>, _>>()?;
    let source = subject.source.clone();
    let types = Types::of(session, &subject.elf, source, request.profile, &request.events)?;
    let kernel = kernel(session, request, &built)?;
    let mut modules = Vec::new();
    for name in &request.modules {
        kernel.add_module(name, &mut modules)?;
    }
    if subject.elf.programs().any(|program| is_filter(subject.elf.section_name(program))) {
        for name in ["sch_ingress", "cls_bpf"] {
            // It may be built in.
            if let Err(error) = kernel.add_module(name, &mut modules) {
                session.detail(error.to_string());
            }
        }
    }
    modules::add_needed(session, &kernel, &subject.elf, &mut modules);
    let name = subject.path.file_name().unwrap_or_default().to_string_lossy();
    let mut plan = Plan {
        attach: Attach {
            name: name.trim_end_matches(".o").trim_end_matches(".bpf").to_owned(),
            only: None,
            globals,
            targets: subject.targets.clone(),
            workload: request.workload.clone(),
            interval_ms: request.interval.map(|interval| interval.as_millis() as u64),
        },
        object: subject.bytes.clone(),
        modules: modules.into_iter().map(|module| (module.name, module.bytes)).collect(),
        brought: super::kernel_run::brought(session, &request.bring)?,
    };
    let stage = Stage { session, kernel: &kernel, is_cold: request.cold };
    let live =
        match stage.begin(&plan)? {
            Ok(live) => live,
            Err(refusal) => {
                session.detail(format!("refused as a whole: {}", refusal.messages.join("; ")));
                let verdicts = verdicts(session, request, &subject, &kernel)?;
                let is_rejected = |word: Word| matches!(word, Word::Rejected | Word::None);
                let left: Vec<u32> = verdicts
                    .verdicts
                    .iter()
                    .filter(|verdict| verdict.word == Word::Accepted)
                    .map(|verdict| verdict.index)
                    .collect();
                if left.is_empty() || verdicts.verdicts.iter().any(|one| is_rejected(one.word)) {
                    outcome.diagnostics.extend(verdicts.diagnostics);
                    if !outcome.diagnostics.iter().any(Diagnostic::is_error) {
                        outcome.diagnostics.push(whole(&subject, &refusal.messages));
                    }
                    return Ok(outcome);
                }
                for verdict in verdicts.verdicts.iter().filter(|one| one.word != Word::Accepted) {
                    tell(Happening::Attached {
                        program: verdict.program.clone(),
                        section: verdict.section.clone(),
                        result: Err(verdict.said.last().cloned().unwrap_or_else(|| {
                            format!("it cannot be loaded on {}", kernel.reference)
                        })),
                    });
                }
                plan.attach.only = Some(left);
                match stage.begin(&plan)? {
                    Ok(live) => live,
                    Err(refusal) => {
                        outcome.diagnostics.push(whole(&subject, &refusal.messages));
                        return Ok(outcome);
                    }
                }
            }
        };
    let watch = Watch { session, request, types: &types, kernel: &kernel, tell };
    watch.all(live, &mut outcome)?;
    Ok(outcome)
}

/// Whether a section's programs are filters of the traffic control, which is
/// a module.
fn is_filter(section: &str) -> bool {
    let word = section.trim_start_matches('?').split('/').next().unwrap_or_default();
    matches!(word, "tc" | "classifier" | "action")
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
    let mut targets: Vec<Target> = Vec::new();
    for text in texts {
        let parts =
            text.split_once('=').filter(|(name, place)| !name.is_empty() && !place.is_empty());
        let Some((program, place)) = parts else {
            return Err(usage(format!("`attach {text}` is not written as PROGRAM=PLACE")).into());
        };
        let known: Vec<&str> = elf.programs().map(|program| program.name.as_str()).collect();
        if !known.contains(&program) {
            return Err(usage(format!("no program is called `{program}`"))
                .note(format!("there are: {}", known.join(", ")))
                .into());
        }
        // What is said last counts: the command line.
        targets.retain(|target| target.program != program);
        targets.push(Target { program: program.to_owned(), place: place.to_owned() });
    }
    Ok(Subject { path, bytes, elf, source, targets })
}

/// The kernel it runs on: the one that is named, else the last of the
/// project's matrix, which is mostly the newest.
fn kernel(session: &Session, request: &Request, built: &build::Outcome) -> Result<Kernel, Failure> {
    if let Some(text) = &request.kernel {
        return pins::kernel(session, &reference(session, text)?, None);
    }
    let project = built.projects.first();
    let last = match project {
        Some(project) => pins::matrix(session, project)?.pop(),
        None => None,
    };
    match (project, last) {
        (Some(project), Some(reference)) => {
            let pin = pins::pin(&Lock::read(project)?, project, &reference);
            pins::kernel(session, &reference, pin.as_ref())
        }
        _ => {
            let reference: Reference = plan::default_kernel(session)?;
            pins::kernel(session, &reference, None)
        }
    }
}

/// What the kernel says of each program on its own.
fn verdicts(
    session: &Session,
    request: &Request,
    subject: &Subject,
    kernel: &Kernel,
) -> Result<verify::Outcome, Failure> {
    let path = subject.source.clone().or_else(|| request.path.clone());
    let request = verify::Request {
        paths: path.into_iter().collect(),
        packages: request.packages.clone(),
        profile: request.profile,
        kernels: vec![kernel.reference.clone()],
        sets: request.sets.clone(),
        limit: Duration::from_secs(120),
        ..Default::default()
    };
    verify::verify(session, &request)
}

/// Where programs run.
struct Stage<'s> {
    session: &'s Session,
    kernel: &'s Kernel,
    is_cold: bool,
}

impl Stage<'_> {
    /// Has a plan attached in a machine.
    fn begin(&self, plan: &Plan) -> Result<Result<Live, crate::wire::Refusal>, Failure> {
        let Self { session, kernel, is_cold } = *self;
        let machines = Machines::new(session)?;
        let wish = Wish { cold: is_cold, ..Wish::default() };
        let begin = |settings: &Settings| {
            let blueprint = machines.blueprint(&wish, settings, kernel);
            Live::begin(&blueprint, plan, &session.cancel)
        };
        let failed =
            |result: &Result<_, vm::Error>| matches!(result, Err(vm::Error::NotBooted { .. }));
        Ok(machines.with(&wish, begin, failed)?)
    }
}

/// Everything that is looked at while programs are at work.
struct Watch<'w> {
    session: &'w Session,
    request: &'w Request,
    types: &'w Types<'w>,
    kernel: &'w Kernel,
    tell: &'w mut dyn FnMut(Happening),
}

impl Watch<'_> {
    /// Hands on what happens until it ends.
    fn all(mut self, mut live: Live, outcome: &mut Outcome) -> Result<(), Failure> {
        for fixup in &live.fixups {
            self.session.note(fixup.clone());
        }
        let mut attached = 0;
        for program in &live.programs {
            attached += u32::from(program.result.is_ok());
            (self.tell)(Happening::Attached {
                program: program.entry.name.clone(),
                section: program.entry.section.clone(),
                result: program.result.clone().map_err(|refusal| reason(&refusal)),
            });
        }
        if attached == 0 {
            let message = "no program could be attached";
            outcome.diagnostics.push(Diagnostic::new(codes::NOT_ATTACHED, Origin::Vm, message));
        }
        (self.tell)(Happening::Ready {
            kernel: self.kernel.reference.clone(),
            release: self.kernel.stored.release.clone(),
        });
        // A reply is heard to its end; the guest says several times a second
        // that it is there, so the wish to stop is heard, too.
        let patient = Cancel::new();
        let deadline = self.request.limit.map(|limit| Instant::now() + limit);
        let mut is_stopping = false;
        let streams = live.streams.clone();
        loop {
            let (reply, blob) = live.next(&patient)?;
            match reply {
                Reply::Done => return Ok(()),
                Reply::Records => self.records(&streams, &blob, outcome),
                Reply::Lost { stream, count } => {
                    let map = streams.get(stream as usize).cloned().unwrap_or_default();
                    (self.tell)(Happening::Lost { map, count });
                }
                Reply::Traced => {
                    let text = String::from_utf8_lossy(&blob);
                    text.lines().filter_map(printed).for_each(&mut *self.tell);
                }
                Reply::Content(content) => self.map(&content, &blob),
                Reply::Iterated { program } => {
                    if let Some(records) = self.types.iterated(&blob) {
                        for value in records {
                            (self.tell)(Happening::Event { map: program.clone(), value });
                        }
                        continue;
                    }
                    let text = String::from_utf8_lossy(&blob).into_owned();
                    (self.tell)(Happening::Iterated { program, text });
                }
                Reply::Output { error } => {
                    let stream = if error { Stream::Error } else { Stream::Out };
                    (self.tell)(Happening::Output(stream, blob));
                }
                Reply::Exited { code } => outcome.exit = Some(code),
                _ => {}
            }
            let is_enough = self.request.count.is_some_and(|count| outcome.events >= count)
                || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let is_asked = self.session.cancel.take();
            if is_asked && is_stopping {
                self.session.cancel.cancel();
                return Err(vm::Error::Cancelled.into());
            }
            if (is_asked || is_enough) && !is_stopping {
                is_stopping = true;
                live.stop(&patient)?;
            }
        }
    }

    fn records(&mut self, streams: &[String], blob: &[u8], outcome: &mut Outcome) {
        for (stream, record) in records::iter(blob) {
            if self.request.count.is_some_and(|count| outcome.events >= count) {
                return;
            }
            let Some(map) = streams.get(stream as usize) else { continue };
            let value = self.types.event(map, record);
            outcome.events += 1;
            (self.tell)(Happening::Event { map: map.clone(), value });
        }
    }

    fn map(&mut self, content: &Content, blob: &[u8]) {
        (self.tell)(Happening::Map {
            name: content.map.clone(),
            entries: self.types.content(content, blob),
            is_cut: content.is_cut,
            is_data: self.types.is_data(&content.map),
            is_last: content.is_last,
        });
    }
}

/// Why a program is not attached, in one line.
fn reason(refusal: &crate::wire::Refusal) -> String {
    let said = refusal.messages.last().map(|said| said.trim().to_owned());
    match (said, refusal.errno) {
        (Some(said), _) if !said.is_empty() => said,
        (_, errno) => std::io::Error::from_raw_os_error(errno).to_string(),
    }
}

/// A line of the kernel's trace:
/// `  cat-71  [000] ...11  2.345: bpf_trace_printk: text`.
pub(super) fn printed(line: &str) -> Option<Happening> {
    // What other tracers write is nobody's here.
    let (head, text) = line.split_once("bpf_trace_printk: ")?;
    let (task, _) = head.split_once('[')?;
    let (task, pid) = task.trim().rsplit_once('-')?;
    Some(Happening::Printed {
        task: task.trim().to_owned(),
        pid: pid.trim().parse().ok()?,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_tells_who_printed() {
        let line = "     kworker/0:1-12      [000] d..21     3.100000: bpf_trace_printk: x: 1 [2]";
        let Some(Happening::Printed { task, pid, text }) = printed(line) else {
            panic!("it is a line of the trace")
        };
        assert_eq!((task.as_str(), pid, text.as_str()), ("kworker/0:1", 12, "x: 1 [2]"));
        assert_eq!(printed("CPU:0 [LOST 12 EVENTS]"), None);
        assert_eq!(printed(""), None);
    }
}
