//! `skep bench`: how long programs run, by the kernel's own clock: what tests
//! give them goes in again and again (`repeat` of `BPF_PROG_TEST_RUN`), for
//! several rounds, so that one sees how much a figure is worth.

use super::ready::{self, Checks, Ready};
use super::select::{self, Meant};
use super::suites::{About, Found};
use super::{Outcome as Tested, Prepared, Word, prepare, run};
use crate::base::fs;
use crate::baseline::{self, Figures, json};
use crate::bpf::ProgramType;
use crate::bpf::test_run::Packet;
use crate::diagnostics::{Diagnostic, Failure, Origin, Span, codes};
use crate::ops::Session;
use crate::ops::verify::{Object, object_name};
use crate::project::suite;
use std::path::{Path, PathBuf};

/// What to measure, and where.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Whose tests, on which kernels: what is said of a test holds here.
    pub tests: super::Request,
    /// How often a program runs in a round.
    pub repeat: u32,
    /// How many rounds there are, besides a first one that does not count.
    pub rounds: u32,
    /// The packet for programs that no test is about; of its layers.
    pub packet: Option<String>,
    /// Where the figures go.
    pub save: Option<PathBuf>,
    /// What they are compared with.
    pub compare: Option<PathBuf>,
    /// By how much a program may have become slower, in per cent.
    pub threshold: f64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A measurement for each test and kernel.
    pub figures: Vec<Measured>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// How long a program runs with what a test gives it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The object.
    pub object: PathBuf,
    /// The test's name, with the file's in front.
    pub test: String,
    /// The program.
    pub program: String,
    /// The kernel's reference.
    pub kernel: String,
    /// The kernel's release.
    pub release: String,
    /// Nanoseconds of one run, of each round, ascending; never empty.
    pub rounds: Vec<u64>,
    /// The median of the baseline, if it has one.
    pub before: Option<u64>,
    /// The median of the first kernel that was measured.
    pub first: Option<u64>,
}

impl Measured {
    /// The median, in nanoseconds.
    pub fn median(&self) -> u64 {
        self.rounds[self.rounds.len() / 2]
    }

    /// The quartile of that number, 1 or 3: somebody else's turn on the
    /// processor makes some rounds much slower, and says nothing.
    fn quartile(&self, number: usize) -> u64 {
        self.rounds[(self.rounds.len() - 1) * number / 4]
    }

    /// How far apart the middle half of the rounds is, in per cent of the
    /// median.
    pub fn spread(&self) -> f64 {
        let (low, high) = (self.quartile(1), self.quartile(3));
        (high - low) as f64 * 100.0 / self.median().max(1) as f64
    }

    /// By how much it became slower, in per cent; negative if it is faster.
    pub fn growth(&self) -> Option<f64> {
        let before = self.before?.max(1) as f64;
        Some((self.median() as f64 - before) * 100.0 / before)
    }

    /// How long it takes in relation to the first kernel.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.median() as f64 / self.first?.max(1) as f64)
    }
}

/// Measures, and says what came of it.
///
/// # Errors
/// What keeps it from beginning: wrong arguments, nothing to measure, no QEMU.
pub fn bench(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let old = match &request.compare {
        None => None,
        Some(path) => Some(read(session, path)?),
    };
    let meant = Meant::new(&request.tests)?;
    let Prepared { built, objects, suites, mut diagnostics, words } =
        match prepare(session, &request.tests)? {
            Ok(prepared) => prepared,
            Err(diagnostics) => return Ok(Outcome { diagnostics, ..Outcome::default() }),
        };
    let mut of_round: Vec<Ready> =
        suites.iter().flat_map(|found| ready::prepare(found, &objects, &mut diagnostics)).collect();
    for found in others(request, &objects, &of_round, &mut diagnostics) {
        of_round.extend(ready::prepare(&found, &objects, &mut diagnostics));
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(Outcome { diagnostics, ..Outcome::default() });
    }
    let untested =
        |name: &str| not_timed(&format!("the kernel does not take the time of `{name}`"));
    of_round = select::named(&words.names, of_round, &objects, &untested)?;
    of_round.retain(is_measurable);
    if of_round.is_empty() {
        let what = if words.names.is_empty() { "here" } else { "among what is named" };
        return Err(
            not_timed(&format!("there is nothing {what} whose time the kernel takes")).into()
        );
    }
    for test in &mut of_round {
        test.checks = Checks::default();
        test.case.repeat = request.repeat;
        test.case.maps.clear();
    }
    of_round = meant.filtered(of_round, &objects)?;
    let count = of_round.len();
    let tests: Vec<Ready> = (0..=request.rounds).flat_map(|_| of_round.clone()).collect();
    let mut tested = Tested { diagnostics, ..Tested::default() };
    let is_emulated = run(session, &request.tests, &built, (&objects, &tests), &mut tested)?;
    if is_emulated {
        session.note(
            "the processor is emulated (TCG): times are of the emulation, and only their ratios \
             mean something",
        );
    }
    let mut figures = gather(&tested, count, request.rounds);
    let new: Vec<Figures> = figures.iter().map(|measured| kept(measured, &objects)).collect();
    let mut findings = Vec::new();
    if let Some(old) = &old {
        let changes = baseline::compare(old, &new, |_| false);
        for (measured, change) in figures.iter_mut().zip(&changes) {
            let Some(before) = &change.old else { continue };
            measured.before = before.run_nanos;
            // What may be noise is no regression.
            let is_apart = before.run_nanos_high.is_none_or(|high| measured.quartile(1) > high);
            let growth = measured.growth().unwrap_or(0.0);
            if growth > request.threshold && is_apart {
                findings.push(slower(measured, before, growth, request.threshold, &tests));
            }
        }
    }
    if let Some(path) = &request.save {
        fs::write_atomic(&session.absolute(path), json::write(&new).as_bytes())?;
    }
    tested.diagnostics.extend(findings);
    Ok(Outcome { figures, diagnostics: tested.diagnostics })
}

fn not_timed(message: &str) -> Diagnostic {
    Diagnostic::new(codes::USAGE, Origin::Command, message)
        .note("it does so for programs of packets and sk_lookup, run by BPF_PROG_TEST_RUN")
}

/// Whether the kernel says how long a run takes: it does where it repeats it.
fn is_measurable(test: &Ready) -> bool {
    if test.is_verdict() || test.case.scene.is_some() {
        return false;
    }
    let takes = test.run().is_some_and(|run| run.packet != Packet::None);
    takes || test.kind == Some(ProgramType::SkLookup)
}

/// Tests for programs that no test runs. What is said of a verdict may be that
/// there is nothing to run.
fn others(
    request: &Request,
    objects: &[Object],
    known: &[Ready],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Found> {
    let mut all = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        let mut text = String::new();
        for program in object.elf.programs() {
            let is_known = known.iter().any(|test| {
                let is_same = test.object == index && test.program == program.name;
                is_same && (is_measurable(test) || test.is_verdict())
            });
            let kind = object.elf.target(program).ok().map(|target| target.def.program_type);
            let run = kind.and_then(crate::bpf::test_run::test_run);
            let takes = run.is_some_and(|run| run.packet != Packet::None);
            if is_known || !takes || text.contains(&format!("\"{}\"", program.name)) {
                continue;
            }
            text.push_str(&format!("[[test]]\nprogram = \"{}\"\nexpect = {{}}\n", program.name));
            if let Some(packet) = &request.packet {
                // TOML's text in quotes is Rust's, but for what no packet has.
                text.push_str(&format!("packet = {packet:?}\n"));
            }
        }
        if text.is_empty() {
            continue;
        }
        match suite::read(Path::new("--packet"), &text) {
            Ok(suite) => {
                let stem = object_name(&object.path, objects);
                let stem = stem.split('.').next().unwrap_or_default().to_owned();
                let about = About::Artifact(index);
                all.push(Found {
                    suite,
                    stem,
                    about,
                    dir: PathBuf::new(),
                    captures: Default::default(),
                });
            }
            Err(mistakes) => diagnostics.extend(mistakes),
        }
    }
    all
}

/// Puts the rounds of each test and kernel together.
fn gather(tested: &Tested, count: usize, rounds: u32) -> Vec<Measured> {
    let mut all: Vec<Measured> = Vec::new();
    let is_same = |known: &Measured, result: &super::TestResult| {
        known.object == result.object && known.test == result.test
    };
    // The first round is to have everything warm.
    let later = tested.results.iter().filter(|result| result.place >= count);
    for result in later.filter(|result| result.word != Word::Failed) {
        let Some(nanos) = result.duration_ns else { continue };
        let found =
            all.iter_mut().find(|known| is_same(known, result) && known.kernel == result.kernel);
        match found {
            Some(known) => known.rounds.push(nanos),
            None => all.push(Measured {
                object: result.object.clone(),
                test: result.test.clone(),
                program: result.program.clone(),
                kernel: result.kernel.clone(),
                release: result.release.clone(),
                rounds: vec![nanos],
                ..Measured::default()
            }),
        }
    }
    all.retain(|known| known.rounds.len() == rounds as usize);
    for known in &mut all {
        known.rounds.sort_unstable();
    }
    for index in 0..all.len() {
        let (test, object) = (all[index].test.clone(), all[index].object.clone());
        let first = all.iter().find(|known| known.test == test && known.object == object);
        all[index].first = first.map(Measured::median);
    }
    all
}

fn kept(measured: &Measured, objects: &[Object]) -> Figures {
    Figures {
        object: object_name(&measured.object, objects),
        program: measured.program.clone(),
        test: measured.test.clone(),
        kernel: Some(measured.kernel.clone()),
        release: Some(measured.release.clone()),
        accepted: true,
        verdict: "accepted".to_owned(),
        run_nanos: Some(measured.median()),
        run_nanos_high: Some(measured.quartile(3)),
        ..Figures::default()
    }
}

fn read(session: &Session, path: &Path) -> Result<Vec<Figures>, Failure> {
    let text = fs::read_to_string(&session.absolute(path))?;
    let figures = baseline::read(&text).map_err(|error| {
        let message = format!("{} cannot be compared with: {error}", path.display());
        let span = if error.line == 0 { Span::file(path) } else { Span::line(path, error.line) };
        Diagnostic::new(codes::USAGE, Origin::Command, message)
            .at(span)
            .help("`skep bench --save FILE` writes what can be")
    })?;
    Ok(figures)
}

fn slower(
    measured: &Measured,
    before: &Figures,
    growth: f64,
    threshold: f64,
    tests: &[Ready],
) -> Diagnostic {
    let (old, new) = (before.run_nanos.unwrap_or(0), measured.median());
    let message = format!(
        "`{}` became slower: {old} to {new} ns a run, {growth:+.1}%, {threshold}% allowed",
        measured.program
    );
    let mut diagnostic = Diagnostic::new(codes::RUN_SLOWER, Origin::Vm, message)
        .test(measured.test.clone())
        .program(measured.program.clone())
        .kernel(measured.kernel.clone())
        .help("`--save` makes what it takes now the baseline");
    if let Some(test) = tests.iter().find(|test| test.name == measured.test)
        && test.file != Path::new("--packet")
    {
        diagnostic = diagnostic.at(test.span.clone());
    }
    if let Some(release) = before.release.as_ref().filter(|release| **release != measured.release) {
        let now = &measured.release;
        diagnostic = diagnostic.note(format!("the kernel was {release} then, and is {now} now"));
    }
    diagnostic
}
