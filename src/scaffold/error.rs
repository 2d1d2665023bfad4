//! Why no project came to be.

use super::Lang;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Origin, Span, codes};
use std::path::PathBuf;

/// Why no project came to be.
#[derive(Debug)]
pub enum Error {
    /// There is no such template.
    UnknownTemplate {
        /// The name that was given.
        name: String,
        /// The template that was most likely meant.
        nearest: Option<String>,
        /// Where it was looked for, if not among skep's own.
        place: Option<String>,
    },
    /// There is no template at all.
    NoTemplates {
        /// Where they were looked for.
        place: String,
    },
    /// There are several templates, and none was named.
    SeveralTemplates {
        /// Where they are.
        place: String,
        /// Their names.
        names: Vec<String>,
    },
    /// The template has no such front end.
    NoLang {
        /// The template.
        template: String,
        /// What was asked for.
        lang: Lang,
        /// What it has.
        known: Vec<Lang>,
    },
    /// git is not installed.
    NoGit {
        /// The repository.
        url: String,
    },
    /// git could not copy a repository.
    Git {
        /// The repository.
        url: String,
        /// How it ended.
        reason: String,
        /// What it said last.
        said: Vec<String>,
    },
    /// The user asked to stop.
    Cancelled,
    /// The template does not ask that.
    UnknownQuestion {
        /// The template.
        template: String,
        /// The name that was given.
        name: String,
        /// What it does ask.
        known: Vec<String>,
    },
    /// An answer cannot be used.
    BadAnswer {
        /// The question.
        question: String,
        /// The answer.
        answer: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The license is no SPDX expression.
    BadLicense {
        /// What was given.
        license: String,
        /// What is wrong with it.
        reason: String,
        /// What was most likely meant.
        nearest: Option<String>,
    },
    /// The directory of a new project is there and has something in it.
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// Something in it.
        example: PathBuf,
    },
    /// Where the directory of a new project should be, something else is.
    NoDirectory {
        /// It.
        path: PathBuf,
    },
    /// A file of the project is there already.
    Exists {
        /// It.
        path: PathBuf,
    },
    /// A file or directory could not be written.
    File(fs::Error),
    /// A template is at fault.
    Template {
        /// The template.
        name: String,
        /// What is wrong.
        reason: String,
        /// Where, if it can be said.
        span: Option<Span>,
    },
}

impl Error {
    /// A fault of a template that has no place.
    pub(super) fn template(name: &str, reason: String) -> Self {
        Self::Template { name: name.to_owned(), reason, span: None }
    }
}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let new = |code, message: String| Self::new(code, Origin::Command, message);
        match error {
            Error::UnknownTemplate { name, nearest, place } => {
                let name = name.escape_debug();
                let diagnostic = new(
                    codes::UNKNOWN_TEMPLATE,
                    match &place {
                        Some(place) => format!("there is no template `{name}` in {place}"),
                        None => format!("there is no template `{name}`"),
                    },
                );
                let diagnostic = match nearest {
                    Some(nearest) => diagnostic.help(format!("did you mean `{nearest}`?")),
                    None => diagnostic,
                };
                diagnostic.help(match place {
                    Some(place) => format!("`skep new --list --git {place}` shows the templates"),
                    None => "`skep new --list` shows the templates".to_owned(),
                })
            }
            Error::NoTemplates { place } => {
                new(codes::UNKNOWN_TEMPLATE, format!("there is no template in {place}"))
                    .note("a template is a folder with a file template.toml")
                    .help("name the folder that has it behind a `#`: `--git PLACE#FOLDER`")
            }
            Error::SeveralTemplates { place, names } => {
                new(codes::UNKNOWN_TEMPLATE, format!("there are several templates in {place}"))
                    .note(format!("it has: {}", names.join(", ")))
                    .help("choose one with `--template`")
            }
            Error::NoLang { template, lang, known } => {
                let known: Vec<&str> = known.into_iter().map(Lang::as_str).collect();
                let message = format!("the template `{template}` has no front end `{lang}`");
                new(codes::BAD_ANSWER, message).note(format!("it has: {}", known.join(", ")))
            }
            Error::NoGit { url } => {
                new(codes::PROGRAM_FAILED, format!("{url} cannot be copied: there is no git"))
                    .help("install git, or name a directory that has the template")
            }
            Error::Git { url, reason, said } => {
                let message = format!("the repository {url} cannot be copied: {reason}");
                let diagnostic = new(codes::TEMPLATE_NOT_FETCHED, message);
                said.into_iter().fold(diagnostic, Diagnostic::note)
            }
            Error::Cancelled => new(codes::INTERRUPTED, "interrupted".to_owned()),
            Error::UnknownQuestion { template, name, known } => {
                let diagnostic = new(
                    codes::BAD_ANSWER,
                    format!("the template `{template}` has no variable `{}`", name.escape_debug()),
                );
                match known.is_empty() {
                    true => diagnostic.note("it has none"),
                    false => diagnostic.note(format!("it has: {}", known.join(", "))),
                }
            }
            Error::BadAnswer { question, answer, reason } => new(
                codes::BAD_ANSWER,
                format!("`{question}` cannot be `{}`: {reason}", answer.escape_debug()),
            ),
            Error::BadLicense { license, reason, nearest } => {
                let diagnostic = new(
                    codes::BAD_ANSWER,
                    format!("the license `{}` cannot be used: {reason}", license.escape_debug()),
                );
                match nearest {
                    Some(nearest) => diagnostic.help(format!("did you mean `{nearest}`?")),
                    None => diagnostic.help(
                        "write an SPDX expression, e.g. `GPL-2.0-only OR BSD-2-Clause` or `MIT`",
                    ),
                }
            }
            Error::NotEmpty { dir, example } => new(
                codes::NOT_EMPTY,
                format!("{} is there already and is not empty", dir.display()),
            )
            .note(format!("it has {}", example.display()))
            .help("choose another name, or run `skep init` in it"),
            Error::NoDirectory { path } => new(
                codes::NOT_EMPTY,
                format!("{} is there already and is no directory", path.display()),
            )
            .help("choose another name"),
            Error::Exists { path } => {
                new(codes::NOT_EMPTY, format!("{} is there already", path.display()))
                    .note("skep overwrites nothing; no file was written")
                    .help("move it away, or use `skep new` for a directory of its own")
            }
            Error::File(error) => error.into(),
            Error::Template { name, reason, span } => {
                let message = format!("the template `{name}` is at fault: {}", reason.trim_end());
                let diagnostic = new(codes::BAD_TEMPLATE, message);
                match span {
                    Some(span) => diagnostic.at(span),
                    None => diagnostic,
                }
            }
        }
    }
}
