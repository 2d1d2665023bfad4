//! The verifier's walk for people: a listing, and a page of a screen.

use super::text::{self, one_line};
use super::{Context, Paint};
use crate::diagnostics::Span;
use crate::ops::verify::{Part, Step, View, Word};
use std::fmt::Write as _;

/// How many lines of C stand around the one of the step on a page.
const AROUND: u32 = 5;
/// How far instructions are indented, and how wide their column is.
const TEXT: usize = 40;

/// All steps of a part: C lines, and below each its instructions with what
/// they made known.
pub fn listing(view: &View<'_>, part: Part, cx: &Context) -> String {
    let mut out = format!("{}\n", Paint::Strong.on(&heading(view, part), cx.color));
    let mut last: Option<(std::path::PathBuf, u32)> = None;
    for step in view.steps(part) {
        let line = step.place.as_ref().map(|span| (span.file.clone(), span.start.line));
        if line != last {
            let _ = writeln!(out, "\n{}", c_line(step.place.as_ref(), cx));
            last = line;
        }
        let news = step.state.iter().filter(|(_, _, is_news)| *is_news);
        let news: Vec<String> = news.map(|(name, value, _)| format!("{name}={value}")).collect();
        let indent = 2 * step.depth;
        let text = one_line(&step.text);
        let width = TEXT.saturating_sub(indent).max(1);
        let known = Paint::Note.on(&one_line(&news.join(" ")), cx.color);
        let row = format!("{:>6}  {:indent$}{text:<width$}  {known}", step.instruction, "");
        let _ = writeln!(out, "{}", row.trim_end());
    }
    out.push('\n');
    for line in &view.error {
        let _ = writeln!(out, "{}", Paint::Bad.on(&one_line(line), cx.color));
    }
    if !view.error.is_empty() {
        out.push('\n');
    }
    out
}

/// A page: the C lines around a step, the instructions around it, and all
/// that is known after it.
pub fn page(view: &View<'_>, part: Part, at: usize, height: usize, cx: &Context) -> String {
    let width = cx.width.unwrap_or(80);
    let Some(step) = view.step(part, at) else { return String::new() };
    let mut lines = vec![Paint::Strong.on(&heading(view, part), cx.color), String::new()];
    lines.extend(source(view, &step, cx));
    lines.push(String::new());
    lines.extend(instructions(view, part, at, cx));
    lines.push(String::new());
    let last = view.len(part);
    if at + 1 == last && view.verdict.word != Word::Accepted {
        lines.extend(view.error.iter().map(|line| Paint::Bad.on(&one_line(line), cx.color)));
        lines.push(String::new());
    }
    lines.extend(state(&step, cx));
    let keys = "n next  p back  ↓↑ C line  PgDn PgUp ten  g start  G end  w all paths  q quit";
    let keys = if cx.unicode { keys.to_owned() } else { keys.replace("↓↑", "down up") };
    let foot = format!("step {} of {last}   {keys}", step.number);
    let room = height.saturating_sub(1).max(1);
    lines.resize(room, String::new());
    lines.push(Paint::Faint.on(&text::truncate(&foot, width, cx.unicode), cx.color));
    lines.join("\n")
}

fn heading(view: &View<'_>, part: Part) -> String {
    let verdict = view.verdict;
    let steps = text::plural(view.len(part), "step");
    let of = match part {
        Part::Path if verdict.word == Word::Accepted => "on its last path",
        Part::Path => "on the path that failed",
        Part::Whole => "on all paths",
    };
    let set = if verdict.set.is_empty() { String::new() } else { format!(" with {}", verdict.set) };
    one_line(&format!(
        "{}{set} on {} ({}): {}, {steps} {of}",
        verdict.program,
        verdict.kernel,
        verdict.release,
        verdict.word.text()
    ))
}

fn c_line(place: Option<&Span>, cx: &Context) -> String {
    let Some(span) = place else { return "(no C line)".to_owned() };
    let text = span.line_text.as_deref().unwrap_or_default().trim();
    let name = format!("{}:{}", cx.shown_path(&span.file), span.start.line);
    format!("{}  {}", Paint::Strong.on(&name, cx.color), one_line(text))
}

fn source(view: &View<'_>, step: &Step, cx: &Context) -> Vec<String> {
    let width = cx.width.unwrap_or(80);
    let Some(span) = &step.place else { return vec!["(no C line)".to_owned()] };
    let mut lines = vec![format!("{}:{}", cx.shown_path(&span.file), span.start.line)];
    let Some(text) = view.source(&span.file) else {
        lines.push(format!("> {}", one_line(span.line_text.as_deref().unwrap_or_default())));
        return lines;
    };
    let first = span.start.line.saturating_sub(AROUND).max(1);
    let shown = (first..).zip(text.lines().skip(first as usize - 1));
    for (number, line) in shown.take(2 * AROUND as usize + 1) {
        let is_it = number == span.start.line;
        let row = format!("{} {number:>5}  {}", if is_it { '>' } else { ' ' }, one_line(line));
        let row = text::truncate(&row, width, cx.unicode).into_owned();
        lines.push(if is_it { Paint::Strong.on(&row, cx.color) } else { row });
    }
    lines
}

fn instructions(view: &View<'_>, part: Part, at: usize, cx: &Context) -> Vec<String> {
    let width = cx.width.unwrap_or(80);
    let first = at.saturating_sub(2);
    let shown = first..(first + 5).min(view.len(part));
    shown
        .filter_map(|at| view.instruction(part, at).map(|instruction| (at, instruction)))
        .map(|(here, (index, text))| {
            let mark = if here == at { '>' } else { ' ' };
            let row = format!("{mark} {index:>5}: {}", one_line(text));
            let row = text::truncate(&row, width, cx.unicode).into_owned();
            if here == at { Paint::Strong.on(&row, cx.color) } else { row }
        })
        .collect()
}

fn state(step: &Step, cx: &Context) -> Vec<String> {
    let width = cx.width.unwrap_or(80);
    let row = |(name, value, is_news): &(String, String, bool)| {
        let mark = if *is_news { '*' } else { ' ' };
        let row = format!("{mark} {:>6}  {}", one_line(name), one_line(value));
        let row = text::truncate(&row, width, cx.unicode).into_owned();
        if *is_news { Paint::Note.on(&row, cx.color) } else { row }
    };
    step.state.iter().map(row).collect()
}
