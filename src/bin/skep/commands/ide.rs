//! `skep ide EDITOR`.

use super::CommandResult;
use crate::shell::Shell;
use clap::ValueEnum;
use skep::ide::{self, Editor, Plan};
use skep::ops::{self, Session};
use skep::report::{Cell, Table};

/// Arguments of `skep ide`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The editor to write files for
    #[arg(value_enum, value_name = "EDITOR")]
    editor: EditorChoice,
    /// Show the files instead of writing them
    #[arg(long)]
    print: bool,
}

/// The values of `EDITOR`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum EditorChoice {
    /// Visual Studio Code: tasks with problem matchers
    Vscode,
    /// Vim: a compiler plugin for :make
    Vim,
    /// Neovim: the language server, a compiler plugin for :make
    Neovim,
    /// Emacs: the command of M-x compile
    Emacs,
    /// Helix: the language server
    Helix,
    /// Zed: tasks
    Zed,
}

impl From<EditorChoice> for Editor {
    fn from(choice: EditorChoice) -> Self {
        match choice {
            EditorChoice::Vscode => Self::Vscode,
            EditorChoice::Vim => Self::Vim,
            EditorChoice::Neovim => Self::Neovim,
            EditorChoice::Emacs => Self::Emacs,
            EditorChoice::Helix => Self::Helix,
            EditorChoice::Zed => Self::Zed,
        }
    }
}

/// Writes what is missing, and says what stands in the way.
pub fn run(args: &Args, session: &Session, shell: &Shell) -> CommandResult {
    let files = ide::wanted(args.editor.into());
    if args.print {
        let texts: Vec<String> =
            files.iter().map(|file| format!("==> {} <==\n{}", file.path, file.whole())).collect();
        shell.raw(texts.join("\n").as_bytes());
        return Ok(());
    }
    let root = ops::ide::project_root(session)?;
    let mut table = Table::new("ide-file", &[("path", "file"), ("state", "state")]);
    let mut differences = Vec::new();
    for file in files {
        let path = root.join(file.path);
        let state = match ide::plan(&file, ops::ide::existing(&path)?.as_deref()) {
            Plan::Create(text) => {
                ops::ide::write(&path, &text)?;
                Cell::Good("written".to_owned())
            }
            Plan::Extend(text) => {
                ops::ide::write(&path, &text)?;
                Cell::Good("extended".to_owned())
            }
            Plan::Keep => Cell::Text("kept".to_owned()),
            Plan::Differs(why) => {
                let name = args.editor.to_possible_value();
                let name = name.as_ref().map_or("", |value| value.get_name());
                differences.push(ide::difference(session.display(&path), why, name));
                Cell::Bad("differs".to_owned())
            }
        };
        table.push(vec![Cell::Text(session.display(&path).display().to_string()), state]);
    }
    shell.table(&table);
    shell.diagnostics(&differences);
    Ok(())
}
