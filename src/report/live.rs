//! What programs at work say, as it comes: for people as tables that grow,
//! with a heading where something else begins; as `key=value` lines, or as
//! JSON lines.

use super::text::{self, one_line};
use super::{Context, Paint, json};
use crate::ops::run::Happening;
use crate::values::{Histogram, Value};
use crate::vm::Stream;
use std::fmt::Write as _;

/// A number's column is at least this wide, so that rows keep their place.
const NUMBER: usize = 7;
/// A text's, as wide as a task's name gets.
const TEXT: usize = 15;
/// The longest bar of a histogram.
const BAR: usize = 40;
/// Elements of a list that people see.
const SHOWN: usize = 16;

/// Shows what happens to people.
#[derive(Debug, Default)]
pub struct Table {
    /// Whose heading was written last, and its columns.
    heading: Option<(String, Vec<String>)>,
    widths: Vec<usize>,
    /// The workload has not ended its line.
    is_open: bool,
}

/// A value in a row: its text, and whether it stands on the right.
struct Field {
    name: String,
    text: String,
    is_number: bool,
}

impl Table {
    /// What is to be written for something that happened.
    pub fn human(&mut self, happening: &Happening, cx: &Context) -> String {
        if let Happening::Output(_, bytes) = happening {
            self.heading = None;
            self.is_open = bytes.last().is_some_and(|&byte| byte != b'\n');
            let text = String::from_utf8_lossy(bytes);
            return text.split_inclusive('\n').map(harmless).collect();
        }
        let text = self.text(happening, cx);
        match text.is_empty() || !std::mem::take(&mut self.is_open) {
            true => text,
            false => format!("\n{text}"),
        }
    }

    fn text(&mut self, happening: &Happening, cx: &Context) -> String {
        match happening {
            Happening::Event { map, value } => self.event(map, value, cx),
            Happening::Printed { task, pid, text } => {
                self.heading = None;
                let who = Paint::Faint.on(&format!("{}-{pid}:", one_line(task)), cx.color);
                format!("{who} {}\n", one_line(text))
            }
            Happening::Map { name, entries, is_cut, is_data, .. } => {
                self.heading = None;
                map(name, entries, *is_cut, *is_data, cx)
            }
            Happening::Iterated { text, .. } => {
                self.heading = None;
                lines(text)
            }
            Happening::Attached { .. }
            | Happening::Ready { .. }
            | Happening::Lost { .. }
            | Happening::Output(..) => String::new(),
        }
    }

    fn event(&mut self, map: &str, value: &Value, cx: &Context) -> String {
        let fields = fields(value);
        let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        let mut out = String::new();
        let is_new = self.heading.as_ref().is_none_or(|(of, known)| of != map || *known != names);
        if is_new {
            let width = |field: &Field| {
                let least = if field.is_number { NUMBER } else { TEXT };
                text::width(&field.name).max(least)
            };
            self.widths = fields.iter().map(width).collect();
            out = self.row(&titles(&fields), Some(Paint::Strong), cx);
            self.heading = Some((map.to_owned(), names));
        }
        out + &self.row(&fields, None, cx)
    }

    /// One row. A column grows with what is in it.
    fn row(&mut self, fields: &[Field], paint: Option<Paint>, cx: &Context) -> String {
        let mut line = String::new();
        for (at, (field, width)) in fields.iter().zip(&mut self.widths).enumerate() {
            let own = text::width(&field.text);
            let is_last = at + 1 == fields.len();
            if !is_last || field.is_number {
                *width = (*width).max(own);
            }
            let room = width.saturating_sub(own);
            let (left, right) = if field.is_number { (room, 0) } else { (0, room) };
            let cell = paint.map_or(field.text.clone(), |paint| paint.on(&field.text, cx.color));
            let gap = if at == 0 { 0 } else { 2 };
            // Writing to a string cannot fail.
            let _ = write!(line, "{:gap$}{:left$}{cell}{:right$}", "", "", "");
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }
}

/// A line, or a part of one, made harmless.
fn harmless(line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(line) => format!("{}\n", text::escape(line)),
        None => text::escape(line).into_owned(),
    }
}

/// Text of several lines, made harmless line by line.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", text::escape(line))).collect()
}

/// The columns of a value; what is in a struct in it has its own.
fn fields(value: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    flatten("", value, &mut fields);
    fields
}

/// The headings of columns.
fn titles(fields: &[Field]) -> Vec<Field> {
    let title = |field: &Field| Field {
        name: String::new(),
        text: field.name.to_uppercase(),
        is_number: field.is_number,
    };
    fields.iter().map(title).collect()
}

fn flatten(name: &str, value: &Value, fields: &mut Vec<Field>) {
    match value {
        Value::Record(members) if !members.is_empty() => {
            for (member, value) in members {
                let name = match name {
                    "" => member.clone(),
                    name => format!("{name}.{member}"),
                };
                flatten(&name, value, fields);
            }
        }
        value => fields.push(Field {
            name: one_line(if name.is_empty() { "value" } else { name }),
            text: words(value),
            is_number: is_number(value),
        }),
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Unsigned(_) | Value::Signed(_) | Value::Wide(_) | Value::Float(_))
}

/// A value in words.
fn words(value: &Value) -> String {
    match value {
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Wide(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => one_line(text),
        Value::Named { name, .. } => one_line(name),
        Value::Address(0) => "null".to_owned(),
        Value::Address(address) => format!("{address:#x}"),
        Value::Ip(address) => address.to_string(),
        Value::Mac(bytes) => hex(bytes, ":"),
        Value::Bytes(bytes) => hex(bytes, " "),
        Value::List(values) => {
            // What is behind the last that says something says nothing.
            let end = values.iter().rposition(|value| !value.is_nothing()).map_or(0, |at| at + 1);
            let mut all: Vec<String> = values[..end.min(SHOWN)].iter().map(words).collect();
            if end > SHOWN {
                all.push(format!("and {} more", end - SHOWN));
            }
            format!("[{}]", all.join(", "))
        }
        Value::Record(members) => {
            let all = members.iter().map(|(name, value)| format!("{name}={}", words(value)));
            format!("{{{}}}", all.collect::<Vec<_>>().join(" "))
        }
    }
}

fn hex(bytes: &[u8], gap: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(gap)
}

/// What a map holds, with a heading.
fn map(
    name: &str,
    entries: &[(Value, Value)],
    is_cut: bool,
    is_data: bool,
    cx: &Context,
) -> String {
    let mut out = String::new();
    if is_data {
        for (_, value) in entries {
            let Value::Record(variables) = value else { continue };
            for (variable, value) in variables.iter().filter(|(_, value)| !value.is_nothing()) {
                match Histogram::of(variable, value) {
                    Some(histogram) => out += &bars(variable, &histogram, cx),
                    None => {
                        let title = Paint::Strong.on(&one_line(variable), cx.color);
                        // Writing to a string cannot fail.
                        let _ = writeln!(out, "{title} = {}", words(value));
                    }
                }
            }
        }
        return out;
    }
    let told: Vec<&(Value, Value)> =
        entries.iter().filter(|(_, value)| !value.is_nothing()).collect();
    if told.is_empty() {
        return out;
    }
    // An array whose index is the slot is one histogram.
    if Histogram::is_named(name)
        && let Some(slots) = entries.iter().map(|(_, value)| value.as_count()).collect()
        && entries
            .iter()
            .zip(0..)
            .all(|((key, _), at)| *key == Value::Unsigned(at) || *key == Value::Signed(at as i64))
    {
        return bars(name, &Histogram { slots }, cx);
    }
    let histograms: Vec<(&Value, Histogram)> =
        told.iter().filter_map(|(key, value)| Some((key, Histogram::of(name, value)?))).collect();
    if histograms.len() == told.len() {
        for (key, histogram) in histograms {
            let of =
                if entries.len() > 1 { format!("{name}[{}]", words(key)) } else { name.to_owned() };
            out += &bars(&of, &histogram, cx);
        }
        return out;
    }
    let zero = entries.len() - told.len();
    let many = text::plural(told.len(), "entry").replace("entrys", "entries");
    let _ = writeln!(out, "{} ({many})", Paint::Strong.on(&one_line(name), cx.color));
    let mut table = Table::default();
    let mut rows: Vec<Vec<Field>> = Vec::new();
    for (key, value) in told {
        let mut row = Vec::new();
        flatten("key", key, &mut row);
        for field in &mut row {
            field.name = field.name.trim_start_matches("key.").to_owned();
        }
        flatten("", value, &mut row);
        rows.push(row);
    }
    for row in &rows {
        let widths = row.iter().map(|field| text::width(&field.text).max(text::width(&field.name)));
        let widths: Vec<usize> = widths.collect();
        if table.widths.len() < widths.len() {
            table.widths.resize(widths.len(), 0);
        }
        table.widths.iter_mut().zip(widths).for_each(|(most, own)| *most = (*most).max(own));
    }
    let mut heading: Vec<String> = Vec::new();
    for row in &rows {
        let names: Vec<String> = row.iter().map(|field| field.name.clone()).collect();
        if names != heading {
            out += &format!("  {}", table.row(&titles(row), Some(Paint::Strong), cx));
            heading = names;
        }
        out += &format!("  {}", table.row(row, None, cx));
    }
    if is_cut {
        out += "  and more\n";
    } else if zero > 0 {
        let _ = writeln!(out, "  {zero} more with nothing but zeros");
    }
    out
}

/// A histogram with bars.
fn bars(name: &str, histogram: &Histogram, cx: &Context) -> String {
    let rows = histogram.rows();
    if rows.is_empty() {
        return String::new();
    }
    let most = rows.iter().map(|row| row.2).max().unwrap_or(1).max(1);
    let ranges: Vec<String> =
        rows.iter().map(|(low, high, _)| format!("{low} .. {high}")).collect();
    let width = ranges.iter().map(String::len).max().unwrap_or(0);
    let digits = most.to_string().len();
    let block = if cx.unicode { '█' } else { '#' };
    let mut out = format!("{}\n", Paint::Strong.on(&one_line(name), cx.color));
    for ((_, _, count), range) in rows.iter().zip(ranges) {
        // At least a sliver of what is there.
        let length = (u128::from(*count) * BAR as u128).div_ceil(u128::from(most)) as usize;
        let bar: String = std::iter::repeat_n(block, length).collect();
        let line = format!("  {range:>width$}  {count:>digits$}  {bar}");
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// One line of `key=value`; empty where there is nothing for programs.
pub fn short(happening: &Happening) -> String {
    let pairs = |what: &str, value: &Value| {
        let fields =
            fields(value).into_iter().map(|field| format!(" {}={}", field.name, bare(&field.text)));
        format!("{what}{}\n", fields.collect::<String>())
    };
    match happening {
        Happening::Event { map, value } => pairs(&format!("event map={}", bare(map)), value),
        Happening::Printed { task, pid, text } => {
            format!("printed task={} pid={pid} text={}\n", bare(task), bare(text))
        }
        Happening::Lost { map, count } => format!("lost map={} count={count}\n", bare(map)),
        Happening::Map { name, entries, .. } => entries
            .iter()
            .filter(|(_, value)| !value.is_nothing())
            .map(|(key, value)| {
                pairs(&format!("entry map={} key={}", bare(name), bare(&words(key))), value)
            })
            .collect(),
        Happening::Attached { program, result, .. } => match result {
            Ok(place) => format!("attached program={} place={}\n", bare(program), bare(place)),
            Err(reason) => {
                format!("not-attached program={} reason={}\n", bare(program), bare(reason))
            }
        },
        Happening::Ready { kernel, release } => {
            format!("ready kernel={} release={}\n", bare(kernel), bare(release))
        }
        Happening::Iterated { text, .. } => lines(text),
        Happening::Output(_, bytes) => lines(&String::from_utf8_lossy(bytes)),
    }
}

/// A word, in quotes if it needs them.
fn bare(text: &str) -> String {
    let text = one_line(text);
    let is_plain = !text.is_empty() && !text.contains([' ', '"', '=']);
    if is_plain { text } else { format!("\"{}\"", text.replace('"', "\\\"")) }
}

/// JSON lines.
pub fn json(happening: &Happening) -> String {
    use json::value as as_json;
    let line = |object: serde_json::Value| object.to_string() + "\n";
    match happening {
        Happening::Attached { program, section, result } => line(serde_json::json!({
            "reason": "attached",
            "program": program,
            "section": section,
            "place": result.as_ref().ok(),
            "error": result.as_ref().err(),
        })),
        Happening::Ready { kernel, release } => line(serde_json::json!({
            "reason": "ready", "kernel": kernel, "release": release,
        })),
        Happening::Event { map, value } => line(serde_json::json!({
            "reason": "event", "map": map, "value": as_json(value),
        })),
        Happening::Lost { map, count } => line(serde_json::json!({
            "reason": "lost-events", "map": map, "count": count,
        })),
        Happening::Printed { task, pid, text } => line(serde_json::json!({
            "reason": "printed", "task": task, "pid": pid, "text": text,
        })),
        Happening::Map { name, entries, is_cut, is_last, .. } => entries
            .iter()
            .map(|(key, value)| {
                line(serde_json::json!({
                    "reason": "map-entry",
                    "map": name,
                    "key": as_json(key),
                    "value": as_json(value),
                    "cut": is_cut,
                    "last": is_last,
                }))
            })
            .collect(),
        Happening::Iterated { program, text } => line(serde_json::json!({
            "reason": "iterated", "program": program, "text": text,
        })),
        Happening::Output(stream, bytes) => line(serde_json::json!({
            "reason": "output",
            "stream": if *stream == Stream::Error { "stderr" } else { "stdout" },
            "text": String::from_utf8_lossy(bytes),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoSources;
    use super::*;
    use std::path::Path;

    fn cx() -> Context<'static> {
        Context {
            cwd: Path::new("/"),
            sources: &NoSources,
            color: false,
            unicode: true,
            width: None,
            verbose: false,
        }
    }

    fn event(pid: u64, comm: &str) -> Happening {
        let value = Value::Record(vec![
            ("pid".into(), Value::Unsigned(pid)),
            ("comm".into(), Value::Text(comm.into())),
            ("ret".into(), Value::Signed(-2)),
        ]);
        Happening::Event { map: "rb".into(), value }
    }

    #[test]
    fn events_are_rows_below_one_heading() {
        let mut table = Table::default();
        let mut out = table.human(&event(1, "cat"), &cx());
        out += &table.human(&event(4_000_000_000, "a\x1b[2Jb"), &cx());
        let said = Happening::Printed { task: "sh".into(), pid: 3, text: "hello".into() };
        out += &table.human(&said, &cx());
        out += &table.human(&event(2, "ls"), &cx());
        for part in ["cat", ": no\n", "more"] {
            out += &table.human(&Happening::Output(Stream::Error, part.into()), &cx());
        }
        out += &table.human(&said, &cx());
        insta::assert_snapshot!(out);
    }

    #[test]
    fn maps_show_what_is_not_zero_and_histograms_as_bars() {
        let map = |name: &str, entries| Happening::Map {
            name: name.into(),
            entries,
            is_cut: false,
            is_data: false,
            is_last: true,
        };
        let counts = [(0, 0), (1, 3), (2, 40), (3, 1), (4, 0)];
        let entries: Vec<_> =
            counts.map(|(key, value)| (Value::Unsigned(key), Value::Unsigned(value))).into();
        let mut table = Table::default();
        let mut out = table.human(&map("counts", entries.clone()), &cx());
        out += &table.human(&map("latency_hist", entries), &cx());
        let data = Value::Record(vec![
            ("dropped".into(), Value::Unsigned(7)),
            ("unused".into(), Value::Unsigned(0)),
        ]);
        out += &table.human(
            &Happening::Map {
                name: "x.bss".into(),
                entries: vec![(Value::Unsigned(0), data)],
                is_cut: false,
                is_data: true,
                is_last: true,
            },
            &cx(),
        );
        insta::assert_snapshot!(out);
    }

    #[test]
    fn programs_get_keys_and_values() {
        assert_eq!(short(&event(1, "a b")), "event map=rb pid=1 comm=\"a b\" ret=-2\n");
        assert_eq!(
            json(&event(1, "cat")),
            "{\"reason\":\"event\",\"map\":\"rb\",\"value\":{\"pid\":1,\"comm\":\"cat\",\"ret\":-2}}\n"
        );
    }
}
