//! `skep bisect [PATH…]`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::bisect::{self, Candidates, Outcome, Request};
use skep::ops::verify::{self, Word};
use skep::report::{Cell, Format, Table};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `skep bisect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Projects, BPF sources or objects [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The kernels, from old to new [default: the project's matrix]
    #[arg(long, value_name = "REF,REF…", value_delimiter = ',')]
    kernels: Vec<String>,
    /// Compilers instead of kernels, from old to new: clang-14,clang-19
    #[arg(
        long = "clang",
        value_name = "CLANG,CLANG…",
        value_delimiter = ',',
        conflicts_with = "kernels"
    )]
    clangs: Vec<PathBuf>,
    /// The kernel that compilers are tried on
    #[arg(short, long = "kernel", value_name = "REF", requires = "clangs")]
    on: Vec<String>,
    /// Only programs whose name matches
    #[arg(long = "program", value_name = "GLOB")]
    programs: Vec<String>,
    /// Set a global variable before the load
    #[arg(long = "set", value_name = "VAR=VALUE")]
    sets: Vec<String>,
    /// How long one program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    time_limit: u64,
}

/// Bisects and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let candidates = match args.clangs.as_slice() {
        [] => Candidates::Kernels(args.kernels),
        clangs => Candidates::Clangs(clangs.to_vec()),
    };
    let verify = verify::Request {
        paths: args.paths,
        kernels: args.on,
        programs: args.programs,
        sets: args.sets,
        limit: Duration::from_secs(args.time_limit),
        ..verify::Request::default()
    };
    let outcome = bisect::run(session, &Request { verify, candidates })?;
    shell.table(&tried(&outcome));
    // People read it in the last line.
    let is_for_people = matches!(shell.format(), Format::Human | Format::Github);
    if !outcome.flips.is_empty() && !is_for_people {
        shell.table(&flips(&outcome));
    }
    shell.diagnostics(&outcome.diagnostics);
    for flip in &outcome.flips {
        let (before, after) = (&flip.before, &flip.after);
        let name = &after.1.program;
        let text = format!(
            "{} is the first to flip `{name}`: {} there, {} on {}",
            after.0,
            after.1.word.text(),
            before.1.word.text(),
            before.0
        );
        shell.status("Bisected", &text);
    }
    if outcome.flips.is_empty() && outcome.diagnostics.is_empty() {
        shell.status("Bisected", "both ends agree on every program");
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

/// What was tried, a row a program.
fn tried(outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "bisect-step",
        &[
            ("index", ""),
            ("candidate", "TRIED"),
            ("object", ""),
            ("program", "PROGRAM"),
            ("set", ""),
            ("kernel", ""),
            ("release", "KERNEL"),
            ("verdict", "VERDICT"),
            ("instructions", "INSNS"),
        ],
    );
    for tried in &outcome.tried {
        for verdict in &tried.verdicts {
            table.push(vec![
                Cell::Number(tried.index as u64),
                Cell::Text(tried.name.clone()),
                Cell::Text(verdict.object.display().to_string()),
                Cell::Text(verdict.program.clone()),
                Cell::Text(verdict.set.clone()),
                Cell::Text(verdict.kernel.clone()),
                Cell::Text(verdict.release.clone()),
                word(verdict.word),
                verdict.statistics.instructions.map_or(Cell::Unknown, Cell::Count),
            ]);
        }
    }
    table
}

/// Where verdicts flip, for programs.
fn flips(outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "bisect-flip",
        &[
            ("object", ""),
            ("program", ""),
            ("set", ""),
            ("before", ""),
            ("verdict_before", ""),
            ("after", ""),
            ("verdict_after", ""),
        ],
    );
    for flip in &outcome.flips {
        let (before, after) = (&flip.before, &flip.after);
        table.push(vec![
            Cell::Text(after.1.object.display().to_string()),
            Cell::Text(after.1.program.clone()),
            Cell::Text(after.1.set.clone()),
            Cell::Text(before.0.clone()),
            word(before.1.word),
            Cell::Text(after.0.clone()),
            word(after.1.word),
        ]);
    }
    table
}
