//! `skep doctor`.

use super::CommandResult;
use crate::shell::Shell;
use skep::diagnostics::{Diagnostic, Origin, codes};
use skep::ops::Session;
use skep::ops::doctor::{self, Report, State};
use skep::report::{Cell, Table};

/// Arguments of `skep doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Install what is missing, after asking
    #[arg(long)]
    fix: bool,
    /// Do not ask
    #[arg(short, long, requires = "fix")]
    yes: bool,
}

/// Looks, mends if asked to, and reports.
pub fn run(args: &Args, session: &Session, shell: &Shell) -> CommandResult {
    let mut report = doctor::examine(session)?;
    if let Some(fix) = report.fix.as_ref().filter(|_| args.fix) {
        if !args.yes && !shell.can_ask() {
            let message = "there is no terminal to ask on whether to install what is missing";
            return Err(Diagnostic::new(codes::USAGE, Origin::Command, message)
                .help(format!("run `{}`, or `skep doctor --fix --yes`", fix.line))
                .into());
        }
        if args.yes || shell.confirm(&format!("Run `{}`?", fix.line), true)? {
            doctor::fix(session, fix)?;
            report = doctor::examine(session)?;
        }
    }
    shell.table(&table(&report));
    shell.diagnostics(&report.diagnostics);
    match &report.fix {
        Some(fix) => session.note(format!("`{}` installs what is missing", fix.line)),
        None if report.diagnostics.is_empty() => shell.status("Healthy", "nothing is missing"),
        None => {}
    }
    Ok(())
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "tool",
        &[
            ("name", "tool"),
            ("state", "state"),
            ("detail", "version"),
            ("path", "path"),
            ("needed_for", "needed for"),
            ("required", ""),
            ("install", "install with"),
        ],
    );
    let text = |text: &str| match text {
        "" => Cell::Unknown,
        text => Cell::Text(text.to_owned()),
    };
    for tool in &report.tools {
        let state = tool.state.as_str().to_owned();
        table.push(vec![
            text(tool.name),
            match tool.state {
                State::Found => Cell::Good(state),
                State::Missing | State::Unusable if tool.required => Cell::Bad(state),
                State::Missing | State::Unusable => Cell::Caution(state),
            },
            text(&tool.detail),
            tool.path.as_ref().map_or(Cell::Unknown, |path| text(&path.to_string_lossy())),
            text(tool.needed_for),
            Cell::Flag(tool.required),
            tool.install.as_deref().map_or(Cell::Unknown, text),
        ]);
    }
    table
}
