//! `compile_commands.json`: how editors and clang's tools learn the command
//! line of each source (clang/docs/JSONCompilationDatabase).

use crate::base::fs;
use serde_json::{Value, json};
use std::path::Path;

/// The file's name.
pub const NAME: &str = "compile_commands.json";

/// One source and its command line.
pub struct Entry {
    /// The source, relative to the directory.
    pub file: String,
    /// The object it becomes a part of, relative to the directory.
    pub output: String,
    /// The compiler and its arguments.
    pub arguments: Vec<String>,
}

/// Writes the file into `dir` unless it says the same already. Entries of
/// other files that somebody else wrote there stay.
///
/// `with_user` says whether the entries of the user side are among them; if
/// not, those of an earlier build stay.
///
/// Says whether it could: a file that is no compilation database, or a
/// symbolic link to somebody else's, is left alone.
pub fn write(dir: &Path, entries: &[Entry], with_user: bool) -> Result<bool, fs::Error> {
    let path = dir.join(NAME);
    let own: Vec<Value> = entries.iter().map(|entry| value(dir, entry)).collect();
    let known = fs::read_if_exists(&path)?;
    // Mostly nothing has changed and nobody else writes here: then the file
    // need not be understood.
    if known.as_ref() == Some(&text(&own)) {
        return Ok(true);
    }
    let elsewhere = match (fs::canonicalize(&path), fs::canonicalize(dir)) {
        (Ok(file), Ok(dir)) => file != dir.join(NAME),
        _ => false,
    };
    if elsewhere {
        return Ok(false);
    }
    let mut kept = match known {
        None => Vec::new(),
        Some(bytes) => match serde_json::from_slice(&bytes) {
            Ok(Value::Array(known)) => known,
            _ => return Ok(false),
        },
    };
    kept.retain(|entry| !(is_ours(entry, dir) || with_user && is_user(entry)));
    kept.extend(own);
    fs::write_if_changed(&path, &text(&kept)).map(|_| true)
}

fn value(dir: &Path, entry: &Entry) -> Value {
    json!({
        "directory": dir.to_string_lossy(),
        "file": entry.file,
        "output": entry.output,
        "arguments": entry.arguments,
    })
}

fn text(entries: &[Value]) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(entries).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Whether an entry is one that skep wrote, for this project at this or
/// another place.
fn is_ours(entry: &Value, dir: &Path) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_bpf = entry
        .get("arguments")
        .and_then(Value::as_array)
        .is_some_and(|words| words.iter().any(|word| word.as_str() == Some("-target")));
    is_bpf && text("output").ends_with(".bpf.o")
        || (Path::new(text("directory")) == dir && text("file").ends_with(".bpf.c"))
}

/// Whether an entry is one of a user program's source: its object lies where
/// nobody but skep puts any.
fn is_user(entry: &Value) -> bool {
    let output = entry.get("output").and_then(Value::as_str).unwrap_or_default();
    output.contains("/.state/") && output.contains("/user/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str) -> Entry {
        Entry {
            file: file.to_owned(),
            output: "target/skep/dev/a.bpf.o".to_owned(),
            arguments: vec!["clang".to_owned(), "-target".to_owned(), "bpf".to_owned()],
        }
    }

    #[test]
    fn others_entries_stay_and_ours_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        fs::write_atomic(&path, br#"[{"directory": "/x", "file": "main.c", "command": "cc"}]"#)
            .unwrap();
        assert!(write(dir.path(), &[entry("src/a.bpf.c")], false).unwrap());
        assert!(write(dir.path(), &[entry("src/b.bpf.c")], false).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("main.c") && text.contains("b.bpf.c") && !text.contains("a.bpf.c"));
    }

    #[test]
    fn what_is_no_database_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write_atomic(&dir.path().join(NAME), b"{}").unwrap();
        assert!(!write(dir.path(), &[entry("a.bpf.c")], false).unwrap());
        assert_eq!(fs::read_to_string(&dir.path().join(NAME)).unwrap(), "{}");
    }
}
