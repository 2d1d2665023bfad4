//! JSON files that belong to the user and to us: entries are added to a list,
//! everything else stays.

use serde::Serialize as _;
use serde_json::{Value, json};

/// A list in a JSON file, and what must be in it.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// The file without the list, where there is none yet.
    pub base: Value,
    /// The key of the list; none if the list is the whole file.
    pub key: Option<&'static str>,
    /// The key by which entries are told apart; none for plain values.
    pub id: Option<&'static str>,
    /// The entries.
    pub items: Vec<Value>,
}

/// Why entries could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is not JSON.
    Syntax,
    /// It is JSON with comments or trailing commas, which would be lost.
    Comments,
    /// Where the list is expected stands something else.
    Shape,
}

impl List {
    /// A new file with the list.
    pub fn document(&self) -> String {
        let mut document = self.base.clone();
        match self.key {
            Some(key) => document[key] = Value::Array(self.items.clone()),
            None => document = Value::Array(self.items.clone()),
        }
        pretty(&document, "  ")
    }

    /// The file with those entries added that are missing; nothing if none
    /// is. An entry that has the name of one of ours is the user's, and stays.
    pub fn merge(&self, text: &str) -> Result<Option<String>, Obstacle> {
        let (mut document, has_comments) = match parse(text) {
            Some(document) => (document, false),
            None => (parse(&without_comments(text)).ok_or(Obstacle::Syntax)?, true),
        };
        let list = match self.key {
            Some(key) => {
                let object = document.as_object_mut().ok_or(Obstacle::Shape)?;
                object.entry(key).or_insert_with(|| json!([]))
            }
            None => &mut document,
        };
        let list = list.as_array_mut().ok_or(Obstacle::Shape)?;
        let name = |item: &Value| self.id.map_or_else(|| item.clone(), |id| item[id].clone());
        let missing: Vec<&Value> = self
            .items
            .iter()
            .filter(|item| !list.iter().any(|known| name(known) == name(item)))
            .collect();
        if missing.is_empty() {
            return Ok(None);
        }
        if has_comments {
            return Err(Obstacle::Comments);
        }
        list.extend(missing.into_iter().cloned());
        Ok(Some(pretty(&document, indentation(text))))
    }
}

/// The value of a JSON text.
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Takes keys out of an object.
pub fn remove(value: &mut Value, keys: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

/// A value as a file, indented as the user does.
fn pretty(value: &Value, indentation: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indentation.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // A value with string keys, written to memory, has nothing that fails.
    drop(value.serialize(&mut serializer));
    let mut text = String::from_utf8(bytes).unwrap_or_default();
    text.push('\n');
    text
}

/// What the first indented line begins with.
fn indentation(text: &str) -> &str {
    text.lines()
        .map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()])
        .find(|blank| !blank.is_empty())
        .unwrap_or("  ")
}

/// JSON out of what VS Code and Zed take for JSON: comments become spaces,
/// commas before a closing bracket go.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let end = string_end(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.find("*/").map_or("", |end| &comment[end + 2..]);
        } else {
            if c == ']' || c == '}' {
                let kept = out.trim_end().len();
                if out[..kept].ends_with(',') {
                    out.truncate(kept - 1);
                }
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Where the string that a text begins with ends.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> List {
        List {
            base: json!({ "version": "2.0.0" }),
            key: Some("tasks"),
            id: Some("label"),
            items: vec![json!({ "label": "a", "n": 1 }), json!({ "label": "b" })],
        }
    }

    #[test]
    fn entries_are_added_behind_the_users_and_theirs_stay() {
        let text = "{\n\t\"version\": \"2.0.0\",\n\t\"zeta\": 1,\n\t\"tasks\": [\n\t\t{ \"label\": \"b\", \"mine\": true }\n\t],\n\t\"inputs\": []\n}\n";
        let merged = tasks().merge(text).unwrap().unwrap();
        assert_eq!(
            merged,
            "{\n\t\"version\": \"2.0.0\",\n\t\"zeta\": 1,\n\t\"tasks\": [\n\t\t{\n\t\t\t\"label\": \"b\",\n\t\t\t\"mine\": true\n\t\t},\n\t\t{\n\t\t\t\"label\": \"a\",\n\t\t\t\"n\": 1\n\t\t}\n\t],\n\t\"inputs\": []\n}\n"
        );
        assert_eq!(tasks().merge(&merged), Ok(None));
        assert_eq!(tasks().merge(&tasks().document()), Ok(None));
    }

    #[test]
    fn comments_are_not_lost() {
        let commented = "// mine\n{ \"tasks\": [ /* \" */ { \"label\": \"a\" }, ], }";
        assert_eq!(tasks().merge(commented), Err(Obstacle::Comments));
        let complete = "{ \"tasks\": [{ \"label\": \"a//\\\"\" }, {\"label\":\"a\"}, {\"label\":\"b\"},] } // end";
        assert_eq!(tasks().merge(complete), Ok(None));
    }

    #[test]
    fn what_is_no_list_is_left_alone() {
        for (text, obstacle) in [
            ("{ \"tasks\": 3 }", Obstacle::Shape),
            ("[]", Obstacle::Shape),
            ("{ \"tasks\": [", Obstacle::Syntax),
            ("", Obstacle::Syntax),
            ("/*", Obstacle::Syntax),
            ("\"\\", Obstacle::Syntax),
        ] {
            assert_eq!(tasks().merge(text), Err(obstacle), "{text}");
        }
    }

    #[test]
    fn plain_values_are_told_apart_by_themselves() {
        let list = List { base: json!({}), key: Some("list"), id: None, items: vec![json!("x.y")] };
        assert_eq!(list.merge("{\"list\":[\"x.y\"]}"), Ok(None));
        assert!(list.merge("{\"list\":[\"a\"]}").unwrap().unwrap().contains("\"x.y\""));
        assert!(list.merge("{}").unwrap().unwrap().contains("\"x.y\""));
    }
}
