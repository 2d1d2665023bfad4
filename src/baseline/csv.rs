//! veristat's files: CSV without quotes, a line a program, named columns in
//! any order and number (`veristat -o csv -e …`; tools/testing/selftests/bpf/
//! veristat.c, `stat_defs` and `parse_stats_csv`). They do not say of which
//! kernel they are, so a file holds the figures of one.

use super::{Error, Figures};
use std::fmt::Write as _;

/// The columns that veristat writes if nobody asks for others.
const HEADER: &str = "file_name,prog_name,verdict,duration,total_insns,total_states,peak_states,\
                      max_states_per_insn,max_mark_read_len";

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Object,
    Program,
    Verdict,
    Duration,
    Instructions,
    States,
    PeakStates,
    MaxStates,
    MarkRead,
    Stack,
    /// Something newer, or of no interest here.
    Other,
}

/// The names that veristat knows for each.
const NAMES: &[(Column, &[&str])] = &[
    (Column::Object, &["file_name", "filename", "file"]),
    (Column::Program, &["prog_name", "progname", "prog"]),
    (Column::Verdict, &["verdict"]),
    (Column::Duration, &["duration", "dur"]),
    (Column::Instructions, &["total_insns", "insns"]),
    (Column::States, &["total_states", "states"]),
    (Column::PeakStates, &["peak_states"]),
    (Column::MaxStates, &["max_states_per_insn"]),
    (Column::MarkRead, &["max_mark_read_len", "mark_read"]),
    (Column::Stack, &["stack_depth", "stack"]),
];

fn column(name: &str) -> Column {
    let known = NAMES.iter().find(|(_, names)| names.contains(&name));
    known.map_or(Column::Other, |&(column, _)| column)
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Vec<Figures>, Error> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let wrong = |line: u32, reason: String| Err(Error { line, reason });
    let Some((first, header)) = lines.next() else {
        return wrong(0, "it is empty".to_owned());
    };
    let columns: Vec<Column> = header.split(',').map(|name| column(name.trim())).collect();
    for (needed, name) in [(Column::Object, "file_name"), (Column::Program, "prog_name")] {
        if !columns.contains(&needed) {
            let reason = format!(
                "it is neither a baseline of skep's nor figures of veristat's: its first line \
                 names no column `{name}`"
            );
            return wrong(first, reason);
        }
    }
    let mut all = Vec::new();
    for (number, line) in lines {
        let values: Vec<&str> = line.split(',').map(str::trim).collect();
        if values.len() != columns.len() {
            let (count, expected) = (values.len(), columns.len());
            return wrong(number, format!("it has {count} columns where {expected} are expected"));
        }
        let mut figures = Figures::default();
        for (&column, value) in columns.iter().zip(values) {
            if !take(&mut figures, column, value) {
                return wrong(number, format!("`{value}` is not what its column holds"));
            }
        }
        all.push(figures);
    }
    Ok(all)
}

/// Takes a value; says whether it is one.
fn take(figures: &mut Figures, column: Column, value: &str) -> bool {
    let number = match column {
        Column::Object => {
            figures.object = value.to_owned();
            return !value.is_empty();
        }
        Column::Program => {
            // skep writes `program [a=1 b=2]` where globals were set.
            let (program, set) = value.split_once(" [").unwrap_or((value, ""));
            figures.program = program.to_owned();
            figures.set = set.trim_end_matches(']').to_owned();
            return !program.is_empty();
        }
        Column::Verdict => {
            figures.accepted = value == "success";
            figures.verdict = if figures.accepted { "accepted" } else { "rejected" }.to_owned();
            return matches!(value, "success" | "failure");
        }
        Column::Duration => &mut figures.verification_micros,
        Column::Instructions => &mut figures.instructions,
        Column::States => &mut figures.states,
        Column::PeakStates => &mut figures.peak_states,
        Column::MaxStates => &mut figures.max_states_per_instruction,
        Column::MarkRead => &mut figures.mark_read,
        Column::Stack => &mut figures.stack,
        Column::Other => return true,
    };
    match value {
        "N/A" => true,
        value => {
            *number = value.parse().ok();
            number.is_some()
        }
    }
}

/// Writes a file as `veristat -o csv` would.
pub fn write(figures: &[Figures]) -> String {
    let mut out = HEADER.to_owned();
    out.push('\n');
    for figures in figures {
        let name = |text: &str| text.replace(',', ";");
        let set = match figures.set.as_str() {
            "" => String::new(),
            set => format!(" [{}]", name(set)),
        };
        let verdict = if figures.accepted { "success" } else { "failure" };
        // Writing to a string cannot fail.
        let _ = write!(out, "{},{}{set},{verdict}", name(&figures.object), name(&figures.program));
        for number in [
            figures.verification_micros,
            figures.instructions,
            figures.states,
            figures.peak_states,
            figures.max_states_per_instruction,
            figures.mark_read,
        ] {
            let _ = write!(out, ",{}", number.unwrap_or(0));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `veristat -o csv` of Linux 6.12 writes it.
    const VERISTAT: &str = "\
file_name,prog_name,verdict,duration,total_insns,total_states,peak_states,max_states_per_insn,max_mark_read_len
good.bpf.o,count,success,153,15,1,1,0,1
bad.bpf.o,unchecked,failure,98,7,0,0,0,0
";

    #[test]
    fn what_veristat_writes_is_read_and_written() {
        let figures = read(VERISTAT).expect("it is well-formed");
        assert_eq!(figures.len(), 2);
        assert_eq!((figures[0].program.as_str(), figures[0].instructions), ("count", Some(15)));
        assert!(figures[0].accepted && !figures[1].accepted);
        assert_eq!(write(&figures), VERISTAT);
    }

    #[test]
    fn columns_come_in_any_order_and_number() {
        let figures = read("prog,file,insns,verdict,newer\np,a.o,7,success,x\n");
        let expected = Figures {
            object: "a.o".into(),
            program: "p".into(),
            accepted: true,
            verdict: "accepted".into(),
            instructions: Some(7),
            ..Figures::default()
        };
        assert_eq!(figures, Ok(vec![expected]));
    }

    #[test]
    fn sets_of_globals_survive() {
        let figures = [Figures {
            object: "a.o".into(),
            program: "p".into(),
            set: "a=1 b=2".into(),
            verdict: "rejected".into(),
            ..Figures::default()
        }];
        let back = read(&write(&figures)).expect("we wrote it");
        assert_eq!((&back[0].program, &back[0].set), (&figures[0].program, &figures[0].set));
    }

    #[test]
    fn what_is_no_such_file_says_why() {
        for (text, line, said) in [
            ("", 0, "it is empty"),
            ("hello\nworld\n", 1, "names no column `file_name`"),
            ("file,prog\na,b,c\n", 2, "it has 3 columns where 2 are expected"),
            ("file,prog,insns\na,b,many\n", 2, "`many` is not what its column holds"),
            ("file,prog,verdict\na,b,maybe\n", 2, "`maybe` is not"),
        ] {
            let error = read(text).expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.reason.contains(said), "{text}: {error}");
        }
    }
}
