//! `skep test`: programs run with given input on real kernels, and what comes
//! out compared with what is expected.
//!
//! Tests are written in `tests/*.toml` or in comments of a source. Everything
//! they name is found and made bytes here; the guest runs the cases and says
//! what came of each; what that means is decided here again. An object of the
//! kernel's selftests has its tests in itself.

mod annotated;
pub mod bench;
mod bring;
mod captures;
mod context;
pub mod coverage;
mod job;
mod judge;
mod ready;
mod scene;
mod select;
mod suites;

use super::kernel::reference;
use super::machines::{Machines, Wish};
use super::run::events::Types;
use super::verify::select::Partition;
use super::verify::{self, plan};
use super::{Packages, Session, build};
use crate::base::jobs::side_by_side;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::vm::{self, Settings};
use coverage::{Come, Marked};
use job::{Job, Part};
use ready::Ready;
use select::Meant;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use suites::Words;

/// What to test, and where.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Projects, sources, objects and files of tests, the project here if there
    /// are none; and names of programs and tests, all if there are none.
    pub words: Vec<PathBuf>,
    /// Which packages, where no path is named.
    pub packages: Packages,
    /// How what has to be built is built.
    pub profile: build::Profile,
    /// Kernel references; the project's matrix if empty.
    pub kernels: Vec<String>,
    /// Only tests whose name, or whose program's, matches one of these globs.
    pub filters: Vec<String>,
    /// Only this part of them.
    pub partition: Option<Partition>,
    /// How often a test that fails is tried again.
    pub retries: u32,
    /// How long one program may take to load.
    pub limit: Duration,
    /// Boot every machine instead of restoring a snapshot.
    pub cold: bool,
    /// See which C lines are come by.
    pub coverage: bool,
    /// Files and directories that every test finds which does something.
    pub bring: Vec<PathBuf>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One for each test and kernel: tests in their order, kernels in the
    /// order they were asked for.
    pub results: Vec<TestResult>,
    /// What is wrong: mistakes in files of tests, failures, rejections.
    pub diagnostics: Vec<Diagnostic>,
    /// What was come by, if that was asked for.
    pub coverage: Option<coverage::Coverage>,
}

/// What came of a test on a kernel.
#[derive(Clone, Debug, Default)]
pub struct TestResult {
    /// The file it is written in.
    pub file: PathBuf,
    /// The object.
    pub object: PathBuf,
    /// Its name, with the file's in front.
    pub test: String,
    /// The program.
    pub program: String,
    /// The kernel's reference.
    pub kernel: String,
    /// The kernel's release.
    pub release: String,
    /// How it ended.
    pub word: Word,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// How often it was tried.
    pub tries: u32,
    /// Microseconds of the last try.
    pub micros: Option<u64>,
    /// Nanoseconds of one run of the program, on average.
    pub duration_ns: Option<u64>,
    /// What is not as expected, a line each.
    pub differences: Vec<String>,
    /// What the program printed.
    pub prints: Vec<String>,
    /// What was written by what it did while programs were attached, a line
    /// each.
    pub output: Vec<String>,
    /// Its place among the tests that were to be run.
    pub place: usize,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// Everything was as expected.
    Passed,
    /// It was, but not at the first try.
    Flaky,
    /// Something was not, or it could not be run.
    #[default]
    Failed,
    /// The kernel is too old to run it.
    Skipped,
}

impl Word {
    /// The stable text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Passed => "PASS",
            Self::Flaky => "FLAKY",
            Self::Failed => "FAIL",
            Self::Skipped => "SKIP",
        }
    }
}

/// What is there to be tested.
struct Prepared {
    built: build::Outcome,
    objects: Vec<verify::Object>,
    suites: Vec<suites::Found>,
    diagnostics: Vec<Diagnostic>,
    /// What the command line names.
    words: Words,
}

/// Builds, and finds what tests are written; only what is wrong if nothing can
/// be built.
fn prepare(
    session: &Session,
    request: &Request,
) -> Result<Result<Prepared, Vec<Diagnostic>>, Failure> {
    for text in &request.kernels {
        reference(session, text)?;
    }
    let words = suites::sort(session, &request.words);
    let path = words.suites.iter().chain(&words.paths).next();
    if let Some(path) = path.filter(|_| request.packages != Packages::default()) {
        let message = format!("{} is a path, and packages are named beside it", path.display());
        return Err(Diagnostic::new(codes::USAGE, Origin::Command, message)
            .help("leave out `--package` and `--workspace`, or the path")
            .into());
    }
    let build = build::Request {
        paths: words.paths.clone(),
        packages: request.packages.clone(),
        profile: request.profile,
        ..Default::default()
    };
    let built = build::objects(session, &build)?;
    let mut diagnostics = built.diagnostics.clone();
    if built.failed() {
        let is_here = request.packages == Packages::default();
        let missing = diagnostics.iter_mut().find(|found| found.code == codes::NO_PROJECT);
        if let (true, Some(missing), Some(name)) = (is_here, missing, words.names.first()) {
            let note = format!("`{name}` is no path, so a project is looked for that has it");
            missing.notes.insert(0, note);
        }
        return Ok(Err(diagnostics));
    }
    let objects = plan::objects(session, &built, &mut diagnostics)?;
    let suites = suites::find(session, &words.suites, &built, &mut diagnostics)?;
    Ok(Ok(Prepared { built, objects, suites, diagnostics, words }))
}

/// Tests, and says what came of it.
///
/// # Errors
/// What keeps it from beginning: wrong arguments, no test, no QEMU.
pub fn test(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let meant = Meant::new(request)?;
    let Prepared { built, objects, suites, diagnostics, words } = match prepare(session, request)? {
        Ok(prepared) => prepared,
        Err(diagnostics) => return Ok(Outcome { diagnostics, ..Outcome::default() }),
    };
    let mut outcome = Outcome { diagnostics, ..Outcome::default() };
    let mut tests: Vec<Ready> = Vec::new();
    for found in &suites {
        tests.extend(ready::prepare(found, &objects, &mut outcome.diagnostics));
    }
    if outcome.diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(outcome);
    }
    // Where files of tests are named, others do not count.
    if words.suites.is_empty() {
        for (index, object) in objects.iter().enumerate() {
            tests.extend(annotated::tests(session, index, object));
        }
    }
    if tests.is_empty() && words.names.is_empty() {
        return Err(no_test("there is no test here").into());
    }
    let untested = |name: &str| no_test(&format!("no test is about the program `{name}`"));
    let tests = select::named(&words.names, tests, &objects, &untested)?;
    let mut tests = meant.filtered(tests, &objects)?;
    outcome.diagnostics.extend(bring::pack(session, request, (&built, &objects), &mut tests)?);
    if outcome.diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(outcome);
    }
    run(session, request, &built, (&objects, &tests), &mut outcome)?;
    for result in &outcome.results {
        if let Some(reason) = &result.reason {
            session.note(format!("{} is skipped on {}: {reason}", result.test, result.kernel));
        }
    }
    Ok(outcome)
}

/// Runs tests on the kernels; whether those ran on an emulated processor.
fn run(
    session: &Session,
    request: &Request,
    built: &build::Outcome,
    (objects, tests): (&[verify::Object], &[Ready]),
    outcome: &mut Outcome,
) -> Result<bool, Failure> {
    let wanted: Vec<bool> = (0..objects.len())
        .map(|index| {
            tests.iter().any(|test| test.object == index && !test.checks.events.is_empty())
        })
        .collect();
    let types = types(session, request, built, objects, &wanted)?;
    let verify_request =
        verify::Request { kernels: request.kernels.clone(), ..verify::Request::default() };
    let mut tasks = plan::tasks(session, &verify_request, built, objects)?;
    for task in &mut tasks {
        task.objects.retain(|index| tests.iter().any(|test| test.object == *index));
    }
    let marked: Vec<Option<Marked>> = match request.coverage {
        true => objects.iter().map(Marked::of).collect(),
        false => Vec::new(),
    };
    let seen = Mutex::new(Come::default());
    let machines = Machines::new(session)?;
    let wish = Wish { program_limit: request.limit, cold: request.cold, ..Wish::default() };
    let is_emulated = AtomicBool::new(false);
    let work = |settings: &Settings| {
        is_emulated.store(settings.accelerator == vm::Accelerator::Tcg, Ordering::Relaxed);
        let not_booted = AtomicBool::new(false);
        let job = Job {
            session,
            request,
            objects,
            types: &types,
            marked: &marked,
            seen: &seen,
            tests,
            machines: &machines,
            wish: &wish,
            settings,
        };
        let run = |task: &verify::Task| {
            let mut part = Part::default();
            if let Err(failure) = job.run(task, &mut part) {
                let diagnostic = failure.into_diagnostic();
                if diagnostic.code == codes::VM_DID_NOT_BOOT {
                    not_booted.store(true, Ordering::Relaxed);
                }
                part.findings.push(diagnostic.kernel(task.reference.to_string()));
            }
            part
        };
        (side_by_side(&tasks, session.jobs.get(), &run), not_booted.into_inner())
    };
    let (parts, _) = machines.with(&wish, work, |(_, not_booted)| *not_booted);
    if session.cancel.is_cancelled() {
        return Err(vm::Error::Cancelled.into());
    }
    let found = parts.iter().map(|part| verify::Results::of_kernel(part.kernel.clone()));
    let found: Vec<verify::Results> = found.collect();
    plan::keep_pins(session, &built.projects, &tasks, &found)?;
    put_together(parts, outcome);
    if request.coverage {
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.coverage = Some(coverage::gather(session, objects, &marked, &seen));
    }
    Ok(is_emulated.into_inner())
}

fn no_test(message: &str) -> Diagnostic {
    Diagnostic::new(codes::USAGE, Origin::Command, message)
        .help("write one into tests/NAME.toml: [[test]] with program, packet and expect.retval")
}

/// The types of the events of objects that tests ask events of.
fn types<'o>(
    session: &Session,
    request: &Request,
    built: &build::Outcome,
    objects: &'o [verify::Object],
    wanted: &[bool],
) -> Result<Vec<Option<Types<'o>>>, Failure> {
    let of = |(index, object): (usize, &'o verify::Object)| {
        if !wanted[index] {
            return Ok(None);
        }
        let artifact = built
            .artifacts
            .iter()
            .find(|artifact| session.display(&artifact.object) == object.path);
        let source = match artifact.map(|artifact| artifact.sources.as_slice()) {
            Some([source]) => Some(source.clone()),
            _ => None,
        };
        Types::of(session, &object.elf, source, request.profile, &[]).map(Some)
    };
    objects.iter().enumerate().map(of).collect()
}

/// Sorts results by test, then kernel; folds findings over kernels.
fn put_together(parts: Vec<Part>, outcome: &mut Outcome) {
    let mut results: Vec<(usize, TestResult)> = Vec::new();
    for part in parts {
        results.extend(part.results);
        for finding in part.findings {
            // Only what is the same in every word is one: a test may fail on
            // two kernels in two ways.
            let without =
                |finding: &Diagnostic| Diagnostic { kernels: Vec::new(), ..finding.clone() };
            let same =
                outcome.diagnostics.iter_mut().find(|known| without(known) == without(&finding));
            match same {
                Some(known) => known.kernels.extend(finding.kernels),
                None => outcome.diagnostics.push(finding),
            }
        }
    }
    // Stable: kernels stay in the order they were asked for.
    results.sort_by_key(|(index, _)| *index);
    let placed = |(place, result)| TestResult { place, ..result };
    outcome.results = results.into_iter().map(placed).collect();
}

impl Outcome {
    /// The results that differ only in the kernel, together: no group is
    /// empty, and the groups are in the order of the results.
    pub fn folded(&self) -> Vec<Vec<&TestResult>> {
        let mut groups: Vec<Vec<&TestResult>> = Vec::new();
        for result in &self.results {
            let is_same = |other: &TestResult| {
                let same_test = other.test == result.test && other.object == result.object;
                same_test && other.word == result.word
            };
            match groups.iter_mut().find(|group| is_same(group[0])) {
                Some(group) => group.push(result),
                None => groups.push(vec![result]),
            }
        }
        groups
    }

    /// One line that counts the results: `3 passed, 1 failed`.
    pub fn summary(&self) -> String {
        let count = |word| self.results.iter().filter(|result| result.word == word).count();
        let passed = count(Word::Passed) + count(Word::Flaky);
        let mut text = format!("{passed} passed");
        if count(Word::Flaky) > 0 {
            text.push_str(&format!(" ({} flaky)", count(Word::Flaky)));
        }
        for (what, word) in [("failed", Word::Failed), ("skipped", Word::Skipped)] {
            if count(word) > 0 {
                text.push_str(&format!(", {} {what}", count(word)));
            }
        }
        text
    }
}
