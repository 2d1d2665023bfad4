//! Placeholders: `@{name}` in a file or a file's name.
//!
//! `@` is no token of C, nor of TOML or a makefile outside of strings, so the
//! form cannot be met by chance; where it is, followed by anything but a
//! known name, the template is wrong, and rendering fails.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What begins a placeholder.
const OPEN: &str = "@{";

/// A file of a rendered project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the project.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// Replaces every placeholder.
///
/// # Errors
/// What is wrong with a placeholder.
pub fn render(text: &str, values: &BTreeMap<&str, String>) -> Result<String, String> {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        rendered.push_str(&rest[..at]);
        let behind = &rest[at + OPEN.len()..];
        let Some((name, after)) = behind.split_once('}') else {
            return Err("a placeholder is not closed".to_owned());
        };
        let Some(value) = values.get(name) else {
            return Err(format!("the placeholder {OPEN}{name}}} has no value"));
        };
        rendered.push_str(value);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_values_are_not_looked_into() {
        let values = BTreeMap::from([("a", "@{b}".to_owned()), ("b", "x".to_owned())]);
        assert_eq!(render("1 @{a} 2 @{b}@{b}", &values).unwrap(), "1 @{b} 2 xx");
        assert_eq!(render("{{a}} ${a} @a", &values).unwrap(), "{{a}} ${a} @a");
        assert!(render("@{c}", &values).is_err());
        assert!(render("@{a", &values).is_err());
    }
}
