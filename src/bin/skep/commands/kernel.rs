//! `skep kernel list|add|remove|update|path|btf|config|run`.

use super::CommandResult;
use crate::shell::Shell;
use crate::shell::terminal::{self, Lent};
use skep::ops::Session;
use skep::ops::features::{self, Features};
use skep::ops::kernel::{self, Listed, Updated};
use skep::ops::kernel_run::{self, Request};
use skep::report::{Cell, Table};
use skep::vm::{Stream, Visitor};
use skep::wire::Terminal;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `skep kernel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the kernels in the store, and what they take on the disk
    List {
        /// List what could be fetched instead
        #[arg(long)]
        available: bool,
    },
    /// Fetch the newest kernel of each reference into the store
    Add {
        /// debian/SUITE, ubuntu/SUITE, fedora/N, a version, or a path to an image or package
        #[arg(value_name = "REF", required = true)]
        references: Vec<String>,
    },
    /// Remove kernels from the store, with what was made of them
    Remove {
        /// As `list` shows them
        #[arg(value_name = "REF", required = true)]
        references: Vec<String>,
    },
    /// Move to the newest kernels, also in Skep.lock
    Update {
        /// The kernels [default: the project's matrix, else all that are stored]
        #[arg(value_name = "REF")]
        references: Vec<String>,
    },
    /// Print where a kernel's image is, fetching it if need be
    Path {
        /// The kernel
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Ask a kernel which programs it takes and which helpers each may call
    Features {
        /// The kernel
        #[arg(value_name = "REF")]
        reference: String,
        /// Only programs of this section: `xdp`, `kprobe`
        #[arg(long, value_name = "SEC")]
        section: Option<String>,
        /// List the helpers that each may call
        #[arg(long)]
        helpers: bool,
    },
    /// Print where a kernel's BTF is, as a file that other tools read
    Btf {
        /// The kernel
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Print a kernel's configuration, or single options of it
    Config {
        /// The kernel
        #[arg(value_name = "REF")]
        reference: String,
        /// Options, with or without CONFIG_ in front
        #[arg(value_name = "OPTION")]
        options: Vec<String>,
    },
    /// Run a command, or a shell, in a kernel's virtual machine
    Run(RunArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The kernel
    #[arg(value_name = "REF")]
    reference: String,
    /// A file or directory to lay into /bring, read-only, programs with the shared libraries they need
    #[arg(long, value_name = "PATH")]
    bring: Vec<PathBuf>,
    /// A module to load first, with those it needs
    #[arg(long = "module", value_name = "NAME")]
    modules: Vec<String>,
    /// A word for the kernel's command line
    #[arg(long, value_name = "WORD")]
    append: Vec<String>,
    /// Boot instead of restoring a snapshot
    #[arg(long)]
    cold: bool,
    /// The command and its arguments [default: a shell; `help` in it lists its commands]
    #[arg(value_name = "COMMAND", last = true)]
    words: Vec<String>,
}

/// Does it and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    match args.command {
        Command::List { available: true } => shell.table(&available(session)?),
        Command::List { available: false } => {
            let kernels = kernel::list(session)?;
            if kernels.is_empty() {
                session.note("no kernel is stored; `skep kernel add debian/bookworm` fetches one");
            } else {
                shell.table(&table(&kernels));
            }
        }
        Command::Add { references } => shell.table(&table(&kernel::add(session, &references)?)),
        Command::Remove { references } => kernel::remove(session, &references)?,
        Command::Update { references } => {
            let updated = kernel::update(session, &references)?;
            if updated.is_empty() {
                session.note("there is no kernel to update");
            } else {
                shell.table(&updates(&updated));
            }
        }
        Command::Path { reference } => {
            let path = kernel::path(session, &reference)?;
            shell.raw(format!("{}\n", path.display()).as_bytes());
        }
        Command::Features { reference, section, helpers } => {
            let section = section.map(|section| features::section(&section)).transpose()?;
            let features = features::ask(session, &reference, section)?;
            shell.table(&if helpers { all_helpers(&features) } else { offers(&features) });
        }
        Command::Btf { reference } => {
            let path = kernel::btf(session, &reference)?;
            shell.raw(format!("{}\n", path.display()).as_bytes());
        }
        Command::Config { reference, options } => {
            shell.raw(&kernel::config(session, &reference, &options)?);
        }
        Command::Run(args) => return visit(args, session, shell),
    }
    Ok(())
}

/// Runs a command in a guest; its exit code is ours.
fn visit(args: RunArgs, session: &Session, shell: &Shell) -> CommandResult {
    let stdin = std::io::stdin();
    let mut input = Vec::new();
    if args.words.is_empty() && !stdin.is_terminal() {
        // Commands for the shell. A command of the user's own gets no input,
        // because whoever runs us may never close theirs.
        drop(stdin.lock().read_to_end(&mut input));
    }
    let request = Request {
        kernel: args.reference,
        words: args.words,
        bring: args.bring,
        modules: args.modules,
        append: args.append,
        cold: args.cold,
        input,
    };
    let mut lent = None;
    let cancel = session.cancel.clone();
    let mut visitor = || {
        let cancel = cancel.clone();
        let (taken, keys) = Lent::take(move || cancel.cancel())?;
        let (rows, columns) = taken.size;
        lent = Some(taken);
        let kind = shell.terminal_kind().to_owned();
        let terminal = Terminal { rows, columns, kind };
        Some(Visitor { terminal, keys, show: Box::new(terminal::show) })
    };
    let output = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Out => shell.raw(bytes),
        Stream::Error => shell.raw_error(bytes),
    };
    let result = kernel_run::run(session, &request, &mut visitor, &output);
    drop(lent);
    let code = result?;
    shell.set_exit(ExitCode::from(u8::try_from(code).unwrap_or(1)));
    Ok(())
}

fn table(kernels: &[Listed]) -> Table {
    let mut table = Table::new(
        "kernel",
        &[
            ("reference", "KERNEL"),
            ("release", "RELEASE"),
            ("package", ""),
            ("version", "VERSION"),
            ("image", "IMAGE"),
            ("modules", "MODULES"),
            ("btf", "BTF"),
            ("snapshots", "SNAPSHOT"),
            ("size", "SIZE"),
        ],
    );
    let text = |text: &str| match text {
        "" => Cell::Unknown,
        text => Cell::Text(text.to_owned()),
    };
    for kernel in kernels {
        table.push(vec![
            Cell::Text(kernel.reference.clone()),
            Cell::Text(kernel.release.clone()),
            text(&kernel.package),
            text(&kernel.version),
            Cell::Bytes(kernel.image),
            Cell::Bytes(kernel.modules),
            Cell::Bytes(kernel.btf),
            Cell::Bytes(kernel.snapshots),
            Cell::Bytes(kernel.size()),
        ]);
    }
    table
}

fn available(session: &Session) -> Result<Table, skep::diagnostics::Failure> {
    let mut table = Table::new(
        "available-kernel",
        &[
            ("reference", "KERNEL"),
            ("release", "RELEASE"),
            ("package", "PACKAGE"),
            ("version", "VERSION"),
        ],
    );
    for kernel in kernel::available(session)? {
        table.push(vec![
            Cell::Text(kernel.reference.to_string()),
            Cell::Text(kernel.release),
            Cell::Text(kernel.package),
            Cell::Text(kernel.version),
        ]);
    }
    Ok(table)
}

fn updates(updated: &[Updated]) -> Table {
    let mut table = Table::new(
        "kernel-update",
        &[
            ("reference", "KERNEL"),
            ("before", "BEFORE"),
            ("release", "RELEASE"),
            ("changed", "CHANGED"),
        ],
    );
    for kernel in updated {
        table.push(vec![
            Cell::Text(kernel.reference.clone()),
            kernel.before.clone().map_or(Cell::Unknown, Cell::Text),
            Cell::Text(kernel.release.clone()),
            Cell::Flag(kernel.changed),
        ]);
    }
    table
}

/// The kinds of program, one a row.
fn offers(features: &Features) -> Table {
    let mut table = Table::new(
        "kernel-program-type",
        &[
            ("section", "SECTION"),
            ("type", "TYPE"),
            ("attach_type", "ATTACH TYPE"),
            ("sleepable", ""),
            ("taken", "TAKEN"),
            ("helpers", "HELPERS"),
        ],
    );
    for offer in &features.kinds {
        let section = offer.section;
        table.push(vec![
            Cell::Text(section.name.to_owned()),
            Cell::Text(section.program_type.name().to_owned()),
            section.attach_type.map_or(Cell::Unknown, |kind| Cell::Text(kind.name().to_owned())),
            Cell::Flag(section.sleepable),
            Cell::Flag(offer.helpers.is_some()),
            offer.helpers.as_ref().map_or(Cell::Unknown, |all| Cell::Count(all.len() as u64)),
        ]);
    }
    table
}

/// The helpers of the kinds that were asked about, one a row.
fn all_helpers(features: &Features) -> Table {
    let mut table = Table::new(
        "kernel-helper",
        &[("section", "SECTION"), ("id", "ID"), ("helper", "HELPER"), ("gpl_only", "GPL ONLY")],
    );
    for offer in &features.kinds {
        let section = offer.section;
        for helper in offer.helpers.iter().flatten() {
            let gpl_only = helper.is_gpl_only_in(section.program_type, section.attach_type);
            table.push(vec![
                Cell::Text(section.name.to_owned()),
                Cell::Number(u64::try_from(helper.id()).unwrap_or_default()),
                Cell::Text(helper.name().to_owned()),
                Cell::Flag(gpl_only),
            ]);
        }
    }
    table
}
