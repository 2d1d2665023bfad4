//! What stands beside the code: each program's verdict and cost on each
//! kernel above its function, and what the verifier spent on a line behind it.

use super::text::Text;
use crate::ops::verify::{Verdict, Word};
use lsp_types::{CodeLens, Command, InlayHint, InlayHintLabel, Position, Range};
use std::collections::BTreeMap;

/// The lenses of the programs whose functions a file defines.
pub fn lenses(text: &Text, verdicts: &[Verdict]) -> Vec<CodeLens> {
    let mut programs: Vec<&str> = Vec::new();
    for verdict in verdicts {
        if !programs.contains(&verdict.program.as_str()) {
            programs.push(&verdict.program);
        }
    }
    let lens = |program: &&str| {
        let line = definition(text, program)?;
        let of_program = verdicts.iter().filter(|verdict| verdict.program == *program);
        let title = of_program.map(words).collect::<Vec<_>>().join(" · ");
        // There is nothing to be done about a verdict but to read it.
        let command = Command { title, command: String::new(), arguments: None };
        Some(CodeLens { range: text.whole_line(line), command: Some(command), data: None })
    };
    programs.iter().filter_map(lens).collect()
}

fn words(verdict: &Verdict) -> String {
    let kernel = match verdict.release.split_once('-') {
        Some((release, _)) if !release.is_empty() => format!("Linux {release}"),
        _ => verdict.kernel.clone(),
    };
    let cost = match (verdict.word, verdict.statistics.instructions) {
        (Word::Accepted, Some(count)) => format!(", {count} insns verified"),
        _ => String::new(),
    };
    format!("{kernel}: {}{cost}", verdict.word.text())
}

/// The line on which a function is defined: its name, an opening parenthesis,
/// and a `SEC(…)` on the same line or within the three above.
fn definition(text: &Text, name: &str) -> Option<usize> {
    let lines: Vec<&str> = text.as_str().lines().collect();
    (0..lines.len()).find(|&at| {
        let here = lines[at].match_indices(name).any(|(from, _)| {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let behind = lines[at][from + name.len()..].trim_start();
            // `BPF_PROG(name, …)` defines one too.
            !lines[at][..from].ends_with(is_word)
                && (behind.starts_with('(') || behind.starts_with([',', ')']))
        });
        here && (at.saturating_sub(3)..=at).any(|above| lines[above].contains("SEC(\""))
    })
}

/// The hints of lines within a range.
pub fn hints(text: &Text, costs: &BTreeMap<u32, u64>, range: Range) -> Vec<InlayHint> {
    let shown = |(line, count): (&u32, &u64)| {
        let at = line.checked_sub(1)?;
        if at < range.start.line || at > range.end.line {
            return None;
        }
        let index = usize::try_from(at).ok()?;
        let end = text.whole_line(index).end.character;
        Some(InlayHint {
            position: Position::new(at, end),
            label: InlayHintLabel::String(format!("{count} insns")),
            kind: None,
            text_edits: None,
            tooltip: Some("instructions that the verifier walked for this line".to_owned().into()),
            padding_left: Some(true),
            padding_right: None,
            data: None,
        })
    };
    costs.iter().filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_section_and_name() {
        let text = Text::new(
            "int count(void);\n\nSEC(\"xdp\")\nint count(struct xdp_md *ctx)\n{\n}\n\n\n\n\
             SEC(\"fentry/x\")\nint BPF_PROG(opened, int a)\n{\n\treturn count(0);\n}\n"
                .to_owned(),
        );
        assert_eq!(definition(&text, "count"), Some(3));
        assert_eq!(definition(&text, "opened"), Some(10));
        assert_eq!(definition(&text, "coun"), None);
        let verdict = |kernel: &str, word, instructions| {
            let mut verdict = Verdict {
                program: "count".to_owned(),
                kernel: kernel.to_owned(),
                word,
                ..Verdict::default()
            };
            verdict.statistics.instructions = instructions;
            verdict
        };
        let verdicts = [
            verdict("debian/trixie", Word::Accepted, Some(12)),
            verdict("a", Word::Rejected, Some(3)),
        ];
        let lenses = lenses(&text, &verdicts);
        assert_eq!(lenses.len(), 1);
        assert_eq!(lenses[0].range.start.line, 3);
        let title = &lenses[0].command.as_ref().unwrap().title;
        assert_eq!(title, "debian/trixie: accepted, 12 insns verified · a: rejected");
    }

    #[test]
    fn a_cost_stands_behind_its_line() {
        let text = Text::new("a;\n\tbb;\n".to_owned());
        let costs = BTreeMap::from([(1, 5), (2, 7)]);
        let range = Range::new(Position::new(1, 0), Position::new(9, 0));
        let hints = hints(&text, &costs, range);
        assert_eq!(hints.len(), 1);
        assert_eq!(hints[0].position, Position::new(1, 4));
    }
}
