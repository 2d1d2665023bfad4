//! `--trace`: what the verifier saw of a program, step by step, with the C
//! line of each instruction.

use super::{Object, Verdict};
use crate::diagnostics::Span;
use crate::elf;
use crate::ops::Session;
use crate::ops::places::{ProgramPlaces, SourceFinder};
use crate::verifier_log::{Log, Moment, Places as _, Walk};
use std::path::Path;

/// A verdict with the log that it came with.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The verdict.
    pub verdict: Verdict,
    log: String,
    elf: elf::Object,
    finder: SourceFinder,
}

/// The part of the walk that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The path that led to the end of the log: to the refusal.
    Path,
    /// All paths, one after the other.
    Whole,
}

/// A log, read.
pub struct View<'t> {
    /// The verdict.
    pub verdict: &'t Verdict,
    /// What the kernel said at the end, if it refused.
    pub error: Vec<&'t str>,
    log: Log<'t>,
    path: Walk,
    whole: Walk,
    places: ProgramPlaces<'t>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number, from 1.
    pub number: usize,
    /// The instruction's index in the program.
    pub instruction: u32,
    /// The instruction as the kernel prints it.
    pub text: String,
    /// How deep in calls it leads: 0 is the program itself.
    pub depth: usize,
    /// The C line, with its text if it is known.
    pub place: Option<Span>,
    /// What is known afterwards: register or stack slot, value, and whether
    /// it is news.
    pub state: Vec<(String, String, bool)>,
}

impl Traced {
    pub(super) fn new(session: &Session, object: &Object, verdict: &Verdict, log: &[u8]) -> Self {
        Self {
            verdict: verdict.clone(),
            log: String::from_utf8_lossy(log).into_owned(),
            elf: object.elf.clone(),
            finder: SourceFinder::new(session, &object.root),
        }
    }

    /// Reads the log.
    pub fn view(&self) -> View<'_> {
        let log = Log::parse(&self.log);
        let program = Some(self.verdict.program.as_str());
        View {
            verdict: &self.verdict,
            error: log.error.clone(),
            path: Walk::last_path(&log),
            whole: Walk::whole(&log),
            places: ProgramPlaces::new(Some(&self.elf), program, self.finder.clone()),
            log,
        }
    }
}

impl View<'_> {
    fn walk(&self, part: Part) -> &Walk {
        match part {
            Part::Path => &self.path,
            Part::Whole => &self.whole,
        }
    }

    /// How many steps a part has.
    pub fn len(&self, part: Part) -> usize {
        self.walk(part).len()
    }

    /// Whether the log tells of no step.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// One step, counted from 0.
    pub fn step(&self, part: Part, at: usize) -> Option<Step> {
        let moment = self.walk(part).moment(&self.log, at)?;
        self.made(part, at, &moment)
    }

    /// All steps.
    pub fn steps(&self, part: Part) -> impl Iterator<Item = Step> {
        let moments = self.walk(part).moments(&self.log);
        moments.enumerate().filter_map(move |(at, moment)| self.made(part, at, &moment))
    }

    /// An instruction's index and text, of a step counted from 0.
    pub fn instruction(&self, part: Part, at: usize) -> Option<(u32, &str)> {
        let instruction = self.walk(part).instruction(&self.log, at)?;
        Some((instruction.index, instruction.text))
    }

    /// The C line of a step, counted from 0.
    pub fn place(&self, part: Part, at: usize) -> Option<Span> {
        let walk = self.walk(part);
        let index = walk.instruction(&self.log, at)?.index;
        let source = || {
            let source = walk.source(&self.log, at)?;
            let (file, line) = source.place?;
            let span = self.places.named(file, line).unwrap_or_else(|| Span::line(file, line));
            Some(span.with_line_text(source.text))
        };
        self.places.span(index).or_else(source)
    }

    /// The step of the other part that stands at the same place.
    pub fn turn(&self, part: Part, at: usize) -> (Part, usize) {
        match part {
            Part::Path => (Part::Whole, self.whole.same_place(&self.path, at)),
            Part::Whole => (Part::Path, self.path.same_place(&self.whole, at)),
        }
    }

    /// The lines of a source file.
    pub fn source(&self, file: &Path) -> Option<String> {
        self.places.source(file)
    }

    fn made(&self, part: Part, at: usize, moment: &Moment<'_>) -> Option<Step> {
        let instruction = self.walk(part).instruction(&self.log, at)?;
        let known = moment.state.iter().map(|&(name, value)| {
            (name.to_owned(), value.to_owned(), moment.changed.contains(&name))
        });
        Some(Step {
            number: at + 1,
            instruction: instruction.index,
            text: instruction.text.to_owned(),
            depth: moment.depth,
            place: self.place(part, at),
            state: known.collect(),
        })
    }
}
