//! `--blame`: which C lines the verifier spent its instructions on, from the
//! walk that its level-2 log tells.

use super::{Object, Verdict};
use crate::diagnostics::Span;
use crate::ops::Session;
use crate::ops::places::{ProgramPlaces, SourceFinder};
use crate::verifier_log::{Log, Places as _};
use std::path::PathBuf;

/// What the lines of a program cost on a kernel.
#[derive(Clone, Debug)]
pub struct Blame {
    /// The object, as the user wrote it.
    pub object: PathBuf,
    /// The program.
    pub program: String,
    /// The globals that were set; empty if none.
    pub set: String,
    /// The kernel's reference.
    pub kernel: String,
    /// Instructions that the log tells of: fewer than were verified, where it
    /// is longer than a log can be.
    pub told: u64,
    /// Instructions that were verified, if the kernel says.
    pub verified: Option<u64>,
    /// The lines, the most expensive first.
    pub lines: Vec<LineCost>,
}

/// What a line costs.
#[derive(Clone, Debug)]
pub struct LineCost {
    /// The line; none for instructions that come from no line.
    pub span: Option<Span>,
    /// How many instructions of the program are of it.
    pub size: u64,
    /// How many the verifier walked.
    pub instructions: u64,
}

impl Blame {
    /// A line's share of all that is told, in per cent.
    pub fn share(&self, line: &LineCost) -> f64 {
        line.instructions as f64 * 100.0 / self.told.max(1) as f64
    }
}

/// Folds a log by line; nothing where it tells of no instruction.
pub(super) fn blame(
    session: &Session,
    object: &Object,
    verdict: &Verdict,
    log: &str,
) -> Option<Blame> {
    let finder = SourceFinder::new(session, &object.root);
    let places = ProgramPlaces::new(Some(&object.elf), Some(&verdict.program), finder);
    let visits = Log::parse(log).visits();
    let mut lines: Vec<LineCost> = Vec::new();
    for (&index, &count) in &visits {
        let span = places.span(index);
        let line =
            |span: &Option<Span>| span.as_ref().map(|span| (span.file.clone(), span.start.line));
        match lines.iter_mut().find(|known| line(&known.span) == line(&span)) {
            Some(known) => {
                known.size += 1;
                known.instructions += count;
            }
            None => lines.push(LineCost { span, size: 1, instructions: count }),
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.instructions));
    let told = visits.values().sum();
    (told > 0).then(|| Blame {
        object: verdict.object.clone(),
        program: verdict.program.clone(),
        set: verdict.set.clone(),
        kernel: verdict.kernel.clone(),
        told,
        verified: verdict.statistics.instructions,
        lines,
    })
}
