//! The numbers at the end of a log.

use super::line::number;

/// What the verifier says of its own work, at the end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// Instructions walked, each as often as it was met.
    pub processed: u64,
    /// The most it would have walked.
    pub limit: u64,
    /// The most states kept for one instruction.
    pub max_states_per_insn: u64,
    /// States made in all.
    pub total_states: u64,
    /// States kept at once, at most.
    pub peak_states: u64,
    /// The longest chain of marks of what is read (kernels up to 6.17).
    pub mark_read: u64,
    /// How long it took, in microseconds.
    pub verification_time: Option<u64>,
    /// Bytes of stack of the program and of each of its functions.
    pub stack_depth: Vec<u32>,
}

impl Summary {
    /// Takes in one line of the summary; says whether it was the last
    /// (`processed …`).
    pub(super) fn take(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix("verification time ") {
            self.verification_time = number(rest).map(|(micros, _)| micros.into());
        } else if let Some(rest) = line.strip_prefix("stack depth ") {
            // `16+0+8`; 7.x adds the largest sum: `16+8 max 24`.
            let sum = rest.split(' ').next().unwrap_or_default();
            self.stack_depth = sum.split('+').filter_map(|part| part.parse().ok()).collect();
        } else if line.starts_with("processed ") {
            let words: Vec<&str> = line.split([' ', '(', ')']).filter(|w| !w.is_empty()).collect();
            for pair in words.windows(2) {
                let Ok(value) = pair[1].parse() else { continue };
                match pair[0] {
                    "processed" => self.processed = value,
                    "limit" => self.limit = value,
                    "max_states_per_insn" => self.max_states_per_insn = value,
                    "total_states" => self.total_states = value,
                    "peak_states" => self.peak_states = value,
                    "mark_read" => self.mark_read = value,
                    _ => {}
                }
            }
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_are_read() {
        let mut summary = Summary::default();
        assert!(!summary.take("verification time 215 usec"));
        assert!(!summary.take("stack depth 8+304"));
        assert!(summary.take(
            "processed 41 insns (limit 1000000) max_states_per_insn 1 total_states 2 \
             peak_states 3 mark_read 4"
        ));
        let expected = Summary {
            processed: 41,
            limit: 1_000_000,
            max_states_per_insn: 1,
            total_states: 2,
            peak_states: 3,
            mark_read: 4,
            verification_time: Some(215),
            stack_depth: vec![8, 304],
        };
        assert_eq!(summary, expected);
    }
}
