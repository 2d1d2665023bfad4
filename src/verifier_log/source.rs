//! The comments in which the verifier quotes the program's source:
//! `; text` up to Linux 6.7, `; text @ file.c:17` since.

use super::line::number;

/// A line of source as the log quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'t> {
    /// The line, without indentation.
    pub text: &'t str,
    /// The last part of its file's path, and its number, where the log has
    /// them.
    pub place: Option<(&'t str, u32)>,
}

impl<'t> Source<'t> {
    /// Reads a line that begins with `;`.
    pub(super) fn parse(line: &'t str) -> Self {
        let text = line.trim_start_matches(';').trim();
        match split_place(text) {
            Some((text, file, line)) => Self { text, place: Some((file, line)) },
            None => Self { text, place: None },
        }
    }
}

/// Whether a comment names its place.
pub(super) fn has_place(line: &str) -> bool {
    split_place(line).is_some()
}

/// `text @ file:17` → its parts.
fn split_place(text: &str) -> Option<(&str, &str, u32)> {
    let (before, place) = text.rsplit_once(" @ ")?;
    let (file, digits) = place.rsplit_once(':')?;
    let (line, rest) = number(digits)?;
    (rest.is_empty() && !file.is_empty()).then(|| (before.trim_end(), file, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_a_place() {
        let old = Source::parse("; *value += 1; // a @ b");
        assert_eq!(old, Source { text: "*value += 1; // a @ b", place: None });
        let new = Source::parse("; *value += 1; @ my file.bpf.c:17");
        assert_eq!(new, Source { text: "*value += 1;", place: Some(("my file.bpf.c", 17)) });
    }
}
