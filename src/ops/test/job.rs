//! One kernel's part of the tests: a machine, in which each object is loaded
//! once for all cases that want the same constants.

use super::coverage::{Come, Marked};
use super::judge::{Difference, Seen, judge, judge_verdict};
use super::ready::Ready;
use super::{Request, TestResult, Word};
use crate::bpf::KernelVersion;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf::MARKS;
use crate::events::{Ending, Step};
use crate::kernels::Stored;
use crate::ops::machines::{Machines, Wish};
use crate::ops::run::events::Types;
use crate::ops::verify::select::stem;
use crate::ops::verify::{Object, Task, finding, modules};
use crate::ops::{Session, pins};
use crate::vm::{self, Loaded, Loader as _, Runner, Settings};
use crate::wire::{self, Patch, Refusal, Reply, Trial};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What is kept of a log, in bytes.
const LOG_LIMIT: u64 = 8 << 20;

/// What one kernel's job needs.
#[derive(Clone, Copy)]
pub(super) struct Job<'j> {
    pub session: &'j Session,
    pub request: &'j Request,
    pub objects: &'j [Object],
    /// The types of each object's events, where a test asks for events.
    pub types: &'j [Option<Types<'j>>],
    /// Objects with marks, if it is to be seen what is come by.
    pub marked: &'j [Option<Marked>],
    /// What was come by.
    pub seen: &'j Mutex<Come>,
    pub tests: &'j [Ready],
    pub machines: &'j Machines<'j>,
    pub wish: &'j Wish,
    pub settings: &'j Settings,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Part {
    /// Results, with the test's place.
    pub results: Vec<(usize, TestResult)>,
    pub findings: Vec<Diagnostic>,
    pub kernel: Option<Stored>,
}

/// A kernel that tests run on.
struct Place<'p> {
    reference: &'p str,
    release: &'p str,
    version: Option<KernelVersion>,
}

/// How one attempt at a test ended.
struct Attempt {
    differences: Vec<Difference>,
    prints: Vec<String>,
    output: Vec<String>,
    took_ns: u64,
    duration_ns: Option<u64>,
    /// A finding says why: the program is rejected.
    is_explained: bool,
    /// Lines were expected, and none was seen.
    is_silent: bool,
}

impl Attempt {
    fn of(differences: Vec<Difference>) -> Self {
        Self {
            differences,
            prints: Vec::new(),
            output: Vec::new(),
            took_ns: 0,
            duration_ns: None,
            is_explained: false,
            is_silent: false,
        }
    }

    fn has_failed(&self) -> bool {
        self.is_explained || !self.differences.is_empty()
    }
}

impl Job<'_> {
    /// Runs the task's tests; what comes of it goes into `part`, also if it
    /// fails on the way.
    pub fn run(&self, task: &Task, part: &mut Part) -> Result<(), Failure> {
        let session = self.session;
        let kernel = pins::kernel(session, &task.reference, task.pin.as_ref())?;
        part.kernel = Some(kernel.stored.clone());
        let name = kernel.reference.clone();
        let release = kernel.stored.release.clone();
        let place = Place { reference: &name, release: &release, version: release.parse().ok() };
        let mut mine: Vec<usize> = Vec::new();
        for (index, test) in self.tests.iter().enumerate() {
            if task.objects.contains(&test.object) && is_for(test, &place) {
                match lacking(test, &place) {
                    None => mine.push(index),
                    Some(reason) => {
                        let mut result = self.result(test, &place, Word::Skipped);
                        result.reason = Some(reason);
                        part.results.push((index, result));
                    }
                }
            }
        }
        if mine.is_empty() {
            return Ok(());
        }
        let blueprint = self.machines.blueprint(self.wish, self.settings, &kernel);
        let mut needed = Vec::new();
        for &index in &task.objects {
            if mine.iter().any(|&test| self.tests[test].object == index) {
                modules::add_needed(session, &kernel, &self.objects[index].elf, &mut needed);
            }
        }
        let mut runner = Runner::new(&blueprint, &session.cancel);
        runner.provide(needed.into_iter().map(|module| (module.name, module.bytes)));
        runner.start()?;
        let step = Step::start(&*session.sink, "Testing", format!("on {name}"));
        let total = mine.len() as u64;
        let mut done = 0;
        for group in self.groups(&mine) {
            step.advance(done, total);
            done += group.len() as u64;
            runner.bring(&self.tests[group[0]].brought);
            self.group(&group, &place, &mut runner, part)?;
            if self.request.coverage && !self.tests[group[0]].is_verdict() {
                self.walks(&group, &place, &mut runner, part)?;
            }
        }
        step.finish(Ending::Done);
        Ok(())
    }

    /// Tests that can be run by one load: of one object, with the same
    /// constants; verdicts apart from runs.
    fn groups(&self, mine: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for &index in mine {
            let test = &self.tests[index];
            let is_like = |other: &Ready| {
                other.object == test.object
                    && other.constants == test.constants
                    && other.is_verdict() == test.is_verdict()
                    && mode(other) == mode(test)
                    && other.brought == test.brought
            };
            match groups.iter_mut().find(|group| is_like(&self.tests[group[0]])) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups
    }

    fn group(
        &self,
        group: &[usize],
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<(), Failure> {
        let mut left = group.to_vec();
        let mut tries = 0;
        while !left.is_empty() {
            tries += 1;
            let is_verdict = self.tests[left[0]].is_verdict();
            let attempts = match is_verdict {
                true => self.verdicts(&left, place, runner, part)?,
                false => self.heard_runs(&left, place, runner, part)?,
            };
            let is_last = tries > self.request.retries;
            let mut again = Vec::new();
            for (&index, attempt) in left.iter().zip(attempts) {
                if attempt.has_failed() && !is_last {
                    again.push(index);
                    continue;
                }
                self.conclude(index, attempt, tries, place, part);
            }
            left = again;
        }
        Ok(())
    }

    /// Has the programs of tests walked by the verifier, which tells every
    /// step: where it does not come, no run can come.
    fn walks(
        &self,
        group: &[usize],
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<(), Failure> {
        let first = &self.tests[group[0]];
        let object = &self.objects[first.object];
        let mut programs: Vec<&str> =
            group.iter().flat_map(|&index| self.tests[index].programs(object)).collect();
        programs.sort_unstable();
        programs.dedup();
        let source = (object, first.constants.as_slice());
        self.load(source, (&programs, &[], 2), place, runner, part, &mut |program, log| {
            if program.outcome == wire::Outcome::Accepted {
                let seen = self.seen.lock();
                let mut seen = seen.unwrap_or_else(PoisonError::into_inner);
                let is_whole = !program.log_truncated;
                seen.walked(first.object, &program.entry.name, log, is_whole);
            }
        })
    }

    fn result(&self, test: &Ready, place: &Place<'_>, word: Word) -> TestResult {
        TestResult {
            file: test.file.clone(),
            object: self.objects[test.object].path.clone(),
            test: test.name.clone(),
            program: test.program.clone(),
            kernel: place.reference.to_owned(),
            release: place.release.to_owned(),
            word,
            ..TestResult::default()
        }
    }

    fn conclude(
        &self,
        index: usize,
        attempt: Attempt,
        tries: u32,
        place: &Place<'_>,
        part: &mut Part,
    ) {
        let test = &self.tests[index];
        let has_failed = attempt.has_failed();
        let word = match (has_failed, tries) {
            (true, _) => Word::Failed,
            (false, 1) => Word::Passed,
            (false, _) => Word::Flaky,
        };
        let mut result = self.result(test, place, word);
        result.tries = tries;
        result.micros = Some(attempt.took_ns / 1000);
        result.duration_ns = attempt.duration_ns;
        result.prints.clone_from(&attempt.prints);
        result.output.clone_from(&attempt.output);
        for difference in &attempt.differences {
            result.differences.push(difference.what.clone());
            result.differences.extend(difference.lines.iter().cloned());
        }
        if has_failed && !attempt.is_explained {
            part.findings.push(self.failed(test, attempt, tries, place));
        }
        part.results.push((index, result));
    }

    /// The finding of a test that failed.
    fn failed(&self, test: &Ready, attempt: Attempt, tries: u32, place: &Place<'_>) -> Diagnostic {
        let message = format!("test `{}` failed", test.name);
        let mut diagnostic = Diagnostic::new(codes::TEST_FAILED, Origin::Vm, message)
            .test(test.name.clone())
            .kernel(place.reference);
        if !test.program.is_empty() {
            diagnostic = diagnostic.program(test.program.clone());
        }
        for difference in attempt.differences {
            diagnostic = match diagnostic.primary {
                None => diagnostic.at_with(difference.span, difference.what),
                Some(_) => diagnostic.label(difference.span, difference.what),
            };
            diagnostic.notes.extend(difference.lines);
        }
        if !attempt.prints.is_empty() {
            diagnostic = diagnostic.note(format!("it printed:\n{}", attempt.prints.join("\n")));
        }
        if tries > 1 {
            diagnostic = diagnostic.note(format!("it was tried {tries} times"));
        }
        diagnostic
    }

    /// One attempt at tests that run programs. The trace of a machine that has
    /// just come up was seen to lose lines, so what printed nothing at all
    /// though it should is run once more.
    fn heard_runs(
        &self,
        tests: &[usize],
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<Vec<Attempt>, Failure> {
        let mut attempts = self.runs(tests, place, runner, part)?;
        let silent: Vec<usize> = (0..tests.len())
            .filter(|&at| attempts.get(at).is_some_and(|one| one.is_silent))
            .collect();
        if !silent.is_empty() {
            let again: Vec<usize> = silent.iter().map(|&at| tests[at]).collect();
            let again = self.runs(&again, place, runner, part)?;
            for (at, attempt) in silent.into_iter().zip(again) {
                attempts[at] = attempt;
            }
        }
        Ok(attempts)
    }

    /// The same, without a second look.
    fn runs(
        &self,
        tests: &[usize],
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<Vec<Attempt>, Failure> {
        let index = self.tests[tests[0]].object;
        let object = &self.objects[index];
        let mut marked = self.marked.get(index).and_then(Option::as_ref);
        let mut attempts: Vec<Option<Attempt>> = tests.iter().map(|_| None).collect();
        let mut only: Option<Vec<String>> = None;
        loop {
            let left: Vec<usize> = (0..tests.len()).filter(|&at| attempts[at].is_none()).collect();
            if left.is_empty() {
                break;
            }
            let mut cases: Vec<wire::Case> =
                left.iter().map(|&at| self.tests[tests[at]].case.clone()).collect();
            if marked.is_some() {
                cases.iter_mut().for_each(|case| case.maps.push(MARKS.to_owned()));
            }
            let bytes = marked.map_or(&object.bytes[..], |marked| &marked.bytes);
            let request = wire::Test {
                name: stem(&object.path),
                only: only.clone(),
                globals: self.tests[tests[0]].constants.clone(),
                cases,
            };
            match self.cases(bytes, request, runner) {
                // What is left is accepted, so once more as it is: marks may
                // be too much for a verifier.
                Cases { refusal: Some(refusal), .. }
                    if only.is_some() && marked.take().is_some() =>
                {
                    let (path, kernel) = (object.path.display(), place.reference);
                    self.session.note(format!(
                        "{kernel} does not take {path} with marks: its tests there do not count \
                         for the coverage"
                    ));
                    for message in refusal.messages {
                        self.session.detail(message);
                    }
                }
                Cases { refusal: Some(refusal), .. } => {
                    let is_second = only.is_some();
                    let mut programs: Vec<&str> = left
                        .iter()
                        .flat_map(|&at| self.tests[tests[at]].programs(object))
                        .collect();
                    programs.sort_unstable();
                    programs.dedup();
                    let accepted = self.accepted(
                        (object, &self.tests[tests[0]].constants),
                        &programs,
                        place,
                        runner,
                        part,
                    )?;
                    for &at in &left {
                        let test = &self.tests[tests[at]];
                        let is_accepted = |name: &&str| accepted.iter().any(|one| one == name);
                        if !test.programs(object).iter().all(is_accepted) {
                            let mut attempt = Attempt::of(Vec::new());
                            attempt.is_explained = true;
                            attempts[at] = Some(attempt);
                        } else if is_second {
                            let mut difference = Difference::new(
                                &test.span,
                                "the object cannot be loaded for the test",
                            );
                            difference.lines.clone_from(&refusal.messages);
                            attempts[at] = Some(Attempt::of(vec![difference]));
                        }
                    }
                    only = Some(accepted);
                }
                Cases { seen, streams, ended, .. } => {
                    let types = self.types[self.tests[tests[0]].object].as_ref();
                    let answered = seen.len();
                    for (&at, seen) in left.iter().zip(seen) {
                        let test = &self.tests[tests[at]];
                        let own = |(content, _): &&(wire::Content, Vec<u8>)| content.map == MARKS;
                        if let Some((content, blob)) = seen.contents.iter().find(own) {
                            let marks = blob.get(content.key_size as usize..).unwrap_or_default();
                            let come = self.seen.lock();
                            let mut come = come.unwrap_or_else(PoisonError::into_inner);
                            come.ran(index, marks);
                        }
                        let mut attempt = Attempt::of(judge(test, &seen, &streams, types));
                        attempt.prints = seen.prints();
                        attempt.output = seen.ran.output.lines().map(str::to_owned).collect();
                        let expected = test.checks.prints.as_ref();
                        let expects_some = expected.is_some_and(|check| !check.expected.is_empty());
                        attempt.is_silent = expects_some && attempt.prints.is_empty();
                        attempt.took_ns = seen.ran.took_ns;
                        let is_run = test.case.scene.is_none();
                        attempt.duration_ns = is_run.then(|| seen.ran.duration_ns.into());
                        attempts[at] = Some(attempt);
                    }
                    let reason = match ended {
                        Ok(None) if answered >= left.len() => continue,
                        Ok(reason) => reason.unwrap_or_else(|| "there is no answer".to_owned()),
                        Err(vm::Error::Lost { reason, console }) => {
                            self.session.detail(console);
                            format!("the machine was lost: {reason}")
                        }
                        Err(error) => return Err(error.into()),
                    };
                    // The first that has no answer is to blame.
                    if let Some(&at) = left.get(answered) {
                        let span = &self.tests[tests[at]].span;
                        attempts[at] = Some(Attempt::of(vec![Difference::new(span, reason)]));
                    }
                }
            }
        }
        Ok(attempts.into_iter().flatten().collect())
    }

    /// Has cases run.
    fn cases(&self, object: &[u8], request: wire::Test, runner: &mut Runner<'_>) -> Cases {
        let mut cases =
            Cases { seen: Vec::new(), streams: Vec::new(), refusal: None, ended: Ok(None) };
        let mut current = Seen::default();
        let mut failed = None;
        let ended = runner.test(request, object, &mut |reply, blob| match reply {
            Reply::Refused(refusal) => cases.refusal = Some(refusal),
            Reply::Attached { streams, fixups, .. } => {
                cases.streams = streams;
                for fixup in fixups {
                    self.session.detail(fixup);
                }
            }
            Reply::Records => current.records.extend(blob),
            Reply::Lost { stream, count } => current.lost.push((stream, count)),
            Reply::Traced => current.traced.extend(blob),
            Reply::Content(content) => current.contents.push((content, blob)),
            Reply::Iterated { program } => current.iterated.push((program, blob)),
            Reply::Ran(ran) => {
                current.ran = *ran;
                cases.seen.push(std::mem::take(&mut current));
            }
            Reply::Failed(reason) => failed = Some(reason),
            _ => {}
        });
        cases.ended = ended.map(|()| failed);
        cases
    }

    /// Which of the programs the kernel accepts, each on its own; why not goes
    /// to the findings.
    fn accepted(
        &self,
        (object, globals): (&Object, &[Patch]),
        programs: &[&str],
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<Vec<String>, Failure> {
        let mut accepted = Vec::new();
        let mut found = Vec::new();
        self.load(
            (object, globals),
            (programs, &[], 1),
            place,
            runner,
            part,
            &mut |program, log| match &program.outcome {
                wire::Outcome::Accepted => accepted.push(program.entry.name.clone()),
                _ => found.push(finding::finding(
                    self.session,
                    object,
                    program,
                    log,
                    place.reference,
                )),
            },
        )?;
        for finding in found {
            if !part.findings.contains(&finding) {
                part.findings.push(finding);
            }
        }
        Ok(accepted)
    }

    /// Loads programs, each on its own.
    fn load(
        &self,
        (object, globals): (&Object, &[Patch]),
        (programs, trials, level): (&[&str], &[Trial], u32),
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
        each: &mut dyn FnMut(&wire::Program, &str),
    ) -> Result<(), Failure> {
        let options = vm::Options {
            level,
            explain: trials.is_empty(),
            log_limit: LOG_LIMIT,
            globals,
            trials,
            ..vm::Options::default()
        };
        let wanted = |entry: &wire::Entry| programs.contains(&entry.name.as_str());
        let mut lost = None;
        let opened =
            runner.load(&stem(&object.path), &object.bytes, options, &wanted, &mut |loaded| {
                match loaded {
                    Loaded::Reported { program, log } => {
                        each(&program, &String::from_utf8_lossy(&log));
                    }
                    Loaded::Lost { entry, error, .. } => lost = Some((entry, error)),
                }
            })?;
        if let Some((entry, error)) = lost {
            let diagnostic = Diagnostic::from(error).program(entry.name).kernel(place.reference);
            part.findings.push(diagnostic);
        }
        if let Some(refusal) = &opened.error {
            let diagnostic = finding::cannot_open(object, refusal).kernel(place.reference);
            if !part.findings.contains(&diagnostic) {
                part.findings.push(diagnostic);
            }
        }
        Ok(())
    }

    /// One attempt at tests of the verifier's verdict; a second look at those
    /// that miss something in a log which could say more.
    fn verdicts(
        &self,
        tests: &[usize],
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<Vec<Attempt>, Failure> {
        let mut attempts = self.loads((tests, false), place, runner, part)?;
        let brief: Vec<usize> = tests
            .iter()
            .zip(&attempts)
            .filter(|(index, attempt)| {
                let annotation = self.tests[**index].annotation.as_ref();
                let is_brief = annotation.is_some_and(|annotation| annotation.has_brief_log());
                is_brief && !attempt.differences.is_empty()
            })
            .map(|(&index, _)| index)
            .collect();
        if !brief.is_empty() {
            let again = self.loads((&brief, true), place, runner, part)?;
            for (index, attempt) in brief.into_iter().zip(again) {
                if let Some(place) = tests.iter().position(|&known| known == index) {
                    attempts[place] = attempt;
                }
            }
        }
        Ok(attempts)
    }

    /// Loads the tests' programs, each on its own; `whole` for logs that say
    /// everything.
    fn loads(
        &self,
        (tests, whole): (&[usize], bool),
        place: &Place<'_>,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<Vec<Attempt>, Failure> {
        let first = &self.tests[tests[0]];
        let object = &self.objects[first.object];
        let programs: Vec<&str> =
            tests.iter().map(|&index| self.tests[index].program.as_str()).collect();
        let trial = |&index: &usize| {
            let test = &self.tests[index];
            let annotation = test.annotation.as_ref()?;
            Some(annotation.trial(&test.program, test.kind, whole))
        };
        let trials: Vec<Trial> = tests.iter().filter_map(trial).collect();
        let mut attempts: Vec<Option<Attempt>> = tests.iter().map(|_| None).collect();
        let mut started = Instant::now();
        let source = (object, first.constants.as_slice());
        self.load(source, (&programs, &trials, 1), place, runner, part, &mut |program, log| {
            let took_ns = started.elapsed().as_nanos() as u64;
            started = Instant::now();
            let finding = match program.outcome {
                wire::Outcome::Accepted => None,
                // What it is about is said by the annotation.
                _ if !trials.is_empty() => None,
                _ => Some(finding::finding(self.session, object, program, log, place.reference)),
            };
            for (attempt, &index) in attempts.iter_mut().zip(tests) {
                let test = &self.tests[index];
                if test.program == program.entry.name {
                    let differences = match &test.annotation {
                        Some(annotation) => annotation.judge(&test.span, program, log),
                        None => judge_verdict(test, program, log, finding.as_ref()),
                    };
                    let mut new = Attempt::of(differences);
                    new.took_ns = took_ns;
                    *attempt = Some(new);
                }
            }
        })?;
        let no_answer = |index: usize| {
            let span = &self.tests[index].span;
            Attempt::of(vec![Difference::new(span, "there is no verdict on the program")])
        };
        Ok(attempts
            .into_iter()
            .zip(tests)
            .map(|(attempt, &index)| attempt.unwrap_or_else(|| no_answer(index)))
            .collect())
    }
}

/// What came of a request to run cases.
struct Cases {
    seen: Vec<Seen>,
    streams: Vec<String>,
    refusal: Option<Refusal>,
    /// Why it ended early, if it did.
    ended: Result<Option<String>, vm::Error>,
}

/// Whether a test says that it is for a kernel.
fn is_for(test: &Ready, place: &Place<'_>) -> bool {
    let is_named =
        test.kernels.is_empty() || test.kernels.iter().any(|glob| glob.is_match(place.reference));
    let Some(version) = place.version else { return is_named };
    is_named
        && test.since.is_none_or(|since| version >= since)
        && test.before.is_none_or(|before| version < before)
}

/// In which of its modes an annotated program is loaded.
fn mode(test: &Ready) -> Option<bool> {
    test.annotation.as_ref().map(|annotation| annotation.is_unprivileged)
}

/// Why a kernel cannot run a test, if it is too old for what it asks for.
fn lacking(test: &Ready, place: &Place<'_>) -> Option<String> {
    if test.skip.is_some() {
        return test.skip.clone();
    }
    let version = place.version?;
    let (since, what) = test.needs.iter().find(|(since, _)| version < *since)?;
    Some(format!("{what} from Linux {since} on"))
}
