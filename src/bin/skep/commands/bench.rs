//! `skep bench [PATH|NAME…]`.

use super::CommandResult;
use super::tests::TestArgs;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::test;
use skep::ops::test::bench::{self, Measured, Request};
use skep::report::{Cell, Table};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `skep bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    meant: TestArgs,
    /// How often a program runs in a round
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    repeat: u32,
    /// How many rounds there are
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The packet for programs that no test is about: eth/ip/tcp(dport=80)
    #[arg(long, value_name = "LAYERS")]
    packet: Option<String>,
    /// Keep the figures in FILE, to compare with
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compare with the figures of --save
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// By how many per cent a program may have become slower
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, requires = "baseline", value_parser = percent)]
    threshold: f64,
    /// Boot every machine instead of restoring a snapshot of one
    #[arg(long)]
    cold: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim_end_matches('%').trim().parse().ok();
    let fitting = number.filter(|number| number.is_finite() && *number >= 0.0);
    fitting.ok_or_else(|| "a number of per cent is expected, such as 10".to_owned())
}

/// Measures and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let request = Request {
        tests: test::Request {
            limit: Duration::from_secs(120),
            cold: args.cold,
            ..args.meant.into()
        },
        repeat: args.repeat,
        rounds: args.rounds,
        packet: args.packet,
        save: args.save,
        compare: args.baseline.clone(),
        threshold: args.threshold,
    };
    let outcome = bench::bench(session, &request)?;
    if !outcome.figures.is_empty() {
        shell.table(&table(&outcome.figures, args.baseline.is_some()));
    }
    shell.diagnostics(&outcome.diagnostics);
    if !outcome.figures.is_empty() {
        let rounds = format!("{} rounds of {} runs each", args.rounds, args.repeat);
        shell.status("Measured", &format!("{} figures, {rounds}", outcome.figures.len()));
    }
    Ok(())
}

fn table(figures: &[Measured], compares: bool) -> Table {
    let kernels = figures.iter().any(|measured| measured.kernel != figures[0].kernel);
    let mut table = Table::new(
        "bench-result",
        &[
            ("test", "TEST"),
            ("program", ""),
            ("kernel", "KERNEL"),
            ("release", ""),
            ("object", ""),
            ("nanos_per_run", "NS/RUN"),
            ("spread_percent", "SPREAD"),
            ("rounds", ""),
            ("ratio", if kernels { "RATIO" } else { "" }),
            ("nanos_before", if compares { "BEFORE" } else { "" }),
            ("change_percent", if compares { "CHANGE" } else { "" }),
        ],
    );
    for measured in figures {
        let ratio = measured.ratio().map(|ratio| format!("{ratio:.2}×"));
        table.push(vec![
            Cell::Text(measured.test.clone()),
            Cell::Text(measured.program.clone()),
            Cell::Text(measured.kernel.clone()),
            Cell::Text(measured.release.clone()),
            Cell::Text(measured.object.display().to_string()),
            Cell::Count(measured.median()),
            Cell::Share(measured.spread()),
            Cell::List(measured.rounds.iter().map(u64::to_string).collect()),
            ratio.map_or(Cell::Unknown, Cell::Text),
            measured.before.map_or(Cell::Unknown, Cell::Count),
            measured.growth().map_or(Cell::Unknown, Cell::Percent),
        ]);
    }
    table
}
