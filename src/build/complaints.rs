//! clang's text → [`Diagnostic`]. The one place that reads it.
//!
//! clang 15 and newer can write SARIF, but without the name of the warning's
//! flag, without fix-its, and not on older ones; so the text is read, in the
//! form that `-fdiagnostics-print-source-range-info` and
//! `-fdiagnostics-parseable-fixits` give it on every version
//! (clang/docs/UsersManual, "Formatting of Diagnostics"):
//!
//! ```text
//! In file included from src/a.bpf.c:3:
//! ./include/b.h:5:7:{5:3-5:9}: warning: message [-Wflag]
//!     5 |   text of the line
//!       |       ^~~
//! fix-it:"./include/b.h":{5:7-5:8}:"replacement"
//! ```

use crate::diagnostics::{Diagnostic, Edit, Help, Origin, Position, Severity, Span, codes};
use std::path::{Path, PathBuf};

/// The arguments that give clang's text the form read here.
pub const ARGUMENTS: &[&str] = &[
    "-fno-color-diagnostics",
    "-fdiagnostics-print-source-range-info",
    "-fdiagnostics-parseable-fixits",
    "-fdiagnostics-show-option",
    "-fno-diagnostics-show-hotness",
];

/// A line that begins a message.
#[derive(Debug, PartialEq)]
struct Header<'t> {
    place: Option<Place>,
    kind: Kind,
    message: &'t str,
    /// `-Wunused-variable`.
    flag: Option<&'t str>,
}

#[derive(Clone, Debug, PartialEq)]
struct Place {
    file: PathBuf,
    at: Position,
    range: Option<(Position, Position)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    Warning,
    Note,
}

/// A fix-it: what replaces what.
struct Fix {
    file: PathBuf,
    from: Position,
    to: Position,
    text: String,
}

/// A message with the fix-its that follow it.
struct Message<'t> {
    header: Header<'t>,
    included: Vec<&'t str>,
    fixes: Vec<Fix>,
}

/// The findings in what clang wrote to standard error. Paths in them are
/// below `root` if clang's are relative.
///
/// `read` gives the text of a source file, to put the parts of a fix-it
/// together; it may know none.
pub fn parse(text: &str, root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for message in messages(text) {
        let fix = help_of(&message, root, read);
        let span = message.header.place.as_ref().map(|place| span(place, root));
        if message.header.kind == Kind::Note {
            // A note without an error or warning before it has nothing to
            // belong to.
            let Some(last) = found.last_mut() else { continue };
            match (fix, span) {
                (Some(fix), _) => last.helps.push(fix),
                (None, Some(span)) => *last = last.clone().label(span, message.header.message),
                (None, None) => last.notes.push(message.header.message.to_owned()),
            }
            continue;
        }
        let code = match message.header.kind {
            Kind::Error => codes::CLANG_ERROR,
            Kind::Warning | Kind::Note => codes::CLANG_WARNING,
        };
        // `-Werror` makes an error of a warning; its flag then says so.
        let mut diagnostic =
            Diagnostic::new(code, Origin::Clang, message.header.message.trim_end_matches('.'));
        if let Some(span) = span {
            diagnostic = diagnostic.at(span);
        }
        if let Some(flag) = message.header.flag {
            let severity = diagnostic.severity;
            diagnostic = diagnostic.note(match severity {
                Severity::Warning => format!("`{flag}` is on"),
                _ => format!("`{flag}` makes this an error"),
            });
        }
        if !message.included.is_empty() {
            // clang begins with the source; what is nearest is told first.
            let chain: Vec<_> = message.included.iter().rev().copied().collect();
            diagnostic = diagnostic.note(format!("included from {}", chain.join(", from ")));
        }
        diagnostic.helps.extend(fix);
        found.push(diagnostic);
    }
    if let Some(place) = old_backend_error(text, root) {
        found.insert(0, place);
    }
    found
}

fn messages(text: &str) -> Vec<Message<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut messages: Vec<Message<'_>> = Vec::new();
    let mut included = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index];
        index += 1;
        if let Some(from) = line.strip_prefix("In file included from ") {
            included.push(from.trim_end_matches([':', ',']));
        } else if let Some(fix) = line.strip_prefix("fix-it:") {
            if let (Some(message), Some(fix)) = (messages.last_mut(), fix_it(fix)) {
                message.fixes.push(fix);
            }
        } else if let Some(header) = header(line) {
            // clang prints the source line next, and below it a line that
            // points into it: the source may look like a message itself.
            if header.place.is_some() {
                let blank = lines.get(index).is_some_and(|line| line.is_empty());
                let source = index + usize::from(blank);
                if lines.get(source + 1).is_some_and(|line| points(line)) {
                    index = source + 2;
                }
            }
            let included = std::mem::take(&mut included);
            messages.push(Message { header, included, fixes: Vec::new() });
        }
    }
    messages
}

/// Whether a line only points: `     |  ^~~~`.
fn points(line: &str) -> bool {
    line.contains('^') && line.chars().all(|c| " \t|^~".contains(c))
}

fn header(line: &str) -> Option<Header<'_>> {
    // A source line with its number in front, as newer ones print it.
    if line.starts_with(' ') {
        return None;
    }
    const KINDS: &[(&str, Kind)] = &[
        ("fatal error: ", Kind::Error),
        ("error: ", Kind::Error),
        ("warning: ", Kind::Warning),
        ("note: ", Kind::Note),
    ];
    for (start, _) in std::iter::once((0, "")).chain(line.match_indices(": ")) {
        let rest = if start == 0 { line } else { &line[start + 2..] };
        let Some((word, kind)) = KINDS.iter().find(|(word, _)| rest.starts_with(word)) else {
            continue;
        };
        let before = if start == 0 { "" } else { &line[..start] };
        let place = place(before);
        // `clang: error: …` and `error: …` have no place; anything else in
        // front that is none is not a message of clang's.
        let name = before.rsplit('/').next().unwrap_or_default();
        let driver = ["clang", "cc", "gcc"].iter().any(|driver| name.starts_with(driver));
        if place.is_none() && !before.is_empty() && !driver && !before.starts_with('<') {
            return None;
        }
        let (message, flag) = split_flag(rest[word.len()..].trim_end());
        return Some(Header { place, kind: *kind, message, flag });
    }
    None
}

/// Splits off ` [-Wflag]`, or the last of ` [-Werror,-Wflag]`.
fn split_flag(message: &str) -> (&str, Option<&str>) {
    let flag = message.strip_suffix(']').and_then(|rest| rest.rsplit_once(" ["));
    match flag {
        Some((message, flags)) if flags.starts_with("-W") => (message, flags.rsplit(',').next()),
        _ => (message, None),
    }
}

/// Reads `path:line:column` or `path:line:column:{l:c-l:c}{l:c-l:c}`.
fn place(text: &str) -> Option<Place> {
    let (text, ranges) = match text.find(":{") {
        Some(start) if text.ends_with('}') => (&text[..start], &text[start + 1..]),
        _ => (text, ""),
    };
    let (text, column) = text.rsplit_once(':')?;
    let (file, line) = text.rsplit_once(':')?;
    let at = Position { line: line.parse().ok()?, column: column.parse().ok()? };
    if file.is_empty() || file.starts_with('<') || at.line == 0 {
        return None;
    }
    let range = ranges
        .split(['{', '}'])
        .filter_map(range)
        // The range that the caret stands in, else the first on its line.
        .filter(|(from, to)| from.line == at.line && from <= to)
        .max_by_key(|(from, to)| *from <= at && at < *to);
    Some(Place { file: PathBuf::from(file), at, range })
}

/// Reads `l:c-l:c`.
fn range(text: &str) -> Option<(Position, Position)> {
    let (from, to) = text.split_once('-')?;
    let position = |text: &str| {
        let (line, column) = text.split_once(':')?;
        Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
    };
    Some((position(from)?, position(to)?))
}

fn span(place: &Place, root: &Path) -> Span {
    let file = absolute(&place.file, root);
    match place.range {
        // A range that the caret is not in belongs to another part of the
        // message; the caret itself is what is meant.
        Some((from, to)) if from <= place.at && place.at < to => {
            Span::point(file, from.line, from.column).to(to.line, to.column)
        }
        _ => Span::point(file, place.at.line, place.at.column),
    }
}

fn absolute(file: &Path, root: &Path) -> PathBuf {
    root.join(file.strip_prefix(".").unwrap_or(file))
}

/// Reads `"path":{l:c-l:c}:"text"`.
fn fix_it(text: &str) -> Option<Fix> {
    let (file, rest) = quoted(text)?;
    let rest = rest.strip_prefix(":{")?;
    let (place, rest) = rest.split_once("}:")?;
    let (from, to) = range(place)?;
    let (text, _) = quoted(rest)?;
    Some(Fix { file: PathBuf::from(file), from, to, text })
}

/// Reads a quoted string at the start of `text` and gives back what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let body = text.strip_prefix('"')?;
    let mut bytes = Vec::new();
    let mut chars = body.bytes().enumerate();
    while let Some((index, byte)) = chars.next() {
        match byte {
            b'"' => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return Some((text, &body[index + 1..]));
            }
            b'\\' => match chars.next()?.1 {
                b'n' => bytes.push(b'\n'),
                b't' => bytes.push(b'\t'),
                // Three octal digits.
                digit @ b'0'..=b'7' => {
                    let mut value = u32::from(digit - b'0');
                    for _ in 0..2 {
                        value = value * 8 + u32::from(chars.next()?.1.checked_sub(b'0')?);
                    }
                    bytes.push(u8::try_from(value).ok()?);
                }
                other => bytes.push(other),
            },
            other => bytes.push(other),
        }
    }
    None
}

/// The fix-its of one message as one help. clang may give several edits that
/// belong together (two parentheses); they become one edit from the first to
/// the last, which needs the text between them.
fn help_of(
    message: &Message<'_>,
    root: &Path,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Option<Help> {
    let first = message.fixes.first()?;
    let edit = match &message.fixes[..] {
        [fix] => Some(edit_of(fix, root)),
        fixes => merged(fixes, root, read),
    };
    let words = match (message.header.kind, first.from == first.to, first.text.is_empty()) {
        // A note with a fix says in words what the fix does.
        (Kind::Note, ..) => message.header.message.to_owned(),
        (_, true, _) => format!("insert `{}`", first.text.trim()),
        (_, false, true) => "remove it".to_owned(),
        (_, false, false) => format!("write `{}`", first.text.trim()),
    };
    Some(Help { message: words, edit })
}

fn edit_of(fix: &Fix, root: &Path) -> Edit {
    let span = Span::point(absolute(&fix.file, root), fix.from.line, fix.from.column)
        .to(fix.to.line, fix.to.column);
    Edit { span, replacement: fix.text.clone() }
}

fn merged(fixes: &[Fix], root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Option<Edit> {
    let mut fixes: Vec<&Fix> = fixes.iter().collect();
    fixes.sort_by_key(|fix| (fix.from, fix.to));
    let (first, last) = (fixes.first()?, fixes.last()?);
    if fixes.iter().any(|fix| fix.file != first.file) {
        return None;
    }
    let file = absolute(&first.file, root);
    let text = read(&file)?;
    let mut replacement = String::new();
    let mut at = offset(&text, first.from)?;
    for fix in &fixes {
        replacement.push_str(text.get(at..offset(&text, fix.from)?)?);
        replacement.push_str(&fix.text);
        at = offset(&text, fix.to)?;
    }
    let span =
        Span::point(file, first.from.line, first.from.column).to(last.to.line, last.to.column);
    Some(Edit { span, replacement })
}

/// The byte at a position.
fn offset(text: &str, position: Position) -> Option<usize> {
    let line = usize::try_from(position.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(position.column).ok()?.checked_sub(1)?;
    let start = match line {
        0 => 0,
        line => text.match_indices('\n').nth(line - 1)?.0 + 1,
    };
    Some(start + column)
}

/// What the BPF back end of clang 17 and older says before it crashes:
/// `Error at line 7: Unsupport signed division for DAG: 0x…`. It names no
/// file; the place is in the DAG's dump.
fn old_backend_error(text: &str, root: &Path) -> Option<Diagnostic> {
    let line = text.lines().find(|line| line.starts_with("Error at line "))?;
    let (number, rest) = line.strip_prefix("Error at line ")?.split_once(": ")?;
    let number: u32 = number.parse().ok()?;
    let (message, dump) = rest.split_once(" for DAG: ").unwrap_or((rest, ""));
    let diagnostic = Diagnostic::new(codes::CLANG_ERROR, Origin::Clang, message);
    let marker = format!(":{number}:");
    let place = dump.split([',', ' ']).find_map(|word| word.find(&marker).map(|end| &word[..end]));
    Some(match place {
        Some(file) => diagnostic.at(Span::line(absolute(Path::new(file), root), number)),
        None => diagnostic.note(format!("clang says it is in line {number}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_in_root(text: &str) -> Vec<Diagnostic> {
        parse(text, Path::new("/p"), &|_| Some("int f(void) {\n  if (x = 3) return 1;\n}\n".into()))
    }

    #[test]
    fn header_flag_range_and_includes() {
        let text = "In file included from src/a.bpf.c:2:\nIn file included from inc/g.h:1:\n\
                    ./inc/h.h:2:29:{2:29-2:34}: warning: bad thing [-Wint-conversion]\n    \
                    2 | static int\n      |    ^\n1 warning generated.\n";
        let found = parse_in_root(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "bad thing");
        assert_eq!(
            found[0].primary.as_ref().unwrap().span,
            Span::point("/p/inc/h.h", 2, 29).to(2, 34)
        );
        assert_eq!(
            found[0].notes,
            ["`-Wint-conversion` is on", "included from inc/g.h:1, from src/a.bpf.c:2"]
        );
    }

    #[test]
    fn a_source_line_that_looks_like_a_message_is_none() {
        let text = "a.c:4:6: error: expected ';'\nx.c:3:4: error: foo\n     ^\n     ;\n\
                    fix-it:\"a.c\":{4:6-4:6}:\";\"\n";
        let found = parse_in_root(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].helps[0].message, "insert `;`");
        assert_eq!(found[0].helps[0].edit.as_ref().unwrap().replacement, ";");
    }

    #[test]
    fn notes_become_labels_or_helps() {
        let text = "a.c:2:9:{2:7-2:12}: warning: assignment [-Wparentheses]\n  if (x = 3) return 1;\n\
                    \x20       ^\na.c:2:9: note: place parentheses around it\n  if (x = 3) return 1;\n  \
                    \x20     ^\nfix-it:\"a.c\":{2:7-2:7}:\"(\"\nfix-it:\"a.c\":{2:12-2:12}:\")\"\n\
                    a.c:1:5: note: declared here\nint f(void) {\n    ^\n";
        let found = parse_in_root(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].secondary[0].message, "declared here");
        let help = &found[0].helps[0];
        assert_eq!(help.message, "place parentheses around it");
        assert_eq!(help.edit.as_ref().unwrap().replacement, "(x = 3)");
    }

    #[test]
    fn paths_with_spaces_and_colons() {
        let place = place("src/a b:c.c:3:4:{3:4-3:9}").unwrap();
        assert_eq!(place.file, Path::new("src/a b:c.c"));
        assert_eq!(place.at, Position { line: 3, column: 4 });
    }

    #[test]
    fn messages_without_a_place() {
        let text =
            "error: unknown target CPU 'v9'\nnote: valid target CPU values are: generic, v1\n";
        let found = parse_in_root(text);
        assert_eq!(found[0].primary, None);
        assert_eq!(found[0].notes, ["valid target CPU values are: generic, v1"]);
        let found = parse_in_root("clang-19: error: no such file or directory: 'x.c'\n");
        assert_eq!(found[0].message, "no such file or directory: 'x.c'");
    }

    #[test]
    fn werror_is_told() {
        let found = parse_in_root("a.c:1:1: error: unused [-Werror,-Wunused-variable]\n");
        assert_eq!(found[0].code, codes::CLANG_ERROR);
        assert_eq!(found[0].notes, ["`-Wunused-variable` makes this an error"]);
    }

    #[test]
    fn the_old_back_ends_words_are_placed() {
        let text = "Error at line 7: Unsupport signed division for DAG: 0xcd: i64 = sdiv 0xc, 0xd, \
                    src/s.c:7:35Please convert to unsigned div/mod.\n\
                    fatal error: error in backend: Cannot select: 0xcd\n";
        let found = parse_in_root(text);
        assert_eq!(found[0].message, "Unsupport signed division");
        assert_eq!(found[0].primary.as_ref().unwrap().span, Span::line("/p/src/s.c", 7));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn escapes_in_fix_its() {
        assert_eq!(quoted(r#""a\"b\\\n\303\251":x"#), Some(("a\"b\\\né".to_owned(), ":x")));
        assert_eq!(quoted(r#""open"#), None);
    }
}
