//! What programs said, drawn: one page of HTML that needs nothing else. It has
//! a time line, how numbers are distributed, what maps hold, and the events
//! themselves, to be searched. It is written as XML, too.

mod draw;

use super::junit::xml;
use super::text::{self, escape};
use super::{Context, live};
use crate::ops::run::{Happening, Told};
use crate::values::{Content, Notation, Value};
use draw::{Distribution, Pace};
use std::fmt::Write as _;
use std::time::Duration;

/// Rows of one kind that the page has; of more it tells how many.
const MOST_ROWS: usize = 2_000;
/// Entries of a map, likewise.
const MOST_ENTRIES: usize = 1_000;
/// Names of numbers that name something, so that their distribution tells
/// nothing.
const NAMES: [&str; 9] = ["pid", "tgid", "tid", "ppid", "uid", "gid", "cpu", "id", "port"];

/// What is to be drawn.
#[derive(Debug, Default)]
pub struct Page {
    title: String,
    kernels: Vec<String>,
    releases: Vec<String>,
    end: Duration,
    kinds: Vec<Kind>,
    maps: Vec<(usize, Happening)>,
    lost: u64,
}

/// Everything of one kind on one kernel.
#[derive(Debug)]
struct Kind {
    side: usize,
    /// The map that the events came through.
    name: String,
    pace: Pace,
    count: u64,
    numbers: Vec<(String, Distribution)>,
    columns: Vec<String>,
    rows: Vec<(Duration, Vec<String>)>,
}

impl Page {
    /// An empty page about something.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.kernels.is_empty()
    }

    /// Adds what happened `at` so much after the beginning.
    pub fn add(&mut self, told: &Told<'_>, at: Duration) {
        if self.kernels.len() < told.kernels.len() {
            self.kernels = told.kernels.to_vec();
        }
        self.end = self.end.max(at);
        match told.happening {
            Happening::Ready { release, .. } => {
                self.releases.resize(self.releases.len().max(told.side + 1), String::new());
                self.releases[told.side].clone_from(release);
            }
            Happening::Event { map, value } => {
                let kind = self.kind(told.side, map);
                kind.hear(at);
                measure("", value, &mut kind.numbers);
                if kind.rows.len() < MOST_ROWS {
                    kind.row(at, value);
                }
            }
            Happening::Printed { task, pid, text } => {
                let kind = self.kind(told.side, "prints");
                kind.hear(at);
                if kind.rows.len() < MOST_ROWS {
                    kind.columns = ["task", "pid", "text"].map(str::to_owned).to_vec();
                    kind.rows.push((at, vec![task.clone(), pid.to_string(), text.clone()]));
                }
            }
            Happening::Lost { count, .. } => self.lost += count,
            Happening::Map { name, .. } => {
                let is_same = |(side, known): &(usize, Happening)| {
                    *side == told.side
                        && matches!(known, Happening::Map { name: known, .. } if known == name)
                };
                // The last word counts.
                self.maps.retain(|known| !is_same(known));
                self.maps.push((told.side, told.happening.clone()));
            }
            _ => {}
        }
    }

    fn kind(&mut self, side: usize, name: &str) -> &mut Kind {
        let known = self.kinds.iter().position(|kind| kind.side == side && kind.name == name);
        let at = known.unwrap_or_else(|| {
            self.kinds.push(Kind {
                side,
                name: name.to_owned(),
                pace: Pace::default(),
                count: 0,
                numbers: Vec::new(),
                columns: Vec::new(),
                rows: Vec::new(),
            });
            self.kinds.len() - 1
        });
        &mut self.kinds[at]
    }

    /// The page.
    pub fn html(&self) -> String {
        let title = safe(&self.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n\
             <meta charset=\"utf-8\"/>\n<title>{title}</title>\n<style>{}</style>\n</head>\n<body>\n\
             <h1>{title}</h1>\n<p>{}</p>\n",
            include_str!("page/page.css"),
            safe(&self.facts()),
        );
        self.time_line(&mut out);
        self.distributions(&mut out);
        self.all_maps(&mut out);
        self.events(&mut out);
        let _ = write!(
            out,
            "<script>{}</script>\n</body>\n</html>\n",
            include_str!("page/page.js").trim()
        );
        out
    }

    /// Where it ran, for how long, what came.
    fn facts(&self) -> String {
        let kernels: Vec<String> = (0..self.kernels.len())
            .map(|side| match self.releases.get(side).filter(|release| !release.is_empty()) {
                Some(release) => format!("{} ({release})", self.kernels[side]),
                None => self.kernels[side].clone(),
            })
            .collect();
        let count = self.kinds.iter().map(|kind| kind.count).sum::<u64>();
        let mut facts = format!(
            "On {}, {}, {}.",
            kernels.join(" and "),
            text::micros(u64::try_from(self.end.as_micros()).unwrap_or(u64::MAX), true),
            text::plural(usize::try_from(count).unwrap_or(usize::MAX), "event"),
        );
        if self.lost > 0 {
            let _ = write!(facts, " {} more were lost.", text::count(self.lost));
        }
        facts
    }

    /// What stands above something of one kernel's.
    fn heading(&self, name: &str, side: usize) -> String {
        match self.kernels.get(side).filter(|_| self.kernels.len() > 1) {
            Some(kernel) => safe(&format!("{name} on {kernel}")),
            None => safe(name),
        }
    }

    fn time_line(&self, out: &mut String) {
        if self.kinds.is_empty() {
            return;
        }
        out.push_str(
            "<h2>Time line</h2>\n<p>Events per second since the programs were attached, by when the host heard of them.</p>\n",
        );
        for kind in &self.kinds {
            let heading = self.heading(&kind.name, kind.side);
            let _ = write!(out, "<h3>{heading}</h3>\n{}", kind.pace.svg(self.end));
        }
    }

    fn distributions(&self, out: &mut String) {
        let with_numbers = || self.kinds.iter().filter(|kind| !kind.numbers.is_empty());
        if with_numbers().next().is_none() {
            return;
        }
        out.push_str("<h2>Numbers</h2>\n<div class=\"side\">\n");
        for kind in with_numbers() {
            for (name, numbers) in &kind.numbers {
                let heading = self.heading(&format!("{}: {name}", kind.name), kind.side);
                let _ = write!(out, "<div>\n<h3>{heading}</h3>\n{}</div>\n", numbers.svg());
            }
        }
        out.push_str("</div>\n");
    }

    fn all_maps(&self, out: &mut String) {
        let mut parts = String::new();
        for (side, map) in &self.maps {
            let Happening::Map { name, entries, is_cut, is_data, .. } = map else { continue };
            let heading = self.heading(name, *side);
            let content = match is_data {
                true => variables(entries),
                false => table_of(name, entries, *is_cut),
            };
            if !content.is_empty() {
                let _ = write!(parts, "<div>\n<h3>{heading}</h3>\n{content}</div>\n");
            }
        }
        if !parts.is_empty() {
            let _ = write!(out, "<h2>Maps</h2>\n<div class=\"side\">\n{parts}</div>\n");
        }
    }

    fn events(&self, out: &mut String) {
        if self.kinds.is_empty() {
            return;
        }
        let shown: usize = self.kinds.iter().map(|kind| kind.rows.len()).sum();
        let _ = write!(
            out,
            "<h2>Events</h2>\n<p><label>Search: <input id=\"search\" type=\"search\"/></label> \
             <span id=\"shown\">{shown}</span> of {shown} rows</p>\n<div id=\"rows\">\n"
        );
        for kind in &self.kinds {
            let heading = self.heading(&kind.name, kind.side);
            let _ = write!(out, "<h3>{heading}</h3>\n<table>\n<thead><tr><th>time</th>");
            for column in &kind.columns {
                let _ = write!(out, "<th>{}</th>", safe(column));
            }
            out.push_str("</tr></thead>\n<tbody>\n");
            for (at, cells) in &kind.rows {
                let _ = write!(out, "<tr><td>{:.6}</td>", at.as_secs_f64());
                for cell in cells {
                    let _ = write!(out, "<td>{}</td>", safe(cell));
                }
                out.push_str("</tr>\n");
            }
            out.push_str("</tbody>\n</table>\n");
            let more = kind.count - kind.rows.len() as u64;
            if more > 0 {
                let _ = writeln!(out, "<p>{} more are left out.</p>", text::count(more));
            }
        }
        out.push_str("</div>\n");
    }
}

impl Kind {
    fn hear(&mut self, at: Duration) {
        self.pace.hear(at);
        self.count += 1;
    }

    fn row(&mut self, at: Duration, value: &Value) {
        let columns = live::columns("", value, &Context::bare());
        let mut cells = vec![String::new(); self.columns.len()];
        let mut put = |name: String, text: String| {
            let known = self.columns.iter().position(|known| *known == name);
            let place = known.unwrap_or_else(|| {
                self.columns.push(name);
                self.columns.len() - 1
            });
            cells.resize(self.columns.len(), String::new());
            cells[place] = text;
        };
        for (name, text, _) in columns {
            put(name, text);
        }
        let stacks = live::stack_lines(value);
        if !stacks.is_empty() {
            put("stacks".to_owned(), stacks);
        }
        self.rows.push((at, cells));
    }
}

/// Counts the numbers in a value.
fn measure(name: &str, value: &Value, all: &mut Vec<(String, Distribution)>) {
    let (number, unit) = match value {
        Value::Record(members) => {
            for (member, value) in members {
                match name {
                    "" => measure(member, value, all),
                    name => measure(&format!("{name}.{member}"), value, all),
                }
            }
            return;
        }
        Value::Unsigned(number) => (i128::from(*number), None),
        Value::Signed(number) => (i128::from(*number), None),
        Value::Noted(notation @ (Notation::Nanoseconds | Notation::Size), number) => {
            (*number, Some(*notation))
        }
        _ => return,
    };
    let last = name.rsplit(['.', '_']).next().unwrap_or(name);
    if NAMES.contains(&last) || name.is_empty() {
        return;
    }
    match all.iter_mut().find(|(known, _)| known == name) {
        Some((_, numbers)) => numbers.add(number),
        None => {
            let mut numbers = Distribution::new(unit);
            numbers.add(number);
            all.push((name.to_owned(), numbers));
        }
    }
}

/// Global variables that are not zero.
fn variables(entries: &[(Value, Value)]) -> String {
    let mut rows = String::new();
    for (_, value) in entries {
        for (name, text, is_number) in live::columns("", value, &Context::bare()) {
            if !matches!(text.as_str(), "0" | "" | "false" | "null") {
                rows.push_str("<tr>");
                cell(&name, false, &mut rows);
                cell(&text, is_number, &mut rows);
                rows.push_str("</tr>\n");
            }
        }
    }
    if rows.is_empty() { rows } else { format!("<table>\n<tbody>\n{rows}</tbody>\n</table>\n") }
}

/// Entries, or the histograms that they are.
fn table_of(name: &str, entries: &[(Value, Value)], is_cut: bool) -> String {
    let mut out = String::new();
    let told = match Content::of(name, entries) {
        Content::Histogram(histogram) => return draw::slots(&histogram),
        Content::Histograms(histograms) => {
            for (key, histogram) in histograms {
                if entries.len() > 1 {
                    let _ = writeln!(out, "<h4>{}</h4>", safe(&key.to_string()));
                }
                out += &draw::slots(&histogram);
            }
            return out;
        }
        Content::Entries(told) => told,
    };
    let mut heading: Vec<String> = Vec::new();
    let mut rows = String::new();
    for (key, value) in told.iter().take(MOST_ENTRIES) {
        let mut columns = live::columns("key", key, &Context::bare());
        columns.extend(live::columns("", value, &Context::bare()));
        let stacks = live::stack_lines(key) + &live::stack_lines(value);
        if !stacks.is_empty() {
            columns.push(("stack".to_owned(), stacks, false));
        }
        let names: Vec<String> = columns.iter().map(|(name, ..)| name.clone()).collect();
        if heading != names {
            rows.push_str("<tr>");
            for name in &names {
                let _ = write!(rows, "<th>{}</th>", safe(name.trim_start_matches("key.")));
            }
            rows.push_str("</tr>\n");
            heading = names;
        }
        rows.push_str("<tr>");
        for (_, text, is_number) in &columns {
            cell(text, *is_number, &mut rows);
        }
        rows.push_str("</tr>\n");
    }
    if !rows.is_empty() {
        let _ = write!(out, "<table>\n<tbody>\n{rows}</tbody>\n</table>\n");
    }
    let more = told.len().saturating_sub(MOST_ENTRIES);
    match (is_cut, more) {
        (true, _) => out.push_str("<p>The map has more entries.</p>\n"),
        (false, 1..) => {
            let _ = writeln!(out, "<p>{} more are left out.</p>", text::count(more as u64));
        }
        _ => {}
    }
    out
}

fn cell(text: &str, is_number: bool, out: &mut String) {
    let class = if is_number { " class=\"number\"" } else { "" };
    let _ = write!(out, "<td{class}>{}</td>", safe(text));
}

/// Foreign text for a page.
fn safe(own: &str) -> String {
    xml(&escape(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_everything_that_was_said() {
        let kernels = ["debian/trixie".to_owned()];
        let mut page = Page::new("opens <b>.bpf.c");
        let mut add = |micros: u64, happening: Happening| {
            let told = Told { kernels: &kernels, side: 0, happening: &happening };
            page.add(&told, Duration::from_micros(micros));
        };
        add(0, Happening::Ready { kernel: "debian/trixie".into(), release: "6.12.1".into() });
        for at in 0..5 {
            let value = Value::Record(vec![
                ("pid".into(), Value::Unsigned(100 + at)),
                ("took".into(), Value::Noted(Notation::Nanoseconds, 1000 << at)),
                ("comm".into(), Value::Text("<script>&\u{1b}".into())),
            ]);
            add(at * 30_000, Happening::Event { map: "events".into(), value });
        }
        let print = Happening::Printed { task: "cat".into(), pid: 7, text: "it's \"here\"".into() };
        add(150_000, print);
        add(160_000, Happening::Lost { map: "events".into(), count: 3 });
        let map = |name: &str, entries, is_data| Happening::Map {
            name: name.into(),
            entries,
            is_cut: false,
            is_data,
            is_last: true,
        };
        let counts = vec![(Value::Text("cat".into()), Value::Unsigned(4))];
        add(200_000, map("counts", counts, false));
        let slots = (0..9).map(|at| (Value::Unsigned(at), Value::Unsigned(at * at))).collect();
        add(200_000, map("latency_hist", slots, false));
        let total = Value::Record(vec![("total".into(), Value::Unsigned(5))]);
        add(200_000, map("x.bss", vec![(Value::Unsigned(0), total)], true));
        let html = page.html();
        let body = &html[html.find("<body>").expect("it has a body")..];
        let body = &body[..body.find("<script>").expect("it has a script")];
        insta::assert_snapshot!(body);
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let kernels = ["k".to_owned()];
        let mut page = Page::new("many");
        let value = Value::Record(vec![("n".into(), Value::Unsigned(1))]);
        let happening = Happening::Event { map: "rb".into(), value };
        for _ in 0..MOST_ROWS + 5 {
            let told = Told { kernels: &kernels, side: 0, happening: &happening };
            page.add(&told, Duration::ZERO);
        }
        let html = page.html();
        assert!(html.contains("<p>5 more are left out.</p>"));
        assert_eq!(html.matches("<tr><td>").count(), MOST_ROWS);
    }
}
