//! What programs said, kept in a file: a line of JSON for everything that
//! happened, the same as `--message-format json` writes, with the kernel and
//! the time besides. The first line says what the file is.

use super::live;
use crate::ops::run::{Happening, Told};
use crate::values::{Code, Stack, Value};
use crate::vm::Stream;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::Duration;

/// Changes when files of before cannot be read any more.
const VERSION: u64 = 1;
/// What the first line is.
const REASON: &str = "skep-record";

/// What a record is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// What ran.
    pub subject: String,
    /// Where.
    pub kernels: Vec<String>,
}

/// A record as it was read.
#[derive(Debug, Default)]
pub struct Record {
    /// What it is of.
    pub head: Head,
    /// What happened: when, on which kernel.
    pub happenings: Vec<(Duration, usize, Happening)>,
    /// Its last line ends too early.
    pub is_cut: bool,
}

/// Why a text is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong, as a sentence without a stop.
    pub message: String,
}

/// The first line.
pub fn head(head: &Head) -> String {
    let line = serde_json::json!({
        "reason": REASON,
        "format_version": VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "subject": head.subject,
        "kernels": head.kernels,
    });
    line.to_string() + "\n"
}

/// Writes a line for something that happened `at` so much after the beginning.
pub fn line(told: &Told<'_>, at: Duration, out: &mut String) {
    live::json_at(told, at, out);
}

/// Reads a record.
///
/// # Errors
/// It is none, or of another version.
pub fn read(text: &str) -> Result<Record, Wrong> {
    let mut record = Record::default();
    let mut lines = (1..).zip(text.split_inclusive('\n'));
    let wrong = |line: u32, message: String| Wrong { line, message };
    let first = lines.next().and_then(|(_, line)| serde_json::from_str::<Json>(line).ok());
    let first = first.filter(|first| first["reason"] == REASON);
    let Some(first) = first else {
        return Err(wrong(1, "the file is no record of `skep run`".to_owned()));
    };
    if first["format_version"] != VERSION {
        let message = format!("the record is of version {}", first["format_version"]);
        return Err(wrong(1, message));
    }
    record.head.subject = text_of(&first, "subject");
    let kernels = first["kernels"].as_array().into_iter().flatten();
    record.head.kernels = kernels.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    for (number, line) in lines {
        let Ok(Json::Object(object)) = serde_json::from_str(line) else {
            if !line.ends_with('\n') {
                record.is_cut = true;
                continue;
            }
            return Err(wrong(number, "the line is no JSON object".to_owned()));
        };
        add(object, &mut record);
    }
    Ok(record)
}

/// Adds what a line tells; nothing of what a later skep may tell besides.
fn add(mut object: Map<String, Json>, record: &mut Record) {
    let take = |object: &mut Map<String, Json>, key: &str| {
        value_of(object.remove(key).unwrap_or_default())
    };
    let (key, value) = (take(&mut object, "key"), take(&mut object, "value"));
    let line = Json::Object(object);
    let text = |key: &str| text_of(&line, key);
    let flag = |key: &str| line[key].as_bool().unwrap_or(false);
    let kernel = text("kernel");
    let side = record.head.kernels.iter().position(|known| *known == kernel);
    let side = side.unwrap_or_else(|| {
        record.head.kernels.push(kernel.clone());
        record.head.kernels.len() - 1
    });
    let at = Duration::from_micros(line["at_us"].as_u64().unwrap_or(0));
    let happening = match line["reason"].as_str().unwrap_or_default() {
        "event" => Happening::Event { map: text("map"), value },
        "lost-events" => {
            Happening::Lost { map: text("map"), count: line["count"].as_u64().unwrap_or(0) }
        }
        "printed" => Happening::Printed {
            task: text("task"),
            pid: line["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
            text: text("text"),
        },
        "attached" => Happening::Attached {
            program: text("program"),
            section: text("section"),
            result: match line["place"].as_str() {
                Some(place) => Ok(place.to_owned()),
                None => Err(text("error")),
            },
        },
        "ready" => Happening::Ready { kernel, release: text("release") },
        "iterated" => Happening::Iterated { program: text("program"), text: text("text") },
        "output" => {
            let is_error = line["stream"] == "stderr";
            let stream = if is_error { Stream::Error } else { Stream::Out };
            Happening::Output(stream, text("text").into_bytes())
        }
        "map-entry" => {
            let (map, is_last) = (text("map"), flag("last"));
            // The entries of one map follow each other.
            if let Some((before, of, Happening::Map { name, entries, .. })) =
                record.happenings.last_mut()
                && (*before, *of, name.as_str()) == (at, side, map.as_str())
            {
                entries.push((key, value));
                return;
            }
            let (is_cut, is_data) = (flag("cut"), flag("data"));
            Happening::Map { name: map, entries: vec![(key, value)], is_cut, is_data, is_last }
        }
        _ => return,
    };
    record.happenings.push((at, side, happening));
}

fn text_of(object: &Json, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

/// A value, as far as JSON still tells what it was.
fn value_of(json: Json) -> Value {
    match json {
        Json::Null => Value::Float(f64::NAN),
        Json::Bool(flag) => Value::Flag(flag),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::Unsigned(number),
            (_, Some(number)) => Value::Signed(number),
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(values) => {
            let values: Vec<Value> = values.into_iter().map(value_of).collect();
            let frame = |value: &Value| match value {
                Value::Text(text) if text.contains("+0x") || text.starts_with("0x") => {
                    Some(Code { address: 0, name: Some(Arc::from(text.as_str())) })
                }
                _ => None,
            };
            match values.iter().map(frame).collect::<Option<Vec<Code>>>() {
                Some(frames) if !frames.is_empty() => {
                    Value::Stack(Box::new(Stack { id: None, map: None, frames }))
                }
                _ => Value::List(values),
            }
        }
        Json::Object(members) => Value::Record(
            members.into_iter().map(|(name, value)| (Arc::from(name), value_of(value))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let kernels = ["debian/bookworm".to_owned(), "6.12".to_owned()];
        let record = |members: &[(&str, Value)]| {
            Value::Record(members.iter().map(|(name, v)| ((*name).into(), v.clone())).collect())
        };
        let event = record(&[
            ("pid", Value::Unsigned(7)),
            ("ret", Value::Signed(-2)),
            ("comm", Value::Text("a \"b\"".into())),
        ]);
        let all = [
            Happening::Attached {
                program: "f".into(),
                section: "kprobe/f".into(),
                result: Err("no".into()),
            },
            Happening::Ready { kernel: "6.12".into(), release: "6.12.1".into() },
            Happening::Event { map: "rb".into(), value: event },
            Happening::Lost { map: "rb".into(), count: 9 },
            Happening::Printed { task: "cat".into(), pid: 7, text: "hello".into() },
            Happening::Output(Stream::Error, b"text\n".to_vec()),
            Happening::Iterated { program: "it".into(), text: "line\n".into() },
            Happening::Map {
                name: "counts".into(),
                entries: vec![
                    (Value::Unsigned(1), Value::Unsigned(2)),
                    (Value::Unsigned(3), Value::Unsigned(4)),
                ],
                is_cut: true,
                is_data: true,
                is_last: true,
            },
        ];
        let of = Head { subject: "x.bpf.c".into(), kernels: kernels.to_vec() };
        let mut text = head(&of);
        for (at, happening) in (0..).zip(&all) {
            let told = Told { kernels: &kernels, side: 1, happening };
            line(&told, Duration::from_micros(at), &mut text);
        }
        let read_back = read(&text).expect("it is a record");
        assert_eq!(read_back.head, of);
        let happenings: Vec<&Happening> = read_back
            .happenings
            .iter()
            .map(|(_, side, happening)| {
                assert_eq!(*side, 1);
                happening
            })
            .collect();
        assert_eq!(happenings, all.iter().collect::<Vec<_>>());
        assert_eq!(read_back.happenings[2].0, Duration::from_micros(2));
        // What was cut off by a crash is told, and the rest is there.
        let cut = read(&text[..text.len() - 9]).expect("it is a record");
        assert!(cut.is_cut && !read_back.is_cut);
        assert_eq!(cut.happenings.len(), all.len());
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in ["", "x", "{}\n", "{\"reason\":\"skep\",\"format_version\":1}\n"] {
            assert_eq!(read(text).unwrap_err().line, 1, "{text}");
        }
        let next = head(&Head::default()).replace("\"format_version\":1", "\"format_version\":2");
        assert_eq!(read(&next).unwrap_err().message, "the record is of version 2");
        let torn = head(&Head::default()) + "nothing\n";
        assert_eq!(read(&torn).unwrap_err().line, 2);
    }
}
