//! What a kernel said of a program, in numbers and a word.

use crate::{verifier_log, wire};
use std::path::PathBuf;

/// What a kernel said of a program.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The object, as the user wrote it.
    pub object: PathBuf,
    /// The program's place in the object.
    pub index: u32,
    /// The program's name.
    pub program: String,
    /// Its section.
    pub section: String,
    /// Its type, in libbpf's words.
    pub kind: String,
    /// The globals that were set for it, as `--set` wrote them; empty if none.
    pub set: String,
    /// The kernel's reference.
    pub kernel: String,
    /// The kernel's release.
    pub release: String,
    /// Accepted, rejected, or nothing.
    pub word: Word,
    /// The stage it did not get beyond, if it was not accepted.
    pub stage: Option<wire::Stage>,
    /// The error number, if it was refused.
    pub errno: Option<i32>,
    /// What libbpf said: its reasons for a refusal, or its warnings.
    pub said: Vec<String>,
    /// What the verifier counted.
    pub statistics: Statistics,
    /// Instructions of the program itself.
    pub size: Option<u32>,
    /// The time the load took, in microseconds.
    pub micros: Option<u64>,
    /// Bytes of the program after verification, if it was accepted.
    pub xlated: Option<u32>,
    /// Bytes of machine code, if it was accepted and compiled.
    pub jited: Option<u32>,
    /// What had to be changed to load it.
    pub fixups: Vec<String>,
    /// The file that keeps the verifier's log.
    pub log: Option<PathBuf>,
}

impl Verdict {
    /// Takes what the guest reported.
    pub(super) fn take(&mut self, program: &wire::Program) {
        self.statistics = Statistics::of_log(&program.verdict);
        self.size = Some(program.instructions).filter(|&count| count > 0);
        self.micros = Some(program.load_ns / 1000).filter(|&micros| micros > 0);
        self.xlated = Some(program.xlated_bytes).filter(|&bytes| bytes > 0);
        self.jited = Some(program.jited_bytes).filter(|&bytes| bytes > 0);
        self.fixups.clone_from(&program.fixups);
        self.said.clone_from(&program.warnings);
        (self.word, self.stage) = match &program.outcome {
            wire::Outcome::Accepted => (Word::Accepted, None),
            wire::Outcome::Refused(refusal) => {
                self.errno = Some(refusal.errno).filter(|&errno| errno != 0);
                self.said.clone_from(&refusal.messages);
                match refusal.stage {
                    wire::Stage::Verifier => (Word::Rejected, Some(refusal.stage)),
                    stage => (Word::NotLoaded(stage), Some(stage)),
                }
            }
            wire::Outcome::TimedOut { stage } | wire::Outcome::Crashed { stage, .. } => {
                (Word::None, Some(*stage))
            }
        };
    }

    /// What it is a verdict of, and the verdict: the heading of a log.
    pub(super) fn title(&self) -> String {
        let set = match self.set.as_str() {
            "" => String::new(),
            set => format!(" with {set}"),
        };
        let (object, program) = (self.object.display(), &self.program);
        let (kernel, release) = (&self.kernel, &self.release);
        format!("{object} {program} on {kernel} ({release}): {}{set}", self.word.text())
    }
}

/// The verdict in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// The kernel took it.
    Accepted,
    /// The kernel's verifier refused it.
    Rejected,
    /// It was refused before the verifier saw it, at this stage.
    NotLoaded(wire::Stage),
    /// There is no verdict.
    #[default]
    None,
}

impl Word {
    /// The stable text for tables.
    pub fn text(self) -> String {
        match self {
            Self::Accepted => "accepted".into(),
            Self::Rejected => "rejected".into(),
            Self::NotLoaded(stage) => format!("refused ({})", stage.as_str()),
            Self::None => "no verdict".into(),
        }
    }
}

/// What the verifier's log ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Instructions walked, over all paths.
    pub instructions: Option<u64>,
    /// States kept, over the whole walk.
    pub states: Option<u64>,
    /// The most states kept at once.
    pub peak_states: Option<u64>,
    /// The most states kept for one instruction.
    pub states_per_instruction: Option<u64>,
    /// The longest chain of marks of what is read (kernels up to 6.17).
    pub mark_read: Option<u64>,
    /// Bytes of stack, over all functions of the program.
    pub stack: Option<u64>,
    /// Microseconds the verifier took.
    pub micros: Option<u64>,
}

impl Statistics {
    /// Reads them from the end of a log.
    pub(super) fn of_log(log: &str) -> Self {
        let Some(summary) = verifier_log::Log::parse(log).summary else { return Self::default() };
        Self {
            instructions: Some(summary.processed),
            states: Some(summary.total_states),
            peak_states: Some(summary.peak_states),
            states_per_instruction: Some(summary.max_states_per_insn),
            mark_read: Some(summary.mark_read),
            stack: Some(summary.stack_depth.iter().map(|&bytes| u64::from(bytes)).sum()),
            micros: summary.verification_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_stand_at_the_end_of_a_log() {
        let log = "0: (95) exit\nverification time 12 usec\nstack depth 8+16\n\
                   processed 3 insns (limit 1000000) max_states_per_insn 4 total_states 2 \
                   peak_states 1 mark_read 5\n";
        let expected = Statistics {
            instructions: Some(3),
            states: Some(2),
            peak_states: Some(1),
            states_per_instruction: Some(4),
            mark_read: Some(5),
            stack: Some(24),
            micros: Some(12),
        };
        assert_eq!(Statistics::of_log(log), expected);
        assert_eq!(Statistics::of_log(""), Statistics::default());
    }
}
