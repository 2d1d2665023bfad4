//! Reading values out of TOML's syntax tree, collecting every mistake.

use crate::diagnostics::{Diagnostic, Edit, Help, Origin, Span, codes};
use crate::packets;
use crate::values::{Given, Written};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its place in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The bytes of the manifest it stands on; none for a default.
    pub range: Option<Range<usize>>,
}

impl<T> Located<T> {
    /// A default.
    pub fn default_value(value: T) -> Self {
        Self { value, range: None }
    }

    /// A value that somebody wrote.
    pub fn written(value: T, range: Range<usize>) -> Self {
        Self { value, range: Some(range) }
    }
}

impl<T: Default> Default for Located<T> {
    fn default() -> Self {
        Self::default_value(T::default())
    }
}

/// The manifest's text, and what was found wrong in it.
pub struct Reader<'t> {
    path: PathBuf,
    text: &'t str,
    /// Whether it is a part of a `Cargo.toml`.
    pub is_cargo: bool,
    mistakes: Vec<Diagnostic>,
}

impl<'t> Reader<'t> {
    pub fn new(path: &Path, text: &'t str) -> Self {
        Self { path: path.to_owned(), text, is_cargo: false, mistakes: Vec::new() }
    }

    /// The mistakes, in the order of the text.
    pub fn finish(mut self) -> Result<(), Vec<Diagnostic>> {
        if self.mistakes.is_empty() {
            return Ok(());
        }
        self.mistakes.sort_by_key(|m| m.primary.as_ref().map(|label| label.span.start));
        Err(self.mistakes)
    }

    pub fn span(&self, range: Range<usize>) -> Span {
        Span::of_bytes(&self.path, self.text, range)
    }

    pub fn syntax(&mut self, errors: Vec<toml::de::Error>) {
        for error in errors {
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            let diagnostic = Diagnostic::new(codes::MANIFEST_SYNTAX, Origin::Manifest, message);
            let diagnostic = match error.span() {
                Some(range) => diagnostic.at(self.span(range)),
                None => diagnostic.in_file(&self.path),
            };
            self.mistakes.push(diagnostic);
        }
    }

    /// Notes that a value cannot be used.
    pub fn wrong(&mut self, range: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic =
            Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message).at(self.span(range));
        self.mistakes.push(diagnostic);
        let last = self.mistakes.len() - 1;
        &mut self.mistakes[last]
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, key: &str, expected: &str) {
        let found = kind_of(value.get_ref());
        self.wrong(value.span(), format!("`{key}` is {found} where {expected} is expected"));
    }

    /// Notes that a key is not known, with the nearest of those that are.
    pub fn unknown_key(
        &mut self,
        key: &Spanned<toml::de::DeString<'_>>,
        place: &str,
        known: &[&str],
    ) {
        let name = key.get_ref();
        let message = match place {
            "" => format!("unknown key `{name}`"),
            place => format!("unknown key `{name}` in {place}"),
        };
        let span = self.span(key.span());
        let mut diagnostic =
            Diagnostic::new(codes::MANIFEST_KEY, Origin::Manifest, message).at(span.clone());
        match nearest(name, known) {
            Some(near) => {
                let edit = Edit { span, replacement: near.to_owned() };
                diagnostic = diagnostic.help_edit(format!("did you mean `{near}`?"), edit);
            }
            None if known.is_empty() => {}
            None => diagnostic = diagnostic.note(format!("known keys: {}", known.join(", "))),
        }
        self.mistakes.push(diagnostic);
    }

    /// Notes that a key speaks of a package where there is none.
    pub fn homeless_key(&mut self, key: &Spanned<toml::de::DeString<'_>>) {
        let name = key.get_ref();
        let message = format!("`{name}` belongs to a package, and this manifest describes none");
        let help = "write it into the manifests of the workspace's packages, or make this one a \
                    package too, with [package]";
        let diagnostic = Diagnostic::new(codes::MANIFEST_KEY, Origin::Manifest, message)
            .at(self.span(key.span()))
            .help(help);
        self.mistakes.push(diagnostic);
    }

    pub fn table<'v, 'd>(
        &mut self,
        value: &'v Spanned<DeValue<'d>>,
        key: &str,
    ) -> Option<&'v DeTable<'d>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, key, "a table");
        }
        table
    }

    pub fn string(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<Located<String>> {
        let range = value.span();
        match value.get_ref() {
            DeValue::String(text) => Some(Located::written(text.clone().into_owned(), range)),
            DeValue::Integer(_) | DeValue::Float(_) => {
                let found = kind_of(value.get_ref());
                let text = self.text.get(range.clone()).unwrap_or_default();
                let replacement = format!("\"{text}\"");
                let edit = Edit { span: self.span(range.clone()), replacement };
                self.wrong(range, format!("`{key}` is {found} where a string is expected"))
                    .helps
                    .push(Help { message: "put it in quotes".to_owned(), edit: Some(edit) });
                None
            }
            _ => {
                self.wrong_type(value, key, "a string");
                None
            }
        }
    }

    pub fn boolean(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(value, key, "true or false");
        }
        boolean
    }

    /// A number that counts something.
    pub fn count(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<u64> {
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(value, key, "a number");
            return None;
        };
        let digits = integer.as_str().replace('_', "");
        match u64::from_str_radix(&digits, integer.radix()) {
            Ok(number) => Some(number),
            Err(_) => {
                self.wrong(value.span(), format!("`{key}` must be a number from 0 up"));
                None
            }
        }
    }

    /// A list of strings; those that are none are left out.
    pub fn strings(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
    ) -> Option<Vec<Located<String>>> {
        let Some(array) = value.get_ref().as_array() else {
            let expected = "a list of strings";
            if value.get_ref().is_str() {
                let range = value.span();
                let text = self.text.get(range.clone()).unwrap_or_default();
                let edit =
                    Edit { span: self.span(range.clone()), replacement: format!("[{text}]") };
                self.wrong(range, format!("`{key}` is a string where {expected} is expected"))
                    .helps
                    .push(Help { message: "put it in brackets".to_owned(), edit: Some(edit) });
            } else {
                self.wrong_type(value, key, expected);
            }
            return None;
        };
        Some(array.iter().filter_map(|item| self.string(item, key)).collect())
    }

    /// A value of any shape, for whoever knows its type.
    pub fn given(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<Given> {
        let written = match value.get_ref() {
            DeValue::String(text) => Written::Text(text.clone().into_owned()),
            DeValue::Boolean(flag) => Written::Flag(*flag),
            DeValue::Integer(integer) => {
                let digits = integer.as_str().replace('_', "");
                match i128::from_str_radix(&digits, integer.radix()) {
                    Ok(number) => Written::Number(number),
                    Err(_) => {
                        self.wrong(value.span(), format!("`{key}` is too large a number"));
                        return None;
                    }
                }
            }
            DeValue::Array(items) => {
                Written::List(items.iter().filter_map(|item| self.given(item, key)).collect())
            }
            DeValue::Table(table) => Written::Table(
                table
                    .iter()
                    .filter_map(|(key, value)| {
                        let name = key.get_ref().to_string();
                        let given = self.given(value, &name)?;
                        Some((name, given))
                    })
                    .collect(),
            ),
            DeValue::Float(_) | DeValue::Datetime(_) => {
                self.wrong_type(value, key, "a whole number, a text, a list or a table");
                return None;
            }
        };
        Some(Given { value: written, range: value.span() })
    }

    /// Text that stands for a packet, as its bytes.
    pub fn packet(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<Located<Vec<u8>>> {
        let text = self.string(value, key)?.value;
        match packets::parse(&text) {
            Ok(bytes) => Some(Located::written(bytes, value.span())),
            Err(mistake) => {
                // The place in the text is one in the file if nothing in the
                // text had to be written otherwise.
                let span = value.span();
                let inside = span.start + 1..span.end.saturating_sub(1);
                let range = match self.text.get(inside.clone()) {
                    Some(source) if source == text => {
                        inside.start + mistake.range.start..inside.start + mistake.range.end
                    }
                    _ => span,
                };
                self.wrong(range, mistake.message);
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.string(value, key)?.value;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let span = self.span(value.span());
        let near = nearest(&text, &words);
        let diagnostic = self.wrong(
            value.span(),
            format!(
                "`{key}` cannot be `{}`; it is one of {}",
                text.escape_debug(),
                words.join(", ")
            ),
        );
        if let Some(near) = near {
            diagnostic.helps.push(Help {
                message: format!("did you mean `{near}`?"),
                edit: Some(Edit { span, replacement: format!("\"{near}\"") }),
            });
        }
        None
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The word of a list that somebody who wrote `word` most likely meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}
