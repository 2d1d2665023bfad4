//! What a code is; the codes themselves stand in [`super::codes`].

use super::Severity;
use std::fmt;

/// What a finding means for the command that met it; the exit code follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The user's program has a fault, or a kernel refused it: exit code 1.
    Finding,
    /// The command line or the manifest is wrong: exit code 2.
    Usage,
    /// The machine lacks something or failed: exit code 3.
    Environment,
    /// The user pressed Ctrl-C: exit code 130.
    Interrupted,
}

/// A stable name for one kind of finding: `E0301 map-value-maybe-null`.
#[derive(Clone, Copy)]
pub struct Code(&'static Row);

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub id: &'static str,
    pub slug: &'static str,
    pub class: Class,
    pub summary: &'static str,
}

impl Code {
    pub(super) const fn new(row: &'static Row) -> Self {
        Self(row)
    }

    /// The number with its letter: `E0301`, `W0402`.
    pub fn id(self) -> &'static str {
        self.0.id
    }

    /// The readable name: `map-value-maybe-null`.
    pub fn slug(self) -> &'static str {
        self.0.slug
    }

    /// What it means, in one line.
    pub fn summary(self) -> &'static str {
        self.0.summary
    }

    /// What it means for the command.
    pub fn class(self) -> Class {
        self.0.class
    }

    /// The severity its letter stands for.
    pub fn severity(self) -> Severity {
        if self.0.id.starts_with('W') { Severity::Warning } else { Severity::Error }
    }

    /// The code with this number or readable name.
    pub fn find(name: &str) -> Option<Self> {
        super::codes::ALL
            .iter()
            .copied()
            .find(|code| code.id().eq_ignore_ascii_case(name) || code.slug() == name)
    }
}

impl Code {
    /// The code that was probably meant by a name that is none: that of the
    /// number (`E301`, `301`), or the one with the most similar readable name.
    pub fn nearest(name: &str) -> Option<Self> {
        let lower = name.to_lowercase().replace('_', "-");
        let all = || super::codes::ALL.iter().copied();
        // How alike the digits look is no guide.
        if let Ok(number) = lower.trim_start_matches(['e', 'w']).parse::<u16>() {
            return all().find(|code| code.id()[1..].parse() == Ok(number));
        }
        // Of two with one name, the first is the error.
        let all = super::codes::ALL.iter().rev().copied();
        all.map(|code| (code, strsim::jaro_winkler(&lower, code.slug())))
            .filter(|(_, likeness)| *likeness > 0.8)
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(code, _)| code)
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Code {}

impl std::hash::Hash for Code {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id(), self.slug())
    }
}
