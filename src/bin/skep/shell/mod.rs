//! The terminal: what is printed, where, in which colours. Results go to
//! standard output, progress and notes to standard error; in the formats for
//! machines, findings of every kind go to standard output.
//!
//! A reader that closes the pipe has seen enough: what would follow is
//! dropped. Any other failure to write ends the command with an error.

pub mod interrupt;
pub mod pager;
mod progress;
pub mod prompt;
mod repeat;
mod sources;
pub mod terminal;

use dialoguer::console::{self, Term};
use progress::Progress;
use repeat::Repeated;
use skep::base::fs;
use skep::diagnostics::{Class, Code, Diagnostic, Origin, codes};
use skep::events::{Event, Sink};
use skep::ops::disasm::Listing;
use skep::ops::run::{Happening, Told};
use skep::report::{
    Context, Format, Paint, Table, github, human, json, junit, listing, live, markdown, sarif,
    short, text,
};
use sources::Files;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard};

/// What programs at work say is written once there is so much of it, in bytes.
const AT_ONCE: usize = 64 << 10;

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

/// What the command line and the environment say about output.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The format of results.
    pub format: Format,
    /// How much is said.
    pub verbosity: Verbosity,
    /// Whether to colour; where it is open, terminals are coloured.
    pub color: Option<bool>,
    /// The kind of terminal: `TERM`.
    pub terminal: String,
    /// The terminal can show no more than lines of text.
    pub dumb: bool,
    /// The locale has more than ASCII.
    pub unicode: bool,
    /// The directory relative paths are taken from.
    pub cwd: PathBuf,
}

/// Where everything is printed.
pub struct Shell {
    settings: Settings,
    color_out: bool,
    color_err: bool,
    width_out: Option<usize>,
    width_err: Option<usize>,
    files: Files,
    progress: Progress,
    state: Mutex<State>,
}

/// What was said so far.
#[derive(Default)]
struct State {
    worst: Option<Class>,
    errors: usize,
    warnings: usize,
    /// The codes that were reported, for the hint at the end.
    codes: Vec<Code>,
    /// Findings that wait for the end of a document.
    collected: Vec<Diagnostic>,
    /// Tables that wait for the same.
    tables: Vec<Table>,
    /// The last thing on standard output was a table.
    after_table: bool,
    /// The format's opening was written.
    opened: bool,
    /// What went to standard output is not in the format at all.
    raw: bool,
    /// What programs at work said last.
    live: live::Sides,
    /// What they said since it was written.
    pending: String,
    /// What was said in the run before, for a command that runs again and
    /// again.
    repeated: Option<Repeated>,
    /// The exit code of a program that was run for the user.
    exit: Option<ExitCode>,
    /// Nobody reads any more.
    closed: bool,
    /// Why standard output could not be written.
    failed: Option<io::Error>,
}

impl Shell {
    /// A shell on the process's own streams.
    pub fn new(settings: Settings) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let color = |terminal: bool| settings.color.unwrap_or(terminal && !settings.dumb);
        let width = |term: Term| term.size_checked().map(|(_, columns)| usize::from(columns));
        // The libraries that draw bars and questions ask this switch.
        console::set_colors_enabled_stderr(color(err));
        // An editor that runs us in a terminal of its own reads every line; what
        // bars draw and wipe out would stand in front of some.
        let reads_along = out && settings.format != Format::Human;
        let shows_progress =
            err && !settings.dumb && !reads_along && settings.verbosity > Verbosity::Quiet;
        Self {
            color_out: color(out),
            color_err: color(err),
            width_out: if out { width(Term::stdout()) } else { None },
            width_err: if err { width(Term::stderr()) } else { None },
            files: Files::new(settings.cwd.clone()),
            progress: Progress::new(shows_progress, settings.unicode),
            settings,
            state: Mutex::default(),
        }
    }

    /// The format of results.
    pub fn format(&self) -> Format {
        self.settings.format
    }

    /// Whether everything is to be told.
    pub fn is_verbose(&self) -> bool {
        self.settings.verbosity >= Verbosity::Verbose
    }

    /// Reports findings as results.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            self.count(diagnostic);
            let is_old = |repeated: &mut Repeated| repeated.knows(diagnostic);
            let is_old = self.state().repeated.as_mut().is_some_and(is_old);
            if is_old && self.settings.format == Format::Human {
                continue;
            }
            let mut text = self.render(diagnostic, &self.out());
            let is_first = std::mem::take(&mut self.state().after_table);
            if is_first && self.settings.format == Format::Human {
                text.insert(0, '\n');
            }
            self.write_out(text.as_bytes());
        }
    }

    /// Reports findings on standard error, where standard output is a user
    /// program's.
    pub fn remarks(&self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            self.count(diagnostic);
            let text = self.render(diagnostic, &self.err());
            self.write_err(&text);
        }
    }

    /// Whether nobody reads standard output any more.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Reports what cargo says: to machines that read JSON its own messages,
    /// which have the form of ours, to everybody else the same as findings.
    pub fn pass_on(&self, messages: &[String], diagnostics: &[Diagnostic]) {
        if self.settings.format != Format::Json {
            return self.diagnostics(diagnostics);
        }
        for message in messages {
            self.write_out(message.as_bytes());
            self.write_out(b"\n");
        }
        for diagnostic in diagnostics {
            self.count(diagnostic);
            // Cargo has no message for why it failed by itself.
            if diagnostic.code == codes::CARGO_FAILED {
                self.write_out(self.render(diagnostic, &self.out()).as_bytes());
            }
        }
    }

    /// Reports a table of results.
    pub fn table(&self, table: &Table) {
        let mut table = std::borrow::Cow::Borrowed(table);
        if let Some(repeated) = &mut self.state().repeated {
            let new = repeated.news(&table);
            if self.settings.format == Format::Human {
                table = std::borrow::Cow::Owned(new);
            }
        }
        let table = &*table;
        if table.rows.is_empty() && self.settings.format == Format::Human {
            return;
        }
        let cx = self.out();
        let text = match self.settings.format {
            Format::Human => human::table(table, &cx),
            Format::Short => short::table(table),
            Format::Json => json::table(table),
            // One document, of findings only.
            Format::Sarif => return,
            Format::Junit => {
                self.state().tables.push(table.clone());
                return;
            }
            Format::Github => github::table(table, &cx),
        };
        self.write_out(text.as_bytes());
        self.state().after_table = true;
    }

    /// Reports a program's instructions; those of several are apart.
    pub fn listing(&self, listing: &Listing, is_first: bool) {
        if self.settings.format == Format::Json {
            return self.table(&listing::rows(listing));
        }
        if !matches!(self.settings.format, Format::Sarif | Format::Junit) {
            let apart = if is_first { "" } else { "\n" };
            let text = format!("{apart}{}", listing::human(listing, &self.out()));
            self.write_out(text.as_bytes());
        }
    }

    /// Shows what happens while programs are at work: at the next
    /// [`Happening::Pause`], or when there is much of it.
    pub fn happening(&self, told: &Told<'_>) {
        let mut state = self.state();
        let State { live, pending, .. } = &mut *state;
        match self.settings.format {
            Format::Human | Format::Github => live.human(told, &self.out(), pending),
            Format::Short => live::short(told, pending),
            Format::Json => live::json(told, pending),
            // Documents, of findings only.
            Format::Sarif | Format::Junit => return,
        }
        let is_over = matches!(told.happening, Happening::Pause | Happening::Over(_));
        if pending.len() >= AT_ONCE || is_over {
            drop(state);
            self.write_out(b"");
        }
    }

    /// Reports what kept a command from doing its work.
    pub fn fatal(&self, diagnostic: &Diagnostic) {
        self.count(diagnostic);
        if self.settings.format.is_for_machines() {
            let text = self.render(diagnostic, &self.out());
            self.write_out(text.as_bytes());
        } else if diagnostic.code.class() == Class::Interrupted {
            self.write_err("interrupted\n");
        } else {
            let text = self.render(diagnostic, &self.err());
            self.write_err(text.trim_end());
            self.write_err("\n");
        }
    }

    /// Writes bytes to standard output as they are, for commands whose result
    /// has a format of its own.
    pub fn raw(&self, bytes: &[u8]) {
        self.state().raw = true;
        self.write_out(bytes);
    }

    /// Writes a listing for people to standard output.
    pub fn drawn(&self, text: impl FnOnce(&Context) -> String) {
        let text = text(&self.out());
        self.write_out(text.as_bytes());
    }

    /// Writes bytes of a program that we run for the user to standard error.
    pub fn raw_error(&self, bytes: &[u8]) {
        // Nobody is left to tell if this fails.
        drop(io::stderr().write_all(bytes));
    }

    /// Shows a page of the documentation on standard output.
    pub fn page(&self, page: &str) {
        self.state().raw = true;
        self.write_out(markdown::page(page, &self.out()).as_bytes());
    }

    /// Says on standard error what was done, as cargo does: a verb and what it
    /// was done to.
    pub fn status(&self, verb: &str, text: &str) {
        if self.settings.verbosity > Verbosity::Quiet {
            let verb = Paint::Good.on(&format!("{verb:>12}"), self.color_err);
            self.write_err(&format!("{verb} {}\n", text::escape(text)));
        }
    }

    /// Begins one run of a command that runs again and again. People are told
    /// what is new; programs get all of each run, between two lines.
    pub fn run_begins(&self, number: u64) {
        let mut state = self.state();
        state.errors = 0;
        state.warnings = 0;
        state.codes.clear();
        state.after_table = false;
        state.repeated.get_or_insert_default().begin();
        drop(state);
        match self.settings.format {
            Format::Short | Format::Github => {
                self.write_out(format!("skep watch: run {number} begins\n").as_bytes());
            }
            Format::Json => self.write_out(json::run_begins(number).as_bytes()),
            Format::Human | Format::Sarif | Format::Junit => {}
        }
    }

    /// Ends it.
    pub fn run_ended(&self, number: u64) {
        self.progress.clear();
        let (errors, warnings, ending) = {
            let mut state = self.state();
            let ending = state.repeated.as_mut().map(Repeated::end).unwrap_or_default();
            (state.errors, state.warnings, ending)
        };
        match self.settings.format {
            Format::Short | Format::Github => {
                let found = repeat::words(errors, warnings);
                let line = format!("skep watch: run {number} ended: {found}\n");
                self.write_out(line.as_bytes());
            }
            Format::Json => {
                self.write_out(json::run_ended(number, errors, warnings).as_bytes());
            }
            Format::Human | Format::Sarif | Format::Junit => {
                for gone in ending.gone {
                    let file = gone.primary.as_ref().map(|label| &label.span);
                    let place =
                        file.map(|span| format!("{}:{}: ", span.file.display(), span.start.line));
                    let place = place.unwrap_or_default();
                    self.status("Gone", &format!("{place}{} [{}]", gone.message, gone.code.id()));
                }
                if ending.known > 0 {
                    self.status("Still", &repeat::words(errors, warnings));
                }
                self.status("Watching", "for changes; Ctrl-C ends");
            }
        }
    }

    /// Ends with the exit code of a program that was run for the user.
    pub fn set_exit(&self, code: ExitCode) {
        self.state().exit = Some(code);
    }

    /// What was given to [`Shell::set_exit`].
    pub fn exit(&self) -> Option<ExitCode> {
        self.state().exit
    }

    /// The kind of terminal, for a guest's `TERM`.
    pub fn terminal_kind(&self) -> &str {
        &self.settings.terminal
    }

    /// The worst class among the errors reported so far.
    pub fn worst(&self) -> Option<Class> {
        self.state().worst
    }

    /// Ends the output of a command that came to `class`; returns what it
    /// comes to when a failure to write is counted in.
    pub fn finish(&self, class: Option<Class>) -> Option<Class> {
        self.progress.clear();
        let success = class.is_none();
        match self.settings.format {
            Format::Json if !self.state().raw => {
                self.write_out(json::closing(success).as_bytes());
            }
            Format::Sarif if !self.state().raw => {
                let collected = std::mem::take(&mut self.state().collected);
                let text = sarif::document(&collected, &self.out());
                self.write_out(text.as_bytes());
            }
            Format::Junit if !self.state().raw => {
                let collected = std::mem::take(&mut self.state().collected);
                let tables = std::mem::take(&mut self.state().tables);
                let text = junit::document(&tables, &collected, &self.out());
                self.write_out(text.as_bytes());
            }
            Format::Human if self.settings.verbosity > Verbosity::Quiet => self.hint(),
            _ => {}
        }
        let failed = self.state().failed.take();
        let Some(error) = failed else { return class };
        let code = match error.kind() {
            io::ErrorKind::StorageFull => codes::DISK_FULL,
            _ => codes::FILE_ACCESS,
        };
        let message = format!("cannot write to standard output: {}", fs::reason(&error));
        let diagnostic = Diagnostic::new(code, Origin::Command, message);
        self.write_err(human::diagnostic(&diagnostic, &self.err()).trim_end());
        self.write_err("\n");
        Some(class.map_or(code.class(), |class| worse(class, code.class())))
    }

    /// Where to read more.
    fn hint(&self) {
        let codes = std::mem::take(&mut self.state().codes);
        let [first, rest @ ..] = codes.as_slice() else { return };
        let rest: Vec<&str> = rest.iter().map(|code| code.id()).collect();
        let also = match rest.as_slice() {
            [] => String::new(),
            rest => format!("; there is more about {}, too", rest.join(", ")),
        };
        self.write_err(&format!("for more about this, see `skep explain {}`{also}\n", first.id()));
    }

    fn count(&self, diagnostic: &Diagnostic) {
        let mut state = self.state();
        let class = diagnostic.code.class();
        if diagnostic.is_error() {
            state.errors += 1;
            state.worst = Some(state.worst.map_or(class, |known| worse(known, class)));
        } else {
            state.warnings += 1;
        }
        // What clang says needs clang's own documentation.
        let is_ours = class == Class::Finding && diagnostic.origin != Origin::Clang;
        if is_ours && !state.codes.contains(&diagnostic.code) {
            state.codes.push(diagnostic.code);
        }
    }

    fn render(&self, diagnostic: &Diagnostic, cx: &Context) -> String {
        match self.settings.format {
            Format::Human => human::diagnostic(diagnostic, cx),
            Format::Short => short::diagnostic(diagnostic, cx),
            Format::Json => json::diagnostic(diagnostic, cx),
            Format::Github => github::diagnostic(diagnostic, cx),
            Format::Sarif | Format::Junit => {
                self.state().collected.push(diagnostic.clone());
                String::new()
            }
        }
    }

    fn out(&self) -> Context<'_> {
        self.context(self.color_out, self.width_out)
    }

    fn err(&self) -> Context<'_> {
        self.context(self.color_err, self.width_err)
    }

    fn context(&self, color: bool, width: Option<usize>) -> Context<'_> {
        Context {
            cwd: &self.settings.cwd,
            sources: &self.files,
            color,
            unicode: self.settings.unicode,
            width,
            verbose: self.settings.verbosity >= Verbosity::Verbose,
        }
    }

    fn write_out(&self, bytes: &[u8]) {
        let mut state = self.state();
        let mut pending = std::mem::take(&mut state.pending);
        if state.closed || bytes.is_empty() && pending.is_empty() {
            return;
        }
        let mut opening = String::new();
        if self.settings.format == Format::Json && !state.raw && !state.opened {
            state.opened = true;
            opening = json::opening();
        }
        let written = self.progress.suspend(|| {
            let mut out = io::stdout().lock();
            out.write_all(opening.as_bytes())?;
            out.write_all(pending.as_bytes())?;
            out.write_all(bytes)?;
            out.flush()
        });
        pending.clear();
        state.pending = pending;
        if let Err(error) = written {
            state.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                state.failed = Some(error);
            }
        }
    }

    /// Standard error is best effort: there is no place left to complain.
    fn write_err(&self, text: &str) {
        let _ = self.progress.suspend(|| io::stderr().lock().write_all(text.as_bytes()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

/// Writes a line to standard output, for what is said before there is a shell;
/// a closed pipe is no reason to fail.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
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
        let verbosity = self.settings.verbosity;
        match event {
            Event::Found(diagnostic) => self.diagnostics(&[*diagnostic]),
            Event::Note(text) if verbosity >= Verbosity::Normal => {
                let word = Paint::Note.on("note", self.color_err);
                self.write_err(&format!("{word}: {}\n", text::escape(&text)));
            }
            Event::Detail(text) if verbosity >= Verbosity::Verbose => {
                let text = text::escape(&text);
                self.write_err(&format!("{}\n", Paint::Faint.on(&text, self.color_err)));
            }
            Event::Note(_) | Event::Detail(_) => {}
            Event::Started { step, verb, subject } => {
                let subject = text::one_line(&subject);
                if !self.progress.started(step, verb, &subject) {
                    self.status(verb, &subject);
                }
            }
            Event::Advanced { step, done, total } => self.progress.advanced(step, done, total),
            Event::Finished { step, ending } => {
                if let Some((verb, subject)) = self.progress.finished(step, ending) {
                    self.status(verb, &subject);
                }
            }
        }
    }
}
