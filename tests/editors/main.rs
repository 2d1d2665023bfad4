//! What editors make of skep's findings, by the editors' own means: VS Code's
//! problem matchers (its own code, from npm), Vim's and Neovim's quickfix
//! lists, Emacs's compilation mode. Each must find the file, line, column,
//! severity and code of every finding.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod clangd;
mod emacs;
mod findings;
mod lsp;
mod project;
mod schema;
mod tools;
mod vim;
mod vscode;
