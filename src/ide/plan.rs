//! What to do about a file in view of what stands there.

use super::editor::{Content, File};
use super::json::Obstacle;
use crate::diagnostics::{Diagnostic, Origin, codes};
use std::path::Path;

/// What to do about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// There is none: write this.
    Create(String),
    /// It has all that is wanted.
    Keep,
    /// It is the user's, and what is missing can be added without loss: write
    /// this.
    Extend(String),
    /// It is the user's and says something else; why, as the end of a
    /// sentence that begins with the file's name.
    Differs(&'static str),
}

/// What to do about a file, given what stands there now.
pub fn plan(file: &File, existing: Option<&[u8]>) -> Plan {
    let Some(existing) = existing else { return Plan::Create(file.whole()) };
    let Ok(existing) = str::from_utf8(existing) else { return Plan::Differs("is not text") };
    match &file.content {
        Content::Text(text) if has_lines(existing, text) => Plan::Keep,
        Content::Text(_) => Plan::Differs("is there already and has other content"),
        Content::Json(list) => match list.merge(existing) {
            Ok(None) => Plan::Keep,
            Ok(Some(merged)) => Plan::Extend(merged),
            Err(Obstacle::Comments) => {
                Plan::Differs("has comments, which would be lost if skep added to it")
            }
            Err(Obstacle::Syntax) => Plan::Differs("is not JSON"),
            Err(Obstacle::Shape) => Plan::Differs("is not built as the editor expects it"),
        },
    }
}

/// Whether `text` has all lines of `part`, in their order and together. The
/// comments and empty lines of `part` need not be there.
fn has_lines(text: &str, part: &str) -> bool {
    let matters = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !["#", "\"", "--", ";"].iter().any(|sign| line.starts_with(sign))
    };
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(matters).collect();
    let wanted: Vec<&str> = part.lines().map(str::trim_end).filter(matters).collect();
    lines.windows(wanted.len()).any(|window| window == wanted)
}

/// The finding that a file of the user's stands in the way.
pub fn difference(path: &Path, why: &str, editor: &str) -> Diagnostic {
    Diagnostic::new(codes::FILE_DIFFERS, Origin::Command, format!("{} {why}", path.display()))
        .in_file(path)
        .help(format!("`skep ide {editor} --print` shows what to add; skep left the file as it is"))
}

#[cfg(test)]
mod tests {
    use super::super::{Editor, wanted};
    use super::*;

    #[test]
    fn what_was_written_is_kept_as_it_is() {
        let (vim, neovim) = (Editor::Vim, Editor::Neovim);
        for editor in [Editor::Vscode, vim, neovim, Editor::Emacs, Editor::Helix, Editor::Zed] {
            for file in wanted(editor) {
                let Plan::Create(text) = plan(&file, None) else { panic!("{}", file.path) };
                assert_eq!(plan(&file, Some(text.as_bytes())), Plan::Keep, "{}", file.path);
            }
        }
    }

    #[test]
    fn a_text_of_the_users_is_enough_if_it_has_our_lines() {
        let file = File { path: "x", content: Content::Text("# ours\na:\n  b\n".into()) };
        assert_eq!(plan(&file, Some(b"theirs\na:\n  b\n\nmore\n")), Plan::Keep);
        for other in ["a:\n", "a:\n  c\n  b\n", ""] {
            assert!(matches!(plan(&file, Some(other.as_bytes())), Plan::Differs(_)), "{other}");
        }
        assert!(matches!(plan(&file, Some(b"\xff")), Plan::Differs(_)));
    }
}
