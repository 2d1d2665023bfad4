//! What the verifier spent on each C line: how often it walked over an
//! instruction of it, all paths together.

use super::log::Log;
use super::story::Places;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// How many instructions of each C line were walked. Only a log of level 2
/// has all paths; one of level 1 has the last. Instructions without a line
/// are left out.
pub fn by_line(log: &Log<'_>, places: &dyn Places) -> BTreeMap<(PathBuf, u32), u64> {
    let mut walked: HashMap<u32, u64> = HashMap::new();
    for instruction in log.instructions() {
        *walked.entry(instruction.index).or_default() += 1;
    }
    let mut lines = BTreeMap::new();
    for (index, count) in walked {
        if let Some(span) = places.span(index) {
            *lines.entry((span.file, span.start.line)).or_default() += count;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Span;

    struct TwoLines;

    impl Places for TwoLines {
        fn span(&self, instruction: u32) -> Option<Span> {
            (instruction < 4).then(|| Span::line("a.c", 1 + instruction / 2))
        }
    }

    #[test]
    fn every_walk_counts() {
        let log = Log::parse(
            "0: (b7) r0 = 0\n1: (15) if r1 == 0x0 goto pc+1\n2: (b7) r0 = 1\n3: (95) exit\n\
             from 1 to 3: R0=0\n3: (95) exit\n4: (95) exit\n",
        );
        let lines = by_line(&log, &TwoLines);
        let line = |number| ((PathBuf::from("a.c"), number), 0);
        assert_eq!(lines.keys().collect::<Vec<_>>(), [&line(1).0, &line(2).0]);
        assert_eq!(lines.into_values().collect::<Vec<_>>(), [2, 3]);
    }
}
