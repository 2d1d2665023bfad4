//! One file a command: its arguments, the request it makes of them, the one
//! operation it calls, and what it reports.

mod add;
mod bench;
mod bisect;
mod build;
mod check;
mod clean;
mod completions;
mod diagnose;
mod disasm;
mod doctor;
mod drift;
mod expand;
mod explain;
mod generate;
mod ide;
mod init;
mod inspect;
mod kernel;
mod lsp;
mod man;
mod metadata;
mod min_core;
mod new;
mod packages;
mod recording;
mod run;
mod test;
mod tests;
mod trace;
mod verify;
mod vmlinux;
mod watch;

use crate::shell::Shell;
use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};
use skep::diagnostics::Failure;
use skep::ops::Session;

/// What a command comes to: findings go to the shell as they are known; an
/// error is what kept the command from doing its work at all.
pub type CommandResult = Result<(), Failure>;

/// Declares [`Command`]: of each command its name and its arguments.
///
/// What `derive(Subcommand)` makes of it defines the arguments of all commands
/// before it looks which one is meant; here a command's are defined when it is.
macro_rules! commands {
    ($(#[doc = $about:literal] $name:literal => $variant:ident($args:ty),)*) => {
        /// The commands.
        #[derive(Debug)]
        pub enum Command {
            $(#[doc = $about] $variant($args),)*
        }

        impl clap::Subcommand for Command {
            fn augment_subcommands(command: clap::Command) -> clap::Command {
                command$(.subcommand(clap::Command::new($name).about($about.trim()).defer(
                    |command| {
                        let define = <$args as clap::Args>::augment_args;
                        before_global(command, define).about($about.trim())
                    },
                )))*
            }

            fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
                Self::augment_subcommands(command)
            }

            fn has_subcommand(name: &str) -> bool {
                [$($name),*].contains(&name)
            }
        }

        impl FromArgMatches for Command {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Self::from_arg_matches_mut(&mut matches.clone())
            }

            fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
                let missing = || {
                    let message = "a command is required but none was given";
                    clap::Error::raw(ErrorKind::MissingSubcommand, message)
                };
                let (name, mut own) = matches.remove_subcommand().ok_or_else(missing)?;
                match name.as_str() {
                    $($name => FromArgMatches::from_arg_matches_mut(&mut own).map(Self::$variant),)*
                    _ => Err(missing()),
                }
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

/// Defines arguments of a command that has those of all commands already;
/// help lists these last.
fn before_global(
    command: clap::Command,
    define: fn(clap::Command) -> clap::Command,
) -> clap::Command {
    let global: Vec<_> = command.get_arguments().map(|arg| arg.get_id().clone()).collect();
    let last = |command: clap::Command, id| command.mut_arg(id, |arg| arg);
    global.into_iter().fold(define(command), last)
}

commands! {
    /// Make a project in a new directory
    "new" => New(new::Args),
    /// Make the current directory a project
    "init" => Init(init::Args),
    /// Add a program to the project that is here
    "add" => Add(add::Args),
    /// Compile the project's BPF sources, and its user program
    "build" => Build(build::Args),
    /// Write skeletons, subskeletons and types of an object
    "gen" => Generate(generate::Args),
    /// Write a source as the compiler sees it after preprocessing
    "expand" => Expand(expand::Args),
    /// Describe the project and its objects, for programs
    "metadata" => Metadata(metadata::Args),
    /// Remove what builds have made
    "clean" => Clean(clean::Args),
    /// Check objects without a kernel
    "check" => Check(check::Args),
    /// Load every program into real kernels and report their verifiers' verdicts
    "verify" => Verify(Box<verify::Args>),
    /// Run programs in a kernel's virtual machine and show what comes out
    "run" => Run(Box<run::Args>),
    /// Run programs with given input on real kernels, and compare what comes out
    "test" => Test(Box<test::Args>),
    /// Say how long programs run with the input of their tests
    "bench" => Bench(Box<bench::Args>),
    /// Build, check or verify after every change
    "watch" => Watch(watch::Args),
    /// Find the first kernel, or clang, that gives a program another verdict
    "bisect" => Bisect(bisect::Args),
    /// Manage the kernels that programs are verified on
    "kernel" => Kernel(kernel::Args),
    /// Say what this machine lacks, and install it
    "doctor" => Doctor(doctor::Args),
    /// Write vmlinux.h, or parts of it, from a kernel's BTF
    "vmlinux" => Vmlinux(vmlinux::Args),
    /// Look into an object, or into BTF: types, their layout, who uses them
    "inspect" => Inspect(inspect::Args),
    /// List programs' instructions with their C lines
    "disasm" => Disasm(disasm::Args),
    /// Explain the log of a verifier that someone else ran
    "diagnose" => Diagnose(diagnose::Args),
    /// Say what a code of a finding means
    "explain" => Explain(explain::Args),
    /// Write the files with which an editor knows the project
    "ide" => Ide(ide::Args),
    /// Serve an editor that speaks the language server protocol
    "lsp" => Lsp(lsp::Args),
    /// Write a shell's completion script to standard output
    "completions" => Completions(completions::Args),
    /// Write manual pages
    "man" => Man(man::Args),
}

/// Runs one command.
pub fn run(command: Command, session: &Session, shell: &Shell) -> CommandResult {
    match command {
        Command::New(args) => new::run(args, session, shell),
        Command::Init(args) => init::run(args, session, shell),
        Command::Add(args) => add::run(args, session, shell),
        Command::Build(args) => build::run(args, session, shell),
        Command::Generate(args) => generate::run(args, session, shell),
        Command::Expand(args) => expand::run(args, session, shell),
        Command::Metadata(args) => metadata::run(args, session, shell),
        Command::Clean(args) => clean::run(args, session, shell),
        Command::Check(args) => check::run(args, session, shell),
        Command::Verify(args) => verify::run(*args, session, shell),
        Command::Run(args) => run::run(*args, session, shell),
        Command::Test(args) => test::run(*args, session, shell),
        Command::Bench(args) => bench::run(*args, session, shell),
        Command::Watch(args) => watch::run(args, session, shell),
        Command::Bisect(args) => bisect::run(args, session, shell),
        Command::Kernel(args) => kernel::run(args, session, shell),
        Command::Doctor(args) => doctor::run(&args, session, shell),
        Command::Vmlinux(args) => vmlinux::run(args, session, shell),
        Command::Inspect(args) => inspect::run(args, session, shell),
        Command::Disasm(args) => disasm::run(args, session, shell),
        Command::Diagnose(args) => diagnose::run(args, session, shell),
        Command::Explain(args) => explain::run(&args, shell),
        Command::Ide(args) => ide::run(&args, session, shell),
        Command::Lsp(args) => lsp::run(&args, session),
        Command::Completions(args) => completions::run(&args, shell),
        Command::Man(args) => man::run(&args, session, shell),
    }
}
