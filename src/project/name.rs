//! Names of projects: what the directory, the object and the skeleton's C
//! functions are called.

use std::fmt;

/// The longest name that is taken. A skeleton's name has at most 63 characters
/// (bpftool cuts off what is beyond), and is the project's with `_bpf` behind.
const MAX: usize = 59;

/// Words that cannot be the prefix of C functions and types, because they
/// would be keywords when used alone (a skeleton declares `struct NAME`), and
/// names that would shadow what every project has.
const RESERVED: &[&str] = &[
    "alignas",
    "alignof",
    "auto",
    "bool",
    "break",
    "case",
    "char",
    "const",
    "constexpr",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "false",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "nullptr",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "struct",
    "switch",
    "thread_local",
    "true",
    "typedef",
    "typeof",
    "typeof_unqual",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
    "bpf",
    "libbpf",
    "vmlinux",
    "skep",
    "target",
    "test",
    "con",
    "nul",
];

/// Why a name cannot be used, with one that can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// The name.
    pub name: String,
    /// What is wrong with it, fit to stand behind the name: `is a keyword`.
    pub reason: String,
    /// A name like it that can be used.
    pub suggestion: Option<String>,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(f, "the name {}", self.reason);
        }
        write!(f, "the name `{}` {}", self.name.escape_debug(), self.reason)
    }
}

/// Checks a project's name: letters, digits, `-` and `_`, beginning with a
/// letter or `_`, so that it is a C identifier once `-` is `_`.
pub fn check(name: &str) -> Result<(), BadName> {
    let bad = |reason: &str| {
        Err(BadName { name: name.to_owned(), reason: reason.to_owned(), suggestion: suggest(name) })
    };
    let Some(first) = name.chars().next() else {
        return bad("is empty");
    };
    if name.contains(['/', '\\']) {
        return bad("has a path separator in it");
    }
    if let Some(wrong) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_".contains(*c))) {
        return bad(&format!("has the character {wrong:?} in it, which C names cannot have"));
    }
    if !(first.is_ascii_alphabetic() || first == '_') {
        return bad(&format!("begins with {first:?}, which C names cannot"));
    }
    if name.len() > MAX {
        return bad(&format!("is longer than {MAX} characters"));
    }
    if is_reserved(name) {
        return bad("is reserved");
    }
    Ok(())
}

/// The name as a C identifier.
pub fn identifier(name: &str) -> String {
    name.replace('-', "_")
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&identifier(name).to_ascii_lowercase().as_str())
}

/// A usable name as close to `name` as possible.
fn suggest(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
    let mut usable = String::new();
    for c in last.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        // Runs of replaced characters become one, none at the start.
        if c != '-' || !(usable.is_empty() || usable.ends_with('-')) {
            usable.push(c);
        }
    }
    let mut usable = usable.trim_end_matches('-').to_owned();
    usable.truncate(MAX - 4);
    if usable.is_empty() {
        return None;
    }
    if usable.starts_with(|c: char| c.is_ascii_digit()) {
        usable.insert_str(0, "bpf-");
    }
    if is_reserved(&usable) {
        usable.insert_str(0, "my-");
    }
    check(&usable).is_ok().then_some(usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_names_pass() {
        for name in ["opens", "my-probe", "a_b", "_x", "x2"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn others_come_with_a_usable_one() {
        for (name, expected) in [
            ("2fast", Some("bpf-2fast")),
            ("int", Some("my-int")),
            ("a/b", Some("b")),
            ("ünder", Some("nder")),
            ("tést it!", Some("t-st-it")),
            ("", None),
            ("..", None),
            ("/", None),
            ("bpf", Some("my-bpf")),
        ] {
            let bad = check(name).unwrap_err();
            assert_eq!(bad.suggestion.as_deref(), expected, "{name}");
        }
        assert!(check(&"x".repeat(300)).unwrap_err().suggestion.is_some());
    }
}
