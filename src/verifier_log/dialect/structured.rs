//! The report that Linux 7.3 puts behind the sentence of its verifier (the
//! kernel's kernel/bpf/diagnostics.c writes it): labelled sections, each
//! indented by two blanks and wrapped at the width of a terminal.
//!
//! ```text
//! R0 !read_ok
//!
//! Verification failed: Register Type Safety: Unreadable register
//!
//! Reason:
//!   why, in sentences
//!
//! At:
//!   function @ file.c:18:9        or: insn 7
//!   Source context: …, Instruction context: …
//!
//! Causal path:
//!   what was recorded on the way here
//!
//! Suggestion:
//!   what to do
//! ```
//!
//! No kernel of Debian's speaks it yet: the form is from the kernel's source
//! and from what others show of it, so more is taken than is written there.

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Statement<'t> {
    /// The sentences before the report, as older kernels have them.
    pub before: Vec<&'t str>,
    /// The kind of the fault and what it is, behind `Verification failed:`.
    pub headline: &'t str,
    /// Below `Reason:`, on one line.
    pub reason: String,
    /// The file and line below `At:`.
    pub place: Option<(&'t str, u32)>,
    /// The instruction below `At:`, where there is no line.
    pub instruction: Option<u32>,
    /// The lines below `Causal path:`.
    pub path: Vec<&'t str>,
    /// Below `Suggestion:`, on one line.
    pub suggestion: String,
}

/// Which label the lines that follow belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Headline,
    Reason,
    At,
    Path,
    Suggestion,
}

const HEADLINE: &str = "Verification failed:";

const LABELS: [(&str, Part); 5] = [
    (HEADLINE, Part::Headline),
    ("Reason:", Part::Reason),
    ("At:", Part::At),
    ("Causal path:", Part::Path),
    ("Suggestion:", Part::Suggestion),
];

/// Whether a report begins with a line. What follows is none of the walk's,
/// whatever it looks like.
pub(crate) fn begins(line: &str) -> bool {
    line.starts_with(HEADLINE)
}

/// Reads an error's lines, if a report is among them.
pub(crate) fn read<'t>(lines: &[&'t str]) -> Option<Statement<'t>> {
    let first = lines.iter().position(|line| begins(line.trim_start()))?;
    let mut statement = Statement { before: lines[..first].to_vec(), ..Statement::default() };
    let mut part = Part::Headline;
    for line in &lines[first..] {
        // What is indented is text, also if it begins like a label.
        let is_inside = line.starts_with("  ");
        let line = line.trim();
        let label = LABELS
            .iter()
            .filter(|_| !is_inside)
            .find_map(|(label, part)| Some((*part, line.strip_prefix(label)?)));
        let text = match label {
            Some((next, rest)) => {
                part = next;
                rest.trim()
            }
            None => line,
        };
        if text.is_empty() {
            continue;
        }
        match part {
            Part::Headline if statement.headline.is_empty() => statement.headline = text,
            Part::Headline => {}
            Part::Reason => append(&mut statement.reason, text),
            Part::At if statement.place.is_none() && statement.instruction.is_none() => {
                let number = text.strip_prefix("insn ").and_then(|number| number.parse().ok());
                statement.instruction = number;
                statement.place = place(text);
            }
            Part::At => {}
            Part::Path => statement.path.push(text),
            Part::Suggestion => append(&mut statement.suggestion, text),
        }
    }
    Some(statement)
}

/// Joins what was wrapped.
fn append(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(line);
}

/// The first word of the form `file:line` or `file:line:column`.
fn place(text: &str) -> Option<(&str, u32)> {
    text.split_whitespace().find_map(|word| {
        let (file, rest) = word.trim_matches(['(', ')', ',']).split_once(':')?;
        let line = rest.split(':').next()?.parse().ok()?;
        (!file.is_empty()).then_some((file, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_a_place() {
        let lines = [
            "R0 invalid mem access 'map_value_or_null'",
            "Verification failed: Register Type Safety: Bad pointer",
            "Reason:",
            "  R0 can be empty at this point, and nothing on the way here says",
            "  that it is not.",
            "At:",
            "  count @ count.bpf.c:18:9",
            "  Source context:",
            "    >>> 18 | *value += 1;",
            "           |         ^-- error: R0 is used here",
            "  Instruction context:",
            "  >>> 7 | (79) r1 = *(u64 *)(r0 +0)",
            "Causal path:",
            "  count @ count.bpf.c:17:10",
            "  Reason: the call left R0 so",
            "Suggestion:",
            "  Compare it with NULL first, and",
            "  leave where it is.",
        ];
        let statement = read(&lines).expect("it has a report");
        assert_eq!(statement.before, lines[..1]);
        assert_eq!(statement.headline, "Register Type Safety: Bad pointer");
        assert!(statement.reason.ends_with("nothing on the way here says that it is not."));
        assert_eq!(statement.place, Some(("count.bpf.c", 18)));
        assert_eq!(statement.instruction, None);
        assert_eq!(statement.path.len(), 2);
        assert_eq!(statement.suggestion, "Compare it with NULL first, and leave where it is.");
        assert_eq!(read(&["R0 !read_ok"]), None);
    }

    #[test]
    fn a_report_of_an_object_without_lines() {
        let lines = [
            "Verification failed: Policy",
            "At:",
            "  insn 12",
            "        | ^-- error: not allowed",
            "  Instruction context:",
            "  >>> 12 | (85) call pc+3",
        ];
        let statement = read(&lines).expect("it has a report");
        assert_eq!((statement.instruction, statement.place), (Some(12), None));
        assert_eq!(statement.reason, "");
    }
}
