//! For people: a header, excerpts of the source with what happened where,
//! notes, ways out with their edits, and what it concerns. Tables are
//! aligned.
//!
//! The frames around source lines are drawn by miette, which gets lines that
//! are made harmless and fit the terminal already, and nothing else.

use super::source::{Extent, Lines, Shown};
use super::table::{Cell, Table};
use super::text::{self, one_line};
use super::{Context, Paint};
use crate::diagnostics::{Diagnostic, Edit, Help, Label, ObjectPlace, Severity, Span};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use std::fmt::Write as _;
use std::path::PathBuf;

/// How wide lines get where the terminal does not say.
const WIDTH: usize = 140;
/// Labels that are no further apart than this share a frame.
const NEAR: u32 = 4;
/// A longer stretch is shown by its first line.
const TALL: u32 = 12;

/// One diagnostic, followed by an empty line.
pub fn diagnostic(diagnostic: &Diagnostic, cx: &Context) -> String {
    let mut out = header(diagnostic, cx);
    places(&mut out, diagnostic, cx);
    for note in &diagnostic.notes {
        remark(&mut out, "note", Paint::Note, note, cx);
    }
    for detail in diagnostic.details.iter().filter(|_| cx.verbose) {
        remark(&mut out, "note", Paint::Note, detail, cx);
    }
    for help in &diagnostic.helps {
        self::help(&mut out, help, diagnostic, cx);
    }
    facts(&mut out, diagnostic, cx);
    out.push('\n');
    out
}

/// The paint of a severity's word.
pub fn paint_of(severity: Severity) -> Paint {
    match severity {
        Severity::Error => Paint::Error,
        Severity::Warning => Paint::Warning,
        Severity::Note => Paint::Note,
    }
}

fn header(diagnostic: &Diagnostic, cx: &Context) -> String {
    let word = format!("{}[{}]", diagnostic.severity.as_str(), diagnostic.code.id());
    format!(
        "{}{} {}\n",
        paint_of(diagnostic.severity).on(&word, cx.color),
        Paint::Strong.on(&format!(": {}", one_line(&diagnostic.message)), cx.color),
        Paint::Faint.on(&format!("[{}]", diagnostic.code.slug()), cx.color),
    )
}

/// The places with their source, or at least their names.
fn places(out: &mut String, diagnostic: &Diagnostic, cx: &Context) {
    let mut marks = Vec::new();
    let mut changed = Vec::new();
    for (order, (label, primary)) in labels(diagnostic).enumerate() {
        let lines = Lines::of(&label.span, cx.sources);
        if lines.changed && !changed.contains(&&label.span.file) {
            changed.push(&label.span.file);
        }
        marks.push(Mark::new(label, primary, order, lines));
    }
    if diagnostic.primary.is_none()
        && let Some(place) = &diagnostic.place
    {
        let _ = writeln!(out, "  --> {}", object_place(place, cx));
    }
    for frame in Frame::of(marks) {
        frame.render(out, cx);
    }
    for file in changed {
        let note = format!("{} was changed after it was compiled", cx.path(file));
        remark(out, "note", Paint::Note, &note, cx);
    }
}

fn labels(diagnostic: &Diagnostic) -> impl Iterator<Item = (&Label, bool)> {
    let primary = diagnostic.primary.iter().map(|label| (label, true));
    primary.chain(diagnostic.secondary.iter().map(|label| (label, false)))
}

/// A label on its way into a frame.
struct Mark {
    span: Span,
    message: String,
    primary: bool,
    /// Its place in the story.
    order: usize,
    lines: Lines,
    extent: Extent,
}

impl Mark {
    fn new(label: &Label, primary: bool, order: usize, lines: Lines) -> Self {
        let mut extent = Extent::of(&label.span, &lines);
        let is_known = (extent.first..=extent.last)
            .take(TALL as usize + 1)
            .all(|number| lines.get(number).is_some());
        if extent.last - extent.first >= TALL || !is_known {
            extent.last = extent.first;
            extent.to = lines.get(extent.first).map_or(0, <[u8]>::len).max(extent.from);
        }
        let message = one_line(&label.message);
        Self { span: label.span.clone(), message, primary, order, lines, extent }
    }

    fn has_text(&self) -> bool {
        self.lines.get(self.extent.first).is_some()
    }
}

/// Neighbouring labels of one file.
struct Frame {
    file: PathBuf,
    marks: Vec<Mark>,
}

impl Frame {
    /// Groups labels into frames: first the one with the primary label, then
    /// the others as the story goes.
    fn of(mut marks: Vec<Mark>) -> Vec<Self> {
        marks.sort_by_key(|mark| (mark.extent.first, mark.extent.last, mark.order));
        let mut frames: Vec<Self> = Vec::new();
        for mark in marks {
            let home = frames.iter_mut().find(|frame| frame.takes(&mark));
            match home {
                Some(frame) => frame.marks.push(mark),
                None => frames.push(Self { file: mark.span.file.clone(), marks: vec![mark] }),
            }
        }
        frames.sort_by_key(|frame| frame.marks.iter().map(|mark| mark.order).min());
        frames
    }

    fn takes(&self, mark: &Mark) -> bool {
        if self.file != mark.span.file || !mark.has_text() {
            return false;
        }
        let end = self.last();
        let between = end..=mark.extent.first;
        self.marks.iter().all(Mark::has_text)
            && mark.extent.first <= end.saturating_add(NEAR)
            && between.clone().all(|number| self.line(number).is_some())
            // One of them may have only what the object kept.
            && self.line(mark.extent.first) == mark.lines.get(mark.extent.first)
    }

    fn first(&self) -> u32 {
        self.marks.iter().map(|mark| mark.extent.first).min().unwrap_or(1)
    }

    fn last(&self) -> u32 {
        self.marks.iter().map(|mark| mark.extent.last).max().unwrap_or(1)
    }

    fn line(&self, number: u32) -> Option<&[u8]> {
        self.marks.iter().find_map(|mark| mark.lines.get(number))
    }

    /// What the frame is named after: the primary label, or the first.
    fn head(&self) -> Option<&Mark> {
        self.marks.iter().min_by_key(|mark| mark.order)
    }

    fn render(&self, out: &mut String, cx: &Context) {
        let Some(head) = self.head() else { return };
        let name = location(&head.span, cx);
        if !head.has_text() {
            let message = if head.message.is_empty() { "" } else { ": " };
            let _ = writeln!(out, "  --> {name}{message}{}", head.message);
            return;
        }
        let blank =
            |number: &u32| self.line(*number).is_none_or(|line| line.trim_ascii().is_empty());
        let first = self.first();
        let last = self.last();
        let first = Some(first.saturating_sub(1)).filter(|n| *n > 0 && !blank(n)).unwrap_or(first);
        let last = Some(last.saturating_add(1)).filter(|n| !blank(n)).unwrap_or(last);

        let gutter = last.to_string().len() + 8;
        let columns = cx.width.unwrap_or(WIDTH).saturating_sub(gutter).max(20);
        let mut excerpt = Excerpt { text: String::new(), first, name };
        let mut rows = Vec::new();
        for number in first..=last {
            let line = self.line(number).unwrap_or_default();
            let shown = Shown::new(line, self.focus(number), columns, cx.unicode);
            rows.push((excerpt.text.len(), shown));
            let (_, shown) = &rows[rows.len() - 1];
            excerpt.text.push_str(&shown.text);
            excerpt.text.push('\n');
        }
        let place = |number: u32, offset: usize| {
            let (start, shown) = &rows[(number - first) as usize];
            start + shown.place(offset)
        };
        let mut stretches: Vec<Stretch> = self
            .marks
            .iter()
            .map(|mark| {
                let from = place(mark.extent.first, mark.extent.from);
                let (start, _) = rows[(mark.extent.first - first) as usize];
                let taken = text::width(&excerpt.text[start..from]);
                Stretch {
                    from,
                    to: place(mark.extent.last, mark.extent.to).max(from),
                    is_tall: mark.extent.first != mark.extent.last,
                    // Wrapped here: the frame itself never breaks a label.
                    message: text::wrap(&mark.message, columns.saturating_sub(taken + 8).max(36))
                        .join("\n"),
                    primary: mark.primary,
                }
            })
            .collect();
        untangle(&mut stretches);
        draw(out, &excerpt, &stretches, cx);
    }

    /// The offset in a line that must be seen: where its first label begins.
    fn focus(&self, number: u32) -> usize {
        let starts = self.marks.iter().filter(|mark| mark.extent.first == number);
        starts.min_by_key(|mark| (!mark.primary, mark.extent.from)).map_or(0, |m| m.extent.from)
    }
}

/// `file:line:column`, as far as it is known.
fn location(span: &Span, cx: &Context) -> String {
    let file = cx.shown_path(&span.file);
    match (span.start.line, span.start.column) {
        (0, _) => file,
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    }
}

/// A label within an excerpt.
#[derive(Debug)]
struct Stretch {
    from: usize,
    to: usize,
    is_tall: bool,
    message: String,
    primary: bool,
}

/// Where labels on one line overlap, lets the earlier end where the later
/// begins, and joins those that are the same: a frame has one underline.
fn untangle(stretches: &mut Vec<Stretch>) {
    stretches.sort_by_key(|stretch| (stretch.from, stretch.to, !stretch.primary));
    let mut apart: Vec<Stretch> = Vec::new();
    for mut stretch in stretches.drain(..) {
        if let Some(before) = apart.iter_mut().rev().find(|known| !known.is_tall)
            && !stretch.is_tall
        {
            let same = (before.from, before.to) == (stretch.from, stretch.to);
            if same {
                if !before.message.is_empty() && !stretch.message.is_empty() {
                    before.message.push('\n');
                }
                before.message.push_str(&stretch.message);
                before.primary |= stretch.primary;
                continue;
            }
            if before.to > stretch.from {
                if before.from < stretch.from {
                    before.to = stretch.from;
                } else {
                    stretch.from = before.to;
                }
            }
        }
        apart.push(stretch);
    }
    *stretches = apart;
}

/// Lines of a file that are ready to be shown.
struct Excerpt {
    text: String,
    first: u32,
    name: String,
}

impl SourceCode for Excerpt {
    /// Always all of it: what belongs into the frame is decided already.
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            SourceSpan::from((0, self.text.len())),
            self.first as usize - 1,
            0,
            self.text.lines().count(),
        )))
    }
}

fn draw(out: &mut String, excerpt: &Excerpt, stretches: &[Stretch], cx: &Context) {
    let ansi = ThemeStyles::ansi();
    let mut theme = GraphicalTheme::none();
    if cx.unicode {
        theme.characters = ThemeCharacters::unicode();
    }
    if cx.color {
        theme.styles = ThemeStyles::ansi();
        theme.styles.link = ansi.help;
        // miette gives its styles to the labels in the order of their places.
        theme.styles.highlights = stretches
            .iter()
            .map(|stretch| if stretch.primary { ansi.error } else { ansi.advice })
            .collect();
    }
    let spans = stretches.iter().map(|stretch| {
        let message = Some(stretch.message.clone()).filter(|message| !message.is_empty());
        LabeledSpan::new(message, stretch.from, stretch.to - stretch.from)
    });
    let report = MietteDiagnostic::new("").with_labels(spans);
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_wrap_lines(false)
        .without_primary_span_start()
        .without_syntax_highlighting()
        .with_urls(false);
    let mut drawn = String::new();
    let framed = Framed { report: &report, excerpt };
    if handler.render_report(&mut drawn, &framed).is_err() {
        let _ = writeln!(out, "  --> {}", excerpt.name);
        return;
    }
    // The first line would be the message, which stands in our own header.
    out.push_str(drawn.split_once('\n').map_or("", |(_, frame)| frame));
}

/// A report with its excerpt, as miette wants it.
#[derive(Debug)]
struct Framed<'a> {
    report: &'a MietteDiagnostic,
    excerpt: &'a Excerpt,
}

impl std::fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl std::fmt::Display for Framed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.report.fmt(f)
    }
}

impl std::error::Error for Framed<'_> {}

impl miette::Diagnostic for Framed<'_> {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.report.labels()
    }
}

/// `  note: …`, wrapped; the lines behind a line end stay as they are.
fn remark(out: &mut String, word: &str, paint: Paint, text: &str, cx: &Context) {
    let text = text::escape(text.trim_end());
    let indent = word.len() + 4;
    let columns = cx.width.unwrap_or(WIDTH).saturating_sub(indent).max(30);
    let mut lines = text.split('\n').map(str::trim_end);
    let first = lines.next().unwrap_or_default();
    let mut shown = text::wrap(first, columns).into_iter();
    let _ = writeln!(out, "  {}: {}", paint.on(word, cx.color), shown.next().unwrap_or_default());
    for line in shown.chain(lines.map(str::to_owned)) {
        let line = format!("{:indent$}{line}", "");
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn help(out: &mut String, help: &Help, diagnostic: &Diagnostic, cx: &Context) {
    let mut message = help.message.clone();
    if let Some(edit) = &help.edit
        && diagnostic.primary.as_ref().is_none_or(|label| label.span.file != edit.span.file)
    {
        let _ = write!(message, " (in {})", cx.path(&edit.span.file));
    }
    remark(out, "help", Paint::Help, &message, cx);
    let Some(edit) = &help.edit else { return };
    let change = change(edit, cx);
    let digits = change.iter().map(|line| line.number.to_string().len()).max().unwrap_or(1);
    for ChangedLine { number, added, text } in change {
        let (sign, paint) = if added { ('+', Paint::Help) } else { ('-', Paint::Removed) };
        let line = format!("{sign} {}", Shown::new(text.as_bytes(), 0, 400, cx.unicode).text);
        let _ = writeln!(
            out,
            "        {} {}",
            Paint::Faint.on(&format!("{number:digits$}"), cx.color),
            paint.on(line.trim_end(), cx.color)
        );
    }
}

/// A line that an edit takes away or adds.
struct ChangedLine {
    number: u64,
    added: bool,
    text: String,
}

/// What an edit changes, in whole lines.
fn change(edit: &Edit, cx: &Context) -> Vec<ChangedLine> {
    let start = edit.span.start;
    let end = edit.span.end.filter(|end| *end >= start).unwrap_or(start);
    let source = cx.sources.get(&edit.span.file);
    let line = |number: u32| {
        let line = source.as_ref().and_then(|source| source.line(number)).unwrap_or_default();
        String::from_utf8_lossy(line).into_owned()
    };
    let split = |line: String, column: u32| {
        let mut at = (column.saturating_sub(1) as usize).min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        (line[..at].to_owned(), line[at..].to_owned())
    };
    // A whole file's worth is no help.
    let last = end.line.min(start.line.saturating_add(TALL));
    let old: Vec<String> = (start.line..=last).map(line).collect();
    let before = split(line(start.line), start.column).0;
    let after = split(line(end.line), end.column).1;
    let new = format!("{before}{}{after}", edit.replacement);
    let new: Vec<String> = new.split('\n').map(|line| line.trim_end().to_owned()).collect();
    let same = |(a, b): &(&String, &String)| a.trim_end() == b.trim_end();
    let head = old.iter().zip(&new).take_while(same).count();
    let room = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(same).count();
    let lines = |lines: &[String], added: bool| {
        let lines = &lines[head..lines.len() - tail];
        lines
            .iter()
            .zip(head as u64 + u64::from(start.line.max(1))..)
            .map(|(text, number)| ChangedLine { number, added, text: text.clone() })
            .collect::<Vec<_>>()
    };
    let mut change = if source.is_some() { lines(&old, false) } else { Vec::new() };
    change.extend(lines(&new, true));
    change
}

/// What it concerns: program, object, kernels, the raw text.
fn facts(out: &mut String, diagnostic: &Diagnostic, cx: &Context) {
    let mut fact = |word: &str, text: &str| {
        let word = Paint::Faint.on(&format!("{word}:"), cx.color);
        let _ = writeln!(out, "  {word} {}", one_line(text));
    };
    if let Some(program) = &diagnostic.program {
        fact("program", program);
    }
    if let Some(place) = &diagnostic.place
        && diagnostic.primary.is_some()
    {
        fact("object", &object_place(place, cx));
    }
    if !diagnostic.kernels.is_empty() {
        fact("kernels", &diagnostic.kernels.join(", "));
    }
    if let Some(log) = &diagnostic.raw_log {
        fact("log", &cx.path(log));
    }
}

/// `x.bpf.o, section xdp, instruction 12`.
fn object_place(place: &ObjectPlace, cx: &Context) -> String {
    let mut text = cx.shown_path(&place.object);
    if let Some(section) = &place.section {
        let _ = write!(text, ", section {}", one_line(section));
    }
    if let Some(instruction) = place.instruction {
        let _ = write!(text, ", instruction {instruction}");
    }
    text
}

/// Columns narrower than this are not cut.
const NARROW: usize = 12;

/// A table, aligned, with a heading; numbers stand on the right. Columns
/// without a title, or without a single known value, are left out. Where it
/// is wider than the terminal, the widest texts are cut.
pub fn table(table: &Table, cx: &Context) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let is_known = |index: usize| table.rows.iter().any(|row| row[index] != Cell::Unknown);
    let shown: Vec<usize> = (0..table.columns.len())
        .filter(|&index| !table.columns[index].title.is_empty() && is_known(index))
        .collect();
    let words: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| shown.iter().map(|&index| words(&row[index], cx.unicode)).collect())
        .collect();
    let is_number = |&index: &usize| {
        let number = |cell: &Cell| {
            matches!(
                cell,
                Cell::Count(_)
                    | Cell::Range(..)
                    | Cell::Percent(_)
                    | Cell::Share(_)
                    | Cell::Number(_)
                    | Cell::Micros(_)
                    | Cell::Bytes(_)
            )
        };
        table.rows.iter().any(|row| number(&row[index]))
    };
    let on_right: Vec<bool> = shown.iter().map(is_number).collect();
    // Capitals set the heading apart where there is no colour.
    let titles: Vec<String> =
        shown.iter().map(|&index| table.columns[index].title.to_uppercase()).collect();
    let mut widths: Vec<usize> = (0..shown.len())
        .map(|at| {
            let cells = words.iter().map(|row| text::width(&row[at]));
            cells.chain([text::width(&titles[at])]).max().unwrap_or(0)
        })
        .collect();
    fit(&mut widths, &on_right, cx.width);
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = (String, Option<Paint>)>| {
        let mut line = String::new();
        for (at, (cell, paint)) in cells.enumerate() {
            let cell = text::truncate(&cell, widths[at], cx.unicode);
            let room = widths[at].saturating_sub(text::width(&cell));
            let (left, right) = if on_right[at] { (room, 0) } else { (0, room) };
            let cell = paint.map_or(cell.to_string(), |paint| paint.on(&cell, cx.color));
            let gap = if at == 0 { 0 } else { 2 };
            let _ = write!(line, "{:gap$}{:left$}{cell}{:right$}", "", "", "");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    };
    line(&mut titles.iter().map(|title| (title.clone(), Some(Paint::Strong))));
    for (row, words) in table.rows.iter().zip(words) {
        let paints = shown.iter().map(|&index| paint_of_cell(&row[index]));
        line(&mut words.into_iter().zip(paints));
    }
    out
}

/// Makes the widest text columns narrower until a row fits.
fn fit(widths: &mut [usize], on_right: &[bool], limit: Option<usize>) {
    let Some(limit) = limit else { return };
    loop {
        let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let widest = (0..widths.len())
            .filter(|&at| !on_right[at] && widths[at] > NARROW)
            .max_by_key(|&at| widths[at]);
        match widest {
            Some(at) if total > limit => widths[at] -= 1,
            _ => break,
        }
    }
}

/// A cell in words.
pub(super) fn words(cell: &Cell, unicode: bool) -> String {
    match cell {
        Cell::Text(text) | Cell::Good(text) | Cell::Bad(text) | Cell::Caution(text) => {
            one_line(text)
        }
        Cell::Words(words) => one_line(&words.join(", ")),
        Cell::Count(number) => text::count(*number),
        Cell::Number(number) => number.to_string(),
        Cell::Micros(number) => text::micros(*number, unicode),
        Cell::Bytes(number) => text::bytes(*number),
        Cell::Range(low, high) => {
            format!(
                "{}{}{}",
                text::count(*low),
                if unicode { "–" } else { "-" },
                text::count(*high)
            )
        }
        Cell::Percent(percent) => format!("{percent:+.1}%"),
        Cell::Share(percent) => format!("{percent:.1}%"),
        Cell::List(texts) if texts.is_empty() => "-".to_owned(),
        Cell::List(texts) => one_line(&texts.join(", ")),
        Cell::Flag(true) => "yes".to_owned(),
        Cell::Flag(false) => "no".to_owned(),
        Cell::Unknown => "-".to_owned(),
    }
}

fn paint_of_cell(cell: &Cell) -> Option<Paint> {
    match cell {
        Cell::Good(_) => Some(Paint::Good),
        Cell::Bad(_) => Some(Paint::Bad),
        Cell::Caution(_) => Some(Paint::Caution),
        Cell::Unknown => Some(Paint::Faint),
        _ => None,
    }
}
