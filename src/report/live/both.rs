//! What maps hold on several kernels, in columns beside each other.

use super::super::text::{self, one_line};
use super::super::{Context, Paint};
use super::maps::{self, Field};
use super::{stacks, words};
use crate::values::{Histogram, Value};

/// The longest bar of a histogram; there is one for every kernel.
const BAR: usize = 20;

/// What a map holds on one of the kernels.
#[derive(Debug)]
pub(super) struct Kept {
    pub name: String,
    pub entries: Vec<(Value, Value)>,
    pub is_cut: bool,
    pub is_data: bool,
}

/// Writes all maps.
pub(super) fn write(kernels: &[String], kept: &[Vec<Kept>], cx: &Context, out: &mut String) {
    let mut names: Vec<&str> = Vec::new();
    for map in kept.iter().flatten() {
        if !names.contains(&map.name.as_str()) {
            names.push(&map.name);
        }
    }
    for name in names {
        let maps: Vec<Option<&Kept>> =
            kept.iter().map(|side| side.iter().find(|map| map.name == name)).collect();
        if maps.iter().flatten().any(|map| map.is_data) {
            variables(kernels, &maps, cx, out);
        } else {
            entries(name, kernels, &maps, cx, out);
        }
    }
}

/// Global variables, a row each.
fn variables(kernels: &[String], maps: &[Option<&Kept>], cx: &Context, out: &mut String) {
    let of = |map: &Option<&Kept>| match map.and_then(|map| map.entries.first()) {
        Some((_, Value::Record(variables))) => variables.clone(),
        _ => Vec::new(),
    };
    let sides: Vec<Vec<_>> = maps.iter().map(of).collect();
    let mut rows: Vec<(Vec<Field>, [&Value; 0])> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in sides.iter().flatten() {
        if seen.iter().any(|known| **known == **name) {
            continue;
        }
        seen.push(name.to_string());
        let values: Vec<Option<&Value>> = sides
            .iter()
            .map(|side| side.iter().find(|(known, _)| known == name).map(|(_, value)| value))
            .collect();
        if values.iter().flatten().all(|value| value.is_nothing()) {
            continue;
        }
        let histograms: Vec<Option<Histogram>> =
            values.iter().map(|value| Histogram::of(name, (*value)?)).collect();
        if histograms.iter().any(Option::is_some) {
            bars(name, kernels, &histograms, cx, out);
            continue;
        }
        let mut row = vec![field("variable", one_line(name), false)];
        for (kernel, value) in kernels.iter().zip(values) {
            row.push(cell(kernel, value, cx));
        }
        rows.push((row, []));
    }
    maps::table(&rows, cx, out);
}

/// Entries, a row for each key.
fn entries(name: &str, kernels: &[String], maps: &[Option<&Kept>], cx: &Context, out: &mut String) {
    let of = |map: &Option<&Kept>| map.and_then(|map| Histogram::of_entries(name, &map.entries));
    let histograms: Vec<Option<Histogram>> = maps.iter().map(of).collect();
    if histograms.iter().any(Option::is_some) {
        return bars(name, kernels, &histograms, cx, out);
    }
    let mut keys: Vec<(String, &Value)> = Vec::new();
    for (key, value) in maps.iter().flatten().flat_map(|map| &map.entries) {
        let words = key.to_string();
        if !value.is_nothing() && keys.iter().all(|(known, _)| *known != words) {
            keys.push((words, key));
        }
    }
    if keys.is_empty() {
        return;
    }
    let find = |map: &Option<&Kept>, words: &str| -> Option<Value> {
        let entry = (*map)?.entries.iter().find(|(key, _)| key.to_string() == words)?;
        Some(entry.1.clone())
    };
    let several: Vec<(&Value, Vec<Option<Histogram>>)> = keys
        .iter()
        .map(|(words, key)| {
            let of = |map| find(map, words).and_then(|value| Histogram::of(name, &value));
            (*key, maps.iter().map(of).collect())
        })
        .collect();
    if several.iter().all(|(_, histograms)| histograms.iter().any(Option::is_some)) {
        for (key, histograms) in several {
            let title = match keys.len() {
                1 => name.to_owned(),
                _ => format!("{name}[{}]", maps::in_words(key, cx)),
            };
            bars(&title, kernels, &histograms, cx, out);
        }
        return;
    }
    *out += &Paint::Strong.on(&one_line(name), cx.color);
    out.push('\n');
    let mut rows = Vec::new();
    for (words, key) in &keys {
        let mut row = maps::key_fields(key, cx);
        for (kernel, map) in kernels.iter().zip(maps) {
            match find(map, words) {
                Some(value @ Value::Record(_)) => {
                    let mut columns = maps::fields("", &value, cx);
                    for column in &mut columns {
                        column.name = format!("{} {}", one_line(kernel), column.name);
                    }
                    row.extend(columns);
                }
                value => row.push(cell(kernel, value.as_ref(), cx)),
            }
        }
        rows.push((row, []));
    }
    maps::table(&rows, cx, out);
    for (_, key) in &keys {
        stacks(key, "  ", out);
    }
    if maps.iter().flatten().any(|map| map.is_cut) {
        out.push_str("  and more\n");
    }
}

fn field(name: &str, text: String, is_number: bool) -> Field {
    Field { name: name.to_owned(), text, is_number }
}

fn cell(kernel: &str, value: Option<&Value>, cx: &Context) -> Field {
    match value {
        Some(value) => field(&one_line(kernel), maps::in_words(value, cx), words::is_number(value)),
        None => field(&one_line(kernel), "-".to_owned(), true),
    }
}

/// Histograms beside each other, with the same ranges.
fn bars(
    name: &str,
    kernels: &[String],
    histograms: &[Option<Histogram>],
    cx: &Context,
    out: &mut String,
) {
    let has = |at: usize| {
        histograms.iter().flatten().any(|one| one.slots.get(at).is_some_and(|&count| count > 0))
    };
    let slots = histograms.iter().flatten().map(|one| one.slots.len()).max().unwrap_or(0);
    let Some(first) = (0..slots).find(|&at| has(at)) else { return };
    let last = (0..slots).rev().find(|&at| has(at)).unwrap_or(first);
    let count = |one: &Option<Histogram>, at: usize| {
        one.as_ref().and_then(|one| one.slots.get(at)).copied().unwrap_or(0)
    };
    let most = (first..=last).flat_map(|at| histograms.iter().map(move |one| count(one, at)));
    let most = most.max().unwrap_or(1).max(1);
    let digits = most.to_string().len();
    let ranges: Vec<String> = (first..=last)
        .map(|at| {
            let (least, largest) = Histogram::range(at);
            format!("{least} .. {largest}")
        })
        .collect();
    let width = ranges.iter().map(String::len).max().unwrap_or(0).max(name.len());
    *out += &Paint::Strong.on(&one_line(name), cx.color);
    words::spaces(2 + width - text::width(&one_line(name)).min(width), out);
    for kernel in kernels {
        let title = one_line(kernel);
        out.push_str("  ");
        *out += &Paint::Strong.on(&title, cx.color);
        words::spaces((digits + 2 + BAR).saturating_sub(text::width(&title)), out);
    }
    end_line(out);
    let block = if cx.unicode { '█' } else { '#' };
    for (at, range) in (first..=last).zip(ranges) {
        words::spaces(2 + width - range.len(), out);
        out.push_str(&range);
        for one in histograms {
            let count = count(one, at);
            let length = (u128::from(count) * BAR as u128).div_ceil(u128::from(most)) as usize;
            let bar: String = std::iter::repeat_n(block, length).collect();
            words::print(out, format_args!("  {count:>digits$}  {bar:BAR$}"));
        }
        end_line(out);
    }
}

fn end_line(out: &mut String) {
    while out.ends_with(' ') {
        out.pop();
    }
    out.push('\n');
}
