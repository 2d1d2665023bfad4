//! What maps hold: tables, and histograms as bars.

use super::super::text::{self, one_line};
use super::super::{Context, Paint};
use super::words::{self, Style};
use crate::values::{Content, Histogram, Value};
use std::fmt::Write as _;

/// The longest bar of a histogram.
const BAR: usize = 40;

/// A value in a row: its text, and whether it stands on the right.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: String,
    pub text: String,
    pub is_number: bool,
}

/// The columns of a value; what is in a struct in it has its own, stacks have
/// none.
pub(super) fn fields(name: &str, value: &Value, cx: &Context) -> Vec<Field> {
    let mut fields = Vec::new();
    flatten(name, value, cx, &mut fields);
    fields
}

/// The headings of columns.
pub(super) fn titles(fields: &[Field]) -> Vec<Field> {
    let title = |field: &Field| Field {
        name: String::new(),
        text: field.name.to_uppercase(),
        is_number: field.is_number,
    };
    fields.iter().map(title).collect()
}

/// One row. A column grows with what is in it.
pub(super) fn row(
    fields: &[Field],
    widths: &mut [usize],
    paint: Option<Paint>,
    cx: &Context,
    out: &mut String,
) {
    let start = out.len();
    for (at, (field, width)) in fields.iter().zip(widths).enumerate() {
        let own = text::width(&field.text);
        let is_last = at + 1 == fields.len();
        if !is_last || field.is_number {
            *width = (*width).max(own);
        }
        let room = width.saturating_sub(own);
        let (left, right) = if field.is_number { (room, 0) } else { (0, room) };
        let cell = paint.map_or(field.text.clone(), |paint| paint.on(&field.text, cx.color));
        let gap = if at == 0 { 0 } else { 2 };
        words::spaces(gap + left, out);
        out.push_str(&cell);
        words::spaces(right, out);
    }
    while out.len() > start && out.ends_with(' ') {
        out.pop();
    }
    out.push('\n');
}

fn flatten(name: &str, value: &Value, cx: &Context, fields: &mut Vec<Field>) {
    match value {
        Value::Record(members) if !members.is_empty() => {
            for (member, value) in members {
                let name = match name {
                    "" => member.to_string(),
                    name => format!("{name}.{member}"),
                };
                flatten(&name, value, cx, fields);
            }
        }
        Value::Stack(_) => {}
        value => fields.push(Field {
            name: one_line(if name.is_empty() { "value" } else { name }),
            text: in_words(value, cx),
            is_number: words::is_number(value),
        }),
    }
}

/// A value in words.
pub(super) fn in_words(value: &Value, cx: &Context) -> String {
    let mut out = String::new();
    words::write(value, Style::People { unicode: cx.unicode }, &mut out);
    out
}

/// What a map holds, with a heading.
pub(super) fn map(
    name: &str,
    entries: &[(Value, Value)],
    is_cut: bool,
    is_data: bool,
    cx: &Context,
    out: &mut String,
) {
    if is_data {
        for (_, value) in entries {
            let Value::Record(variables) = value else { continue };
            for (variable, value) in variables.iter().filter(|(_, value)| !value.is_nothing()) {
                match Histogram::of(variable, value) {
                    Some(histogram) => bars(variable, &histogram, cx, out),
                    None => {
                        let title = Paint::Strong.on(&one_line(variable), cx.color);
                        // Writing to a string cannot fail.
                        let _ = writeln!(out, "{title} = {}", in_words(value, cx));
                    }
                }
            }
        }
        return;
    }
    let told = match Content::of(name, entries) {
        Content::Histogram(histogram) => return bars(name, &histogram, cx, out),
        Content::Histograms(histograms) => {
            for (key, histogram) in histograms {
                let of = if entries.len() > 1 {
                    format!("{name}[{}]", in_words(key, cx))
                } else {
                    name.to_owned()
                };
                bars(&of, &histogram, cx, out);
            }
            return;
        }
        Content::Entries(told) if told.is_empty() => return,
        Content::Entries(told) => told,
    };
    let zero = entries.len() - told.len();
    let many = text::plural(told.len(), "entry").replace("entrys", "entries");
    let _ = writeln!(out, "{} ({many})", Paint::Strong.on(&one_line(name), cx.color));
    let row = |(key, value): &'_ (Value, Value)| {
        let mut row = key_fields(key, cx);
        flatten("", value, cx, &mut row);
        row
    };
    let rows: Vec<(Vec<Field>, [&Value; 2])> =
        told.into_iter().map(|entry| (row(entry), [&entry.0, &entry.1])).collect();
    table(&rows, cx, out);
    if is_cut {
        *out += "  and more\n";
    } else if zero > 0 {
        let _ = writeln!(out, "  {zero} more with nothing but zeros");
    }
}

/// The columns of a key.
pub(super) fn key_fields(key: &Value, cx: &Context) -> Vec<Field> {
    let mut fields = fields("key", key, cx);
    for field in &mut fields {
        field.name = field.name.trim_start_matches("key.").to_owned();
    }
    fields
}

/// Rows below their headings, each with the stacks of some values below it.
pub(super) fn table<const N: usize>(
    rows: &[(Vec<Field>, [&Value; N])],
    cx: &Context,
    out: &mut String,
) {
    let mut widths: Vec<usize> = Vec::new();
    for (row, _) in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (most, field) in widths.iter_mut().zip(row) {
            *most = text::width(&field.text).max(text::width(&field.name)).max(*most);
        }
    }
    let mut heading: Vec<&str> = Vec::new();
    for (fields, values) in rows {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        if names != heading {
            out.push_str("  ");
            row(&titles(fields), &mut widths, Some(Paint::Strong), cx, out);
            heading = names;
        }
        if !fields.is_empty() {
            out.push_str("  ");
            row(fields, &mut widths, None, cx, out);
        }
        values.iter().for_each(|value| super::stacks(value, "  ", out));
    }
}

/// A histogram with bars.
fn bars(name: &str, histogram: &Histogram, cx: &Context, out: &mut String) {
    let rows = histogram.rows();
    if rows.is_empty() {
        return;
    }
    let most = rows.iter().map(|row| row.2).max().unwrap_or(1).max(1);
    let ranges: Vec<String> =
        rows.iter().map(|(low, high, _)| format!("{low} .. {high}")).collect();
    let width = ranges.iter().map(String::len).max().unwrap_or(0);
    let digits = most.to_string().len();
    let block = if cx.unicode { '█' } else { '#' };
    *out += &Paint::Strong.on(&one_line(name), cx.color);
    out.push('\n');
    for ((_, _, count), range) in rows.iter().zip(ranges) {
        // At least a sliver of what is there.
        let length = (u128::from(*count) * BAR as u128).div_ceil(u128::from(most)) as usize;
        let bar: String = std::iter::repeat_n(block, length).collect();
        let line = format!("  {range:>width$}  {count:>digits$}  {bar}");
        *out += line.trim_end();
        out.push('\n');
    }
}
