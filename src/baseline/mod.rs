//! Floor 3: what programs cost an earlier verifier, and how long they ran; old
//! against new.
//!
//! Figures are kept in skep's own JSON ([`json`]), or in veristat's CSV
//! ([`csv`]), so that either tool reads what the other one wrote. Everything
//! here is pure: texts in, figures and [`Change`]s out.

pub mod csv;
pub mod json;

use serde::{Deserialize, Serialize};
use std::fmt;

/// What one program cost on one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// The object's file name; its path where two have one name.
    pub object: String,
    /// The program's name.
    pub program: String,
    /// The globals that were set; empty if none.
    pub set: String,
    /// The kernel's reference; none in veristat's files, which do not say.
    pub kernel: Option<String>,
    /// The kernel's release.
    pub release: Option<String>,
    /// Whether the kernel took it.
    pub accepted: bool,
    /// The verdict in a word.
    pub verdict: String,
    /// Instructions that the verifier walked.
    pub instructions: Option<u64>,
    /// States that it made.
    pub states: Option<u64>,
    /// The most it kept at once.
    pub peak_states: Option<u64>,
    /// The most it kept for one instruction.
    pub max_states_per_instruction: Option<u64>,
    /// The longest chain of marks of what is read.
    pub mark_read: Option<u64>,
    /// Bytes of stack.
    pub stack: Option<u64>,
    /// Microseconds that the verifier took.
    pub verification_micros: Option<u64>,
    /// The test that the program was run with, if that is what was measured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub test: String,
    /// Nanoseconds of one run then, in the median of some rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_nanos: Option<u64>,
    /// What three quarters of those rounds did not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_nanos_high: Option<u64>,
}

/// Why a text holds no figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1; 0 if it is about the whole.
    pub line: u32,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Error {}

/// Reads figures in either format.
///
/// # Errors
/// The text is in neither.
pub fn read(text: &str) -> Result<Vec<Figures>, Error> {
    if text.trim_start().starts_with('{') { json::read(text) } else { csv::read(text) }
}

/// What became of a program since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was not there.
    New,
    /// It is not there any more.
    Gone,
    /// It was accepted, and is not any more.
    Broken,
    /// It is accepted, and was not.
    Mended,
    /// It costs something else.
    Changed,
    /// It is as it was.
    Same,
}

impl Kind {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Broken => "broken",
            Self::Mended => "mended",
            Self::Changed => "changed",
            Self::Same => "same",
        }
    }
}

/// A program then and now; one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Then.
    pub old: Option<Figures>,
    /// Now.
    pub new: Option<Figures>,
}

impl Change {
    /// What became of it.
    pub fn kind(&self) -> Kind {
        match (&self.old, &self.new) {
            (None, _) => Kind::New,
            (_, None) => Kind::Gone,
            (Some(old), Some(new)) if old.accepted && !new.accepted => Kind::Broken,
            (Some(old), Some(new)) if !old.accepted && new.accepted => Kind::Mended,
            (Some(old), Some(new)) => {
                let cost = |of: &Figures| (of.instructions, of.states);
                if cost(old) == cost(new) { Kind::Same } else { Kind::Changed }
            }
        }
    }

    /// By how much a figure grew, in per cent of what it was; negative if it
    /// shrank, 100 from nothing to something, as veristat counts.
    pub fn growth(&self, figure: fn(&Figures) -> Option<u64>) -> Option<f64> {
        let (old, new) = (figure(self.old.as_ref()?)?, figure(self.new.as_ref()?)?);
        Some(match (old, new) {
            (0, 0) => 0.0,
            (0, _) => 100.0,
            (old, new) => (new as f64 - old as f64) * 100.0 / old as f64,
        })
    }
}

/// Puts old and new figures side by side, in the order of the new ones. Old
/// ones without a kernel are for every kernel. Of old ones that nothing new
/// belongs to, `is_missed` says whether that means something.
pub fn compare(
    old: &[Figures],
    new: &[Figures],
    is_missed: impl Fn(&Figures) -> bool,
) -> Vec<Change> {
    let belongs = |old: &Figures, new: &Figures| {
        old.program == new.program
            && old.object == new.object
            && old.set == new.set
            && old.test == new.test
            && (old.kernel.is_none() || old.kernel == new.kernel)
    };
    let mut changes: Vec<Change> = new
        .iter()
        .map(|new| Change {
            old: old.iter().find(|old| belongs(old, new)).cloned(),
            new: Some(new.clone()),
        })
        .collect();
    let gone = old.iter().filter(|old| !new.iter().any(|new| belongs(old, new)));
    let gone = gone.filter(|old| is_missed(old));
    changes.extend(gone.map(|old| Change { old: Some(old.clone()), new: None }));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(program: &str, accepted: bool, instructions: u64) -> Figures {
        Figures {
            object: "a.bpf.o".into(),
            program: program.into(),
            kernel: Some("debian/trixie".into()),
            accepted,
            instructions: Some(instructions),
            states: Some(0),
            ..Figures::default()
        }
    }

    #[test]
    fn old_against_new() {
        let old = [
            figures("same", true, 10),
            figures("grown", true, 10),
            figures("broken", true, 10),
            figures("mended", false, 10),
            figures("gone", true, 10),
            figures("elsewhere", true, 10),
        ];
        let new = [
            figures("same", true, 10),
            figures("grown", true, 15),
            figures("broken", false, 10),
            figures("mended", true, 10),
            figures("new", true, 10),
        ];
        let changes = compare(&old, &new, |old| old.program != "elsewhere");
        let kinds: Vec<Kind> = changes.iter().map(Change::kind).collect();
        use Kind::*;
        assert_eq!(kinds, [Same, Changed, Broken, Mended, New, Gone]);
        assert_eq!(changes[1].growth(|of| of.instructions), Some(50.0));
        assert_eq!(changes[1].growth(|of| of.states), Some(0.0));
        assert_eq!(changes[4].growth(|of| of.states), None);
    }

    #[test]
    fn figures_without_a_kernel_are_for_each() {
        let old = [Figures { kernel: None, ..figures("a", true, 10) }];
        let new = [figures("a", true, 10), Figures { kernel: None, ..figures("a", true, 20) }];
        let kinds: Vec<Kind> = compare(&old, &new, |_| true).iter().map(Change::kind).collect();
        assert_eq!(kinds, [Kind::Same, Kind::Changed]);
    }
}
