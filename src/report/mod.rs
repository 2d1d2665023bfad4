//! Floor 5: from data to text, one file a format. Rendering is pure: it takes
//! diagnostics and tables and returns a string; the shell prints it.
//!
//! Text from object files, logs and sources is foreign: for people it is
//! escaped ([`text::escape`]), so that a control character in a program's
//! name never reaches a terminal.

pub mod coverage;
pub mod github;
pub mod human;
pub mod json;
pub mod junit;
pub mod listing;
pub mod live;
pub mod markdown;
pub mod metadata;
pub mod page;
mod paint;
pub mod record;
pub mod sarif;
pub mod short;
mod source;
pub mod table;
pub mod text;
pub mod trace;

pub use paint::Paint;
pub use source::{NoSources, Source, Sources};
pub use table::{Cell, Column, Table};

use std::path::{Path, PathBuf};

/// The formats that `--message-format` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: source excerpts, colour, aligned tables.
    #[default]
    Human,
    /// `file:line:col: error[CODE]: message`, one line each.
    Short,
    /// One JSON object a line.
    Json,
    /// SARIF 2.1.0, one document.
    Sarif,
    /// GitHub workflow annotations.
    Github,
    /// JUnit's XML, one document.
    Junit,
}

impl Format {
    /// Whether programs read it, so that everything belongs in one stream.
    pub fn is_for_machines(self) -> bool {
        matches!(self, Self::Json | Self::Sarif | Self::Github | Self::Junit)
    }
}

/// What rendering depends on besides the data.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Paths below this directory are shown relative to it.
    pub cwd: &'a Path,
    /// Where the text of source files comes from.
    pub sources: &'a dyn Sources,
    /// Whether to colour.
    pub color: bool,
    /// Whether the reader can show more than ASCII.
    pub unicode: bool,
    /// How many columns there are; unknown in a pipe or file.
    pub width: Option<usize>,
    /// Whether details are wished (`-v`).
    pub verbose: bool,
}

impl Context<'static> {
    /// For text that goes into no terminal, with no sources at hand.
    pub fn bare() -> Self {
        Self {
            cwd: Path::new("/"),
            sources: &NoSources,
            color: false,
            unicode: true,
            width: None,
            verbose: false,
        }
    }
}

impl Context<'_> {
    /// A path as the user would write it, not escaped: relative to where they
    /// are, if it lies below or near.
    fn path(&self, path: &Path) -> String {
        nearby(self.cwd, path).as_deref().unwrap_or(path).to_string_lossy().into_owned()
    }

    /// [`Context::path`], escaped for people.
    fn shown_path(&self, path: &Path) -> String {
        text::escape(&self.path(path)).into_owned()
    }

    /// The same without colour, beyond ASCII or a limit to lines.
    fn plain(&self) -> Self {
        Self { color: false, unicode: false, width: None, ..*self }
    }
}

/// How far up a relative path goes.
const UPWARDS: usize = 3;

/// `path` as seen from `cwd`, if both lie in one place: below a directory that
/// is neither the root nor one directly in it.
fn nearby(cwd: &Path, path: &Path) -> Option<PathBuf> {
    if let Ok(below) = path.strip_prefix(cwd) {
        return Some(below.to_owned());
    }
    let shared = cwd.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = cwd.components().count() - shared;
    if shared < 3 || up > UPWARDS {
        return None;
    }
    let mut relative: PathBuf = std::iter::repeat_n("..", up).collect();
    relative.extend(path.components().skip(shared));
    Some(relative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_where_the_user_is() {
        let cx = Context {
            cwd: Path::new("/home/me/project/src"),
            sources: &NoSources,
            color: false,
            unicode: false,
            width: None,
            verbose: false,
        };
        for (path, seen) in [
            ("/home/me/project/src/a.c", "a.c"),
            ("/home/me/project/include/a.h", "../include/a.h"),
            ("/home/me/other/a.c", "../../other/a.c"),
            ("/home/you/a.c", "/home/you/a.c"),
            ("/usr/include/a.h", "/usr/include/a.h"),
            ("relative/a.c", "relative/a.c"),
        ] {
            assert_eq!(cx.path(Path::new(path)), seen);
        }
    }
}
