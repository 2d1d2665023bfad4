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
use clap::Subcommand;
use skep::diagnostics::Failure;
use skep::ops::Session;

/// What a command comes to: findings go to the shell as they are known; an
/// error is what kept the command from doing its work at all.
pub type CommandResult = Result<(), Failure>;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a project in a new directory
    New(new::Args),
    /// Make the current directory a project
    Init(init::Args),
    /// Add a program to the project that is here
    Add(add::Args),
    /// Compile the project's BPF sources, and its user program
    Build(build::Args),
    /// Write skeletons, subskeletons and types of an object
    #[command(name = "gen")]
    Generate(generate::Args),
    /// Write a source as the compiler sees it after preprocessing
    Expand(expand::Args),
    /// Describe the project and its objects, for programs
    Metadata(metadata::Args),
    /// Remove what builds have made
    Clean(clean::Args),
    /// Check objects without a kernel
    Check(check::Args),
    /// Load every program into real kernels and report their verifiers' verdicts
    Verify(Box<verify::Args>),
    /// Run programs in a kernel's virtual machine and show what comes out
    Run(Box<run::Args>),
    /// Run programs with given input on real kernels, and compare what comes out
    Test(Box<test::Args>),
    /// Say how long programs run with the input of their tests
    Bench(Box<bench::Args>),
    /// Build, check or verify after every change
    Watch(watch::Args),
    /// Find the first kernel, or clang, that gives a program another verdict
    Bisect(bisect::Args),
    /// Manage the kernels that programs are verified on
    Kernel(kernel::Args),
    /// Say what this machine lacks, and install it
    Doctor(doctor::Args),
    /// Write vmlinux.h, or parts of it, from a kernel's BTF
    Vmlinux(vmlinux::Args),
    /// Look into an object, or into BTF: types, their layout, who uses them
    Inspect(inspect::Args),
    /// List programs' instructions with their C lines
    Disasm(disasm::Args),
    /// Explain the log of a verifier that someone else ran
    Diagnose(diagnose::Args),
    /// Say what a code of a finding means
    Explain(explain::Args),
    /// Write the files with which an editor knows the project
    Ide(ide::Args),
    /// Serve an editor that speaks the language server protocol
    Lsp(lsp::Args),
    /// Write a shell's completion script to standard output
    Completions(completions::Args),
    /// Write manual pages
    Man(man::Args),
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
        Command::Lsp(_) => lsp::run(session),
        Command::Completions(args) => completions::run(&args, shell),
        Command::Man(args) => man::run(&args, session, shell),
    }
}
