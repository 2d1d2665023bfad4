//! Tests of programs that nobody runs for a test: what is attached, and what
//! is done for it to see.

use crate::project::reader::{Located, Reader};
use toml::Spanned;
use toml::de::DeValue;

/// Something that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// A line for the guest's shell.
    pub line: Located<String>,
    /// The error that is to come of it: a name, a number, or nothing for any.
    pub error: Option<Located<String>>,
    /// The exit code that is to come of it.
    pub code: Option<Located<u8>>,
}

/// Something that is taken along into the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// A file or directory, from the suite's own directory on.
    Path(Located<String>),
    /// A program that the project itself builds, by its name.
    Program(Located<String>),
}

impl Brought {
    /// What it is called, and where that is written.
    pub fn name(&self) -> &Located<String> {
        match self {
            Self::Path(name) | Self::Program(name) => name,
        }
    }
}

/// A program that is attached, and where if that is said.
pub type Attached = (Located<String>, Option<Located<String>>);

/// `["touch /a", { do = "rm /b", error = "ENOENT" }]`, or one of them.
pub(super) fn deeds(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<Deed> {
    match value.get_ref().as_array() {
        Some(items) => items.iter().filter_map(|item| deed(reader, item)).collect(),
        None => deed(reader, value).into_iter().collect(),
    }
}

fn deed(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<Deed> {
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        return Some(Deed { line: reader.string(value, "do")?, error: None, code: None });
    }
    let table = reader.table(value, "do")?;
    let (mut line, mut error, mut code) = (None, None, None);
    for (key, value) in table.iter() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("do", _) => line = reader.string(value, "do"),
            ("error", DeValue::Boolean(true)) => {
                error = Some(Located::written(String::new(), value.span()));
            }
            ("error", DeValue::Integer(number)) => {
                error = Some(Located::written(number.to_string(), value.span()));
            }
            ("error", _) => error = reader.string(value, "error"),
            ("code", _) => {
                if let Some(count) = reader.count(value, "code") {
                    match u8::try_from(count) {
                        Ok(count) => code = Some(Located::written(count, value.span())),
                        Err(_) => {
                            reader.wrong(value.span(), "an exit code is a number up to 255");
                        }
                    }
                }
            }
            _ => reader.unknown_key(key, "what is done", &["do", "error", "code"]),
        }
    }
    if let (Some(_), Some(code)) = (&error, &code) {
        let range = code.range.clone().unwrap_or_default();
        reader.wrong(range, "what is done ends with an `error` or with a `code`, not with both");
    }
    let Some(line) = line else {
        reader.wrong(value.span(), "what is done is a text, or { do = \"…\", error = \"EPERM\" }");
        return None;
    };
    Some(Deed { line, error, code })
}

/// `["file", { bin = "name" }]`, or one of them.
pub(super) fn brought(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<Brought> {
    let mut one = |value: &Spanned<DeValue<'_>>| {
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            return Some(Brought::Path(reader.string(value, "bring")?));
        }
        let mut bin = None;
        for (key, value) in reader.table(value, "bring")?.iter() {
            match key.get_ref().as_ref() {
                "bin" => bin = reader.string(value, "bin"),
                _ => reader.unknown_key(key, "`bring`", &["bin"]),
            }
        }
        if bin.is_none() {
            reader.wrong(
                value.span(),
                "what is brought is a path, or a program of the project: { bin = \"NAME\" }",
            );
        }
        bin.map(Brought::Program)
    };
    match value.get_ref().as_array() {
        Some(items) => items.iter().filter_map(one).collect(),
        None => one(value).into_iter().collect(),
    }
}

/// `["a", "b"]`, or `{ a = true, b = "lo:egress" }`.
pub(super) fn attached(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<Attached> {
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let names = reader.strings(value, "attach").unwrap_or_default();
        return names.into_iter().map(|name| (name, None)).collect();
    }
    let Some(table) = reader.table(value, "attach") else { return Vec::new() };
    table
        .iter()
        .filter_map(|(key, value)| {
            let name = Located::written(key.get_ref().to_string(), key.span());
            match value.get_ref() {
                DeValue::Boolean(true) => Some((name, None)),
                DeValue::Boolean(false) => {
                    reader.wrong(value.span(), "what is not attached is not named");
                    None
                }
                _ => Some((name, Some(reader.string(value, "attach")?))),
            }
        })
        .collect()
}

/// `{ PROGRAM = ["text", …] }`.
pub(super) fn shown(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Vec<(Located<String>, Vec<Located<String>>)> {
    let Some(table) = reader.table(value, "shows") else { return Vec::new() };
    table
        .iter()
        .filter_map(|(key, value)| {
            let name = key.get_ref().to_string();
            let texts = reader.strings(value, &name)?;
            Some((Located::written(name, key.span()), texts))
        })
        .collect()
}
