//! `skep bisect`: the first of several kernels, or of several clangs, that
//! gives a program another verdict. The list is halved again and again, as
//! `git bisect` does, so that few of them are fetched and booted.

use super::Session;
use super::verify::{self, Verdict, Word};
use crate::diagnostics::{Class, Diagnostic, Failure, Origin, codes};
use crate::project::Project;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is tried, one after the other, from old to new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// Kernels, by their references; the project's matrix if there is none.
    Kernels(Vec<String>),
    /// Compilers, by name or path, on these kernels.
    Clangs(Vec<PathBuf>),
}

/// What to look for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What each candidate verifies, and how. The kernels are those that
    /// compilers are tried on.
    pub verify: verify::Request,
    /// What is tried.
    pub candidates: Candidates,
}

/// A candidate that was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its place in the list, from 0.
    pub index: usize,
    /// What the user called it.
    pub name: String,
    /// What it said.
    pub verdicts: Vec<Verdict>,
    /// What was wrong with it.
    diagnostics: Vec<Diagnostic>,
}

/// Two neighbours that disagree.
#[derive(Clone, Debug)]
pub struct Flip {
    /// The older one, and its verdict.
    pub before: (String, Verdict),
    /// The first that says something else.
    pub after: (String, Verdict),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was tried, in the order of the list.
    pub tried: Vec<Tried>,
    /// Where verdicts flip; none where the ends agree on every program.
    pub flips: Vec<Flip>,
    /// Why programs were rejected where they flip; or why a candidate could
    /// not be tried.
    pub diagnostics: Vec<Diagnostic>,
}

/// A program: its object, its name, the kernel (for compilers), the globals.
type Key = (PathBuf, String, String, String);

/// Finds where verdicts flip.
///
/// # Errors
/// Fewer than two candidates, or what keeps a verification from beginning.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let names = names(session, request)?;
    let mut bisection = Bisection { session, request, names, tried: BTreeMap::new() };
    let mut outcome = Outcome::default();
    let last = bisection.names.len() - 1;
    for end in [0, last] {
        if let Some(broken) = bisection.attempt(end)? {
            outcome.diagnostics = broken;
            return Ok(bisection.into(outcome));
        }
    }
    for key in bisection.programs() {
        let (mut low, mut high) = (0, last);
        let end = |index: usize, bisection: &Bisection<'_>| bisection.accepts(index, &key);
        let (Some(first), Some(other)) = (end(0, &bisection), end(last, &bisection)) else {
            continue;
        };
        if first == other {
            continue;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if let Some(broken) = bisection.attempt(middle)? {
                outcome.diagnostics.extend(broken);
                return Ok(bisection.into(outcome));
            }
            match bisection.accepts(middle, &key) {
                Some(word) if word == first => low = middle,
                _ => high = middle,
            }
        }
        outcome.flips.extend(bisection.flip(low, high, &key));
        let rejecting = if first { high } else { low };
        outcome.diagnostics.extend(bisection.reasons(rejecting, &key));
    }
    Ok(bisection.into(outcome))
}

/// The candidates' names.
fn names(session: &Session, request: &Request) -> Result<Vec<String>, Failure> {
    let (names, what) = match &request.candidates {
        Candidates::Kernels(kernels) if kernels.is_empty() => {
            let start = request.verify.paths.first();
            let start = start.map_or_else(|| session.cwd.clone(), |path| session.absolute(path));
            let matrix = Project::find(&start).map(|project| project.manifest.kernels.matrix);
            let matrix = matrix.unwrap_or_default();
            (matrix.into_iter().map(|entry| entry.value).collect(), "kernel")
        }
        Candidates::Kernels(kernels) => (kernels.clone(), "kernel"),
        Candidates::Clangs(clangs) => {
            (clangs.iter().map(|clang| clang.display().to_string()).collect(), "clang")
        }
    };
    if names.len() < 2 {
        let message = format!("to bisect takes two {what}s or more, from old to new");
        let diagnostic = Diagnostic::new(codes::USAGE, Origin::Command, message);
        return Err(diagnostic
            .help("`--kernels debian/bullseye,debian/trixie` or `--clang clang-14,clang-19` names them")
            .into());
    }
    Ok(names)
}

struct Bisection<'b> {
    session: &'b Session,
    request: &'b Request,
    names: Vec<String>,
    tried: BTreeMap<usize, Tried>,
}

impl Bisection<'_> {
    /// Tries a candidate, once; findings if it cannot be tried.
    fn attempt(&mut self, index: usize) -> Result<Option<Vec<Diagnostic>>, Failure> {
        if self.tried.contains_key(&index) {
            return Ok(None);
        }
        let name = self.names[index].clone();
        let mut request = self.request.verify.clone();
        let mut session = self.session.clone();
        match &self.request.candidates {
            Candidates::Kernels(_) => request.kernels = vec![name.clone()],
            Candidates::Clangs(clangs) => session.clang = Some(clangs[index].clone()),
        }
        let outcome = verify::verify(&session, &request)?;
        let is_broken = |diagnostic: &Diagnostic| {
            diagnostic.is_error() && diagnostic.code.class() != Class::Finding
        };
        if outcome.verdicts.is_empty() || outcome.diagnostics.iter().any(is_broken) {
            let note = format!("{name} could not be tried");
            let noted = |diagnostic: Diagnostic| diagnostic.note(note.clone());
            return Ok(Some(outcome.diagnostics.into_iter().map(noted).collect()));
        }
        let verify::Outcome { verdicts, diagnostics, .. } = outcome;
        self.tried.insert(index, Tried { index, name, verdicts, diagnostics });
        Ok(None)
    }

    fn key(&self, verdict: &Verdict) -> Key {
        let kernel = match &self.request.candidates {
            Candidates::Kernels(_) => String::new(),
            Candidates::Clangs(_) => verdict.kernel.clone(),
        };
        (verdict.object.clone(), verdict.program.clone(), kernel, verdict.set.clone())
    }

    /// The programs that the first candidate has.
    fn programs(&self) -> Vec<Key> {
        let first = self.tried.get(&0).into_iter().flat_map(|tried| &tried.verdicts);
        first.map(|verdict| self.key(verdict)).collect()
    }

    fn verdict(&self, index: usize, key: &Key) -> Option<&Verdict> {
        let verdicts = &self.tried.get(&index)?.verdicts;
        verdicts.iter().find(|verdict| self.key(verdict) == *key)
    }

    /// Whether a candidate accepts a program; nothing if it has no verdict.
    fn accepts(&self, index: usize, key: &Key) -> Option<bool> {
        let word = self.verdict(index, key)?.word;
        (word != Word::None).then_some(word == Word::Accepted)
    }

    fn flip(&self, low: usize, high: usize, key: &Key) -> Option<Flip> {
        let side =
            |index: usize| Some((self.names[index].clone(), self.verdict(index, key)?.clone()));
        Some(Flip { before: side(low)?, after: side(high)? })
    }

    /// Why a candidate rejects a program.
    fn reasons(&self, index: usize, key: &Key) -> Vec<Diagnostic> {
        let all = self.tried.get(&index).into_iter().flat_map(|tried| &tried.diagnostics);
        let of_program = all.filter(|diagnostic| {
            diagnostic.program.as_ref() == Some(&key.1)
                && diagnostic.place.as_ref().is_none_or(|place| place.object == key.0)
        });
        of_program.cloned().collect()
    }

    fn into(self, outcome: Outcome) -> Outcome {
        Outcome { tried: self.tried.into_values().collect(), ..outcome }
    }
}
