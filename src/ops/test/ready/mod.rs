//! Tests with everything they name found: the object and program, and values
//! as bytes.

mod expect;
mod find;
mod input;
mod scene;

pub(super) use scene::Expected;

use super::annotated::Annotation;
use super::bring::{Wanted, What};
use super::suites::Found;
use crate::bpf::test_run::{TestRun, test_run};
use crate::bpf::{KernelVersion, ProgramType};
use crate::btf::Btf;
use crate::diagnostics::{Diagnostic, Origin, Span, codes};
use crate::elf::DataKind;
use crate::ops::verify::Object;
use crate::project::suite::{Brought, Test};
use crate::values::{Given, Part, Wrong};
use crate::vm;
use crate::wire::{Case, Patch, Scene};
use globset::{Glob, GlobMatcher};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A test that can run.
#[derive(Clone)]
pub(super) struct Ready {
    /// The file it is written in.
    pub file: PathBuf,
    /// What it is called, with the file in front.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The object, by its place.
    pub object: usize,
    pub program: String,
    /// The program's type, if its section tells.
    pub kind: Option<ProgramType>,
    pub kernels: Vec<GlobMatcher>,
    pub since: Option<KernelVersion>,
    pub before: Option<KernelVersion>,
    /// What the kernel must be for what the test asks of it, and why.
    pub needs: Vec<(KernelVersion, String)>,
    /// Why it cannot be run on any kernel.
    pub skip: Option<String>,
    /// What it wants to have brought.
    pub bring: Vec<Wanted>,
    /// The same as files of the guest.
    pub brought: Arc<[vm::Brought]>,
    /// Global data that is changed before the load.
    pub constants: Vec<Patch>,
    pub case: Case,
    pub checks: Checks,
    /// What the object itself says of the program, if that is the test.
    pub annotation: Option<Annotation>,
}

/// What is looked at afterwards.
#[derive(Clone, Default)]
pub(super) struct Checks {
    pub retval: Option<Check<i32>>,
    /// How often which value is returned, of several packets.
    pub retvals: Option<Check<Vec<(i32, u64)>>>,
    pub packet: Option<Check<Vec<u8>>>,
    /// How many bytes in front of the packet are no part of it.
    pub skipped: usize,
    pub context: Option<Typed>,
    pub entries: Vec<EntryCheck>,
    /// How many entries maps have.
    pub counts: Vec<(String, Check<u64>)>,
    pub globals: Vec<GlobalCheck>,
    pub prints: Option<Check<Vec<String>>>,
    pub events: Vec<EventCheck>,
    pub rejected: Option<Check<String>>,
    pub messages: Vec<Check<String>>,
    pub scene: scene::SceneChecks,
}

/// Something that is expected, and where that is written.
#[derive(Clone)]
pub(super) struct Check<T> {
    pub expected: T,
    pub span: Span,
}

/// Parts of a value, and where they are written.
#[derive(Clone)]
pub(super) struct Typed {
    pub btf: Option<Arc<Btf>>,
    pub parts: Vec<(Part, Span)>,
}

/// An entry of a map.
#[derive(Clone)]
pub(super) struct EntryCheck {
    pub map: String,
    pub key: Vec<u8>,
    /// The key as it is written.
    pub shown: String,
    /// None for an entry that is not to be there.
    pub value: Option<Typed>,
    pub span: Span,
}

/// A global variable.
#[derive(Clone)]
pub(super) struct GlobalCheck {
    pub name: String,
    pub section: String,
    pub offset: usize,
    pub value: Typed,
}

/// What a map carries.
#[derive(Clone)]
pub(super) struct EventCheck {
    pub map: String,
    /// The events, with their places.
    pub events: Vec<(Given, Span)>,
    pub span: Span,
    /// Places of what is in them start here.
    pub places: Arc<dyn Fn(Range<usize>) -> Span + Send + Sync>,
}

impl Ready {
    /// Whether it asks for the verifier's verdict, and not for a run.
    pub fn is_verdict(&self) -> bool {
        self.annotation.is_some()
            || self.checks.rejected.is_some()
            || !self.checks.messages.is_empty()
    }

    /// The programs that it is about, of those that there are.
    pub fn programs<'o>(&'o self, object: &'o Object) -> Vec<&'o str> {
        match &self.case.scene {
            Some(Scene { programs: None, .. }) => {
                object.elf.programs().map(|program| program.name.as_str()).collect()
            }
            // A `struct_ops` map is none.
            Some(Scene { programs: Some(names), .. }) => names
                .iter()
                .map(String::as_str)
                .filter(|name| object.elf.program(name).is_some())
                .collect(),
            None => vec![&self.program],
        }
    }

    /// What the program type's tests are like.
    pub fn run(&self) -> Option<TestRun> {
        test_run(self.kind?)
    }
}

/// Prepares the tests of a suite. Mistakes go to `mistakes`.
pub(super) fn prepare(
    found: &Found,
    objects: &[Object],
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Ready> {
    let mut all: Vec<Ready> = Vec::new();
    for test in &found.suite.tests {
        let mut maker = Maker { found, objects, mistakes: Vec::new() };
        let ready = maker.ready(test);
        let mut own = maker.mistakes;
        if let Some(ready) = ready {
            if all.iter().any(|known| known.name == ready.name) {
                let range = test.name.as_ref().and_then(|name| name.range.clone());
                let span = found.suite.span(range.unwrap_or_else(|| test.range.clone()));
                own.push(
                    mistake(span, format!("there is a test `{}` already", ready.name))
                        .help("give each test of a file a `name` of its own"),
                );
            }
            if own.is_empty() {
                all.push(ready);
            }
        }
        mistakes.append(&mut own);
    }
    all
}

fn mistake(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message).at(span)
}

struct Maker<'m> {
    found: &'m Found,
    objects: &'m [Object],
    mistakes: Vec<Diagnostic>,
}

impl Maker<'_> {
    fn span(&self, range: Range<usize>) -> Span {
        self.found.suite.span(range)
    }

    fn wrong(&mut self, range: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic = mistake(self.span(range), message);
        self.mistakes.push(diagnostic);
        let last = self.mistakes.len() - 1;
        &mut self.mistakes[last]
    }

    /// What an encoding came to; a mistake if it did not.
    fn take<T>(&mut self, result: Result<T, Wrong>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Wrong { message, range }) => {
                self.wrong(range, message);
                None
            }
        }
    }

    fn ready(&mut self, test: &Test) -> Option<Ready> {
        let (index, program) = match test.deeds.is_empty() || test.program.is_some() {
            true => self.program(test)?,
            // All programs of an object.
            false => (self.object(test)?, String::new()),
        };
        let object = &self.objects[index];
        let function = object.elf.program(&program);
        let kind = function
            .and_then(|function| object.elf.target(function).ok())
            .map(|target| target.def.program_type);
        let own = match (&test.name, test.deeds.first()) {
            (Some(name), _) => name.value.clone(),
            (None, Some(deed)) => deed.line.value.clone(),
            (None, None) => program.clone(),
        };
        let mut ready = Ready {
            file: self.found.suite.path.clone(),
            name: format!("{}::{own}", self.found.stem),
            span: self.span(test.range.clone()),
            object: index,
            program: program.clone(),
            kind,
            kernels: Vec::new(),
            since: test.since,
            before: test.before,
            needs: Vec::new(),
            skip: None,
            bring: Vec::new(),
            brought: Arc::default(),
            constants: Vec::new(),
            case: Case { program, repeat: test.repeat.unwrap_or(1), ..Case::default() },
            checks: Checks::default(),
            annotation: None,
        };
        for pattern in &test.kernels {
            match Glob::new(&pattern.value) {
                Ok(glob) => ready.kernels.push(glob.compile_matcher()),
                Err(error) => {
                    let range = pattern.range.clone().unwrap_or_default();
                    self.wrong(range, format!("it is no pattern: {}", error.kind()));
                }
            }
        }
        for (name, given) in &test.globals {
            if let Some((kind, patches)) = self.global(object, name, given) {
                match kind {
                    DataKind::Rodata => ready.constants.extend(patches),
                    DataKind::Data | DataKind::Bss => ready.case.globals.extend(patches),
                }
            }
        }
        for brought in &test.bring {
            let span = self.span(brought.name().range.clone().unwrap_or_default());
            let what = match brought {
                Brought::Path(path) => What::Path(self.found.dir.join(&path.value)),
                Brought::Program(name) => What::Program(name.value.clone()),
            };
            ready.bring.push(Wanted { what, span });
        }
        if !test.deeds.is_empty() {
            self.scene(test, object, &mut ready);
            self.entries(test, object, &mut ready);
            self.expectations(test, object, &mut ready);
            return Some(ready);
        }
        let expect = &test.expect;
        for (program, _) in &expect.shows {
            let range = program.range.clone().unwrap_or_default();
            self.wrong(range, "what an iterator shows is seen by a test with `do`");
        }
        if let Some(text) = expect.output.first() {
            let range = text.range.clone().unwrap_or_default();
            self.wrong(range, "what is done writes something, and nothing is done: write `do`");
        }
        if let Some(code) = &expect.rejected {
            let span = self.span(code.range.clone().unwrap_or_default());
            ready.checks.rejected = Some(Check { expected: code.value.clone(), span });
        }
        for text in &expect.messages {
            let span = self.span(text.range.clone().unwrap_or_default());
            ready.checks.messages.push(Check { expected: text.value.clone(), span });
        }
        if ready.is_verdict() {
            let runs = [
                (test.packet.is_some() || test.context.is_some(), "input"),
                (expect.retval.is_some() || !expect.retvals.is_empty(), "`retval`"),
                (
                    !(expect.maps.is_empty()
                        && expect.counts.is_empty()
                        && expect.globals.is_empty()),
                    "maps and globals",
                ),
                (expect.packet.is_some() || expect.context.is_some(), "a result"),
                (expect.prints.is_some() || !expect.events.is_empty(), "output"),
            ];
            if let Some((_, what)) = runs.iter().find(|(is_there, _)| *is_there) {
                let message = format!("a test of the verdict runs nothing, so it has no {what}");
                self.wrong(test.range.clone(), message);
            }
            return Some(ready);
        }
        self.runnable(test, &mut ready)?;
        self.entries(test, object, &mut ready);
        self.input(test, object, &mut ready);
        self.expectations(test, object, &mut ready);
        Some(ready)
    }
}
