//! `skep kernel list|add|remove|path`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::features::{self, Features};
use skep::ops::kernel::{self, Listed};
use skep::report::{Cell, Table};

/// Arguments of `skep kernel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the kernels in the store
    List,
    /// Fetch the newest kernel of each reference into the store
    Add {
        /// debian/SUITE, a version, or a path to an image or .deb
        #[arg(value_name = "REF", required = true)]
        references: Vec<String>,
    },
    /// Remove kernels from the store
    Remove {
        /// As `list` shows them
        #[arg(value_name = "REF", required = true)]
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
}

/// Does it and reports.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    match args.command {
        Command::List => {
            let kernels = kernel::list(session)?;
            if kernels.is_empty() {
                session.note("no kernel is stored; `skep kernel add debian/bookworm` fetches one");
            } else {
                shell.table(&table(&kernels));
            }
        }
        Command::Add { references } => shell.table(&table(&kernel::add(session, &references)?)),
        Command::Remove { references } => kernel::remove(session, &references)?,
        Command::Path { reference } => {
            let path = kernel::path(session, &reference)?;
            shell.raw(format!("{}\n", path.display()).as_bytes());
        }
        Command::Features { reference, section, helpers } => {
            let section = section.map(|section| features::section(&section)).transpose()?;
            let features = features::ask(session, &reference, section)?;
            shell.table(&if helpers { all_helpers(&features) } else { offers(&features) });
        }
    }
    Ok(())
}

fn table(kernels: &[Listed]) -> Table {
    let mut table = Table::new(
        "kernel",
        &[
            ("reference", "KERNEL"),
            ("release", "RELEASE"),
            ("package", "PACKAGE"),
            ("size", "SIZE"),
        ],
    );
    for kernel in kernels {
        table.push(vec![
            Cell::Text(kernel.reference.clone()),
            Cell::Text(kernel.release.clone()),
            match kernel.package.as_str() {
                "" => Cell::Unknown,
                package => Cell::Text(package.to_owned()),
            },
            Cell::Bytes(kernel.size),
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
