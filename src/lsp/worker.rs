//! The thread that works: builds and checks the projects that were saved, one
//! after the other, and publishes what it finds.

use super::convert::{Findings, Found};
use super::uri;
use crate::base::Cancel;
use crate::diagnostics::Diagnostic;
use crate::ops::{self, Session};
use lsp_server::{Message, Notification};
use lsp_types::notification::{LogMessage, Notification as _, PublishDiagnostics};
use lsp_types::{LogMessageParams, MessageType, PublishDiagnosticsParams};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long the end of the thread is waited for. Only what cannot be
/// cancelled, such as another process's lock, takes longer than a moment.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is worked on as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A project, by its directory.
    Project(PathBuf),
    /// A source outside of projects.
    Source(PathBuf),
}

impl Target {
    /// What a file belongs to, if skep has anything to do with it.
    pub fn of(file: &Path) -> Option<Self> {
        if let Some(root) = file.parent().and_then(ops::ide::root_above) {
            return Some(Self::Project(root));
        }
        let is_source = file.file_name()?.to_string_lossy().ends_with(".bpf.c");
        is_source.then(|| Self::Source(file.to_owned()))
    }

    /// The directory it is worked on in.
    fn directory(&self) -> &Path {
        match self {
            Self::Project(root) => root,
            Self::Source(file) => file.parent().unwrap_or(Path::new("/")),
        }
    }

    /// The file that findings without a file lie in.
    fn home(&self) -> PathBuf {
        match self {
            Self::Project(root) => ops::ide::manifest_of(root),
            Self::Source(file) => file.clone(),
        }
    }
}

/// What the main loop and the thread have in common.
pub struct Shared {
    session: Session,
    outbox: Outbox,
    state: Mutex<State>,
    changed: Condvar,
}

/// Where messages to the editor go: never in the way of who sends one.
pub type Outbox = Box<dyn Fn(Message) + Send + Sync>;

#[derive(Default)]
struct State {
    /// What waits to be worked on, in the order it was asked for.
    waiting: Vec<Target>,
    /// What is being worked on, and how to stop that.
    current: Option<(Target, Cancel)>,
    /// The last results.
    results: BTreeMap<Target, Arc<Findings>>,
    /// The thread is to end.
    stopped: bool,
    /// The thread has ended.
    ended: bool,
}

/// The thread, which ends when this is dropped.
pub struct Worker {
    shared: Arc<Shared>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(session: Session, outbox: Outbox) -> Self {
        let shared =
            Arc::new(Shared { session, outbox, state: Mutex::default(), changed: Condvar::new() });
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.work();
                shared.state().ended = true;
                shared.changed.notify_all();
            }
        });
        Self { shared }
    }

    /// Asks for work on what a file belongs to. What is under way for the
    /// same target is out of date and stops.
    pub fn ask(&self, file: &Path) {
        let Some(target) = Target::of(file) else { return };
        let mut state = self.shared.state();
        if let Some((current, cancel)) = &state.current
            && *current == target
        {
            cancel.cancel();
        }
        if !state.waiting.contains(&target) {
            state.waiting.push(target);
        }
        self.shared.changed.notify_all();
    }

    /// [`Worker::ask`], unless there is a result already, or work that will
    /// give one.
    pub fn ask_once(&self, file: &Path) {
        let Some(target) = Target::of(file) else { return };
        let known = {
            let state = self.shared.state();
            state.results.contains_key(&target)
                || state.current.as_ref().is_some_and(|(current, _)| *current == target)
        };
        if !known {
            self.ask(file);
        }
    }

    /// The findings of a file, with the results they are from.
    pub fn findings(&self, file: &Path) -> Vec<(Arc<Findings>, Vec<Found>)> {
        let state = self.shared.state();
        let all = state.results.values();
        all.filter_map(|result| Some((Arc::clone(result), result.files.get(file)?.clone())))
            .collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.stopped = true;
        if let Some((_, cancel)) = &state.current {
            cancel.cancel();
        }
        self.shared.changed.notify_all();
        let ended = self.shared.changed.wait_timeout_while(state, PATIENCE, |state| !state.ended);
        drop(ended);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half-done by a panic.
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn work(&self) {
        while let Some((target, cancel)) = self.next() {
            let found = catch_unwind(AssertUnwindSafe(|| self.find(&target, cancel.clone())));
            match found {
                Ok(findings) if !cancel.is_cancelled() => self.publish(target, findings),
                Ok(_) => {}
                Err(_) => self.log(format!(
                    "skep failed while it worked on {}; the last findings stay",
                    target.directory().display()
                )),
            }
            self.state().current = None;
        }
    }

    fn next(&self) -> Option<(Target, Cancel)> {
        let mut state = self.state();
        while state.waiting.is_empty() && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(|poison| poison.into_inner());
        }
        if state.stopped {
            return None;
        }
        let (target, cancel) = (state.waiting.remove(0), Cancel::new());
        state.current = Some((target.clone(), cancel.clone()));
        Some((target, cancel))
    }

    fn find(&self, target: &Target, cancel: Cancel) -> Findings {
        let directory = target.directory();
        let session = Session { cwd: directory.to_owned(), cancel, ..self.session.clone() };
        let diagnostics = run(&session, target);
        Findings::new(&diagnostics, directory, &target.home())
    }

    fn publish(&self, target: Target, findings: Findings) {
        let findings = Arc::new(findings);
        let mut state = self.state();
        let old = state.results.insert(target, Arc::clone(&findings));
        // Of a file with findings of several targets (a header outside of
        // both), all are shown.
        let gone = old.iter().flat_map(|old| old.files.keys());
        let mut files: Vec<PathBuf> = findings.files.keys().chain(gone).cloned().collect();
        files.sort();
        files.dedup();
        let messages: Vec<Message> = files
            .iter()
            .filter_map(|file| {
                let all = state.results.values().filter_map(|result| result.files.get(file));
                let diagnostics = all.flatten().map(|found| found.shown.clone()).collect();
                let params = PublishDiagnosticsParams {
                    uri: uri::of_path(file)?,
                    diagnostics,
                    version: None,
                };
                Some(Notification::new(PublishDiagnostics::METHOD.to_owned(), params).into())
            })
            .collect();
        drop(state);
        messages.into_iter().for_each(&self.outbox);
    }

    fn log(&self, message: String) {
        let params = LogMessageParams { typ: MessageType::ERROR, message };
        (self.outbox)(Notification::new(LogMessage::METHOD.to_owned(), params).into());
    }
}

/// Builds and checks.
fn run(session: &Session, target: &Target) -> Vec<Diagnostic> {
    let paths = match target {
        Target::Project(_) => Vec::new(),
        Target::Source(file) => vec![file.clone()],
    };
    let request = ops::check::Request { paths, ..ops::check::Request::default() };
    match ops::check::run(session, &request) {
        Ok(outcome) => outcome.diagnostics,
        Err(failure) => vec![failure.into_diagnostic()],
    }
}
