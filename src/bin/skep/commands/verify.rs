//! `skep verify [PATH…]`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::build::Profile;
use skep::ops::verify::{self, Outcome, Request, Word};
use skep::report::{Cell, Table};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `skep verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Projects, BPF sources or objects [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Build with the profile `release`
    #[arg(long)]
    release: bool,
    /// A kernel: host, debian/SUITE, a version, or a path to an image or .deb
    /// [default: the project's matrix]
    #[arg(short, long = "kernel", value_name = "REF")]
    kernels: Vec<String>,
    /// Only programs whose name matches
    #[arg(long = "program", value_name = "GLOB")]
    programs: Vec<String>,
    /// Write the verifier's logs to FILE, also of accepted programs
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Log accepted programs too, at this level; 2 has every instruction's state
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    level: Option<u32>,
    /// How long one program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    time_limit: u64,
    /// Boot every machine instead of restoring a snapshot of one
    #[arg(long)]
    cold: bool,
}

/// Verifies and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let request = Request {
        paths: args.paths,
        profile: if args.release { Profile::Release } else { Profile::Dev },
        kernels: args.kernels,
        programs: args.programs,
        level: args.level,
        log: args.log,
        limit: Duration::from_secs(args.time_limit),
        cold: args.cold,
    };
    let outcome = verify::verify(session, &request)?;
    if !outcome.verdicts.is_empty() {
        shell.table(&table(&outcome));
    }
    shell.diagnostics(&outcome.diagnostics);
    if !outcome.verdicts.is_empty() {
        shell.status("Verified", &outcome.summary());
    }
    Ok(())
}

fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "program-verdict",
        &[
            ("object", ""),
            ("program", "PROGRAM"),
            ("section", ""),
            ("type", "TYPE"),
            ("kernel", "KERNEL"),
            ("release", ""),
            ("verdict", "VERDICT"),
            ("instructions", "INSNS"),
            ("states", "STATES"),
            ("peak_states", ""),
            ("stack", "STACK"),
            ("verification_micros", ""),
            ("load_micros", "TIME"),
            ("size", ""),
            ("xlated_bytes", ""),
            ("jited_bytes", ""),
        ],
    );
    let count = |value: Option<u64>| value.map_or(Cell::Unknown, Cell::Count);
    for verdict in &outcome.verdicts {
        let word = verdict.word.text();
        let statistics = &verdict.statistics;
        table.push(vec![
            Cell::Text(verdict.object.display().to_string()),
            Cell::Text(verdict.program.clone()),
            Cell::Text(verdict.section.clone()),
            Cell::Text(verdict.kind.clone()),
            Cell::Text(verdict.kernel.clone()),
            Cell::Text(verdict.release.clone()),
            match verdict.word {
                Word::Accepted => Cell::Good(word),
                Word::Rejected | Word::NotLoaded(_) => Cell::Bad(word),
                Word::None => Cell::Caution(word),
            },
            count(statistics.instructions),
            count(statistics.states),
            count(statistics.peak_states),
            count(statistics.stack),
            statistics.micros.map_or(Cell::Unknown, Cell::Micros),
            verdict.micros.map_or(Cell::Unknown, Cell::Micros),
            count(verdict.size.map(u64::from)),
            count(verdict.xlated.map(u64::from)),
            count(verdict.jited.map(u64::from)),
        ]);
    }
    table
}
