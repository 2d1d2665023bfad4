//! Places in source files.

use std::path::{Path, PathBuf};

/// A line and a column, both counted from 1; the column counts bytes, as
/// clang's and BTF's do. A column of 0 means the whole line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line; 0 means the whole file.
    pub line: u32,
    /// The column; 0 means the whole line.
    pub column: u32,
}

/// A stretch of a source file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file, absolute or relative to where skep was started.
    pub file: PathBuf,
    /// The first character.
    pub start: Position,
    /// The first character behind the stretch, where it is known.
    pub end: Option<Position>,
    /// The text of the first line as the compiler saw it, for when the file
    /// is not at hand (BTF.ext keeps it).
    pub line_text: Option<String>,
}

impl Span {
    /// A file as a whole.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::line(path, 0)
    }

    /// A whole line.
    pub fn line(path: impl AsRef<Path>, line: u32) -> Self {
        Self::point(path, line, 0)
    }

    /// A line and column.
    pub fn point(path: impl AsRef<Path>, line: u32, column: u32) -> Self {
        Self {
            file: path.as_ref().to_owned(),
            start: Position { line, column },
            end: None,
            line_text: None,
        }
    }

    /// Extends the span up to a position (not including it).
    pub fn to(mut self, line: u32, column: u32) -> Self {
        self.end = Some(Position { line, column });
        self
    }

    /// Keeps the text of the first line.
    pub fn with_line_text(mut self, text: impl Into<String>) -> Self {
        self.line_text = Some(text.into());
        self
    }

    /// The span of the bytes `range` in `text`, the content of the file.
    pub fn of_bytes(path: impl AsRef<Path>, text: &str, range: std::ops::Range<usize>) -> Self {
        let position = |offset: usize| {
            let before = &text.as_bytes()[..offset.min(text.len())];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
            Position { line: clamp(line), column: clamp(column) }
        };
        Self {
            file: path.as_ref().to_owned(),
            start: position(range.start),
            end: Some(position(range.end)),
            line_text: None,
        }
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_ranges_become_lines_and_columns() {
        let span = Span::of_bytes("f", "ab\ncd\n", 4..5);
        assert_eq!(span.start, Position { line: 2, column: 2 });
        assert_eq!(span.end, Some(Position { line: 2, column: 3 }));
    }
}
