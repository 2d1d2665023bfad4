//! `skep test [PATH|NAME…]`.

use super::CommandResult;
use super::tests::TestArgs;
use crate::shell::Shell;
use skep::base::fs;
use skep::ops::Session;
use skep::ops::test::{self, Outcome, Request, TestResult, Word};
use skep::ops::verify::Partition;
use skep::report::coverage;
use skep::report::{Cell, Format, Table};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `skep test`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    meant: TestArgs,
    /// Only this part of the tests, for several machines: 2/5
    #[arg(long, value_name = "PART/PARTS")]
    partition: Option<Partition>,
    /// Try a test that fails again, so often
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Show what programs print, and what commands write, also of tests that
    /// pass
    #[arg(long)]
    no_capture: bool,
    /// Have a file or directory in the guest, below /bring, for all tests that
    /// do something, programs with the shared libraries they need
    #[arg(long, value_name = "PATH")]
    bring: Vec<PathBuf>,
    /// How long one program may take to load
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    time_limit: u64,
    /// See which C lines programs run, and write it to a file
    #[arg(long, value_name = "FORMAT")]
    coverage: Option<Coverage>,
    /// Whose coverage lcov's format has: a page has both
    #[arg(long, value_name = "WHO", default_value = "runs", requires = "coverage")]
    coverage_of: Whose,
    /// Where the coverage goes [default: coverage.info, or coverage.html]
    #[arg(short, long, value_name = "FILE", requires = "coverage")]
    output: Option<PathBuf>,
    /// Boot every machine instead of restoring a snapshot of one
    #[arg(long)]
    cold: bool,
}

/// How coverage is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Coverage {
    /// lcov's format, for genhtml and services
    Lcov,
    /// One page
    Html,
}

/// Who comes by a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Whose {
    /// Programs that tests run
    Runs,
    /// Verifiers, which walk over what can run at all
    Verifier,
}

/// Tests and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let request = Request {
        partition: args.partition,
        retries: args.retries,
        limit: Duration::from_secs(args.time_limit),
        cold: args.cold,
        coverage: args.coverage.is_some(),
        bring: args.bring,
        ..args.meant.into()
    };
    let outcome = test::test(session, &request)?;
    if !outcome.results.is_empty() {
        let is_for_people = matches!(shell.format(), Format::Human | Format::Github);
        let folds = is_for_people && !shell.is_verbose();
        shell.table(&if folds { folded(&outcome) } else { table(&outcome.results) });
    }
    if args.no_capture {
        for result in &outcome.results {
            for line in &result.prints {
                shell.status("Printed", &format!("{} on {}: {line}", result.test, result.kernel));
            }
            for line in &result.output {
                shell.status("Wrote", &format!("{} on {}: {line}", result.test, result.kernel));
            }
        }
    }
    shell.diagnostics(&outcome.diagnostics);
    if let (Some(format), Some(found)) = (args.coverage, &outcome.coverage) {
        let (text, default) = match format {
            Coverage::Lcov if args.coverage_of == Whose::Verifier => {
                (coverage::lcov_of_walks(found), "coverage.info")
            }
            Coverage::Lcov => (coverage::lcov(found), "coverage.info"),
            Coverage::Html => (coverage::html(found), "coverage.html"),
        };
        let path = args.output.unwrap_or_else(|| PathBuf::from(default));
        fs::write_atomic(&session.absolute(&path), text.as_bytes())?;
        let (hit, all) = found.lines();
        let share = hit as f64 * 100.0 / all.max(1) as f64;
        let what = format!("{hit} of {all} lines, {share:.1}%: {}", path.display());
        shell.status("Covered", &what);
    }
    if !outcome.results.is_empty() {
        shell.status("Tested", &outcome.summary());
    }
    Ok(())
}

fn word(word: Word) -> Cell {
    let text = word.text().to_owned();
    match word {
        Word::Passed => Cell::Good(text),
        Word::Failed => Cell::Bad(text),
        // A caution is an error in JUnit's eyes.
        Word::Flaky | Word::Skipped => Cell::Text(text),
    }
}

/// A row a test and kernel.
fn table(results: &[TestResult]) -> Table {
    let mut table = Table::new(
        "test-result",
        &[
            ("outcome", "RESULT"),
            ("micros", "TIME"),
            ("test", "TEST"),
            ("program", ""),
            ("kernel", "KERNEL"),
            ("release", ""),
            ("file", ""),
            ("object", ""),
            ("tries", ""),
            ("nanos_per_run", "NS/RUN"),
            ("differences", ""),
            ("prints", ""),
            ("output", ""),
            ("skipped_because", ""),
        ],
    );
    for result in results {
        let path = |path: &PathBuf| Cell::Text(path.display().to_string());
        table.push(vec![
            word(result.word),
            result.micros.map_or(Cell::Unknown, Cell::Micros),
            Cell::Text(result.test.clone()),
            Cell::Text(result.program.clone()),
            Cell::Text(result.kernel.clone()),
            Cell::Text(result.release.clone()),
            path(&result.file),
            path(&result.object),
            Cell::Count(result.tries.into()),
            result.duration_ns.map_or(Cell::Unknown, Cell::Count),
            Cell::List(result.differences.clone()),
            Cell::List(result.prints.clone()),
            Cell::List(result.output.clone()),
            result.reason.clone().map_or(Cell::Unknown, Cell::Text),
        ]);
    }
    table
}

/// A row a test and outcome, with the kernels it is of.
fn folded(outcome: &Outcome) -> Table {
    let mut table =
        Table::new("test-result", &[("", "RESULT"), ("", "TIME"), ("", "TEST"), ("", "KERNEL")]);
    let kernels = outcome.results.iter().map(|result| &result.kernel);
    let all = kernels.collect::<HashSet<_>>().len();
    for row in outcome.folded() {
        let kernels = match row.len() {
            many if all > 1 && many == all => Cell::Text(format!("all {all}")),
            _ => Cell::List(row.iter().map(|result| result.kernel.clone()).collect()),
        };
        let slowest = row.iter().filter_map(|result| result.micros).max();
        table.push(vec![
            word(row[0].word),
            slowest.map_or(Cell::Unknown, Cell::Micros),
            Cell::Text(row[0].test.clone()),
            kernels,
        ]);
    }
    table
}
