//! Text for people: escaping what is foreign, measuring, wrapping, and
//! writing numbers with units.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Makes foreign text harmless for a terminal: control characters, and those
/// that turn the direction of writing, become escapes as in Rust's strings.
/// Line ends stay; a tab becomes four spaces.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c == '\t' || is_harmful(c)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => escaped.push(c),
            '\t' => escaped.push_str("    "),
            c => push_escaped(&mut escaped, c),
        }
    }
    Cow::Owned(escaped)
}

/// [`escape`] for what must stay on one line.
pub fn one_line(text: &str) -> String {
    let text = escape(text.trim_end());
    text.split('\n').map(str::trim_end).collect::<Vec<_>>().join(" ")
}

/// Adds a character, escaped if it is harmful.
pub(super) fn push_escaped(text: &mut String, c: char) {
    if is_harmful(c) {
        text.extend(c.escape_default());
    } else {
        text.push(c);
    }
}

fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            // Directional marks, embeddings, overrides and isolates, with
            // which text shows in another order than it is read in.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators; a byte order mark within text.
            | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// How many columns a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

pub(super) fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Breaks a text at spaces into lines of at most `width` columns; a longer
/// word gets a line of its own. Spaces at a paragraph's start are kept.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let words = paragraph.trim_start_matches(' ');
        let mut line = " ".repeat(paragraph.len() - words.len());
        let mut has_word = false;
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            if has_word && line.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut line));
            } else if has_word {
                line.push(' ');
            }
            line.push_str(word);
            has_word = true;
        }
        lines.push(line);
    }
    lines
}

/// Cuts a text to `width` columns, with a mark where something is missing.
pub fn truncate(text: &str, width: usize, unicode: bool) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mark = ellipsis(unicode);
    let room = width.saturating_sub(mark.width());
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += char_width(c);
        if used > room {
            break;
        }
        cut.push(c);
    }
    cut.push_str(mark);
    Cow::Owned(cut)
}

/// Adds a line that may have colours of [`Paint`](super::Paint) in it, cut as
/// [`truncate`] cuts, and returns how many columns it takes: colours take none,
/// and end where they did.
pub(super) fn push_painted(line: &str, width: usize, unicode: bool, out: &mut String) -> usize {
    let own: usize = painted(line).map(|(text, _)| self::width(text)).sum();
    let is_cut = own > width;
    let mark = ellipsis(unicode);
    let room = if is_cut { width.saturating_sub(self::width(mark)) } else { width };
    let (mut used, mut is_full) = (0, false);
    for (text, color) in painted(line) {
        if !is_full {
            let fitting = prefix(text, room - used);
            out.push_str(fitting);
            used += self::width(fitting);
            is_full = fitting.len() < text.len();
            if is_full {
                out.push_str(mark);
            }
        }
        out.push_str(color);
    }
    if is_full { used + self::width(mark) } else { used }
}

/// A line's pieces of text, each with the change of colour behind it.
fn painted(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (text, behind) = rest.split_at(rest.find("\x1b[").unwrap_or(rest.len()));
        let (color, left) = behind.split_at(behind.find('m').map_or(behind.len(), |at| at + 1));
        rest = left;
        (!text.is_empty() || !color.is_empty()).then_some((text, color))
    })
}

/// As much of a text's beginning as fits into `room` columns.
fn prefix(text: &str, room: usize) -> &str {
    if text.is_ascii() {
        return &text[..text.len().min(room)];
    }
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|&end| text[..end].width() <= room).last();
    &text[..end.unwrap_or(0)]
}

pub(super) fn ellipsis(unicode: bool) -> &'static str {
    if unicode { "…" } else { "..." }
}

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time with a fitting unit: `850 µs`, `1.2 ms`, `3.4 s`, `2 min 05 s`.
pub fn micros(micros: u64, unicode: bool) -> String {
    match micros {
        0..1_000 => format!("{micros} {}", if unicode { "µs" } else { "us" }),
        1_000..999_950 => scaled(micros, 1_000, "ms"),
        999_950..59_950_000 => scaled(micros, 1_000_000, "s"),
        _ => {
            let seconds = (micros + 500_000) / 1_000_000;
            format!("{} min {:02} s", count(seconds / 60), seconds % 60)
        }
    }
}

/// A size with a fitting decimal unit: `512 B`, `34 kB`, `1.2 MB`.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..999_500 => scaled(bytes, 1_000, "kB"),
        999_500..999_500_000 => scaled(bytes, 1_000_000, "MB"),
        _ => scaled(bytes, 1_000_000_000, "GB"),
    }
}

/// `number / unit` with one decimal below ten, none above.
fn scaled(number: u64, unit: u64, name: &str) -> String {
    let tenths = (u128::from(number) * 10 + u128::from(unit) / 2) / u128::from(unit);
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        let whole = (u128::from(number) + u128::from(unit) / 2) / u128::from(unit);
        format!("{} {name}", count(u64::try_from(whole).unwrap_or(u64::MAX)))
    }
}

/// `1 error`, `2 errors`.
pub fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(escape("a\tb\nc"), "a    b\nc");
        assert_eq!(escape("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(escape("\u{202e}abc\u{9b}"), "\\u{202e}abc\\u{9b}");
        assert_eq!(one_line("a\r\nb\n"), "a\\r b");
        assert_eq!(escape("größe 漢字"), "größe 漢字");
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("a-very-long-word b", 5), ["a-very-long-word", "b"]);
        assert_eq!(wrap("  aa bb", 5), ["  aa", "bb"]);
        assert_eq!(wrap("one\n\ntwo", 5), ["one", "", "two"]);
        assert_eq!(wrap("漢字 漢字", 5), ["漢字", "漢字"]);
    }

    #[test]
    fn numbers_get_units() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(micros(850, true), "850 µs");
        assert_eq!(micros(850, false), "850 us");
        assert_eq!(micros(1_249, true), "1.2 ms");
        assert_eq!(micros(12_400, true), "12 ms");
        assert_eq!(micros(999_949, true), "1,000 ms");
        assert_eq!(micros(999_950, true), "1.0 s");
        assert_eq!(micros(125_000_000, true), "2 min 05 s");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(34_100), "34 kB");
        assert_eq!(bytes(1_250_000), "1.3 MB");
        assert_eq!(plural(1, "error"), "1 error");
        assert_eq!(plural(2_000, "error"), "2,000 errors");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(truncate("abcdef", 4, true), "abc…");
        assert_eq!(truncate("abcdef", 5, false), "ab...");
        assert_eq!(truncate("abc", 3, true), "abc");
    }

    #[test]
    fn colours_outlive_a_cut() {
        let put = |line: &str, width: usize, unicode: bool| {
            let mut out = String::new();
            let own = push_painted(line, width, unicode, &mut out);
            (out, own)
        };
        let line = "\x1b[2mcat-7:\x1b[0m hello";
        assert_eq!(put(line, 12, true), (line.to_owned(), 12));
        assert_eq!(put(line, 9, true), ("\x1b[2mcat-7:\x1b[0m h…".to_owned(), 9));
        assert_eq!(put(line, 6, false), ("\x1b[2mcat...\x1b[0m".to_owned(), 6));
        // A wide character that has half of the room has none.
        assert_eq!(put("漢字漢", 5, true), ("漢字…".to_owned(), 5));
        assert_eq!(put("漢字漢", 4, true), ("漢…".to_owned(), 3));
        assert_eq!(put("e\u{301}e\u{301}e", 2, true), ("e\u{301}…".to_owned(), 2));
        assert_eq!(put("", 2, true), (String::new(), 0));
    }
}
