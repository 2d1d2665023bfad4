//! The thread that works: builds, checks and, on kernels that are warm,
//! verifies the projects that were saved, one after the other, and publishes
//! what it finds, step by step. What a step found last stays until it has
//! found something new.

use super::convert::{Findings, Found};
use super::uri;
use crate::base::Cancel;
use crate::diagnostics::{Diagnostic, Origin};
use crate::ops::editing::{self, Costs, KernelNames};
use crate::ops::verify::Verdict;
use crate::ops::{self, Session};
use lsp_server::{Message, Notification, Request, RequestId};
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

    /// What commands call it.
    fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Project(_) => Vec::new(),
            Self::Source(file) => vec![file.clone()],
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

/// Who found something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// Building and checking.
    Check,
    /// Real kernels.
    Verify,
}

/// What an editor can be told to ask for again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refreshes {
    /// Lenses.
    pub lenses: bool,
    /// Hints within lines.
    pub hints: bool,
}

/// More instructions than this are not walked a second time for what each
/// line costs.
const MOST_WALKED: u64 = 200_000;

/// What the main loop and the thread have in common.
pub struct Shared {
    session: Session,
    outbox: Outbox,
    refreshes: Refreshes,
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
    results: BTreeMap<(Target, Layer), Arc<Findings>>,
    /// What kernels said last.
    verdicts: BTreeMap<Target, Arc<Vec<Verdict>>>,
    /// What the verifier spent on lines last.
    costs: BTreeMap<Target, Arc<Costs>>,
    /// What a kernel's types name.
    names: Option<Arc<KernelNames>>,
    /// The number of our next request.
    asked: i32,
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
    pub fn start(session: Session, outbox: Outbox, refreshes: Refreshes) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { session, outbox, refreshes, state, changed });
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
            state.results.contains_key(&(target.clone(), Layer::Check))
                || state.current.as_ref().is_some_and(|(current, _)| *current == target)
        };
        if !known {
            self.ask(file);
        }
    }

    /// Reads, on a thread of its own, what the types of a project's kernel
    /// name.
    pub fn read_names(&self, root: &Path) {
        let (shared, root) = (Arc::clone(&self.shared), root.to_owned());
        std::thread::spawn(move || {
            let read = || editing::names(&shared.session, &root).ok();
            // Without BTF nothing of it is offered.
            let names = catch_unwind(AssertUnwindSafe(read)).ok().flatten();
            shared.state().names = names.map(Arc::new);
        });
    }

    /// What a kernel's types name, once it was read.
    pub fn names(&self) -> Option<Arc<KernelNames>> {
        self.shared.state().names.clone()
    }

    /// What kernels said last of the programs of what a file belongs to.
    pub fn verdicts(&self, file: &Path) -> Option<Arc<Vec<Verdict>>> {
        self.shared.state().verdicts.get(&Target::of(file)?).cloned()
    }

    /// What the verifier spent last on the lines of what a file belongs to.
    pub fn costs(&self, file: &Path) -> Option<Arc<Costs>> {
        self.shared.state().costs.get(&Target::of(file)?).cloned()
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
            let worked = catch_unwind(AssertUnwindSafe(|| self.steps(&target, &cancel)));
            match worked {
                Ok(()) => {}
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

    /// Builds and checks; then, if that found no error, asks the kernels that
    /// are warm.
    fn steps(&self, target: &Target, cancel: &Cancel) {
        let directory = target.directory();
        let session =
            Session { cwd: directory.to_owned(), cancel: cancel.clone(), ..self.session.clone() };
        let findings =
            |diagnostics: &[Diagnostic]| Findings::new(diagnostics, directory, &target.home());
        let paths = target.paths();
        let checked = check(&session, &paths);
        if cancel.is_cancelled() {
            return;
        }
        self.publish(target, Layer::Check, findings(&checked));
        let kernels = editing::warm(&session, directory);
        if kernels.is_empty() || checked.iter().any(Diagnostic::is_error) {
            return;
        }
        let request = ops::verify::Request {
            paths: paths.clone(),
            kernels: kernels.clone(),
            limit: editing::LIMIT,
            ..ops::verify::Request::default()
        };
        let verified = ops::verify::verify(&session, &request);
        if cancel.is_cancelled() {
            return;
        }
        let outcome = match verified {
            Ok(outcome) => outcome,
            Err(failure) => {
                // No machine, no verdicts: nothing an editor has to show.
                self.log(failure.to_string());
                return;
            }
        };
        // What building finds is in the other layer.
        let of_kernels: Vec<Diagnostic> = outcome
            .diagnostics
            .into_iter()
            .filter(|diagnostic| !matches!(diagnostic.origin, Origin::Clang | Origin::Manifest))
            .collect();
        self.publish(target, Layer::Verify, findings(&of_kernels));
        let walked: u64 =
            outcome.verdicts.iter().filter_map(|verdict| verdict.statistics.instructions).sum();
        self.state().verdicts.insert(target.clone(), Arc::new(outcome.verdicts));
        self.refresh(self.refreshes.lenses, "workspace/codeLens/refresh");
        let Some(kernel) = kernels.last().filter(|_| walked <= MOST_WALKED) else { return };
        let costs = editing::costs(&session, &paths, kernel);
        if let Ok(costs) = costs
            && !cancel.is_cancelled()
        {
            self.state().costs.insert(target.clone(), Arc::new(costs));
            self.refresh(self.refreshes.hints, "workspace/inlayHint/refresh");
        }
    }

    /// Tells the editor to ask again.
    fn refresh(&self, understood: bool, method: &str) {
        if !understood {
            return;
        }
        let number = {
            let mut state = self.state();
            state.asked = state.asked.wrapping_add(1);
            state.asked
        };
        let id = RequestId::from(number);
        (self.outbox)(Request::new(id, method.to_owned(), ()).into());
    }

    fn publish(&self, target: &Target, layer: Layer, findings: Findings) {
        let findings = Arc::new(findings);
        let mut state = self.state();
        let old = state.results.insert((target.clone(), layer), Arc::clone(&findings));
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
fn check(session: &Session, paths: &[PathBuf]) -> Vec<Diagnostic> {
    let request = ops::check::Request { paths: paths.to_vec(), ..ops::check::Request::default() };
    match ops::check::run(session, &request) {
        Ok(outcome) => outcome.diagnostics,
        Err(failure) => vec![failure.into_diagnostic()],
    }
}
