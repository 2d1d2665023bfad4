//! `skep check [PATH…]`.

use super::CommandResult;
use super::packages::BuildArgs;
use crate::shell::Shell;
use skep::bpf::KernelVersion;
use skep::diagnostics::Diagnostic;
use skep::ops::build;
use skep::ops::check::{self, Checked, Outcome, Request};
use skep::ops::needs::{self, Needs};
use skep::ops::{Packages, Session};
use skep::report::{Cell, Table};
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `skep check`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Projects, directories in them, BPF sources, or objects [default: the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    building: BuildArgs,
    /// Compare with this kernel too: host, debian/SUITE, a version, or a path to an image, .deb or
    /// file of BTF
    #[arg(short, long = "kernel", value_name = "REF")]
    kernels: Vec<PathBuf>,
    /// Say which kernel each object needs at least, and because of what
    #[arg(long, conflicts_with = "kernels")]
    min_kernel: bool,
    /// List all that the objects need of kernels, and whether this one has it
    #[arg(long, value_name = "REF", conflicts_with_all = ["kernels", "min_kernel"])]
    explain_kernel: Option<PathBuf>,
}

impl Args {
    /// The paths and packages it is for.
    pub fn inputs(&self) -> (Vec<PathBuf>, Packages) {
        (self.paths.clone(), self.building.packages.clone().into())
    }
}

/// Checks, and lists the objects.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let started = Instant::now();
    let profile = args.building.profile();
    if args.min_kernel || args.explain_kernel.is_some() {
        let request = needs::Request {
            paths: args.paths,
            packages: args.building.packages.into(),
            profile,
            kernel: args.explain_kernel,
        };
        return show_needs(&request, session, shell);
    }
    let request = Request {
        paths: args.paths,
        packages: args.building.packages.into(),
        profile,
        kernels: args.kernels,
    };
    let outcome = check::run(session, &request)?;
    shell.diagnostics(&outcome.diagnostics);
    if !outcome.objects.is_empty() {
        shell.table(&table(&outcome));
        shell.status("Checked", &summary(&outcome, started));
    }
    Ok(())
}

/// What objects need of kernels: what decides over the oldest one, or all of
/// it held against a kernel.
fn show_needs(request: &needs::Request, session: &Session, shell: &Shell) -> CommandResult {
    let outcome = needs::run(session, request)?;
    shell.diagnostics(&outcome.diagnostics);
    if outcome.objects.is_empty() {
        return Ok(());
    }
    match &request.kernel {
        Some(kernel) => {
            shell.table(&all_needs(&outcome.objects));
            let all = outcome.objects.iter().flat_map(|object| &object.all);
            let missing = all.filter(|entry| entry.is_there == Some(false)).count();
            let kernel = kernel.display();
            shell.status(
                "Compared",
                &match missing {
                    0 => format!("{kernel} has everything"),
                    1 => format!("{kernel} lacks one thing"),
                    count => format!("{kernel} lacks {count} things"),
                },
            );
        }
        None => {
            shell.table(&deciding_needs(&outcome.objects));
            for object in &outcome.objects {
                let (Some(min), name) = (object.min_kernel(), &object.name) else { continue };
                let without = match object.next_kernel() {
                    Some(next) => format!("; without what needs that, {next}"),
                    None => String::new(),
                };
                shell.status("Needed", &format!("Linux {min} by {name}{without}"));
            }
        }
    }
    Ok(())
}

/// What decides over the oldest kernel of each object.
fn deciding_needs(objects: &[Needs]) -> Table {
    let mut table = Table::new(
        "minimum-kernel",
        &[
            ("object", "OBJECT"),
            ("kernel", "KERNEL"),
            ("without", "WITHOUT"),
            ("file", ""),
            ("line", ""),
            ("", "WHERE"),
            ("because", "BECAUSE"),
        ],
    );
    for object in objects {
        let min = object.min_kernel();
        for entry in object.all.iter().filter(|entry| entry.since == min) {
            let mut row = vec![Cell::Text(object.name.clone()), version(min)];
            row.push(version(object.next_kernel()));
            row.extend(place(&entry.finding));
            row.push(Cell::Text(entry.finding.message.clone()));
            table.push(row);
        }
    }
    table
}

/// All needs, with what a kernel has of them.
fn all_needs(objects: &[Needs]) -> Table {
    let mut table = Table::new(
        "kernel-need",
        &[
            ("object", "OBJECT"),
            ("since", "SINCE"),
            ("is_there", "THERE"),
            ("file", ""),
            ("line", ""),
            ("", "WHERE"),
            ("what", "WHAT"),
        ],
    );
    for object in objects {
        for entry in &object.all {
            let mut row = vec![Cell::Text(object.name.clone()), version(entry.since)];
            row.push(Cell::Flag(entry.is_there == Some(true)));
            row.extend(place(&entry.finding));
            row.push(Cell::Text(entry.finding.message.clone()));
            table.push(row);
        }
    }
    table
}

fn version(version: Option<KernelVersion>) -> Cell {
    version.map_or(Cell::Unknown, |version| Cell::Text(version.to_string()))
}

/// File and line for machines, and both in one for people.
fn place(finding: &Diagnostic) -> [Cell; 3] {
    match &finding.primary {
        Some(label) => {
            let (file, line) = (label.span.file.display().to_string(), label.span.start.line);
            let both = Cell::Text(format!("{file}:{line}"));
            [Cell::Text(file), Cell::Number(line.into()), both]
        }
        None => [Cell::Unknown, Cell::Unknown, Cell::Unknown],
    }
}

fn summary(outcome: &Outcome, started: Instant) -> String {
    let objects = match outcome.objects.len() {
        1 => "1 object".to_owned(),
        count => format!("{count} objects"),
    };
    let found = build::summary(&outcome.diagnostics).unwrap_or_else(|| "nothing found".to_owned());
    let allowed = match outcome.allowed {
        0 => String::new(),
        count => format!(", {count} allowed"),
    };
    format!("{objects}: {found}{allowed}, in {:.2} s", started.elapsed().as_secs_f64())
}

fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new(
        "object-check",
        &[
            ("object", "OBJECT"),
            ("path", ""),
            ("programs", "PROGRAMS"),
            ("subprograms", ""),
            ("maps", "MAPS"),
            ("instructions", "INSNS"),
            ("errors", ""),
            ("warnings", ""),
            ("", "RESULT"),
        ],
    );
    for object in &outcome.objects {
        let count = |number: usize| Cell::Count(number as u64);
        let content = |part: fn(&check::Content) -> usize| {
            object.content.as_ref().map_or(Cell::Unknown, |content| count(part(content)))
        };
        table.push(vec![
            Cell::Text(object.name.clone()),
            Cell::Text(object.path.display().to_string()),
            content(|content| content.programs),
            content(|content| content.subprograms),
            content(|content| content.maps),
            content(|content| content.instructions),
            count(object.errors),
            count(object.warnings),
            result(object),
        ]);
    }
    table
}

fn result(object: &Checked) -> Cell {
    let words = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    match (object.errors, object.warnings) {
        (0, 0) => Cell::Good("ok".to_owned()),
        (0, warnings) => Cell::Caution(words(warnings, "warning")),
        (errors, 0) => Cell::Bad(words(errors, "error")),
        (errors, warnings) => {
            Cell::Bad(format!("{}, {}", words(errors, "error"), words(warnings, "warning")))
        }
    }
}
