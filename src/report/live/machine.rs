//! What programs say, for programs: lines of `key=value` and of JSON.

use super::super::text;
use super::words::{self, Style, print};
use crate::ops::run::Happening;
use crate::values::{Notation, Value};
use crate::vm::Stream;

/// One line of `key=value`; nothing where there is nothing for programs.
pub(super) fn short(happening: &Happening, kernel: Option<&str>, out: &mut String) {
    let end = |out: &mut String| {
        if let Some(kernel) = kernel {
            out.push_str(" kernel=");
            bare(kernel, out);
        }
        out.push('\n');
    };
    match happening {
        Happening::Event { map, value } => {
            out.push_str("event map=");
            bare(map, out);
            pairs(value, out);
            end(out);
        }
        Happening::Printed { task, pid, text } => {
            out.push_str("printed task=");
            bare(task, out);
            out.push_str(" pid=");
            words::unsigned((*pid).into(), out);
            out.push_str(" text=");
            bare(text, out);
            end(out);
        }
        Happening::Lost { map, count } => {
            out.push_str("lost map=");
            bare(map, out);
            out.push_str(" count=");
            words::unsigned(*count, out);
            end(out);
        }
        Happening::Map { name, entries, .. } => {
            for (key, value) in entries.iter().filter(|(_, value)| !value.is_nothing()) {
                out.push_str("entry map=");
                bare(name, out);
                out.push_str(" key=");
                quoted(out, |out| words::write(key, Style::Programs, out));
                pairs(value, out);
                end(out);
            }
        }
        Happening::Attached { program, result: Ok(place), .. } => {
            out.push_str("attached program=");
            bare(program, out);
            out.push_str(" place=");
            bare(place, out);
            end(out);
        }
        Happening::Attached { program, result: Err(reason), .. } => {
            out.push_str("not-attached program=");
            bare(program, out);
            out.push_str(" reason=");
            bare(reason, out);
            end(out);
        }
        Happening::Ready { kernel, release } => {
            out.push_str("ready kernel=");
            bare(kernel, out);
            out.push_str(" release=");
            bare(release, out);
            out.push('\n');
        }
        Happening::Iterated { text, .. } => labelled(text, kernel, out),
        Happening::Output(_, bytes) => labelled(&String::from_utf8_lossy(bytes), kernel, out),
        Happening::Pause | Happening::Over(_) => {}
    }
}

/// ` name=value` for every column.
fn pairs(value: &Value, out: &mut String) {
    fn add(path: &mut String, value: &Value, out: &mut String) {
        let Value::Record(members) = value else { return pair(path, value, out) };
        if members.is_empty() {
            return pair(path, value, out);
        }
        let length = path.len();
        for (name, value) in members {
            if length == 0 && !matches!(value, Value::Record(_)) {
                pair(name, value, out);
                continue;
            }
            if length > 0 {
                path.push('.');
            }
            path.push_str(name);
            add(path, value, out);
            path.truncate(length);
        }
    }
    add(&mut String::new(), value, out);
}

/// Lines that are somebody else's.
fn labelled(text: &str, kernel: Option<&str>, out: &mut String) {
    for line in text.lines() {
        if let Some(kernel) = kernel {
            words::one_line(kernel, out);
            out.push_str(": ");
        }
        super::lines(line, out);
    }
}

fn pair(name: &str, value: &Value, out: &mut String) {
    out.push(' ');
    words::one_line(if name.is_empty() { "value" } else { name }, out);
    out.push('=');
    match value {
        Value::Unsigned(number) => words::unsigned(*number, out),
        Value::Signed(number) => words::signed(*number, out),
        value => quoted(out, |out| words::write(value, Style::Programs, out)),
    }
}

/// A word, in quotes if it needs them.
fn bare(text: &str, out: &mut String) {
    quoted(out, |out| words::one_line(text, out));
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    let start = out.len();
    write(out);
    let own = &out[start..];
    let is_plain = own
        .bytes()
        .fold(!own.is_empty(), |plain, byte| plain & !matches!(byte, b' ' | b'"' | b'='));
    if !is_plain {
        let own = out.split_off(start);
        print(out, format_args!("\"{}\"", own.replace('"', "\\\"")));
    }
}

/// Lines of JSON. `more` is what stands in each of them besides, as members
/// with a comma in front: where it happened, and when.
pub(super) fn json(happening: &Happening, more: &str, out: &mut String) {
    let begin = |reason: &str, out: &mut String| {
        out.push_str("{\"reason\":\"");
        out.push_str(reason);
        out.push('"');
    };
    let end = |out: &mut String| {
        out.push_str(more);
        out.push_str("}\n");
    };
    match happening {
        Happening::Event { map, value } => {
            begin("event", out);
            member("map", map, out);
            out.push_str(",\"value\":");
            write_value(value, out);
            end(out);
        }
        Happening::Attached { program, section, result } => {
            begin("attached", out);
            member("program", program, out);
            member("section", section, out);
            for (key, text) in [("place", result.as_ref().ok()), ("error", result.as_ref().err())] {
                match text {
                    Some(text) => member(key, text, out),
                    None => print(out, format_args!(",\"{key}\":null")),
                }
            }
            end(out);
        }
        Happening::Ready { kernel, release } => {
            begin("ready", out);
            member("kernel", kernel, out);
            member("release", release, out);
            end(out);
        }
        Happening::Lost { map, count } => {
            begin("lost-events", out);
            member("map", map, out);
            out.push_str(",\"count\":");
            words::unsigned(*count, out);
            end(out);
        }
        Happening::Printed { task, pid, text } => {
            begin("printed", out);
            member("task", task, out);
            out.push_str(",\"pid\":");
            words::unsigned((*pid).into(), out);
            member("text", text, out);
            end(out);
        }
        Happening::Map { name, entries, is_cut, is_data, is_last } => {
            for (key, value) in entries {
                begin("map-entry", out);
                member("map", name, out);
                out.push_str(",\"key\":");
                write_value(key, out);
                out.push_str(",\"value\":");
                write_value(value, out);
                print(out, format_args!(",\"cut\":{is_cut},\"last\":{is_last}"));
                if *is_data {
                    out.push_str(",\"data\":true");
                }
                end(out);
            }
        }
        Happening::Iterated { program, text } => {
            begin("iterated", out);
            member("program", program, out);
            member("text", text, out);
            end(out);
        }
        Happening::Output(stream, bytes) => {
            begin("output", out);
            let stream = if *stream == Stream::Error { "stderr" } else { "stdout" };
            member("stream", stream, out);
            member("text", &String::from_utf8_lossy(bytes), out);
            end(out);
        }
        Happening::Pause | Happening::Over(_) => {}
    }
}

/// A member of an object that has some already.
pub(super) fn member(key: &str, text: &str, out: &mut String) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
    string(text, out);
}

/// A string of JSON.
pub(super) fn string(text: &str, out: &mut String) {
    let is_plain = text
        .bytes()
        .fold(true, |plain, byte| plain & (byte >= b' ' && !matches!(byte, b'"' | b'\\')));
    if is_plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        // A text can always be written as JSON.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// A value as JSON has it. Numbers that are too large for it are text.
pub(super) fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Unsigned(number) | Value::Address(number) => words::unsigned(*number, out),
        Value::Signed(number) => words::signed(*number, out),
        Value::Noted(Notation::Hexadecimal, _) => {
            out.push('"');
            words::write(value, Style::Programs, out);
            out.push('"');
        }
        Value::Noted(_, number) => match u64::try_from(*number) {
            Ok(number) => words::unsigned(number, out),
            Err(_) => words::signed(*number as i64, out),
        },
        Value::Wide(number) => match u64::try_from(*number) {
            Ok(number) => words::unsigned(number, out),
            Err(_) => string(&number.to_string(), out),
        },
        Value::Float(number) if number.is_finite() => {
            out.push_str(&serde_json::to_string(number).unwrap_or_default());
        }
        Value::Float(_) => out.push_str("null"),
        Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Text(text) => string(text, out),
        Value::Named { name, .. } => string(name, out),
        Value::Ip(address) => print(out, format_args!("\"{address}\"")),
        Value::Mac(bytes) => {
            out.push('"');
            words::hex(bytes, ":", out);
            out.push('"');
        }
        Value::Bytes(bytes) => {
            out.push('"');
            words::hex(bytes, "", out);
            out.push('"');
        }
        Value::Code(code) => string(&text::escape(&code.to_string()), out),
        Value::Stack(stack) => match stack.id.filter(|_| stack.frames.is_empty()) {
            Some(id) => words::signed(id, out),
            None => list(stack.frames.iter(), out, |code, out| string(&code.to_string(), out)),
        },
        Value::List(values) => list(values.iter(), out, write_value),
        Value::Record(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                string(name, out);
                out.push(':');
                write_value(value, out);
            }
            out.push('}');
        }
    }
}

fn list<T>(all: impl Iterator<Item = T>, out: &mut String, mut write: impl FnMut(T, &mut String)) {
    out.push('[');
    for (at, one) in all.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(one, out);
    }
    out.push(']');
}
