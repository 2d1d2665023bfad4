//! `skep man`.

use super::CommandResult;
use crate::cli::Cli;
use crate::shell::Shell;
use clap::CommandFactory as _;
use clap_mangen::Man;
use skep::base::fs;
use skep::ops::Session;
use std::path::{Path, PathBuf};

/// Arguments of `skep man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write a page for each command into DIR instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes skep(1) to standard output, or all pages into a directory.
pub fn run(args: &Args, session: &Session, shell: &Shell) -> CommandResult {
    let mut command = Cli::command();
    command.build();
    match &args.out {
        None => shell.raw(&roff(command.clone(), "skep")),
        Some(dir) => {
            let dir = session.absolute(dir);
            fs::write_atomic(&dir.join("skep.1"), &roff(command.clone(), "skep"))?;
            let pages = 1 + write_pages(&command, "skep", &dir)?;
            shell.status("Wrote", &format!("{pages} pages to {}", session.display(&dir).display()));
        }
    }
    Ok(())
}

/// Writes the pages of a command's subcommands; returns how many.
fn write_pages(command: &clap::Command, name: &str, dir: &Path) -> Result<usize, fs::Error> {
    let mut pages = 0;
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("{name}-{}", subcommand.get_name());
        fs::write_atomic(&dir.join(format!("{name}.1")), &roff(subcommand.clone(), &name))?;
        pages += 1 + write_pages(subcommand, &name, dir)?;
    }
    Ok(pages)
}

fn roff(command: clap::Command, title: &str) -> Vec<u8> {
    let mut page = Vec::new();
    let man = Man::new(command).title(title.to_uppercase()).manual("skep");
    // Writing to memory does not fail.
    drop(man.render(&mut page));
    page
}
