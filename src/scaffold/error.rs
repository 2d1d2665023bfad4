//! Why no project came to be.

use crate::base::fs;
use crate::diagnostics::{Diagnostic, Origin, codes};
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
    },
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
    },
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
            Error::UnknownTemplate { name, nearest } => {
                let diagnostic = new(
                    codes::UNKNOWN_TEMPLATE,
                    format!("there is no template `{}`", name.escape_debug()),
                );
                let diagnostic = match nearest {
                    Some(nearest) => diagnostic.help(format!("did you mean `{nearest}`?")),
                    None => diagnostic,
                };
                diagnostic.help("`skep new --list` shows the templates")
            }
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
            Error::Template { name, reason } => {
                new(codes::BAD_ANSWER, format!("the template `{name}` is at fault: {reason}"))
            }
        }
    }
}
