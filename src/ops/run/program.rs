//! The user's own program, run in a virtual machine: it loads and attaches
//! what it was written for, and skep is only the wire between it and the
//! terminal.

use super::{Outcome, Request, kernels, luggage, modules, send};
use crate::base::Cancel;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf;
use crate::kernels::Kernel;
use crate::ops::Session;
use crate::ops::build::{self, UserProgram};
use crate::ops::machines::{Machines, Wish};
use crate::vm::{self, Launch, Program, Settings, Stream};
use crate::wire::{Reply, Start, Terminal};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(20);

/// The user's streams.
pub struct Streams {
    /// What comes on standard input, chunk by chunk, up to its end.
    pub input: Receiver<Vec<u8>>,
    /// The terminals that standard output and standard error are.
    pub terminals: [Option<Terminal>; 2],
}

/// The user's side of a program.
pub trait Front {
    /// What building it brought up, before it starts.
    fn remarks(&mut self, found: &[Diagnostic]);
    /// Asks the user something; nothing, if there is nobody to ask.
    ///
    /// # Errors
    /// Ctrl-C.
    fn agree(&mut self, question: &str) -> Result<Option<bool>, Failure>;
    /// It is about to start: the user's streams.
    fn open(&mut self) -> Streams;
    /// It runs on this kernel, by its reference and its release.
    fn running(&mut self, kernel: &str, release: &str);
    /// What it wrote, or the workload beside it.
    fn wrote(&mut self, stream: Stream, bytes: &[u8]);
}

/// The user program that is to run; none if the programs are to be attached
/// without one.
pub(super) fn choose<'b>(
    request: &Request,
    built: &'b build::Outcome,
) -> Result<Option<&'b UserProgram>, Failure> {
    let usage = |message: String| Diagnostic::new(codes::USAGE, Origin::Command, message);
    let names: Vec<&str> = built.programs.iter().map(|known| known.name.as_str()).collect();
    let found = match &request.program {
        Some(name) => match built.programs.iter().find(|known| known.name == *name) {
            Some(known) => Some(known),
            None => {
                let wrong = usage(format!("there is no user program called `{name}`"));
                return Err(match names.as_slice() {
                    [] => wrong.note("the project has none: `kind` in [user] is not set"),
                    names => wrong.note(format!("there are: {}", names.join(", "))),
                }
                .into());
            }
        },
        None => match built.programs.as_slice() {
            [] => None,
            [one] => Some(one),
            several => {
                let own = |known: &&UserProgram| {
                    built.projects.iter().any(|project| project.name == known.name)
                };
                let mut own = several.iter().filter(own);
                match (own.next(), own.next()) {
                    (Some(one), None) => Some(one),
                    _ => {
                        return Err(usage("there are several user programs".to_owned())
                            .help(format!("name one with `--bin`: {}", names.join(", ")))
                            .into());
                    }
                }
            }
        },
    };
    let Some(found) = found else {
        if !request.arguments.is_empty() {
            return Err(usage("there is no user program that would take arguments".to_owned())
                .help("give a workload with `--exec`, or write `kind` in the manifest's [user]")
                .into());
        }
        return Ok(None);
    };
    let attaching = [
        ("--attach", !request.targets.is_empty()),
        ("--event", !request.events.is_empty()),
        ("--set", !request.sets.is_empty()),
        ("--count", request.count.is_some()),
        ("--interval", request.interval.is_some()),
        ("--record` or `--report", request.is_recorded),
    ];
    if let Some((flag, _)) = attaching.iter().find(|(_, is_given)| *is_given) {
        return Err(usage(format!(
            "`{flag}` is for programs that skep attaches, and here `{}` does that",
            found.name
        ))
        .help("leave the user program out with `--no-user`")
        .into());
    }
    if request.kernels.len() > 1 {
        return Err(usage("a user program runs on one kernel at a time".to_owned())
            .help("leave it out with `--no-user`, or name one kernel")
            .into());
    }
    Ok(Some(found))
}

/// Runs a program until it ends.
pub(super) fn run(
    session: &Session,
    request: &Request,
    built: &build::Outcome,
    program: &UserProgram,
    front: &mut dyn Front,
) -> Result<Outcome, Failure> {
    let mut luggage = luggage(session, request)?;
    let place = luggage.add_program(&program.path)?;
    let Some(kernel) = kernels(session, request, built)?.pop() else {
        return Ok(Outcome::default());
    };
    let mut objects = Vec::new();
    for artifact in &built.artifacts {
        // What is wrong with one is the program's to find out.
        objects.extend(elf::Object::parse(&fs::read(&artifact.object)?).ok());
    }
    let objects: Vec<&elf::Object> = objects.iter().collect();
    let modules = modules(session, request, &kernel, &objects)?;
    let mut launch = Launch {
        start: Start {
            path: place.to_string_lossy().into_owned(),
            arguments: request.arguments.clone(),
            environment: request.environment.clone(),
            terminals: [None, None],
            network: send::needs_network(request, &objects),
            workload: send::workload(request),
        },
        modules,
        brought: luggage.into_files(),
    };
    let machines = Machines::new(session)?;
    let wish = Wish { cold: request.cold, ..Wish::default() };
    let mut streams = None;
    let begin = |settings: &Settings| {
        let streams = streams.get_or_insert_with(|| front.open());
        launch.start.terminals.clone_from(&streams.terminals);
        let blueprint = machines.blueprint(&wish, settings, &kernel);
        Program::begin(&blueprint, &launch, &session.cancel)
    };
    let failed = |result: &Result<_, vm::Error>| matches!(result, Err(vm::Error::NotBooted { .. }));
    let running = machines.with(&wish, begin, failed)?;
    front.running(&kernel.reference, &kernel.stored.release);
    let input = streams.map(|streams| streams.input);
    let exit = Wires { session, request, name: &program.name, kernel: &kernel, running, front };
    let exit = exit.connect(input)?;
    Ok(Outcome { exit: Some(exit), ..Outcome::default() })
}

/// Why a program was asked to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The user pressed Ctrl-C.
    ByUser,
    /// Its time is over, or the workload is.
    ByUs,
}

/// A program at work, between the user and the guest.
struct Wires<'w> {
    session: &'w Session,
    request: &'w Request,
    name: &'w str,
    kernel: &'w Kernel,
    running: Program,
    front: &'w mut dyn Front,
}

impl Wires<'_> {
    /// Passes everything on until the program ends; its exit code.
    fn connect(mut self, mut input: Option<Receiver<Vec<u8>>>) -> Result<i32, Failure> {
        // A reply is heard to its end; the guest says several times a second
        // that it is there, so the wish to stop is heard, too.
        let patient = Cancel::new();
        let deadline = self.request.limit.map(|limit| Instant::now() + limit);
        let mut asked: Option<(Asked, Instant)> = None;
        let mut is_killed = false;
        let mut workload = None;
        loop {
            self.feed(&mut input, &patient)?;
            match self.running.next(&patient)? {
                Some((Reply::Output { error }, bytes)) => {
                    let stream = if error { Stream::Error } else { Stream::Out };
                    self.front.wrote(stream, &bytes);
                }
                Some((Reply::WorkloadEnded { code }, _)) => workload = Some(code),
                Some((Reply::Exited { code }, _)) => {
                    let by_us = asked.is_some_and(|(asked, _)| asked == Asked::ByUs);
                    // It was to end; that it did so by our signal is no
                    // failure.
                    let is_ours = by_us && !is_killed && code == 128 + libc::SIGINT;
                    return Ok(match (code, workload) {
                        _ if is_ours => workload.unwrap_or(0),
                        (0, Some(workload)) => workload,
                        (code, _) => code,
                    });
                }
                _ => {}
            }
            let is_over =
                workload.is_some() || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let wish = match self.session.cancel.take() {
                true => Some(Asked::ByUser),
                false if is_over => Some(Asked::ByUs),
                false => None,
            };
            match (wish, asked) {
                (Some(wish), None) => {
                    asked = Some((wish, Instant::now()));
                    self.running.signal(libc::SIGINT, &patient)?;
                }
                // The second time it is not asked any more.
                (Some(Asked::ByUser), Some(_)) if !is_killed => {
                    is_killed = true;
                    self.running.signal(libc::SIGKILL, &patient)?;
                }
                // And the third time nobody waits.
                (Some(Asked::ByUser), Some(_)) => {
                    self.session.cancel.cancel();
                    return Err(vm::Error::Cancelled.into());
                }
                (_, Some((_, since))) if !is_killed && since.elapsed() >= GRACE => {
                    is_killed = true;
                    self.session.note(format!(
                        "{} on {} did not end within {} s of SIGINT, and is killed",
                        self.name,
                        self.kernel.reference,
                        GRACE.as_secs()
                    ));
                    self.running.signal(libc::SIGKILL, &patient)?;
                }
                _ => {}
            }
        }
    }

    /// Gives the program what it takes of the user's input.
    fn feed(
        &mut self,
        input: &mut Option<Receiver<Vec<u8>>>,
        patient: &Cancel,
    ) -> Result<(), Failure> {
        while let Some(source) = input.as_ref().filter(|_| self.running.wants_input()) {
            match source.try_recv() {
                // Nothing would be the end.
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => self.running.feed(&bytes, patient)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    *input = None;
                    self.running.feed(&[], patient)?;
                }
            }
        }
        Ok(())
    }
}
