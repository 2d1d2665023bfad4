//! `skep new NAME`, and what other commands that use templates share with it.

use super::CommandResult;
use crate::shell::Shell;
use clap::ValueEnum;
use skep::diagnostics::{Diagnostic, Failure, Origin, codes};
use skep::ops::Session;
use skep::ops::new::{self, Outcome, Request};
use skep::ops::templates::{self, Lang, Template, license};
use skep::report::{Cell, Table};
use std::collections::BTreeMap;

/// Arguments of `skep new`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's name, and its directory's; asked for if it is left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The template to begin with [default: minimal]
    #[arg(short, long, value_name = "TEMPLATE")]
    template: Option<String>,
    #[command(flatten)]
    choices: Choices,
    /// List the templates
    #[arg(long)]
    list: bool,
}

/// What all commands that use templates take.
#[derive(Debug, clap::Args)]
pub struct Choices {
    /// Take the template from a directory or git repository, or from a folder
    /// in it: PLACE#FOLDER
    #[arg(long, value_name = "URL|PATH")]
    pub git: Option<String>,
    /// What the user program is written in [default: the template's first]
    #[arg(long, value_name = "LANG", value_enum)]
    pub lang: Option<LangChoice>,
    /// The license, an SPDX expression [default: GPL-2.0-only OR BSD-2-Clause]
    #[arg(long, value_name = "SPDX")]
    pub license: Option<String>,
    /// An answer to a question of the template
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = key_value)]
    pub values: Vec<(String, String)>,
}

/// The values of `--lang`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LangChoice {
    /// C, built by skep
    C,
    /// Rust, built by cargo
    Rust,
    /// No user program
    None,
}

impl From<LangChoice> for Lang {
    fn from(choice: LangChoice) -> Self {
        match choice {
            LangChoice::C => Self::C,
            LangChoice::Rust => Self::Rust,
            LangChoice::None => Self::None,
        }
    }
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
        shell.table(&list(&templates::list(session, args.choices.git.as_deref())?));
        return Ok(());
    }
    let name = match args.name {
        Some(name) => name,
        None => shell.ask("Name", None, |answer| {
            new::check_name(answer).map_err(|failure| failure.to_string())
        })?,
    };
    new::check_name(&name)?;
    let template = template(args.template.as_deref(), &args.choices, session, shell)?;
    let request = request(name, template, args.choices, shell)?;
    let outcome = new::run(session, &request)?;
    report(&outcome, &format!("cd {}; skep build; skep verify", outcome.name), session, shell);
    Ok(())
}

/// The template that is named, or that is chosen where there is somebody to
/// ask.
pub fn template(
    name: Option<&str>,
    choices: &Choices,
    session: &Session,
    shell: &Shell,
) -> Result<Template, Failure> {
    if name.is_some() || choices.git.is_some() || !shell.can_ask() {
        return templates::find(session, choices.git.as_deref(), name);
    }
    let mut templates = templates::list(session, None)?;
    let default = templates.iter().position(|template| template.name == templates::DEFAULT);
    let width = templates.iter().map(|template| template.name.len()).max().unwrap_or_default();
    let lines: Vec<String> = templates
        .iter()
        .map(|template| format!("{:<width$}  {}", template.name, template.summary))
        .collect();
    let chosen = shell.choose("Template", &lines, default.unwrap_or(0))?;
    Ok(templates.swap_remove(chosen))
}

/// Asks for what the command line does not say, where there is somebody to
/// ask; elsewhere the defaults are taken.
pub fn request(
    name: String,
    template: Template,
    choices: Choices,
    shell: &Shell,
) -> Result<Request, Failure> {
    let lang = match choices.lang {
        Some(lang) => Some(template.lang(Some(lang.into()))?),
        None if template.langs.len() > 1 => {
            let offered: Vec<String> =
                template.langs.iter().map(|lang| in_words(*lang).to_owned()).collect();
            Some(template.langs[shell.choose("User program", &offered, 0)?])
        }
        None => None,
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
    let values = answers(&template, choices.values, shell)?;
    Ok(Request { name, template, lang, license, values })
}

fn in_words(lang: Lang) -> &'static str {
    match lang {
        Lang::C => "in C",
        Lang::Rust => "in Rust",
        Lang::None => "none",
    }
}

/// The answers to a template's questions.
pub fn answers(
    template: &Template,
    given: Vec<(String, String)>,
    shell: &Shell,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    for (key, value) in given {
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
    Ok(values)
}

/// Says what was made and what to do next.
pub fn report(outcome: &Outcome, next: &str, session: &Session, shell: &Shell) {
    let dir = session.display(&outcome.dir).display().to_string();
    if shell.format().is_for_machines() {
        let mut table = Table::new(
            "project",
            &[("name", "name"), ("path", "path"), ("template", "template"), ("lang", "language")],
        );
        table.push(vec![
            Cell::Text(outcome.name.clone()),
            Cell::Text(if dir.is_empty() { ".".to_owned() } else { dir }),
            Cell::Text(outcome.template.clone()),
            Cell::Text(outcome.lang.to_string()),
        ]);
        shell.table(&table);
    }
    for kept in &outcome.kept {
        session.note(format!("{} is there already and was left as it is", kept.display()));
    }
    shell
        .status("Created", &format!("`{}` from the template `{}`", outcome.name, outcome.template));
    shell.status("Next", next);
}

fn list(templates: &[Template]) -> Table {
    let mut table = Table::new(
        "template",
        &[
            ("topic", "TOPIC"),
            ("name", "TEMPLATE"),
            ("kernel", "KERNEL"),
            ("langs", "LANGUAGES"),
            ("summary", "WHAT IT DOES"),
            ("config", "NEEDS"),
        ],
    );
    for template in templates {
        table.push(vec![
            Cell::Text(template.topic.clone()),
            Cell::Text(template.name.clone()),
            Cell::Text(template.kernel.to_string()),
            Cell::Words(template.langs.iter().map(|lang| lang.to_string()).collect()),
            Cell::Text(template.summary.clone()),
            Cell::Words(template.config.clone()),
        ]);
    }
    table
}
