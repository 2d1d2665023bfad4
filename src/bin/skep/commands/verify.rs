//! `skep verify [PATH…]`.

use super::CommandResult;
use super::packages::BuildArgs;
use crate::shell::Shell;
use skep::baseline::{Change, Figures, Kind};
use skep::ops::verify::{self, Blame, Files, Gate, Outcome, Partition, Request, Verdict, Word};
use skep::ops::{Packages, Session};
use skep::report::{Cell, Format, Table};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `skep verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Projects, BPF sources or objects [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    building: BuildArgs,
    /// A kernel: host, debian/SUITE, a version, or a path to an image or .deb
    /// [default: the project's matrix]
    #[arg(short, long = "kernel", value_name = "REF")]
    kernels: Vec<String>,
    /// Ask the kernel that skep runs on, without a virtual machine: needs
    /// privileges, loads every program there, attaches none
    #[arg(long, conflicts_with_all = ["kernels", "cold"])]
    host: bool,
    /// Only objects whose path or name matches
    #[arg(long = "object", value_name = "GLOB")]
    objects: Vec<String>,
    /// Only programs whose name matches
    #[arg(long = "program", value_name = "GLOB")]
    programs: Vec<String>,
    /// Only this part of the programs, for several machines: 2/5
    #[arg(long, value_name = "PART/PARTS")]
    partition: Option<Partition>,
    /// Set a global variable before the load; each of several values is
    /// verified, with those of other variables as a matrix
    #[arg(long = "set", value_name = "VAR=VALUE[,…]")]
    sets: Vec<String>,
    /// Load a program as if it stood in this section, if its own says nothing
    #[arg(long = "as", value_name = "PROGRAM=SECTION")]
    placed: Vec<String>,
    /// Show only the N programs that cost the most
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Sort by what programs cost, the most first
    #[arg(long, value_name = "WHAT", value_enum)]
    by: Option<By>,
    /// Keep what programs cost in FILE, to compare with
    #[arg(long, value_name = "FILE", help_heading = "Baselines")]
    save: Option<PathBuf>,
    /// Compare with what they cost then: FILE is of --save, or of veristat
    #[arg(long, value_name = "FILE", help_heading = "Baselines")]
    compare: Option<PathBuf>,
    /// Fail where they cost so much more: 10% instructions, states=25%,
    /// stack=0%
    #[arg(
        long = "max-growth",
        value_name = "PERCENT",
        requires = "compare",
        help_heading = "Baselines"
    )]
    gates: Vec<Gate>,
    /// Write what programs cost as veristat's CSV, a file a kernel
    #[arg(long, value_name = "FILE", help_heading = "Baselines")]
    csv: Option<PathBuf>,
    /// Write the verifier's logs to FILE, also of accepted programs
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Log accepted programs too, at this level; 2 has every instruction's state
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    level: Option<u32>,
    /// Show which C lines the verifier walked the most instructions of, the N
    /// most expensive ones of each program [default: 10]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10")]
    blame: Option<usize>,
    /// Page through what the verifier saw of the programs that match: source,
    /// instructions, registers and stack
    #[arg(long, value_name = "GLOB", conflicts_with_all = ["blame", "programs", "top", "by"])]
    trace: Option<String>,
    /// How long one program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    time_limit: u64,
    /// Boot every machine instead of restoring a snapshot of one
    #[arg(long)]
    cold: bool,
}

impl Args {
    /// The paths and packages it is for.
    pub fn inputs(&self) -> (Vec<PathBuf>, Packages) {
        (self.paths.clone(), self.building.packages.clone().into())
    }
}

/// What programs are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Instructions that the verifier walked
    Insns,
    /// States that it made
    States,
    /// The time that the load took
    Time,
}

impl By {
    fn cost(self, verdict: &Verdict) -> u64 {
        match self {
            Self::Insns => verdict.statistics.instructions,
            Self::States => verdict.statistics.states,
            Self::Time => verdict.micros,
        }
        .unwrap_or(0)
    }
}

/// Verifies and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let is_host = args.host;
    let request = Request {
        paths: args.paths,
        profile: args.building.profile(),
        packages: args.building.packages.into(),
        kernels: args.kernels,
        host: args.host,
        sudo: None,
        objects: args.objects,
        programs: args.programs.into_iter().chain(args.trace.clone()).collect(),
        partition: args.partition,
        sets: args.sets,
        placed: args.placed,
        level: args.level,
        log: args.log,
        limit: Duration::from_secs(args.time_limit),
        cold: args.cold,
        blame: args.blame.is_some(),
        trace: args.trace.is_some(),
        files: Files {
            save: args.save,
            csv: args.csv,
            compare: args.compare.clone(),
            gates: args.gates,
        },
    };
    let outcome = verify::verify(session, &request)?;
    if args.trace.is_some() && !outcome.verdicts.is_empty() {
        let shown = super::trace::show(&outcome.traced, shell);
        shell.diagnostics(&outcome.diagnostics);
        return shown;
    }
    let mut verdicts: Vec<&Verdict> = outcome.verdicts.iter().collect();
    if args.top.is_some() || args.by.is_some() {
        let by = args.by.unwrap_or(By::Insns);
        verdicts.sort_by_key(|verdict| std::cmp::Reverse(by.cost(verdict)));
        verdicts.truncate(args.top.unwrap_or(usize::MAX));
    }
    if !verdicts.is_empty() {
        // People want to see what differs between kernels, not what does not.
        let is_for_people = matches!(shell.format(), Format::Human | Format::Github);
        let folds = is_for_people && args.top.is_none() && args.by.is_none() && !shell.is_verbose();
        shell.table(&if folds { folded(&outcome) } else { table(&verdicts) });
    }
    if let Some(most) = args.blame {
        shell.table(&blames(&outcome, most));
    }
    if let Some(baseline) = &args.compare {
        let changed: Vec<&Change> =
            outcome.changes.iter().filter(|change| change.kind() != Kind::Same).collect();
        // Programs get all of it.
        let shown = match shell.format() {
            Format::Human | Format::Github => changed.clone(),
            _ => outcome.changes.iter().collect(),
        };
        shell.table(&changes(&shown));
        let (changed, all) = (changed.len(), outcome.changes.len());
        let baseline = baseline.display();
        shell.status("Compared", &format!("with {baseline}: {changed} of {all} changed"));
    }
    shell.diagnostics(&outcome.diagnostics);
    if !outcome.verdicts.is_empty() {
        let kernel = outcome.verdicts.first().filter(|_| is_host);
        let place = kernel.map_or_else(String::new, |verdict| {
            format!(" on this machine's own kernel, Linux {}", verdict.release)
        });
        shell.status("Verified", &format!("{}{place}", outcome.summary()));
    }
    Ok(())
}

fn word(word: Word) -> Cell {
    match word {
        Word::Accepted => Cell::Good(word.text()),
        Word::Rejected | Word::NotLoaded(_) => Cell::Bad(word.text()),
        Word::None => Cell::Caution(word.text()),
    }
}

fn count(value: Option<u64>) -> Cell {
    value.map_or(Cell::Unknown, Cell::Count)
}

fn known(text: &str) -> Cell {
    if text.is_empty() { Cell::Unknown } else { Cell::Text(text.to_owned()) }
}

/// A row a program and kernel.
fn table(verdicts: &[&Verdict]) -> Table {
    let mut table = Table::new(
        "program-verdict",
        &[
            ("object", ""),
            ("program", "PROGRAM"),
            ("section", ""),
            ("type", "TYPE"),
            ("set", "SET"),
            ("kernel", "KERNEL"),
            ("release", ""),
            ("verdict", "VERDICT"),
            ("stage", ""),
            ("errno", ""),
            ("libbpf", ""),
            ("fixups", ""),
            ("instructions", "INSNS"),
            ("states", "STATES"),
            ("peak_states", ""),
            ("max_states_per_instruction", ""),
            ("mark_read", ""),
            ("stack", "STACK"),
            ("verification_micros", ""),
            ("load_micros", "TIME"),
            ("size", ""),
            ("xlated_bytes", ""),
            ("jited_bytes", ""),
            ("log", ""),
        ],
    );
    for verdict in verdicts {
        let statistics = &verdict.statistics;
        table.push(vec![
            Cell::Text(verdict.object.display().to_string()),
            Cell::Text(verdict.program.clone()),
            Cell::Text(verdict.section.clone()),
            Cell::Text(verdict.kind.clone()),
            known(&verdict.set),
            Cell::Text(verdict.kernel.clone()),
            Cell::Text(verdict.release.clone()),
            word(verdict.word),
            verdict.stage.map_or(Cell::Unknown, |stage| Cell::Text(stage.as_str().to_owned())),
            verdict.errno.map_or(Cell::Unknown, |errno| Cell::Number(errno.unsigned_abs().into())),
            Cell::List(verdict.said.clone()),
            Cell::List(verdict.fixups.clone()),
            count(statistics.instructions),
            count(statistics.states),
            count(statistics.peak_states),
            count(statistics.states_per_instruction),
            count(statistics.mark_read),
            count(statistics.stack),
            statistics.micros.map_or(Cell::Unknown, Cell::Micros),
            verdict.micros.map_or(Cell::Unknown, Cell::Micros),
            count(verdict.size.map(u64::from)),
            count(verdict.xlated.map(u64::from)),
            count(verdict.jited.map(u64::from)),
            verdict.log.as_ref().map_or(Cell::Unknown, |log| Cell::Text(log.display().to_string())),
        ]);
    }
    table
}

/// A row a program and verdict, with the kernels it is of and the range of
/// what it cost there.
fn folded(outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "program-verdict",
        &[
            ("", "PROGRAM"),
            ("", "TYPE"),
            ("", "SET"),
            ("", "KERNEL"),
            ("", "VERDICT"),
            ("", "INSNS"),
            ("", "STATES"),
            ("", "STACK"),
            ("", "TIME"),
        ],
    );
    let kernels = outcome.verdicts.iter().map(|verdict| &verdict.kernel);
    let all = kernels.collect::<HashSet<_>>().len();
    for row in outcome.folded() {
        let first = row[0];
        let range = |of: fn(&Verdict) -> Option<u64>| {
            let values = || row.iter().filter_map(|verdict| of(verdict));
            match (values().min(), values().max()) {
                (Some(low), Some(high)) if low < high => Cell::Range(low, high),
                (low, _) => count(low),
            }
        };
        let kernels = if all > 1 && row.len() == all {
            Cell::Text(format!("all {all}"))
        } else {
            Cell::List(row.iter().map(|verdict| verdict.kernel.clone()).collect())
        };
        let slowest = row.iter().filter_map(|verdict| verdict.micros).max();
        table.push(vec![
            Cell::Text(first.program.clone()),
            Cell::Text(first.kind.clone()),
            known(&first.set),
            kernels,
            word(first.word),
            range(|verdict| verdict.statistics.instructions),
            range(|verdict| verdict.statistics.states),
            range(|verdict| verdict.statistics.stack),
            slowest.map_or(Cell::Unknown, Cell::Micros),
        ]);
    }
    table
}

/// What is different from the baseline.
fn changes(changes: &[&Change]) -> Table {
    let mut table = Table::new(
        "verdict-change",
        &[
            ("object", ""),
            ("program", "PROGRAM"),
            ("set", "SET"),
            ("kernel", "KERNEL"),
            ("change", "CHANGE"),
            ("verdict_old", ""),
            ("verdict", ""),
            ("instructions_old", "INSNS BEFORE"),
            ("instructions", "INSNS"),
            ("instructions_percent", "GROWTH"),
            ("states_old", "STATES BEFORE"),
            ("states", "STATES"),
            ("states_percent", "GROWTH"),
        ],
    );
    for change in changes {
        let Some(of) = change.new.as_ref().or(change.old.as_ref()) else { continue };
        let figure = |of: &Option<Figures>, figure: fn(&Figures) -> Option<u64>| {
            count(of.as_ref().and_then(figure))
        };
        let verdict = |of: &Option<Figures>| {
            of.as_ref().map_or(Cell::Unknown, |of| Cell::Text(of.verdict.clone()))
        };
        let growth = |figure: fn(&Figures) -> Option<u64>| {
            change.growth(figure).map_or(Cell::Unknown, Cell::Percent)
        };
        let kind = change.kind().as_str().to_owned();
        table.push(vec![
            Cell::Text(of.object.clone()),
            Cell::Text(of.program.clone()),
            known(&of.set),
            of.kernel.as_ref().map_or(Cell::Unknown, |kernel| Cell::Text(kernel.clone())),
            match change.kind() {
                Kind::Broken => Cell::Bad(kind),
                Kind::Mended => Cell::Good(kind),
                Kind::Gone | Kind::New => Cell::Caution(kind),
                Kind::Changed | Kind::Same => Cell::Text(kind),
            },
            verdict(&change.old),
            verdict(&change.new),
            figure(&change.old, |of| of.instructions),
            figure(&change.new, |of| of.instructions),
            growth(|of| of.instructions),
            figure(&change.old, |of| of.states),
            figure(&change.new, |of| of.states),
            growth(|of| of.states),
        ]);
    }
    table
}

/// The C lines that cost the most, of each program and kernel.
fn blames(outcome: &Outcome, most: usize) -> Table {
    let mut table = Table::new(
        "line-cost",
        &[
            ("object", ""),
            ("program", "PROGRAM"),
            ("set", "SET"),
            ("kernel", "KERNEL"),
            ("instructions", "INSNS"),
            ("percent", "SHARE"),
            ("size", "SIZE"),
            ("file", ""),
            ("line", ""),
            ("", "LINE"),
            ("source", "SOURCE"),
        ],
    );
    let rows = |blame: &Blame, table: &mut Table| {
        for line in blame.lines.iter().take(most) {
            let span = line.span.as_ref();
            let text = |text: Option<String>| text.map_or(Cell::Unknown, Cell::Text);
            let file = span.map(|span| span.file.display().to_string());
            let number = span.map(|span| span.start.line);
            let place = file.clone().zip(number).map(|(file, line)| format!("{file}:{line}"));
            let source = span.and_then(|span| span.line_text.as_deref());
            table.push(vec![
                Cell::Text(blame.object.display().to_string()),
                Cell::Text(blame.program.clone()),
                known(&blame.set),
                Cell::Text(blame.kernel.clone()),
                Cell::Count(line.instructions),
                Cell::Share(blame.share(line)),
                Cell::Count(line.size),
                text(file),
                number.map_or(Cell::Unknown, |number| Cell::Number(number.into())),
                text(place),
                text(source.map(|source| source.trim().to_owned())),
            ]);
        }
    };
    outcome.blames.iter().for_each(|blame| rows(blame, &mut table));
    table
}
