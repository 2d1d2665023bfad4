//! `[[budget]]`: what programs may cost on which kernel.

use super::{Object, Verdict, Word, finding};
use crate::diagnostics::{Diagnostic, Failure, Label, Origin, Span, codes};
use crate::ops::Session;
use crate::project::Project;
use crate::project::manifest::{self, Located};
use globset::{Glob, GlobMatcher};

/// The budgets of a project.
pub(super) struct Budgets<'p> {
    project: &'p Project,
    all: Vec<Budget<'p>>,
}

struct Budget<'p> {
    program: GlobMatcher,
    kernel: GlobMatcher,
    written: &'p manifest::Budget,
}

/// The projects' budgets, in the order of the projects.
///
/// # Errors
/// A pattern that is none.
pub(super) fn of_projects<'p>(
    session: &Session,
    projects: &'p [Project],
) -> Result<Vec<Budgets<'p>>, Failure> {
    let read = |project: &'p Project| {
        let compile = |written: &'p manifest::Budget, pattern: &str| {
            Glob::new(pattern).map(|glob| glob.compile_matcher()).map_err(|error| {
                let message = format!("`{pattern}` is not a pattern: {}", error.kind());
                let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
                Failure::from(match span(session, project, written) {
                    Some(span) => mistake.at(span),
                    None => mistake,
                })
            })
        };
        let budget = |written: &'p manifest::Budget| {
            Ok(Budget {
                program: compile(written, &written.program)?,
                kernel: compile(written, &written.kernel)?,
                written,
            })
        };
        let all = project.manifest.budgets.iter().map(budget).collect::<Result<_, Failure>>()?;
        Ok(Budgets { project, all })
    };
    projects.iter().map(read).collect()
}

/// Where a budget stands in the manifest.
fn span(session: &Session, project: &Project, budget: &manifest::Budget) -> Option<Span> {
    let mut span = project.span(&Located::written((), budget.range.clone()))?;
    span.file = session.display(&span.file).to_owned();
    Some(span)
}

/// The accepted programs that cost more than they may.
pub(super) fn check(
    session: &Session,
    budgets: &[Budgets<'_>],
    objects: &[Object],
    verdicts: &[Verdict],
) -> Vec<Diagnostic> {
    let accepted = verdicts.iter().filter(|verdict| verdict.word == Word::Accepted);
    accepted
        .filter_map(|verdict| {
            let object = objects.iter().find(|object| object.path == verdict.object)?;
            budgets.get(object.project?)?.over(session, object, verdict)
        })
        .collect()
}

impl Budgets<'_> {
    fn over(&self, session: &Session, object: &Object, verdict: &Verdict) -> Option<Diagnostic> {
        let statistics = &verdict.statistics;
        let mut over = Vec::new();
        let mut places = Vec::new();
        type Limit = fn(&manifest::Budget) -> Option<u64>;
        let limits: [(&str, Option<u64>, Limit); 3] = [
            ("verified instructions", statistics.instructions, |budget| budget.instructions),
            ("states", statistics.states, |budget| budget.states),
            ("bytes of stack", statistics.stack, |budget| budget.stack),
        ];
        for (what, spent, limit) in limits {
            // The last one that fits counts, so that exceptions follow rules.
            let budget = self.all.iter().rev().find(|budget| {
                limit(budget.written).is_some()
                    && budget.program.is_match(&verdict.program)
                    && budget.kernel.is_match(&verdict.kernel)
            });
            let (Some(budget), Some(spent)) = (budget, spent) else { continue };
            let Some(allowed) = limit(budget.written).filter(|allowed| spent > *allowed) else {
                continue;
            };
            over.push(format!("{spent} {what}, {allowed} allowed"));
            if !places.contains(&budget.written) {
                places.push(budget.written);
            }
        }
        if over.is_empty() {
            return None;
        }
        let message = format!("`{}` is over its budget: {}", verdict.program, over.join("; "));
        let mut diagnostic = Diagnostic::new(codes::OVER_BUDGET, Origin::Verifier, message)
            .help("`skep verify --blame` shows the C lines that cost the most")
            .program(verdict.program.clone())
            .object_place(finding::place(verdict))
            .kernel(verdict.kernel.clone());
        diagnostic.primary = finding::begin(session, object, &verdict.program)
            .map(|span| Label { span, message: String::new() });
        for budget in places {
            if let Some(span) = span(session, self.project, budget) {
                diagnostic = diagnostic.label(span, "the budget");
            }
        }
        if !verdict.set.is_empty() {
            diagnostic = diagnostic.note(format!("with `{}`", verdict.set));
        }
        Some(diagnostic)
    }
}
