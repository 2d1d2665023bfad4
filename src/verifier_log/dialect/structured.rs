//! The form in which Linux 7.3 says an error: labelled lines instead of one
//! sentence. No released kernel of Debian speaks it yet, so everything but
//! the labels is taken as it comes.

/// What a labelled error says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Statement<'t> {
    /// Behind `Reason:`, else behind `Verification failed:`.
    pub reason: Option<&'t str>,
    /// The file and line behind `At:`.
    pub place: Option<(&'t str, u32)>,
    /// The lines below `Causal path:`.
    pub path: Vec<&'t str>,
    /// Behind `Suggestion:`.
    pub suggestion: Option<&'t str>,
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

const LABELS: [(&str, Part); 5] = [
    ("Verification failed:", Part::Headline),
    ("Reason:", Part::Reason),
    ("At:", Part::At),
    ("Causal path:", Part::Path),
    ("Suggestion:", Part::Suggestion),
];

/// Reads an error's lines, if they are labelled.
pub(crate) fn read<'t>(lines: &[&'t str]) -> Option<Statement<'t>> {
    let first = lines.iter().position(|line| line.trim_start().starts_with(LABELS[0].0))?;
    let mut statement = Statement::default();
    let mut part = Part::Headline;
    for line in &lines[first..] {
        let line = line.trim();
        let label =
            LABELS.iter().find_map(|(label, part)| Some((*part, line.strip_prefix(label)?)));
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
            Part::Headline => _ = statement.reason.get_or_insert(text),
            // The reason says more than the headline.
            Part::Reason => statement.reason = Some(text),
            Part::At => statement.place = statement.place.or_else(|| place(text)),
            Part::Path => statement.path.push(text),
            Part::Suggestion => _ = statement.suggestion.get_or_insert(text),
        }
    }
    Some(statement)
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
    fn labels_on_their_own_line_and_before_their_text() {
        let lines = [
            "Verification failed: invalid memory access",
            "Reason:",
            "  R0 invalid mem access 'map_value_or_null'",
            "At: count.bpf.c:18 (insn 7)",
            "Causal path:",
            "  count.bpf.c:17: R0 = bpf_map_lookup_elem()",
            "Suggestion: check the pointer for NULL",
        ];
        let statement = read(&lines).expect("it is labelled");
        assert_eq!(statement.reason, Some("R0 invalid mem access 'map_value_or_null'"));
        assert_eq!(statement.place, Some(("count.bpf.c", 18)));
        assert_eq!(statement.path.len(), 1);
        assert_eq!(statement.suggestion, Some("check the pointer for NULL"));
        assert_eq!(read(&["R0 !read_ok"]), None);
    }
}
