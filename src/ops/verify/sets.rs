//! `--set VAR=VALUE`: global variables with other values, before the load.
//! Several values of several variables are a matrix, and each of its cells is
//! verified on its own.

use super::Object;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf::{self, DataKind, GlobalError};
use crate::wire::Patch;
use std::path::Path;

/// More than this is a mistake, or a day's work.
const MOST: usize = 4096;

/// A variable and the values it is to have, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    path: String,
    values: Vec<String>,
}

/// A value for each variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// As people read it: `debug=1 level=2`; empty where nothing is set.
    pub label: String,
    /// The same in bytes.
    pub patches: Vec<Patch>,
}

/// Reads what the user asked for. A variable that is named again gets more
/// values.
///
/// # Errors
/// Text of another form.
pub(super) fn choices(texts: &[String]) -> Result<Vec<Choice>, Failure> {
    let mut choices: Vec<Choice> = Vec::new();
    for text in texts {
        let Some((path, values)) = text.split_once('=') else {
            let message = format!("`--set {text}` gives no value");
            return Err(usage(message)
                .help("write VAR=VALUE, or VAR=VALUE,VALUE for several")
                .into());
        };
        let (path, values) = (path.trim().to_owned(), split(values));
        match choices.iter_mut().find(|choice| choice.path == path) {
            Some(choice) => choice.values.extend(values),
            None => choices.push(Choice { path, values }),
        }
    }
    let count = choices.iter().map(|choice| choice.values.len());
    if count.fold(1, usize::saturating_mul) > MOST {
        return Err(usage(format!("`--set` makes more than {MOST} combinations")).into());
    }
    Ok(choices)
}

/// Splits at commas that are not inside quotes.
fn split(values: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for c in values.chars() {
        match (c, quote) {
            (',', None) => parts.push(String::new()),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        if let Some(part) = parts.last_mut()
            && (c != ',' || quote.is_some())
        {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// What the choices come to for one object: one set that sets nothing if it
/// has none of the variables.
///
/// # Errors
/// A value that its variable cannot have.
pub(super) fn of_object(choices: &[Choice], object: &Object) -> Result<Vec<Set>, Failure> {
    let mut sets = vec![Set::default()];
    for choice in choices {
        let global = match object.elf.global(&choice.path) {
            Ok(global) => global,
            Err(GlobalError::Unknown(_)) => continue,
            Err(error) => return Err(refused(&object.path, &choice.path, &error)),
        };
        let mut more = Vec::with_capacity(sets.len() * choice.values.len());
        for set in &sets {
            for value in &choice.values {
                let bytes = global.encode(value);
                let bytes = bytes.map_err(|error| refused(&object.path, &choice.path, &error))?;
                let mut set = set.clone();
                let gap = if set.label.is_empty() { "" } else { " " };
                set.label.push_str(&format!("{gap}{}={value}", choice.path));
                let section = global.section.to_owned();
                set.patches.push(Patch { section, offset: global.offset, bytes });
                more.push(set);
            }
        }
        sets = more;
    }
    Ok(sets)
}

/// `VAR=VALUE` for one object that is to run.
///
/// # Errors
/// Text of another form, a variable that the object does not have, or a value
/// that it cannot have.
pub(in crate::ops) fn patch(text: &str, path: &Path, elf: &elf::Object) -> Result<Patch, Failure> {
    let Some((name, value)) = text.split_once('=') else {
        let message = format!("`--set {text}` gives no value");
        return Err(usage(message).help("write VAR=VALUE").into());
    };
    let (name, value) = (name.trim(), value.trim());
    let global = match elf.global(name) {
        Ok(global) => global,
        Err(GlobalError::Unknown(known)) => return Err(unknown(name, known)),
        Err(error) => return Err(refused(path, name, &error)),
    };
    let bytes = global.encode(value).map_err(|error| refused(path, name, &error))?;
    Ok(Patch { section: global.section.to_owned(), offset: global.offset, bytes })
}

/// Variables that no object has, and those whose values a verifier does not
/// look at.
///
/// # Errors
/// A variable that no object has.
pub(super) fn check(choices: &[Choice], objects: &[Object]) -> Result<Vec<String>, Failure> {
    let mut notes = Vec::new();
    for Choice { path, .. } in choices {
        let mut known: Vec<String> = Vec::new();
        let mut kinds = Vec::new();
        for object in objects {
            match object.elf.global(path) {
                Ok(global) => kinds.push(global.kind),
                Err(GlobalError::Unknown(names)) => known.extend(names),
                Err(error) => return Err(refused(&object.path, path, &error)),
            }
        }
        if kinds.is_empty() {
            return Err(unknown(path, known));
        }
        if kinds.iter().all(|kind| *kind != DataKind::Rodata) {
            notes.push(format!(
                "`{path}` is not constant (`const volatile`), so its value makes no difference to \
                 a verdict"
            ));
        }
    }
    Ok(notes)
}

fn unknown(path: &str, mut known: Vec<String>) -> Failure {
    known.sort();
    known.dedup();
    let name = path.split(['.', '[']).next().unwrap_or(path);
    let diagnostic = usage(format!("no object has a global variable `{name}`"));
    let near = known
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .min()
        .filter(|(distance, other)| *distance <= 1 + other.len() / 4);
    let diagnostic = match near {
        Some((_, other)) => diagnostic.help(format!("did you mean `{other}`?")),
        None => diagnostic,
    };
    match known.as_slice() {
        [] => diagnostic.note("the objects have no global variable"),
        known => diagnostic.note(format!("there are: {}", known.join(", "))),
    }
    .into()
}

fn refused(object: &Path, path: &str, error: &GlobalError) -> Failure {
    let object = object.display();
    usage(format!("`{path}` of {object} cannot be set: {error}")).into()
}

fn usage(message: String) -> Diagnostic {
    Diagnostic::new(codes::USAGE, Origin::Command, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parted_by_commas_outside_of_quotes() {
        assert_eq!(split("1, 2,3"), ["1", "2", "3"]);
        assert_eq!(split("\"a,b\",c"), ["\"a,b\"", "c"]);
        assert_eq!(split("',',x"), ["','", "x"]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn a_variable_named_twice_has_both_values() {
        let texts = ["a=1".to_owned(), "b=x".to_owned(), "a=2,3".to_owned()];
        let choices = choices(&texts).expect("they are well-formed");
        let [a, b] = choices.as_slice() else { panic!("{choices:?}") };
        assert_eq!((a.path.as_str(), a.values.len()), ("a", 3));
        assert_eq!(b.values, ["x"]);
    }
}
