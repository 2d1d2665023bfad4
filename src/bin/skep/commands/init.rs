//! `skep init`.

use super::CommandResult;
use super::new::{Choices, report, request, template};
use crate::shell::Shell;
use skep::ops::{Session, init, new};

/// Arguments of `skep init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's name [default: the directory's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The template to begin with [default: minimal]
    #[arg(short, long, value_name = "TEMPLATE")]
    template: Option<String>,
    #[command(flatten)]
    choices: Choices,
}

/// Makes the current directory a project.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let name = match args.name {
        Some(name) => name,
        None => shell.ask("Name", Some(&init::default_name(session)), |answer| {
            new::check_name(answer).map_err(|failure| failure.to_string())
        })?,
    };
    let template = template(args.template.as_deref(), &args.choices, session, shell)?;
    let request = request(name, template, args.choices, shell)?;
    let outcome = init::run(session, &request)?;
    report(&outcome, "skep build; skep verify", session, shell);
    Ok(())
}
