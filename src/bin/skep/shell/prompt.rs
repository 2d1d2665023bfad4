//! Questions. They are asked on standard error and only where a person can
//! answer: with a terminal on standard input and standard error. Elsewhere
//! the default is taken, so that nothing ever blocks.

use super::Shell;
use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, Select};
use skep::diagnostics::{Diagnostic, Failure, Origin, codes};
use std::io::{self, IsTerminal as _};

impl Shell {
    /// Whether there is somebody to ask.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal() && !self.settings.dumb
    }

    /// Asks for a line of text until `validate` takes it; its error is shown.
    ///
    /// # Errors
    /// Ctrl-C; or there is nobody to ask and no default.
    pub fn ask(
        &self,
        question: &str,
        default: Option<&str>,
        validate: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Failure> {
        if !self.can_ask() {
            return default.map(str::to_owned).ok_or_else(|| nobody(question));
        }
        self.interact(|term, theme| {
            let mut input = Input::<String>::with_theme(theme)
                .with_prompt(question)
                .validate_with(|answer: &String| validate(answer));
            if let Some(default) = default {
                input = input.default(default.to_owned());
            }
            input.interact_text_on(term)
        })
    }

    /// Asks to choose one of several; returns its index.
    ///
    /// # Errors
    /// Ctrl-C.
    pub fn choose(
        &self,
        question: &str,
        items: &[String],
        default: usize,
    ) -> Result<usize, Failure> {
        if !self.can_ask() {
            return Ok(default);
        }
        self.interact(|term, theme| {
            Select::with_theme(theme)
                .with_prompt(question)
                .items(items)
                .default(default)
                .interact_on(term)
        })
    }

    /// Asks for yes or no.
    ///
    /// # Errors
    /// Ctrl-C.
    pub fn confirm(&self, question: &str, default: bool) -> Result<bool, Failure> {
        if !self.can_ask() {
            return Ok(default);
        }
        self.interact(|term, theme| {
            Confirm::with_theme(theme).with_prompt(question).default(default).interact_on(term)
        })
    }

    fn interact<T>(
        &self,
        ask: impl FnOnce(&Term, &dyn Theme) -> dialoguer::Result<T>,
    ) -> Result<T, Failure> {
        let term = Term::stderr();
        let theme: &dyn Theme = if self.color_err && self.settings.unicode {
            &ColorfulTheme::default()
        } else {
            &SimpleTheme
        };
        self.progress.suspend(|| ask(&term, theme)).map_err(|error| {
            // A question that is left hides the cursor no longer, and its
            // line ends.
            let _ = term.show_cursor();
            let _ = term.write_line("");
            let dialoguer::Error::IO(error) = error;
            if error.kind() == io::ErrorKind::Interrupted {
                Diagnostic::new(codes::INTERRUPTED, Origin::Command, "interrupted").into()
            } else {
                let message = format!("cannot read the answer: {error}");
                Diagnostic::new(codes::FILE_ACCESS, Origin::Command, message).into()
            }
        })
    }
}

fn nobody(question: &str) -> Failure {
    let message = format!("`{question}` is not given, and there is no terminal to ask for it on");
    Diagnostic::new(codes::USAGE, Origin::Command, message)
        .help("give it on the command line")
        .into()
}
