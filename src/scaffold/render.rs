//! Placeholders and lines of one front end.
//!
//! `@{name}` in a file or a file's name is a placeholder. A line that begins
//! with `@[c]` (or `@[c,rust]`) is there for these front ends only. `@` is no
//! token of C, nor of TOML or a makefile outside of strings, so neither form
//! can be met by chance; where one is, followed by anything but a known name,
//! the template is wrong, and rendering fails.

use super::Lang;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What begins a placeholder.
const OPEN: &str = "@{";
/// What begins a line of one front end.
const ONLY: &str = "@[";

/// A file of a rendered project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the project.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it can be run.
    pub executable: bool,
}

/// Leaves out the lines of other front ends, and replaces every placeholder.
///
/// # Errors
/// What is wrong with a placeholder or a mark.
pub fn render(text: &str, lang: Lang, values: &BTreeMap<&str, String>) -> Result<String, String> {
    let mut rendered = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if let Some(line) = of_lang(line, lang)? {
            replace(line, values, &mut rendered)?;
        }
    }
    Ok(rendered)
}

/// The line without the mark, unless it is for other front ends.
fn of_lang(line: &str, lang: Lang) -> Result<Option<&str>, String> {
    let Some(marked) = line.strip_prefix(ONLY) else { return Ok(Some(line)) };
    let Some((names, line)) = marked.split_once(']') else {
        return Err(format!("a mark {ONLY}…] is not closed"));
    };
    let mut wanted = false;
    for name in names.split(',') {
        match Lang::find(name.trim()) {
            Some(named) => wanted |= named == lang,
            None => return Err(format!("`{}` is no front end", name.trim().escape_debug())),
        }
    }
    Ok(wanted.then_some(line))
}

fn replace(
    text: &str,
    values: &BTreeMap<&str, String>,
    rendered: &mut String,
) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        rendered.push_str(&rest[..at]);
        let behind = &rest[at + OPEN.len()..];
        let Some((name, after)) = behind.split_once('}') else {
            return Err("a placeholder is not closed".to_owned());
        };
        let Some(value) = values.get(name) else {
            return Err(format!("the placeholder {OPEN}{}}} has no value", name.escape_debug()));
        };
        rendered.push_str(value);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_values_are_not_looked_into() {
        let values = BTreeMap::from([("a", "@{b}".to_owned()), ("b", "x".to_owned())]);
        let render = |text| render(text, Lang::C, &values);
        assert_eq!(render("1 @{a} 2 @{b}@{b}").unwrap(), "1 @{b} 2 xx");
        assert_eq!(render("{{a}} ${a} @a").unwrap(), "{{a}} ${a} @a");
        assert!(render("@{c}").is_err());
        assert!(render("@{a").is_err());
    }

    #[test]
    fn lines_of_other_front_ends_are_left_out() {
        let values = BTreeMap::from([("a", "x".to_owned())]);
        let text = "one @[c]\n@[c]  two @{a}\n@[rust, none]three\n\n@[none]@{b}\n";
        assert_eq!(render(text, Lang::C, &values).unwrap(), "one @[c]\n  two x\n\n");
        assert_eq!(render(text, Lang::Rust, &values).unwrap(), "one @[c]\nthree\n\n");
        assert!(render(text, Lang::None, &values).is_err());
        assert!(render("@[perl]\n", Lang::C, &values).is_err());
        assert!(render("@[c\n", Lang::C, &values).is_err());
    }
}
