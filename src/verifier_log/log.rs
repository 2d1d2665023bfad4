//! The parser: one pass over the text that keeps where things stand, not
//! copies of them. An item of 16 bytes stands for each line worth keeping;
//! what is in the line is read when someone asks.

use super::dialect::structured::{self, Statement};
use super::dialect::{self, Dialect};
use super::disasm::Operation;
use super::line::{self, Kind, Line, number};
use super::source::Source;
use super::summary::Summary;

/// How many lines of an error are kept.
const MAX_ERROR_LINES: usize = 256;

/// How many lines are asked for their dialect before the question is settled.
const DIALECT_LINES: u32 = 4096;

/// A log of the verifier, read. Everything in it borrows from the text.
#[derive(Clone, Debug)]
pub struct Log<'t> {
    /// The text it was made from.
    pub text: &'t str,
    /// The family of kernels that wrote it.
    pub dialect: Dialect,
    /// The numbers at the end, if the log has its end.
    pub summary: Option<Summary>,
    /// What the kernel had to say last, line by line: the error, where there
    /// is one.
    pub error: Vec<&'t str>,
    /// The same in its parts, where the kernel labels them.
    pub statement: Option<Statement<'t>>,
    /// The index of the first instruction of each function.
    pub functions: Vec<u32>,
    /// Where the log ends in the text, when something else follows.
    pub end: usize,
    pub(super) items: Vec<Item>,
}

/// A line worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub start: u32,
    pub length: u32,
    pub number: u32,
    pub kind: Kind,
}

/// An instruction as the verifier walked over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction<'t> {
    /// Its index, counted in 8-byte slots from the start of the program as
    /// the kernel sees it.
    pub index: u32,
    /// The disassembly, without the opcode in parentheses.
    pub text: &'t str,
    /// The state behind it, where the dialect puts it there.
    pub state: Option<&'t str>,
}

impl<'t> Instruction<'t> {
    /// What it does.
    pub fn operation(&self) -> Operation<'t> {
        Operation::parse(self.text)
    }
}

impl<'t> Log<'t> {
    /// Reads a log. Text that is none gives a log without instructions whose
    /// error is the text; nothing is refused. Of text beyond 4 GiB the rest is
    /// left alone.
    pub fn parse(text: &'t str) -> Self {
        let mut log = Self {
            text,
            dialect: Dialect::V5_10,
            summary: None,
            error: Vec::new(),
            statement: None,
            functions: Vec::new(),
            end: text.len(),
            items: Vec::new(),
        };
        let mut summary = Summary::default();
        let mut asked = 0;
        let mut reported = false;
        let mut at = 0;
        for whole in text.split_inclusive('\n') {
            let start = at;
            at += whole.len();
            let line = whole.trim_end_matches(['\n', '\r']);
            let (Ok(offset), Ok(length)) = (u32::try_from(start), u32::try_from(line.len())) else {
                break;
            };
            let what = match line::classify(line) {
                what @ (Line::Summary | Line::Text) => what,
                _ if reported => Line::Text,
                what => what,
            };
            reported |= matches!(what, Line::Text) && structured::begins(line);
            if asked < DIALECT_LINES && !matches!(what, Line::Text) {
                asked += 1;
                log.dialect = dialect::detect(line).map_or(log.dialect, |it| it.max(log.dialect));
            }
            match what {
                Line::Kept(kind, number) => {
                    if !matches!(kind, Kind::Source | Kind::CallMarker) {
                        log.error.clear();
                    }
                    log.items.push(Item { start: offset, length, number, kind });
                }
                Line::Function(first) => log.functions.push(first),
                Line::Noise => {}
                Line::Summary => {
                    if summary.take(line) {
                        log.summary = Some(summary);
                        log.end = at;
                        break;
                    }
                }
                // Some messages lack their newline, and the summary follows
                // on the same line.
                Line::Text => match summary_inside(line) {
                    Some(inside) => {
                        log.add_error(&line[..inside]);
                        if summary.take(&line[inside..]) {
                            log.summary = Some(summary);
                            log.end = at;
                            break;
                        }
                    }
                    None => log.add_error(line),
                },
            }
        }
        log.statement = structured::read(&log.error);
        log
    }

    fn add_error(&mut self, line: &'t str) {
        if !line.trim().is_empty() && self.error.len() < MAX_ERROR_LINES {
            self.error.push(line);
        }
    }

    /// The instructions in the order in which they were walked.
    pub fn instructions(&self) -> impl Iterator<Item = Instruction<'t>> + '_ {
        self.items
            .iter()
            .filter(|item| item.kind == Kind::Instruction)
            .map(|item| self.instruction(*item))
    }

    /// The lines of source that the log quotes, in order.
    pub fn sources(&self) -> impl Iterator<Item = Source<'t>> + '_ {
        let quoted = self.items.iter().filter(|item| item.kind == Kind::Source);
        quoted.map(|item| Source::parse(self.text_of(*item)))
    }

    pub(super) fn text_of(&self, item: Item) -> &'t str {
        // Both numbers fit: they were made from positions in this text.
        &self.text[item.start as usize..][..item.length as usize]
    }

    pub(super) fn instruction(&self, item: Item) -> Instruction<'t> {
        let line = self.text_of(item);
        // `7: (79) text ; state`
        let body = line.find(')').map_or(line, |at| &line[at + 1..]).trim_start();
        let (text, state) = match body.split_once(';') {
            Some((text, state)) => (text.trim_end(), Some(state.trim())),
            None => (body.trim_end(), None),
        };
        Instruction { index: item.number, text, state }
    }

    /// The source comment that stands for an item: the last one before it.
    pub(super) fn source_before(&self, at: usize) -> Option<Source<'t>> {
        let source = self.items[..at].iter().rev().find(|item| item.kind == Kind::Source)?;
        Some(Source::parse(self.text_of(*source)))
    }

    /// The state in an item, wherever in the line it stands, and the index
    /// of the instruction that a branch leads to.
    pub(super) fn state_of(&self, item: Item) -> Option<&'t str> {
        let line = self.text_of(item);
        match item.kind {
            Kind::Instruction => self.instruction(item).state,
            Kind::State => Some(line.trim_start()),
            Kind::StateBefore | Kind::Branch => {
                line.split_once(": ").or(line.split_once(':')).map(|(_, state)| state.trim_start())
            }
            Kind::Source | Kind::CallMarker | Kind::Pruned => None,
        }
    }

    /// Where a branch leads: `from 3 to 8: …` is 8.
    pub(super) fn target_of(&self, item: Item) -> Option<u32> {
        let (_, rest) = self.text_of(item).split_once(" to ")?;
        number(rest).map(|(target, _)| target)
    }

    /// The last lines of the log before its summary, at most `count`, none of
    /// them longer than `width` characters.
    pub fn tail(&self, count: usize, width: usize) -> Vec<String> {
        let text = self.text[..self.end].trim_end();
        let mut lines: Vec<String> = text
            .rsplit('\n')
            .filter(|line| !line.trim().is_empty())
            .skip_while(|line| line::classify(line) == Line::Summary)
            .filter(|line| line::classify(line) != Line::Noise)
            .take(count)
            .map(|line| shorten(line.trim_end(), width))
            .collect();
        lines.reverse();
        lines
    }
}

/// Text cut after `width` characters.
fn shorten(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Where the summary begins in a line that begins as something else.
fn summary_inside(line: &str) -> Option<usize> {
    let time = line.find("verification time ").filter(|&at| line[at..].ends_with(" usec"));
    time.or_else(|| line.find("processed ").filter(|&at| line[at..].contains(" insns (limit ")))
        .filter(|&at| at > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
func#0 @0
0: R1=ctx() R10=fp0
; __u32 key = 1; @ a.bpf.c:15
0: (b4) w1 = 1                        ; R1_w=1
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
verification time 98 usec
stack depth 8
processed 8 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
and then something else
";

    #[test]
    fn a_short_log() {
        let log = Log::parse(LOG);
        assert_eq!(log.dialect, Dialect::V6_12);
        assert_eq!(log.error, ["R0 invalid mem access 'map_value_or_null'"]);
        assert_eq!(log.summary.as_ref().map(|s| s.processed), Some(8));
        assert_eq!(log.functions, [0]);
        let instructions: Vec<_> = log.instructions().collect();
        assert_eq!(instructions[0].state, Some("R1_w=1"));
        assert_eq!(instructions[1].text, "r1 = *(u64 *)(r0 +0)");
        assert_eq!(&log.text[log.end..], "and then something else\n");
    }

    #[test]
    fn an_error_without_its_newline() {
        let log = Log::parse(
            "too many subprogramsverification time 9 usec\nprocessed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
        );
        assert_eq!(log.error, ["too many subprograms"]);
        let summary = log.summary.expect("the summary follows");
        assert_eq!(summary.verification_time, Some(9));
    }

    #[test]
    fn text_that_is_no_log_is_an_error_message() {
        let log = Log::parse("hello\nworld");
        assert_eq!(log.error, ["hello", "world"]);
        assert_eq!(log.summary, None);
        assert_eq!(log.tail(1, 3), ["wor…"]);
    }
}
