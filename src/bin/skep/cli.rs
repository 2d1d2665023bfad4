//! The root of the command line: global flags, the list of commands, and the
//! table of exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | good |
//! | 1 | findings at error level, a rejection, a failed test |
//! | 2 | wrong usage or manifest |
//! | 3 | the environment failed |
//! | 130 | interrupted |
#![expect(
    clippy::disallowed_methods,
    reason = "the environment is read here, once, into the session"
)]

use crate::commands::{self, Command};
use crate::shell::{Settings, Shell, Verbosity};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use skep::base::programs::Programs;
use skep::base::{Cancel, fs};
use skep::diagnostics::{Class, Diagnostic, Failure, Origin, codes};
use skep::kernels::{DEBIAN_MIRROR, Mirrors, UBUNTU_MIRROR};
use skep::ops::Session;
use skep::report::Format;
use skep::wire::LOADER;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// A cargo-like driver for BPF development: scaffold, build, check, verify.
#[derive(Debug, Parser)]
#[command(name = "skep", version, propagate_version = true, max_term_width = 100)]
#[command(disable_help_subcommand = false, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Run as if started in DIR
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// How results and findings are written
    #[arg(long, value_name = "FORMAT", global = true, value_enum, default_value_t)]
    pub message_format: FormatChoice,
    /// When to use colour
    #[arg(long, value_name = "WHEN", global = true, value_enum, default_value_t)]
    pub color: ColorChoice,
    /// Say only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more (-vv: everything)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Fetch nothing from anywhere
    #[arg(long, global = true)]
    pub offline: bool,
    /// Fail if Skep.lock would change
    #[arg(long, global = true)]
    pub locked: bool,
    /// What counts as an error besides errors
    #[arg(long, value_name = "WHAT", global = true, value_enum)]
    pub deny: Option<DenyChoice>,
    /// How many pieces of work run at once [default: the number of CPUs]
    #[arg(short, long, value_name = "N", global = true)]
    pub jobs: Option<NonZeroUsize>,
}

/// The values of `--message-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FormatChoice {
    /// For people: source excerpts, colour, aligned tables
    #[default]
    Human,
    /// `file:line:col: error[CODE]: message`, one line each
    Short,
    /// One JSON object a line
    Json,
    /// A SARIF 2.1.0 document
    Sarif,
    /// GitHub workflow annotations
    Github,
    /// A JUnit XML document
    Junit,
}

impl From<FormatChoice> for Format {
    fn from(choice: FormatChoice) -> Self {
        match choice {
            FormatChoice::Human => Self::Human,
            FormatChoice::Short => Self::Short,
            FormatChoice::Json => Self::Json,
            FormatChoice::Sarif => Self::Sarif,
            FormatChoice::Github => Self::Github,
            FormatChoice::Junit => Self::Junit,
        }
    }
}

/// The values of `--deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DenyChoice {
    /// Every warning that the manifest does not allow
    Warnings,
}

/// The values of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Parses the command line, runs the command and says how it ended.
pub fn main() -> ExitCode {
    // The tree of all commands would take longer than all the rest.
    let mut words = std::env::args_os().skip(1);
    match (words.next(), words.next(), words.next()) {
        (Some(word), None, None) if word == "--version" || word == "-V" => {
            crate::shell::say(concat!("skep ", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        // Started by another skep, for `--host`.
        (Some(word), Some(requests), Some(replies)) if word == LOADER => {
            let number = |word: OsString| word.to_str()?.parse().ok();
            return ExitCode::from(match (number(requests), number(replies)) {
                (Some(requests), Some(replies)) => {
                    if skep::guest::run_on_own_kernel(requests, replies) { 0 } else { 3 }
                }
                _ => 2,
            });
        }
        _ => {}
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version to stdout, errors to stderr; a
            // closed pipe is no reason to fail.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let started_in = std::env::current_dir();
    let cwd = match (&started_in, &cli.global.directory) {
        (Ok(started_in), Some(dir)) => started_in.join(dir),
        (Ok(started_in), None) => started_in.clone(),
        (Err(_), _) => PathBuf::from("."),
    };
    let shell = Arc::new(Shell::new(settings(&cli.global, cwd.clone())));
    let result = session(&cli.global, started_in, cwd, &shell).and_then(|session| {
        let result = commands::run(cli.command, &session, &shell);
        if session.cancel.is_cancelled() {
            // What a command made of being interrupted is of no interest.
            return Err(Diagnostic::new(codes::INTERRUPTED, Origin::Command, "interrupted").into());
        }
        result
    });
    let class = match result {
        Ok(()) => shell.worst(),
        Err(failure) => {
            let class = failure.diagnostic().code.class();
            shell.fatal(failure.diagnostic());
            Some(class)
        }
    };
    match (shell.finish(class), shell.exit()) {
        (None, Some(code)) => code,
        (class, _) => exit_code(class),
    }
}

/// What `Cli::try_parse` does, without taking the tree of commands down again,
/// which takes a third as long as to put it up.
fn parse() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let cli = matches.and_then(|mut matches| {
        Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    });
    std::mem::forget(command);
    cli
}

/// The table of exit codes.
fn exit_code(class: Option<Class>) -> ExitCode {
    ExitCode::from(match class {
        None => 0,
        Some(Class::Finding) => 1,
        Some(Class::Usage) => 2,
        Some(Class::Environment) => 3,
        Some(Class::Interrupted) => 130,
    })
}

/// What flags and environment say about output.
fn settings(global: &GlobalArgs, cwd: PathBuf) -> Settings {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let color = match global.color {
        ColorChoice::Always => Some(true),
        ColorChoice::Never => Some(false),
        ColorChoice::Auto if non_empty("NO_COLOR").is_some() => Some(false),
        ColorChoice::Auto => non_empty("CLICOLOR_FORCE").filter(|value| value != "0").map(|_| true),
    };
    // The variable that decides is the first that is set (POSIX, 8.2).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(non_empty);
    let unicode = locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    Settings {
        format: global.message_format.into(),
        verbosity: Verbosity::from_flags(global.quiet, global.verbose),
        color,
        terminal: text("TERM").unwrap_or_else(|| "dumb".into()),
        dumb,
        unicode,
        cwd,
    }
}

/// Reads the rest of the environment, once.
fn session(
    global: &GlobalArgs,
    started_in: io::Result<PathBuf>,
    cwd: PathBuf,
    shell: &Arc<Shell>,
) -> Result<Session, Failure> {
    started_in.map_err(|source| fs::Error {
        action: "find the current directory",
        path: PathBuf::from("."),
        source,
    })?;
    if !fs::is_dir(&cwd) {
        let message = format!("{} is not a directory", cwd.display());
        return Err(Diagnostic::new(codes::FILE_NOT_FOUND, Origin::Command, message).into());
    }
    let executable = std::env::current_exe().map_err(|source| fs::Error {
        action: "find skep's own executable",
        path: PathBuf::from("skep"),
        source,
    })?;
    let cancel = Cancel::new();
    crate::shell::interrupt::install(&cancel);
    Ok(Session {
        cache: cwd.join(cache_dir()),
        programs: Programs::new(std::env::var_os("PATH").unwrap_or_default(), cwd.clone()),
        clang: non_empty("SKEP_CLANG").map(PathBuf::from),
        out_dir: non_empty("OUT_DIR").map(PathBuf::from),
        pkg_config_path: non_empty("PKG_CONFIG_PATH"),
        mirrors: Mirrors { debian: text(DEBIAN_MIRROR), ubuntu: text(UBUNTU_MIRROR) },
        executable,
        jobs: global
            .jobs
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN),
        offline: global.offline,
        locked: global.locked,
        deny_warnings: global.deny == Some(DenyChoice::Warnings),
        cancel,
        sink: Arc::clone(shell) as _,
        cwd,
    })
}

/// `SKEP_CACHE_DIR`, else `skep` below `XDG_CACHE_HOME`, else below
/// `~/.cache`; without a home, a directory below the current one.
fn cache_dir() -> PathBuf {
    if let Some(dir) = non_empty("SKEP_CACHE_DIR") {
        return PathBuf::from(dir);
    }
    let base = non_empty("XDG_CACHE_HOME")
        .map(PathBuf::from)
        // The XDG specification: relative paths are to be ignored.
        .filter(|dir| dir.is_absolute())
        .or_else(|| non_empty("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.map_or_else(|| PathBuf::from(".skep-cache"), |base| base.join("skep"))
}

/// A variable's value as text; one that is none cannot be meant.
fn text(name: &str) -> Option<String> {
    non_empty(name).and_then(|value| value.into_string().ok())
}

fn non_empty(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
