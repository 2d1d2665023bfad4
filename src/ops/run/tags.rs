//! Tags of ours that nobody knows: misspelled ones.

use crate::base::fs;
use crate::diagnostics::{Diagnostic, Origin, Span, codes};
use crate::values::TAGS;
use std::path::Path;

/// What is wrong with tags, given what they stand on. `source` is where they
/// may be written.
pub(super) fn unknown(tags: &[(String, String)], source: Option<&Path>) -> Vec<Diagnostic> {
    if tags.is_empty() {
        return Vec::new();
    }
    let text = source.and_then(|source| fs::read_to_string(source).ok());
    in_text(tags, source.zip(text.as_deref()))
}

fn in_text(tags: &[(String, String)], source: Option<(&Path, &str)>) -> Vec<Diagnostic> {
    let say = |(tag, place): &(String, String)| {
        let message = format!("`skep:{tag}` on `{place}` is no tag");
        let mut diagnostic = Diagnostic::new(codes::UNKNOWN_TAG, Origin::Command, message);
        let known = TAGS.iter().map(|(known, _)| *known);
        let near = known.clone().map(|known| (strsim::damerau_levenshtein(tag, known), known));
        diagnostic = match near.filter(|(distance, _)| *distance <= 2).min() {
            Some((_, near)) => diagnostic.help(format!("`{near}` is one")),
            None => {
                let all: Vec<&str> = known.collect();
                diagnostic.help(format!("there are: {}", all.join(", ")))
            }
        };
        let Some((path, text)) = source else { return diagnostic };
        // A macro may put the rest of the tag in front.
        let written = [format!("\"skep:{tag}\""), format!("\"{tag}\"")];
        let found = written
            .iter()
            .find_map(|text_of| text.find(text_of.as_str()).map(|at| at..at + text_of.len()));
        match found {
            Some(range) => diagnostic.at(Span::of_bytes(path, text, range)),
            None => diagnostic.at(Span::file(path)),
        }
    };
    tags.iter().map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_where_it_is_written() {
        let text = "int a SKEP(\"ipv5\");\n";
        let tags = [("ipv5".to_owned(), "a".to_owned()), ("nothing".to_owned(), "b".to_owned())];
        let all = in_text(&tags, Some((Path::new("x.bpf.c"), text)));
        assert_eq!(all[0].code, codes::UNKNOWN_TAG);
        assert!(all[0].helps[0].message.contains("ipv4"), "{:?}", all[0]);
        assert_eq!(all[0].primary.as_ref().map(|label| label.span.start.column), Some(12));
        assert!(all[1].helps[0].message.contains("there are: ipv4, ipv6"), "{:?}", all[1]);
    }
}
