//! `skep new NAME`.

use super::CommandResult;
use crate::shell::Shell;
use skep::diagnostics::{Diagnostic, Failure, Origin, codes};
use skep::ops::Session;
use skep::ops::new::{self, Outcome, Request};
use skep::report::{Cell, Table};
use skep::scaffold::{self, license};
use std::collections::BTreeMap;

/// Arguments of `skep new`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's name, and its directory's; asked for if it is left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    choices: Choices,
    /// List the templates
    #[arg(long)]
    list: bool,
}

/// What `skep new` and `skep init` have in common.
#[derive(Debug, clap::Args)]
pub struct Choices {
    /// The template to begin with [default: minimal]
    #[arg(short, long, value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// The license, an SPDX expression [default: GPL-2.0-only OR BSD-2-Clause]
    #[arg(long, value_name = "SPDX")]
    pub license: Option<String>,
    /// An answer to a question of the template
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = key_value)]
    pub values: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// Makes a project, or lists the templates.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    if args.list {
        shell.table(&list());
        return Ok(());
    }
    let name = match args.name {
        Some(name) => name,
        None => shell.ask("Name", None, |answer| {
            new::check_name(answer).map_err(|failure| failure.to_string())
        })?,
    };
    new::check_name(&name)?;
    let request = request(name, args.choices, shell)?;
    let outcome = new::run(session, &request)?;
    report(&outcome, &format!("cd {}; skep build; skep verify", outcome.name), session, shell);
    Ok(())
}

/// Asks for what the command line does not say, where there is somebody to
/// ask; elsewhere the defaults are taken.
pub fn request(name: String, choices: Choices, shell: &Shell) -> Result<Request, Failure> {
    let templates = scaffold::templates();
    let template = match choices.template {
        Some(template) => scaffold::find(&template)?,
        None => {
            let default = templates.iter().position(|template| template.name == "minimal");
            let lines: Vec<String> = templates
                .iter()
                .map(|template| format!("{:<10} {}", template.name, template.summary))
                .collect();
            &templates[shell.choose("Template", &lines, default.unwrap_or(0))?]
        }
    };
    let license = match choices.license {
        Some(license) => license,
        None => {
            let mut offered: Vec<String> =
                license::OFFERED.iter().map(|license| (*license).to_owned()).collect();
            offered.push("another one".to_owned());
            let chosen = shell.choose("License", &offered, 0)?;
            match license::OFFERED.get(chosen) {
                Some(license) => (*license).to_owned(),
                None => shell.ask("SPDX expression", Some(license::DEFAULT), |answer| {
                    license::check(answer).map_err(|error| Diagnostic::from(error).message)
                })?,
            }
        }
    };
    let mut values = BTreeMap::new();
    for (key, value) in choices.values {
        if values.insert(key.clone(), value).is_some() {
            let message = format!("`--var {key}=…` is there twice");
            return Err(Diagnostic::new(codes::USAGE, Origin::Command, message).into());
        }
    }
    for question in &template.questions {
        if values.contains_key(&question.name) {
            continue;
        }
        let answer = if question.choices.is_empty() {
            shell.ask(&question.prompt, Some(&question.default), |answer| question.check(answer))?
        } else {
            let default = question.choices.iter().position(|choice| *choice == question.default);
            let chosen = shell.choose(&question.prompt, &question.choices, default.unwrap_or(0))?;
            question.choices[chosen].clone()
        };
        values.insert(question.name.clone(), answer);
    }
    Ok(Request { name, template: template.name.clone(), license, values })
}

/// Says what was made and what to do next.
pub fn report(outcome: &Outcome, next: &str, session: &Session, shell: &Shell) {
    let dir = session.display(&outcome.dir).display().to_string();
    if shell.format().is_for_machines() {
        let mut table =
            Table::new("project", &[("name", "name"), ("path", "path"), ("template", "template")]);
        table.push(vec![
            Cell::Text(outcome.name.clone()),
            Cell::Text(if dir.is_empty() { ".".to_owned() } else { dir }),
            Cell::Text(outcome.template.name.clone()),
        ]);
        shell.table(&table);
    }
    for kept in &outcome.kept {
        session.note(format!("{} is there already and was left as it is", kept.display()));
    }
    shell.status(
        "Created",
        &format!("`{}` from the template `{}`", outcome.name, outcome.template.name),
    );
    shell.status("Next", next);
}

fn list() -> Table {
    let mut table = Table::new(
        "template",
        &[
            ("name", "template"),
            ("topic", "topic"),
            ("kernel", "kernel"),
            ("summary", "what it does"),
        ],
    );
    for template in scaffold::templates() {
        table.push(vec![
            Cell::Text(template.name.clone()),
            Cell::Text(template.topic.clone()),
            Cell::Text(template.kernel.clone()),
            Cell::Text(template.summary.clone()),
        ]);
    }
    table
}
