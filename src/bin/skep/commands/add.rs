//! `skep add TEMPLATE`.

use super::CommandResult;
use super::new::{self, Choices};
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::add::{self, Outcome};
use skep::ops::templates::{self, license};
use skep::report::{Cell, Table};

/// Arguments of `skep add`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The template of the program; `skep new --list` shows them
    #[arg(value_name = "TEMPLATE", required_unless_present = "git")]
    template: Option<String>,
    /// The program's name [default: the template's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    choices: Choices,
}

/// Adds a program to the project here.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let Args { template, name, choices } = args;
    let template = templates::find(session, choices.git.as_deref(), template.as_deref())?;
    let license = choices
        .license
        .or_else(|| add::license(session))
        .unwrap_or_else(|| license::DEFAULT.to_owned());
    let request = skep::ops::new::Request {
        name: name.unwrap_or_else(|| template.name.clone()),
        lang: choices.lang.map(Into::into),
        license,
        values: new::answers(&template, choices.values, shell)?,
        template,
    };
    report(&add::run(session, &request)?, session, shell);
    Ok(())
}

fn report(outcome: &Outcome, session: &Session, shell: &Shell) {
    let mut table =
        Table::new("added-file", &[("program", ""), ("template", ""), ("path", "FILE")]);
    for file in &outcome.files {
        let path = outcome.root.join(file);
        table.push(vec![
            Cell::Text(outcome.name.clone()),
            Cell::Text(outcome.template.clone()),
            Cell::Text(session.display(&path).display().to_string()),
        ]);
    }
    shell.table(&table);
    let (name, template) = (&outcome.name, &outcome.template);
    shell.status("Added", &format!("`{name}` from the template `{template}`"));
    shell.status("Next", "skep build; skep verify");
}
