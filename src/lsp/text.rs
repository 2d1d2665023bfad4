//! Places in text: skep counts bytes from 1, editors UTF-16 units from 0.

use lsp_types::{Position, Range};

/// A file's text with the beginnings of its lines.
#[derive(Clone, Debug)]
pub struct Text {
    text: String,
    starts: Vec<usize>,
}

impl Text {
    /// Finds the lines.
    pub fn new(text: String) -> Self {
        let starts = std::iter::once(0)
            .chain(
                text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1),
            )
            .collect();
        Self { text, starts }
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A line without its end, counted from 0; empty behind the last one.
    pub fn line(&self, line: usize) -> &str {
        let Some(&start) = self.starts.get(line) else { return "" };
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// Where the byte `offset` of a line stands.
    pub fn position(&self, line: usize, offset: usize) -> Position {
        let text = self.line(line);
        let before = floor(text, offset);
        let units: usize = text[..before].chars().map(char::len_utf16).sum();
        Position::new(narrow(line), narrow(units))
    }

    /// The byte of its line that a position stands before.
    pub fn offset(&self, position: Position) -> usize {
        let mut units = 0;
        let line = self.line(widen(position.line));
        for (at, c) in line.char_indices() {
            if units >= widen(position.character) {
                return at;
            }
            units += c.len_utf16();
        }
        line.len()
    }

    /// What is written on a line, without what it is indented by.
    pub fn whole_line(&self, line: usize) -> Range {
        let text = self.line(line);
        let indent = text.len() - text.trim_start().len();
        Range::new(self.position(line, indent), self.position(line, text.len()))
    }

    /// The word that begins at a byte of a line, or the one character there.
    pub fn word_from(&self, line: usize, offset: usize) -> Range {
        let text = self.line(line);
        let start = floor(text, offset);
        let rest = &text[start..];
        let length = match rest.find(|c: char| !is_word(c)) {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(end) => end,
            None => rest.len(),
        };
        Range::new(self.position(line, start), self.position(line, start + length))
    }

    /// The word around a position, with its range.
    pub fn word_at(&self, position: Position) -> Option<(&str, Range)> {
        let line = widen(position.line);
        let text = self.line(line);
        let at = self.offset(position);
        let start = text[..at]
            .rfind(|c| !is_word(c))
            .map_or(0, |before| before + text[before..].chars().next().map_or(0, char::len_utf8));
        let end = text[at..].find(|c| !is_word(c)).map_or(text.len(), |length| at + length);
        let word = &text[start..end];
        (!word.is_empty())
            .then(|| (word, Range::new(self.position(line, start), self.position(line, end))))
    }

    /// The name in `SEC("…")` around a position: what stands between the
    /// quotes, its range, and how much of it stands before the position. The
    /// closing quote may be missing yet.
    pub fn section_at(&self, position: Position) -> Option<(&str, Range, usize)> {
        let line = widen(position.line);
        let text = self.line(line);
        let at = self.offset(position);
        let opening = text[..at].rfind('"')?;
        let before = text[..opening].trim_end().strip_suffix('(')?.trim_end();
        let is_sec = before.strip_suffix("SEC").is_some_and(|rest| !rest.ends_with(is_word));
        if !is_sec {
            return None;
        }
        let start = opening + 1;
        let end = text[start..].find(['"', ')']).map_or(text.len(), |length| start + length);
        let range = Range::new(self.position(line, start), self.position(line, end));
        Some((&text[start..end], range, at - start))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The nearest character's beginning at or before a byte.
fn floor(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn widen(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(range: Range) -> (u32, u32, u32) {
        assert_eq!(range.start.line, range.end.line);
        (range.start.line, range.start.character, range.end.character)
    }

    #[test]
    fn bytes_and_units_differ() {
        let text = Text::new("a\n/* größer 漢字 😀 */ x = y;\r\n".into());
        let line = text.line(1);
        assert!(line.ends_with("y;"));
        let at = line.find('x').unwrap();
        let position = text.position(1, at);
        assert_eq!(position, Position::new(1, 19));
        assert_eq!(text.offset(position), at);
        // In the middle of a character, and behind the end.
        assert_eq!(text.position(1, line.find('ß').unwrap() + 1).character, 6);
        assert_eq!(text.position(1, 999), text.position(1, line.len()));
        assert_eq!(text.position(9, 3), Position::new(9, 0));
        assert_eq!(text.offset(Position::new(1, u32::MAX)), line.len());
    }

    #[test]
    fn words() {
        let text = Text::new("\tu64 *größe = bpf_x(y);".into());
        assert_eq!(range(text.word_from(0, 1)), (0, 1, 4));
        assert_eq!(range(text.word_from(0, 5)), (0, 5, 6));
        assert_eq!(range(text.whole_line(0)), (0, 1, 23));
        let word = |character| text.word_at(Position::new(0, character)).map(|(word, _)| word);
        assert_eq!(word(8), Some("größe"));
        assert_eq!(word(14), Some("bpf_x"));
        assert_eq!(word(19), Some("bpf_x"));
        assert_eq!(word(12), None);
        assert_eq!(Text::new(String::new()).word_at(Position::new(0, 0)), None);
    }

    #[test]
    fn section_names() {
        let name = |text: &str, character| {
            let text = Text::new(text.to_owned());
            text.section_at(Position::new(0, character))
                .map(|(name, _, before)| (name.to_owned(), before))
        };
        assert_eq!(name("SEC(\"kprobe/x\") int", 8), Some(("kprobe/x".into(), 3)));
        assert_eq!(name("SEC(\"", 5), Some((String::new(), 0)));
        assert_eq!(name("SEC ( \"xd)", 9), Some(("xd".into(), 2)));
        assert_eq!(name("SEC(\"xdp\")", 4), None);
        assert_eq!(name("SEC(\"xdp\")", 9), None, "behind the closing quote");
        assert_eq!(name("MYSEC(\"xdp\")", 8), None);
        assert_eq!(name("f(\"xdp\")", 4), None);
    }
}
