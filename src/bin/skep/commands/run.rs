//! `skep run [PATH]`.

use super::CommandResult;
use super::packages::BuildArgs;
use super::recording::{self, Keeper};
use crate::shell::{Shell, terminal};
use skep::diagnostics::{Diagnostic, Failure};
use skep::ops::Session;
use skep::ops::run::program::{Front, Streams};
use skep::ops::run::{self, Happening, OWN, Request, Told};
use skep::vm::Stream;
use skep::wire::Terminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `skep run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A project, a BPF source or an object [default: the project here]
    #[arg(value_name = "PATH", num_args = 0..=1)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    building: BuildArgs,
    /// The kernel to run on, or several: two have a column each on a terminal
    /// that is wide enough, else each line is labelled, and maps stand side by
    /// side [default: the last of the project's matrix]
    #[arg(short, long = "kernel", value_name = "REF")]
    kernels: Vec<String>,
    /// Run on this machine's own kernel, as root, with sudo if need be, after
    /// asking: the user program if there is one, else the programs are attached
    #[arg(long, conflicts_with_all = ["kernels", "cold"])]
    host: bool,
    /// Agree to `--host` beforehand
    #[arg(short, long, requires = "host")]
    yes: bool,
    /// Attach the programs even if the project has a user program that does so
    #[arg(long, conflicts_with_all = ["program", "environment", "arguments"])]
    no_user: bool,
    /// The user program to run, if the project has several
    #[arg(long = "bin", value_name = "NAME")]
    program: Option<String>,
    /// Set a variable of the user program's environment
    #[arg(long = "env", value_name = "VAR=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// Run a command while the programs are attached, and end with it: of the
    /// guest's shell, where `;` parts several, or with --host of `sh`, as you
    #[arg(short, long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Send packets to the network interface veth0 when everything is attached,
    /// and end then: a pcap or pcapng file, or layers such as
    /// 'eth/ip/tcp(dport=80)'
    #[arg(long = "send", value_name = "PACKETS")]
    sends: Vec<String>,
    /// Send so many packets a second, or as they were `recorded` [default: as
    /// fast as they go]
    #[arg(long, value_name = "RATE", requires = "sends", value_parser = rate)]
    send_rate: Option<String>,
    /// Have a file or directory in the guest, below /bring, programs with the
    /// shared libraries they need
    #[arg(long, value_name = "PATH")]
    bring: Vec<PathBuf>,
    /// Load a module of the kernel's first
    #[arg(long = "module", value_name = "NAME")]
    modules: Vec<String>,
    /// End after so much time: 5s, 500ms, 2m
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    limit: Option<Duration>,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Show what maps hold that often, and not only at the end
    #[arg(long, value_name = "TIME", value_parser = duration)]
    interval: Option<Duration>,
    /// Set a global variable before the programs are loaded
    #[arg(long = "set", value_name = "VAR=VALUE")]
    sets: Vec<String>,
    /// Attach a program there: an interface, a control group, a function, what
    /// its type asks for; `none` leaves it out
    #[arg(long = "attach", value_name = "PROGRAM=PLACE")]
    targets: Vec<String>,
    /// Say what type the events of a map have, if the source does not
    #[arg(long = "event", value_name = "MAP=TYPE")]
    events: Vec<String>,
    /// Keep everything that happens in a file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Draw what happened, as one page of HTML: a time line, distributions,
    /// maps, events
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Show what a record tells, or draw it with --report; nothing runs
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "paths", "kernels", "exec", "bring", "modules", "limit", "count", "interval", "sets",
        "targets", "events", "record", "cold", "release", "sends", "host", "no_user", "program", "environment",
        "arguments",
    ])]
    replay: Option<PathBuf>,
    /// Boot the machine instead of restoring a snapshot of it
    #[arg(long)]
    cold: bool,
    /// Arguments of the user program
    #[arg(value_name = "ARGS", last = true)]
    arguments: Vec<String>,
}

/// A number above zero, or `recorded`.
fn rate(text: &str) -> Result<String, String> {
    let is_number = text.parse::<f64>().is_ok_and(|rate| rate >= 0.001 && rate.is_finite());
    match is_number || text == "recorded" {
        true => Ok(text.to_owned()),
        false => Err("write packets a second, or `recorded`".to_owned()),
    }
}

/// `VAR=VALUE`.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write VAR=VALUE".to_owned()),
    }
}

/// `5s`, `500ms`, `2m`, `5`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and ms, s or m, such as 5s".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" | "min" => number * 60.0,
        _ => return Err(wrong()),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err(wrong()),
    }
}

/// Runs, and shows what happens.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    if let Some(file) = &args.replay {
        return recording::replay(file, args.report.as_deref(), shell);
    }
    let name = args.paths.first().and_then(|path| path.file_name()).unwrap_or_default();
    let subject = match name.to_string_lossy() {
        name if name.is_empty() => "skep run".to_owned(),
        name => name.into_owned(),
    };
    let mut keeper = Keeper::new(&subject, args.record.as_deref(), args.report.as_deref())?;
    let request = Request {
        path: args.paths.into_iter().next(),
        profile: args.building.profile(),
        packages: args.building.packages.into(),
        kernels: args.kernels,
        targets: args.targets,
        events: args.events,
        sets: args.sets,
        workload: args.exec,
        sends: args.sends,
        send_rate: args.send_rate,
        host: args.host,
        is_agreed: args.yes,
        no_user: args.no_user,
        program: args.program,
        arguments: args.arguments,
        environment: args.environment,
        is_recorded: args.record.is_some() || args.report.is_some(),
        bring: args.bring,
        modules: args.modules,
        interval: args.interval,
        limit: args.limit,
        count: args.count,
        cold: args.cold,
    };
    let is_open = request.limit.is_none()
        && request.count.is_none()
        && request.workload.is_none()
        && request.sends.is_empty();
    let mut lost = Lost::default();
    // Whoever wants a record does not want to go on without one.
    let mut is_broken = false;
    let mut own = OwnProgram { session, shell };
    let outcome = run::run(session, &request, &mut own, &mut |told| {
        status(told, is_open, shell);
        lost.hear(told, shell);
        shell.happening(told);
        keeper.hear(told);
        if keeper.has_failed() && !std::mem::replace(&mut is_broken, true) {
            session.cancel.cancel();
        }
    });
    let kept = keeper.finish(shell);
    let outcome = outcome?;
    shell.diagnostics(&outcome.diagnostics);
    if let Some(code @ 1..) = outcome.exit {
        shell.status("Exited", &format!("with {code}"));
        shell.set_exit(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
    }
    kept
}

/// The user's own program, whose standard output and error ours are.
struct OwnProgram<'o> {
    session: &'o Session,
    shell: &'o Shell,
}

impl Front for OwnProgram<'_> {
    fn remarks(&mut self, found: &[Diagnostic]) {
        self.shell.remarks(found);
    }

    fn agree(&mut self, question: &str) -> Result<Option<bool>, Failure> {
        match self.shell.can_ask() {
            true => self.shell.confirm(question, false).map(Some),
            false => Ok(None),
        }
    }

    fn open(&mut self) -> Streams {
        Streams {
            input: terminal::input(),
            terminals: terminal::sizes().map(|size| {
                let (rows, columns) = size?;
                let kind = self.shell.terminal_kind().to_owned();
                Some(Terminal { rows, columns, kind })
            }),
        }
    }

    fn running(&mut self, kernel: &str, release: &str) {
        self.shell.status("Running", &format!("on {kernel} ({release})"));
    }

    fn wrote(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Error => self.shell.raw_error(bytes),
            Stream::Out => {
                self.shell.raw(bytes);
                // As a closed pipe ends a program anywhere.
                if self.shell.is_closed() {
                    self.session.cancel.cancel();
                }
            }
        }
    }
}

/// Events that nobody was fast enough for: by kernel and map.
#[derive(Default)]
struct Lost(Vec<(usize, String, u64)>);

impl Lost {
    /// Counts them; says so at the end.
    fn hear(&mut self, told: &Told<'_>, shell: &Shell) {
        match told.happening {
            Happening::Lost { map, count } => {
                let is_same = |(side, known, _): &&mut (usize, String, u64)| {
                    *side == told.side && known == map
                };
                match self.0.iter_mut().find(is_same) {
                    Some((_, _, sum)) => *sum += count,
                    None => self.0.push((told.side, map.clone(), *count)),
                }
            }
            Happening::Over(_) => {
                let on = told.label().map(|kernel| format!(" on {kernel}")).unwrap_or_default();
                for (_, map, count) in self.0.iter().filter(|(side, ..)| *side == told.side) {
                    shell.status("Lost", &format!("{count} events of {map}{on}"));
                }
            }
            _ => {}
        }
    }
}

/// Says on standard error what is going on.
fn status(told: &Told<'_>, is_open: bool, shell: &Shell) {
    if matches!(told.happening, Happening::Event { .. }) {
        return;
    }
    let on = told.label().map(|kernel| format!(" on {kernel}")).unwrap_or_default();
    match told.happening {
        Happening::Attached { program, section, result: Ok(place) } if place == section => {
            shell.status("Attached", &format!("{program} ({section}){on}"));
        }
        Happening::Attached { program, result: Ok(place), .. } => {
            shell.status("Attached", &format!("{program} to {place}{on}"));
        }
        Happening::Attached { program, result: Err(reason), .. } => {
            shell.status("Left out", &format!("{program}{on}: {reason}"));
        }
        Happening::Ready { kernel, release } => {
            let end = if is_open { "; Ctrl-C ends" } else { "" };
            let kernel = if kernel == OWN { "this machine's own kernel" } else { kernel };
            shell.status("Running", &format!("on {kernel} ({release}){end}"));
        }
        Happening::Over(Some(reason)) => shell.status("Ended", &format!("early{on}: {reason}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "5h", "-1s", "0", "1e99s", "..s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
