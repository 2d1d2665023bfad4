//! The terminal: what is printed, where, in which colours. Results go to
//! standard output, progress and notes to standard error.

pub mod interrupt;

use skep::diagnostics::{Class, Diagnostic};
use skep::events::{Event, Sink};
use skep::report::{Format, Table};
use std::io::{self, Write as _};
use std::sync::Mutex;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only findings.
    Quiet,
    /// Findings, progress and notes.
    Normal,
    /// Details too.
    Verbose,
}

impl Verbosity {
    /// From `-q` and the number of `-v`.
    pub fn from_flags(quiet: bool, verbose: u8) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (false, 0) => Self::Normal,
            (false, _) => Self::Verbose,
        }
    }
}

/// Where everything is printed.
pub struct Shell {
    format: Format,
    verbosity: Verbosity,
    worst: Mutex<Option<Class>>,
}

impl Shell {
    /// A shell on the process's own streams.
    pub fn new(format: Format, verbosity: Verbosity) -> Self {
        Self { format, verbosity, worst: Mutex::new(None) }
    }

    /// Reports findings as results.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            if diagnostic.is_error() {
                let mut worst = self.worst.lock().unwrap_or_else(|poison| poison.into_inner());
                let class = diagnostic.code.class();
                *worst = Some(worst.map_or(class, |known| worse(known, class)));
            }
            let _ = writeln!(io::stdout(), "{}: {}", diagnostic.code, diagnostic.message);
        }
    }

    /// Reports a table of results.
    pub fn table(&self, table: &Table) {
        let _ = writeln!(io::stdout(), "{:?} {:?}", self.format, table);
    }

    /// Reports what kept a command from doing its work.
    pub fn fatal(&self, diagnostic: &Diagnostic) {
        let _ = writeln!(io::stderr(), "{}: {}", diagnostic.code, diagnostic.message);
    }

    /// Writes bytes to standard output as they are.
    pub fn raw(&self, bytes: &[u8]) {
        // A reader that went away has seen enough.
        let _ = io::stdout().write_all(bytes);
    }

    /// The worst class among the errors reported so far.
    pub fn worst(&self) -> Option<Class> {
        *self.worst.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Ends formats that are one document.
    pub fn finish(&self) {}
}

/// A broken environment outweighs wrong usage, which outweighs findings.
fn worse(a: Class, b: Class) -> Class {
    let rank = |class| match class {
        Class::Finding => 0,
        Class::Usage => 1,
        Class::Environment => 2,
        Class::Interrupted => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}

impl Sink for Shell {
    fn emit(&self, event: Event) {
        match event {
            Event::Note(text) if self.verbosity >= Verbosity::Normal => {
                let _ = writeln!(io::stderr(), "{text}");
            }
            Event::Detail(text) if self.verbosity >= Verbosity::Verbose => {
                let _ = writeln!(io::stderr(), "{text}");
            }
            Event::Found(diagnostic) => self.diagnostics(&[*diagnostic]),
            _ => {}
        }
    }
}
