//! `skep kernel list|add|remove|path`.

use super::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
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
