//! The graph of steps and who runs them.
//!
//! A step turns files into files. It is *fresh*, and does not run, if its
//! record says that its command, the bytes of everything it read and the bytes
//! of what it wrote are still the same ([`super::record`]). Since bytes decide
//! and not times, a step whose result came out as before wakes nobody.
//!
//! What happens when:
//! 1. In the order of the graph, every step whose predecessors are fresh is
//!    looked at. If all are fresh, that was all: no thread, no process.
//! 2. The others wait for their predecessors, are looked at again, and run if
//!    they must, as many at once as there are jobs.
//! 3. A step writes its results aside and renames them, then its record. A
//!    crash in between leaves a record that does not fit its output, which is
//!    as good as none.

use super::Error;
use super::record::{COMPILER, Files, Record, Stale, next_tick};
use crate::base::{Cancel, Jobs, fs, process};
use crate::events::{Ending, Event, Sink, Step as Progress};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

/// A step to be done unless it is fresh.
pub struct Step<'a> {
    /// A name of its own, also the name of its record: `opens.bpf.o`.
    pub name: String,
    /// What it does, for people: `Compiling`; nothing for what is not worth
    /// telling.
    pub verb: Option<&'static str>,
    /// What it does it to.
    pub subject: String,
    /// What determines the result besides files, each part with a name that
    /// fits in front of "changed".
    pub key: Vec<(&'static str, String)>,
    /// Files it reads, as far as they are known beforehand; absolute.
    pub inputs: Vec<PathBuf>,
    /// Files it writes; absolute.
    pub outputs: Vec<PathBuf>,
    /// Indices of the steps that must be done before; all smaller than its
    /// own.
    pub after: Vec<usize>,
    /// Does it.
    pub run: Box<dyn Fn() -> Result<Ran, Error> + Send + Sync + 'a>,
}

/// What a step that ran says.
#[derive(Debug, Default)]
pub struct Ran {
    /// Every file it read, including those it was told of.
    pub inputs: Vec<PathBuf>,
    /// What its tool wrote to standard error.
    pub log: String,
    /// Whether the tool refused its input. Nothing is recorded then.
    pub failed: bool,
    /// When it began to read, if that was later than the step began: what it
    /// had made for itself counts as settled by then.
    pub began: Option<(i64, i64)>,
}

/// How a step came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done before, and what its tool said then.
    Fresh(String),
    /// It ran.
    Done(String),
    /// Its tool refused the input.
    Refused(String),
    /// A step before it did not come to its end.
    Skipped,
}

impl Outcome {
    /// What the step's tool said.
    pub fn log(&self) -> &str {
        match self {
            Self::Fresh(log) | Self::Done(log) | Self::Refused(log) => log,
            Self::Skipped => "",
        }
    }
}

/// The circumstances of a run.
pub struct Runner<'a> {
    /// The files looked at.
    pub files: &'a Files,
    /// The directory of records.
    pub records: &'a Path,
    /// A directory of the same file system for files that are being written.
    pub aside: &'a Path,
    /// How many steps run at once, other runs' counted.
    pub jobs: &'a Jobs,
    /// The wish to stop.
    pub cancel: &'a Cancel,
    /// Who listens.
    pub sink: &'a dyn Sink,
    /// What everybody was told already.
    pub told: Mutex<Vec<String>>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Results {
    /// How each step came out, in their order.
    pub outcomes: Vec<Outcome>,
    /// If every step was fresh: their records.
    pub records: Option<Vec<Record>>,
}

struct State {
    outcomes: Vec<Option<Outcome>>,
    running: Vec<bool>,
    error: Option<Error>,
}

impl Runner<'_> {
    /// Does what is to be done.
    ///
    /// # Errors
    /// The first step that could not be done at all ends the run; those under
    /// way are brought to their end.
    pub fn run(&self, steps: &[Step<'_>]) -> Result<Results, Error> {
        let mut records: Vec<Option<Record>> = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            debug_assert!(step.after.iter().all(|&before| before < index));
            let is_next = step.after.iter().all(|&before| records[before].is_some());
            records.push(is_next.then(|| self.look(step).ok()).flatten());
        }
        let fresh = |record: &Record| Outcome::Fresh(record.log.clone());
        let outcomes: Vec<Option<Outcome>> =
            records.iter().map(|record| record.as_ref().map(fresh)).collect();
        let todo = outcomes.iter().filter(|outcome| outcome.is_none()).count();
        if todo == 0 {
            let outcomes = outcomes.into_iter().flatten().collect();
            return Ok(Results { outcomes, records: records.into_iter().collect() });
        }
        // Whatever was saved just now counts as settled from here on.
        next_tick();
        let running = vec![false; steps.len()];
        let state = Mutex::new(State { outcomes, running, error: None });
        let ended = Condvar::new();
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.limit().min(todo) {
                scope.spawn(|| self.work(steps, &state, &ended));
            }
        });
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.error {
            return Err(error);
        }
        let skipped = |outcome: Option<Outcome>| outcome.unwrap_or(Outcome::Skipped);
        Ok(Results { outcomes: state.outcomes.into_iter().map(skipped).collect(), records: None })
    }

    fn work(&self, steps: &[Step<'_>], state: &Mutex<State>, ended: &Condvar) {
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = lock();
        loop {
            if now.error.is_some() || now.outcomes.iter().all(Option::is_some) {
                return;
            }
            let Some(index) = ready(steps, &now) else {
                now = ended.wait(now).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let step = &steps[index];
            let broken = step.after.iter().any(|&before| {
                matches!(now.outcomes[before], Some(Outcome::Refused(_) | Outcome::Skipped))
            });
            if broken {
                now.outcomes[index] = Some(Outcome::Skipped);
                ended.notify_all();
                continue;
            }
            let woken = |&before: &usize| matches!(now.outcomes[before], Some(Outcome::Done(_)));
            let woken = step.after.iter().any(woken);
            now.running[index] = true;
            drop(now);
            let result = self.perform(step, woken);
            now = lock();
            now.running[index] = false;
            match result {
                Ok(outcome) => now.outcomes[index] = Some(outcome),
                Err(error) => now.error = now.error.take().or(Some(error)),
            }
            ended.notify_all();
        }
    }

    /// Does one step whose predecessors are done. `woken` says that one of them
    /// has just written something, which the step may read without having
    /// said so.
    fn perform(&self, step: &Step<'_>, woken: bool) -> Result<Outcome, Error> {
        let _slot = self.jobs.take();
        if self.cancel.is_cancelled() {
            return Err(process::Error::Cancelled.into());
        }
        let stale = match self.look(step) {
            Ok(record) => return Ok(Outcome::Fresh(record.log)),
            Err(stale) => stale,
        };
        if let Stale::Changed { what, .. } = &stale
            && what == COMPILER
        {
            self.tell_once(stale.to_string());
        } else if stale != Stale::New {
            self.sink.emit(Event::Detail(format!("{}: {stale}", step.subject)));
        }
        let progress =
            step.verb.map(|verb| Progress::start(self.sink, verb, step.subject.as_str()));
        let settled = !woken && self.files.are_settled(&step.inputs);
        let began = if settled { fs::timestamp() } else { next_tick() };
        let ran = (step.run)()?;
        if ran.failed {
            // The old record would be true still if its output is, but what
            // the user must see is the error, at every run.
            fs::remove_file(&self.record_path(step))?;
            return Ok(Outcome::Refused(ran.log));
        }
        let mut inputs = ran.inputs;
        for input in &step.inputs {
            if !inputs.contains(input) {
                inputs.push(input.clone());
            }
        }
        let began = ran.began.unwrap_or(began);
        let log = ran.log.clone();
        let record = Record::of_step(self.files, &step.key, &inputs, &step.outputs, began, ran.log);
        self.write(step, &record)?;
        if let Some(progress) = progress {
            progress.finish(Ending::Done);
        }
        Ok(Outcome::Done(log))
    }

    /// Says something to everyone, once for all steps.
    fn tell_once(&self, text: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(&text) {
            self.sink.emit(Event::Note(text.clone()));
            told.push(text);
        }
    }

    /// The record of a step, if it is fresh.
    fn look(&self, step: &Step<'_>) -> Result<Record, Stale> {
        let mut record = Record::read(&self.record_path(step)).ok_or(Stale::New)?;
        if record.check(self.files, &step.key, &step.inputs, &step.outputs)? {
            // Only the next run's speed is at stake.
            drop(self.write(step, &record));
        }
        Ok(record)
    }

    fn record_path(&self, step: &Step<'_>) -> PathBuf {
        self.records.join(format!("{}.json", step.name))
    }

    fn write(&self, step: &Step<'_>, record: &Record) -> Result<(), Error> {
        match record.to_bytes() {
            Some(bytes) => Ok(put(&self.record_path(step), &bytes, self.aside)?),
            None => Ok(()),
        }
    }
}

/// Writes a file whole or not at all, leaving nothing beside it whatever
/// happens: what a crash leaves behind lies in `aside`, which the next build
/// empties.
pub fn put(path: &Path, bytes: &[u8], aside: &Path) -> Result<(), fs::Error> {
    let name = crate::base::digest::Digest::of(path.as_os_str().as_encoded_bytes()).short();
    let temporary = aside.join(name);
    fs::write_atomic(&temporary, bytes)?;
    fs::create_dir_all(fs::parent_of(path))?;
    fs::rename(&temporary, path)
}

/// The first step that has not begun and whose predecessors are done.
fn ready(steps: &[Step<'_>], state: &State) -> Option<usize> {
    (0..steps.len()).find(|&index| {
        state.outcomes[index].is_none()
            && !state.running[index]
            && steps[index].after.iter().all(|&before| state.outcomes[before].is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Silent;
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Two steps: `a` → `b` → `c`, each copying the first letter.
    struct Chain {
        dir: tempfile::TempDir,
        runs: [AtomicUsize; 2],
    }

    impl Chain {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::write_atomic(&dir.path().join("a"), b"one").unwrap();
            Self { dir, runs: [AtomicUsize::new(0), AtomicUsize::new(0)] }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn build(&self, refuse: bool) -> Vec<Outcome> {
            let step = |index: usize, from: &'static str, to: &'static str| Step {
                name: to.to_owned(),
                verb: None,
                subject: to.to_owned(),
                key: vec![],
                inputs: vec![self.path(from)],
                outputs: vec![self.path(to)],
                after: (0..index).collect(),
                run: Box::new(move || {
                    self.runs[index].fetch_add(1, Ordering::SeqCst);
                    if refuse {
                        return Ok(Ran { failed: true, ..Ran::default() });
                    }
                    let bytes = fs::read(&self.path(from))?;
                    put(&self.path(to), &bytes[..1], &self.path("aside"))?;
                    Ok(Ran::default())
                }),
            };
            let files = Files::new(self.dir.path());
            let runner = Runner {
                files: &files,
                records: &self.path("records"),
                aside: &self.path("aside"),
                jobs: &Jobs::new(NonZeroUsize::new(2).unwrap()),
                cancel: &Cancel::new(),
                sink: &Silent,
                told: Mutex::default(),
            };
            runner.run(&[step(0, "a", "b"), step(1, "b", "c")]).unwrap().outcomes
        }

        fn runs(&self) -> [usize; 2] {
            [0, 1].map(|index| self.runs[index].load(Ordering::SeqCst))
        }
    }

    #[test]
    fn what_came_out_the_same_wakes_nobody() {
        let chain = Chain::new();
        chain.build(false);
        chain.build(false);
        assert_eq!(chain.runs(), [1, 1]);
        fs::write_atomic(&chain.path("a"), b"other").unwrap();
        let outcomes = chain.build(false);
        assert_eq!(chain.runs(), [2, 1], "the first letter is the same: {outcomes:?}");
        fs::write_atomic(&chain.path("a"), b"xyz").unwrap();
        chain.build(false);
        assert_eq!(chain.runs(), [3, 2]);
    }

    #[test]
    fn after_a_refusal_the_rest_is_skipped_and_nothing_is_recorded() {
        let chain = Chain::new();
        assert_eq!(chain.build(true), [Outcome::Refused(String::new()), Outcome::Skipped]);
        assert!(matches!(chain.build(false)[..], [Outcome::Done(_), Outcome::Done(_)]));
    }
}
