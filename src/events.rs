//! What work says while it runs. Domains emit [`Event`]s into a [`Sink`];
//! what becomes of them on a terminal, in a pipe or in an editor is the
//! sink's affair.

use crate::diagnostics::Diagnostic;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one piece of work among those under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepId(u64);

impl StepId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It did what it was for.
    Done,
    /// There was nothing to do.
    Fresh,
    /// It failed; a diagnostic tells why.
    Failed,
}

/// Something worth knowing while work goes on.
#[derive(Clone, Debug)]
pub enum Event {
    /// A piece of work begins. `verb` is cargo's kind of word (`Compiling`,
    /// `Booting`), `subject` what it is done to.
    Started {
        /// Which one.
        step: StepId,
        /// A present participle, capitalised.
        verb: &'static str,
        /// What it is done to.
        subject: String,
    },
    /// A piece of work with a known size got further.
    Advanced {
        /// Which one.
        step: StepId,
        /// How far, in units of the work's own.
        done: u64,
        /// How far it will go.
        total: u64,
    },
    /// A piece of work ended.
    Finished {
        /// Which one.
        step: StepId,
        /// How.
        ending: Ending,
    },
    /// A sentence for everyone who is not quiet.
    Note(String),
    /// A sentence for who asked for details (`-v`).
    Detail(String),
    /// A finding that does not wait for the end of the command.
    Found(Box<Diagnostic>),
}

/// Takes events, from any thread.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// Drops every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Sink for Silent {
    fn emit(&self, _: Event) {}
}

/// A piece of work under way: says [`Event::Started`] when made and
/// [`Event::Finished`] when it ends, as failed if it is merely dropped.
pub struct Step<'s> {
    sink: &'s dyn Sink,
    id: StepId,
    ended: bool,
}

impl<'s> Step<'s> {
    /// Begins a piece of work.
    pub fn start(sink: &'s dyn Sink, verb: &'static str, subject: impl Into<String>) -> Self {
        let id = StepId::next();
        sink.emit(Event::Started { step: id, verb, subject: subject.into() });
        Self { sink, id, ended: false }
    }

    /// Says how far it got.
    pub fn advance(&self, done: u64, total: u64) {
        self.sink.emit(Event::Advanced { step: self.id, done, total });
    }

    /// Ends it.
    pub fn finish(mut self, ending: Ending) {
        self.end(ending);
    }

    fn end(&mut self, ending: Ending) {
        if !self.ended {
            self.ended = true;
            self.sink.emit(Event::Finished { step: self.id, ending });
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.end(Ending::Failed);
    }
}
