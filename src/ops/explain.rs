//! What a code means: the pages of `docs/diagnostics`, embedded.

use crate::diagnostics::{Code, Diagnostic, Failure, Origin, codes};
use include_dir::{Dir, include_dir};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/diagnostics");

/// A code with its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// Its page, in Markdown.
    pub page: &'static str,
}

/// Explains a code, given by its number (`E0301`) or readable name.
///
/// # Errors
/// There is no such code; the nearest one is named.
pub fn explain(name: &str) -> Result<Explanation, Failure> {
    match Code::find(name.trim()) {
        Some(code) => Ok(Explanation { code, page: page(code).unwrap_or(code.summary()) }),
        None => Err(unknown(name).into()),
    }
}

/// The page of a code.
fn page(code: Code) -> Option<&'static str> {
    PAGES.get_file(format!("{}.md", code.id()))?.contents_utf8()
}

fn unknown(name: &str) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(codes::USAGE, Origin::Command, format!("there is no code `{name}`"));
    match Code::nearest(name) {
        Some(code) => diagnostic.help(format!("the nearest is {code}")),
        None => diagnostic.help("`skep explain --list` shows them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_code_and_the_same_form() {
        for file in PAGES.files() {
            let name = file.path().file_stem().unwrap().to_str().unwrap();
            let page = file.contents_utf8().unwrap();
            let Some(code) = Code::find(name) else { panic!("{name} is no code") };
            let title = format!("# {code}");
            assert_eq!(page.lines().next(), Some(title.as_str()), "{name}.md begins");
            let out = ["Right", "Way out", "Ways out"];
            assert!(
                page.lines().any(|line| out.iter().any(|start| line.starts_with(start))),
                "{name}.md has no way out: a line that starts with one of {out:?}"
            );
            assert_eq!(page.matches("```").count() % 2, 0, "{name}.md has an open block");
        }
    }

    #[test]
    fn every_code_has_a_page() {
        let missing: Vec<_> =
            codes::ALL.iter().filter(|code| page(**code).is_none()).map(|code| code.id()).collect();
        assert!(missing.is_empty(), "docs/diagnostics has no page for {missing:?}");
    }

    #[test]
    fn the_nearest_code_is_named() {
        let help = |name: &str| explain(name).unwrap_err().diagnostic().helps[0].message.clone();
        assert_eq!(help("map-valu-maybe-nul"), "the nearest is E0301 map-value-maybe-null");
        assert_eq!(help("map-value-null"), "the nearest is E0301 map-value-maybe-null");
        assert_eq!(help("E301"), "the nearest is E0301 map-value-maybe-null");
        assert_eq!(help("E9999"), "`skep explain --list` shows them all");
        assert_eq!(help("xyzzy"), "`skep explain --list` shows them all");
        assert_eq!(explain("e0301").unwrap().code, codes::MAP_VALUE_MAYBE_NULL);
    }
}
