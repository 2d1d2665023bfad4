//! `skep new`: a project in a directory of its own.

use super::Session;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::name::{self, BadName};
use crate::scaffold::{self, Answers, Lang, Template};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Request {
    /// The project's name.
    pub name: String,
    /// The template.
    pub template: Template,
    /// What the user program is written in; the template's default if none is
    /// named.
    pub lang: Option<Lang>,
    /// The license, an SPDX expression.
    pub license: String,
    /// Answers to the template's questions.
    pub values: BTreeMap<String, String>,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The project's name.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// The template's name.
    pub template: String,
    /// What the user program is written in.
    pub lang: Lang,
    /// Files that were there and were left as they are.
    pub kept: Vec<PathBuf>,
}

/// Makes the directory `request.name` with a project in it.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    check_name(&request.name)?;
    let (lang, files) = rendered(session, request)?;
    let dir = session.absolute(&request.name);
    scaffold::write_new(&dir, &files)?;
    Ok(Outcome::of(request, lang, dir, Vec::new()))
}

impl Outcome {
    /// What came of a request.
    pub(super) fn of(request: &Request, lang: Lang, dir: PathBuf, kept: Vec<PathBuf>) -> Self {
        let (name, template) = (request.name.clone(), request.template.name.clone());
        Self { name, dir, template, lang, kept }
    }
}

/// Checks a project's name, with a usable one as help.
pub fn check_name(name: &str) -> Result<(), Failure> {
    name::check(name).map_err(|bad| bad_name(&bad).into())
}

/// The diagnostic for a name that cannot be used.
fn bad_name(bad: &BadName) -> Diagnostic {
    let diagnostic = Diagnostic::new(codes::BAD_NAME, Origin::Command, bad.to_string());
    let diagnostic =
        diagnostic.note("a project's name becomes part of C names: letters, digits, `-` and `_`");
    match &bad.suggestion {
        Some(usable) => diagnostic.help(format!("use `{usable}`")),
        None => diagnostic,
    }
}

/// The files of the project; says what there is to say about its license.
pub(super) fn rendered(
    session: &Session,
    request: &Request,
) -> Result<(Lang, Vec<scaffold::File>), Failure> {
    let template = &request.template;
    let lang = template.lang(request.lang)?;
    let files = template.render(&Answers {
        name: request.name.clone(),
        identifier: name::identifier(&request.name),
        license: request.license.clone(),
        lang,
        values: request.values.clone(),
    })?;
    if !scaffold::license::is_gpl_compatible(&request.license) {
        let license = &request.license;
        session.note(match template.gpl {
            true => format!(
                "the template `{}` calls GPL-only helpers, which kernels refuse to programs \
                 under `{license}`",
                template.name
            ),
            false => format!(
                "kernels refuse GPL-only helpers, bpf_printk() among them, to programs under \
                 `{license}`"
            ),
        });
    }
    Ok((lang, files))
}
