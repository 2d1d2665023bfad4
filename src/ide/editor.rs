//! What each editor wants.

use super::json::{self, List};
use serde_json::{Value, json};

/// The editors that skep writes files for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editor {
    /// Visual Studio Code, and what understands its files.
    Vscode,
    /// Vim.
    Vim,
    /// Neovim.
    Neovim,
    /// GNU Emacs.
    Emacs,
    /// Helix.
    Helix,
    /// Zed.
    Zed,
}

/// A file that an editor wants in a project.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Where, relative to the project.
    pub path: &'static str,
    /// What is to stand in it.
    pub content: Content,
}

/// What is to stand in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// This text, as the whole file or as a part of it.
    Text(String),
    /// These entries of a list.
    Json(List),
}

impl File {
    fn text(path: &'static str, text: impl Into<String>) -> Self {
        Self { path, content: Content::Text(text.into()) }
    }

    fn json(path: &'static str, list: List) -> Self {
        Self { path, content: Content::Json(list) }
    }

    /// The file as it is written where there is none.
    pub fn whole(&self) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Json(list) => list.document(),
        }
    }
}

/// The files that an editor wants in every project.
pub fn wanted(editor: Editor) -> Vec<File> {
    let mut files = match editor {
        Editor::Vscode => vec![
            File::json(".vscode/tasks.json", vscode_tasks()),
            File::json(
                ".vscode/extensions.json",
                List {
                    base: json!({}),
                    key: Some("recommendations"),
                    id: None,
                    items: vec![json!("llvm-vs-code-extensions.vscode-clangd")],
                },
            ),
        ],
        Editor::Vim => vec![
            File::text(".vim/compiler/skep.vim", VIM_COMPILER),
            File::text(".exrc", include_str!("../../editors/vim/exrc")),
        ],
        Editor::Neovim => vec![
            File::text(".vim/compiler/skep.vim", VIM_COMPILER),
            File::text(".nvim.lua", include_str!("../../editors/neovim/nvim.lua")),
        ],
        Editor::Emacs => {
            vec![File::text(".dir-locals.el", include_str!("../../editors/emacs/dir-locals.el"))]
        }
        Editor::Helix => vec![File::text(
            ".helix/languages.toml",
            include_str!("../../editors/helix/languages.toml"),
        )],
        Editor::Zed => vec![File::json(".zed/tasks.json", zed_tasks())],
    };
    files.push(File::text(".clangd", include_str!("../../editors/clangd.yaml")));
    files
}

const VIM_COMPILER: &str = include_str!("../../editors/vim/compiler/skep.vim");

/// The commands that tasks are made for, with what they say of themselves.
const TASKS: &[(&str, &str)] = &[
    ("build", "Compile the project's BPF sources"),
    ("check", "Check the objects without a kernel"),
    ("verify", "Let real kernels verify every program"),
];

/// Tasks with the problem matcher written out, so that they work without the
/// extension too: a matcher's name that nobody contributes is an error.
fn vscode_tasks() -> List {
    let matcher = problem_matcher();
    let task = |(command, detail): &(&str, &str)| {
        let mut task = json!({
            "label": format!("skep: {command}"),
            "detail": detail,
            "type": "process",
            "command": "skep",
            "args": [command, "--message-format", "short"],
            "options": { "cwd": "${workspaceFolder}" },
            "presentation": { "reveal": "silent", "clear": true },
            "problemMatcher": matcher,
        });
        if *command == "build" {
            task["group"] = json!({ "kind": "build", "isDefault": true });
        }
        task
    };
    List {
        base: json!({ "version": "2.0.0" }),
        key: Some("tasks"),
        id: Some("label"),
        items: TASKS.iter().map(task).collect(),
    }
}

/// The extension's matcher `$skep`, as `tasks.json` takes one: without its
/// name, and with the pattern in place.
fn problem_matcher() -> Value {
    let extension = json::parse(include_str!("../../editors/vscode/package.json"))
        .expect("the extension's manifest is tested");
    let contributes = &extension["contributes"];
    let mut matcher = contributes["problemMatchers"][0].clone();
    matcher["pattern"] = contributes["problemPatterns"][0].clone();
    json::remove(&mut matcher, &["name", "label"]);
    json::remove(&mut matcher["pattern"], &["name"]);
    matcher
}

fn zed_tasks() -> List {
    let task = |(command, _): &(&str, &str)| {
        json!({
            "label": format!("skep: {command}"),
            "command": "skep",
            "args": [command],
            "cwd": "$ZED_WORKTREE_ROOT",
        })
    };
    List { base: json!([]), key: None, id: Some("label"), items: TASKS.iter().map(task).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helix_is_told_of_the_server() {
        let files = wanted(Editor::Helix);
        let table: toml::Table = files[0].whole().parse().unwrap();
        assert_eq!(table["language-server"]["skep"]["args"][0].as_str(), Some("lsp"));
        for language in table["language"].as_array().unwrap() {
            let servers = language["language-servers"].as_array().unwrap();
            assert_eq!(servers.last().and_then(toml::Value::as_str), Some("skep"));
        }
    }

    #[test]
    fn the_matcher_in_tasks_is_the_extensions() {
        let matcher = problem_matcher();
        assert_eq!(matcher["owner"], "skep");
        assert_eq!(matcher["pattern"]["code"], 5);
        assert!(matcher["pattern"]["regexp"].as_str().unwrap().contains("error|warning|note"));
        for gone in [&matcher["name"], &matcher["label"], &matcher["pattern"]["name"]] {
            assert!(gone.is_null());
        }
    }
}
