//! The text of source files, line by line, as bytes: columns of clang and
//! BTF count bytes, and a file need not be UTF-8.

use super::text;
use crate::diagnostics::{Position, Span};
use std::path::Path;
use std::sync::Arc;

/// Where the text of source files comes from.
pub trait Sources {
    /// The file's text, if it is at hand. Asked for again and again: cache.
    fn get(&self, file: &Path) -> Option<Arc<Source>>;
}

/// No file is at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSources;

impl Sources for NoSources {
    fn get(&self, _: &Path) -> Option<Arc<Source>> {
        None
    }
}

/// A source file's text.
#[derive(Clone, Debug)]
pub struct Source {
    bytes: Vec<u8>,
    /// Where each line starts.
    starts: Vec<usize>,
}

impl Source {
    /// Of a file's content.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let ends = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { bytes, starts }
    }

    /// A line without its end, counted from 1.
    pub fn line(&self, number: u32) -> Option<&[u8]> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).map_or(self.bytes.len(), |next| next - 1);
        if start == end && index + 1 == self.starts.len() {
            // Behind the last line's end there is no further line.
            return None;
        }
        Some(without_end(&self.bytes[start..end]))
    }

    /// The offset at which a line starts.
    fn offset(&self, line: u32) -> Option<usize> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        self.starts.get(index).copied()
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A span's lines, from the file or from what the span itself kept.
pub(super) struct Lines {
    source: Option<Arc<Source>>,
    kept: Option<(u32, Vec<u8>)>,
    /// The file at hand is not the one that was compiled.
    pub changed: bool,
}

impl Lines {
    pub fn of(span: &Span, sources: &dyn Sources) -> Self {
        let mut source = sources.get(&span.file);
        let kept = span.line_text.as_deref().filter(|_| span.start.line > 0).map(|line| {
            let line = line.trim_end_matches(['\n', '\r']);
            (span.start.line, line.as_bytes().to_vec())
        });
        let mut changed = false;
        if let (Some(known), Some((number, line))) = (&source, &kept) {
            let found = known.line(*number).unwrap_or_default();
            if found.trim_ascii() != line.trim_ascii() {
                changed = true;
                source = None;
            }
        }
        Self { source, kept, changed }
    }

    /// A stretch in bytes of the file, where the file is at hand.
    pub fn byte_range(&self, extent: Extent) -> Option<(usize, usize)> {
        let source = self.source.as_ref()?;
        let start = source.offset(extent.first)? + extent.from;
        Some((start, (source.offset(extent.last)? + extent.to).max(start)))
    }

    pub fn get(&self, number: u32) -> Option<&[u8]> {
        match (&self.source, &self.kept) {
            (Some(source), _) => source.line(number),
            (None, Some((kept, line))) if *kept == number => Some(line),
            _ => None,
        }
    }
}

/// A stretch within lines, with nothing left open: what a span means for a
/// reader who sees the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub first: u32,
    pub last: u32,
    /// Byte offset in the first line.
    pub from: usize,
    /// Byte offset behind the stretch in the last line.
    pub to: usize,
}

impl Extent {
    /// A span's extent. A column of 0 takes the whole line without the space
    /// around it; a span without an end takes the word that begins there.
    pub fn of(span: &Span, lines: &Lines) -> Self {
        let first = span.start.line;
        let line = lines.get(first).unwrap_or_default();
        let end = span.end.filter(|end| *end > span.start && span.start.column > 0);
        if span.start.column == 0 {
            let from = line.len() - line.trim_ascii_start().len();
            return Self { first, last: first, from, to: line.trim_ascii_end().len().max(from) };
        }
        let from = (span.start.column as usize - 1).min(line.len());
        match end {
            Some(Position { line: last, column }) if last > first && column > 1 => {
                let length = lines.get(last).map_or(0, <[u8]>::len);
                Self { first, last, from, to: (column as usize - 1).min(length) }
            }
            // An end before the first column is the end of the line before.
            Some(Position { line: last, .. }) if last > first => {
                let last = last - 1;
                let length = lines.get(last).map_or(0, <[u8]>::len);
                let to = if last == first { length.max(from) } else { length };
                Self { first, last, from, to }
            }
            Some(Position { column, .. }) => {
                let to = (column as usize - 1).clamp(from, line.len().max(from));
                Self { first, last: first, from, to }
            }
            None => Self { first, last: first, from, to: from + word(&line[from..]) },
        }
    }
}

impl Extent {
    /// Of what an edit replaces: a span without an end, or that ends where it
    /// begins, inserts.
    pub fn of_edit(span: &Span, lines: &Lines) -> Self {
        let end = span.end.filter(|end| *end >= span.start).unwrap_or(span.start);
        let offset = |at: Position| {
            let column = at.column.saturating_sub(1) as usize;
            lines.get(at.line).map_or(0, |line| column.min(line.len()))
        };
        Self { first: span.start.line, last: end.line, from: offset(span.start), to: offset(end) }
    }
}

/// The length of the word a line begins with, at least one character.
fn word(line: &[u8]) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let length = line.iter().take_while(|byte| is_part(byte)).count();
    if length > 0 { length } else { line.len().min(1) }
}

/// A line as a person sees it: tabs as spaces, foreign characters escaped,
/// cut to a number of columns around a place that must be seen.
pub(super) struct Shown {
    pub text: String,
    /// For each byte offset of the line at which a character begins, the
    /// offset in `text`; sorted.
    places: Vec<(usize, usize)>,
    end: usize,
}

/// How far tabs reach.
const TAB: usize = 4;

/// Of a longer line only this much around the place is looked at.
const REACH: usize = 8 * 1024;

impl Shown {
    pub fn new(line: &[u8], focus: usize, columns: usize, unicode: bool) -> Self {
        let skipped = focus.min(line.len()).saturating_sub(REACH);
        let line_end = line.len().min(skipped + 2 * REACH);
        let cells = cells(&line[skipped..line_end], skipped);
        let total: usize = cells.iter().map(|cell| cell.width).sum();
        let mark = text::ellipsis(unicode);
        let (mut first, mut last) = (0, cells.len());
        if total > columns {
            // A third of the room before the place, the rest behind it.
            let place = cells.partition_point(|cell| cell.offset < focus).min(cells.len());
            let room = columns.saturating_sub(2 * text::width(mark)).max(1);
            let mut before = 0;
            first = place;
            while first > 0 && before + cells[first - 1].width <= room / 3 {
                first -= 1;
                before += cells[first].width;
            }
            let mut used = before;
            last = place;
            while last < cells.len() && used + cells[last].width <= room {
                used += cells[last].width;
                last += 1;
            }
            // What the end of the line leaves over goes to the front.
            while first > 0 && used + cells[first - 1].width <= room {
                first -= 1;
                used += cells[first].width;
            }
        }
        let mut shown = Self { text: String::new(), places: Vec::new(), end: 0 };
        if first > 0 || skipped > 0 {
            shown.text.push_str(mark);
        }
        for cell in &cells[first..last] {
            shown.places.push((cell.offset, shown.text.len()));
            shown.text.push_str(&cell.text);
        }
        shown.end = shown.text.len();
        if last < cells.len() || line_end < line.len() {
            shown.text.push_str(mark);
        }
        shown
    }

    /// Where the byte at `offset` of the line shows; clamped to what shows.
    pub fn place(&self, offset: usize) -> usize {
        let next = self.places.partition_point(|(known, _)| *known < offset);
        match self.places.get(next) {
            Some((_, place)) => *place,
            None => self.end,
        }
    }
}

/// What is shown for one character.
struct Cell {
    offset: usize,
    text: String,
    width: usize,
}

fn cells(line: &[u8], start: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::with_capacity(line.len());
    let mut column = 0;
    let mut offset = start;
    let mut push = |offset: usize, text: String| {
        let width = text::width(&text);
        column += width;
        cells.push(Cell { offset, text, width });
        column
    };
    let mut at = 0;
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            let text = match c {
                '\t' => " ".repeat(TAB - at % TAB),
                // A line has no ends within; a lone CR is as foreign.
                '\n' => "\\n".to_owned(),
                c => {
                    let mut text = String::new();
                    text::push_escaped(&mut text, c);
                    text
                }
            };
            at = push(offset, text);
            offset += c.len_utf8();
        }
        for byte in chunk.invalid() {
            at = push(offset, format!("\\x{byte:02x}"));
            offset += 1;
        }
    }
    cells
}

/// The column of a byte offset counted in characters, from 1.
pub(super) fn character_column(line: &[u8], offset: usize) -> u32 {
    let before = String::from_utf8_lossy(&line[..offset.min(line.len())]);
    u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX)
}

/// A span in lines and columns that count characters, both from 1, the end
/// exclusive, as cargo's JSON, SARIF and GitHub count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub line_start: u32,
    pub line_end: u32,
    pub column_start: u32,
    pub column_end: u32,
}

impl Region {
    /// Of a span whose extent is known.
    pub fn of(span: &Span, extent: Extent, lines: &Lines) -> Self {
        let column = |number: u32, offset: usize, fallback: u32| match lines.get(number) {
            Some(line) => character_column(line, offset),
            // Without the text, bytes are the best guess.
            None => fallback.max(1),
        };
        let column_start = column(extent.first, extent.from, span.start.column);
        let fallback = span.end.map_or(span.start.column, |end| end.column);
        let column_end = column(extent.last, extent.to, fallback);
        Self {
            line_start: extent.first.max(1),
            line_end: extent.last.max(1),
            column_start,
            column_end: if extent.first == extent.last {
                column_end.max(column_start)
            } else {
                column_end
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(text: &str, span: &Span) -> (u32, u32, usize, usize) {
        let lines = Lines { source: Some(Arc::new(Source::new(text))), kept: None, changed: false };
        let Extent { first, last, from, to } = Extent::of(span, &lines);
        (first, last, from, to)
    }

    #[test]
    fn lines_end_in_any_way() {
        let source = Source::new("a\r\nb\n\nc");
        let lines: Vec<_> = (0..6).map(|n| source.line(n)).collect();
        let line = |text: &'static str| Some(text.as_bytes());
        assert_eq!(lines, [None, line("a"), line("b"), line(""), line("c"), None]);
        assert_eq!(Source::new("a\n").line(2), None);
    }

    #[test]
    fn open_spans_get_ends() {
        let text = "  int value = 1;  \nx\n";
        assert_eq!(extent(text, &Span::line("f", 1)), (1, 1, 2, 16));
        assert_eq!(extent(text, &Span::point("f", 1, 7)), (1, 1, 6, 11));
        assert_eq!(extent(text, &Span::point("f", 1, 13)), (1, 1, 12, 13));
        assert_eq!(extent(text, &Span::point("f", 1, 7).to(2, 1)), (1, 1, 6, 18));
        assert_eq!(extent(text, &Span::point("f", 1, 7).to(2, 2)), (1, 2, 6, 1));
        assert_eq!(extent(text, &Span::point("f", 1, 900).to(1, 2)), (1, 1, 18, 18));
        assert_eq!(extent(text, &Span::point("f", 9, 4).to(9, 8)), (9, 9, 0, 0));
    }

    #[test]
    fn a_line_is_shown_as_it_looks() {
        let shown = Shown::new(b"\ta\x1b\xffz", 0, 80, true);
        assert_eq!(shown.text, "    a\\u{1b}\\xffz");
        assert_eq!((shown.place(0), shown.place(1), shown.place(2)), (0, 4, 5));
        assert_eq!(shown.place(99), shown.text.len());
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}X{}", "a".repeat(100_000), "b".repeat(100_000));
        let shown = Shown::new(line.as_bytes(), 100_000, 20, true);
        assert_eq!(shown.text, "…aaaaaaXbbbbbbbbbbb…");
        assert_eq!(&shown.text[shown.place(100_000)..][..1], "X");
        let shown = Shown::new(b"0123456789X", 10, 8, false);
        assert_eq!(shown.text, "...9X");
    }
}
