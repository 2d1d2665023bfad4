//! What programs at work say, as it comes: for people as tables that grow,
//! with a heading where something else begins; as `key=value` lines, or as
//! JSON lines. All is written behind what a buffer holds already.

mod both;
mod columns;
mod machine;
mod maps;
mod sides;
mod words;

pub use sides::Sides;

use super::text::{self, one_line};
use super::{Context, Paint};
use crate::ops::run::{Happening, Told};
use crate::values::{Stack, Value};
use std::time::Duration;
use words::{Outline, Style};

/// A number's column is at least this wide, so that rows keep their place.
const NUMBER: usize = 7;
/// A text's, as wide as a task's name gets.
const TEXT: usize = 15;

/// Shows what happens to people.
#[derive(Debug, Default)]
pub struct Table {
    /// Whose heading was written last.
    heading: Option<Heading>,
    widths: Vec<usize>,
    /// A number, until its column has room for it.
    cell: String,
    /// The workload has not ended its line.
    is_open: bool,
}

/// Columns that have a heading.
#[derive(Debug)]
struct Heading {
    map: String,
    outline: Outline,
    has_stacks: bool,
}

/// One line of `key=value`; nothing where there is nothing for programs. The
/// kernel stands behind it if there are several.
pub fn short(told: &Told<'_>, out: &mut String) {
    machine::short(told.happening, told.label(), out);
}

/// Lines of JSON, likewise.
pub fn json(told: &Told<'_>, out: &mut String) {
    let mut more = String::new();
    let is_said = matches!(told.happening, Happening::Ready { .. });
    if let Some(kernel) = told.label().filter(|_| !is_said) {
        machine::member("kernel", kernel, &mut more);
    }
    machine::json(told.happening, &more, out);
}

/// Lines of JSON with the kernel and the time since the beginning.
pub(super) fn json_at(told: &Told<'_>, at: Duration, out: &mut String) {
    let mut more = String::from(",\"at_us\":");
    words::unsigned(u64::try_from(at.as_micros()).unwrap_or(u64::MAX), &mut more);
    // It says so itself.
    if !matches!(told.happening, Happening::Ready { .. }) {
        machine::member("kernel", told.kernel(), &mut more);
    }
    machine::json(told.happening, &more, out);
}

/// The columns of a value, with their texts, and whether they are numbers.
pub(super) fn columns(name: &str, value: &Value, cx: &Context) -> Vec<(String, String, bool)> {
    let fields = maps::fields(name, value, cx);
    fields.into_iter().map(|field| (field.name, field.text, field.is_number)).collect()
}

/// The stacks in a value, line by line.
pub(super) fn stack_lines(value: &Value) -> String {
    let mut out = String::new();
    stacks(value, "", &mut out);
    out
}

impl Table {
    /// Writes what there is to say of something that happened.
    pub fn human(&mut self, happening: &Happening, cx: &Context, out: &mut String) {
        if let Happening::Output(_, bytes) = happening {
            self.heading = None;
            self.is_open = bytes.last().is_some_and(|&byte| byte != b'\n');
            let text = String::from_utf8_lossy(bytes);
            return text.split_inclusive('\n').for_each(|line| harmless(line, out));
        }
        let start = out.len();
        self.text(happening, cx, out);
        if out.len() > start && std::mem::take(&mut self.is_open) {
            out.insert(start, '\n');
        }
    }

    fn text(&mut self, happening: &Happening, cx: &Context, out: &mut String) {
        match happening {
            Happening::Event { map, value } => return self.event(map, value, cx, out),
            Happening::Printed { task, pid, text } => {
                *out += &Paint::Faint.on(&format!("{}-{pid}:", one_line(task)), cx.color);
                out.push(' ');
                words::one_line(text, out);
                out.push('\n');
            }
            Happening::Map { name, entries, is_cut, is_data, .. } => {
                maps::map(name, entries, *is_cut, *is_data, cx, out);
            }
            Happening::Iterated { text, .. } => lines(text, out),
            Happening::Attached { .. }
            | Happening::Ready { .. }
            | Happening::Lost { .. }
            | Happening::Pause
            | Happening::Over(_)
            | Happening::Output(..) => return,
        }
        self.heading = None;
    }

    fn event(&mut self, map: &str, value: &Value, cx: &Context, out: &mut String) {
        let heading = self.heading.take();
        let heading = heading.filter(|of| of.map == map && of.outline.is_of(value));
        let heading = heading.unwrap_or_else(|| self.head(map, value, cx, out));
        if !self.widths.is_empty() {
            self.row(value, cx, out);
        }
        if heading.has_stacks {
            stacks(value, "  ", out);
        }
        self.heading = Some(heading);
    }

    /// Writes a heading.
    fn head(&mut self, map: &str, value: &Value, cx: &Context, out: &mut String) -> Heading {
        let columns = maps::fields("", value, cx);
        let width = |field: &maps::Field| {
            let least = if field.is_number { NUMBER } else { TEXT };
            text::width(&field.name).max(least)
        };
        self.widths = columns.iter().map(width).collect();
        if !columns.is_empty() {
            maps::row(&maps::titles(&columns), &mut self.widths, Some(Paint::Strong), cx, out);
        }
        let mut has_stacks = false;
        words::leaves(value, &mut |leaf| has_stacks |= matches!(leaf, Value::Stack(_)));
        Heading { map: map.to_owned(), outline: Outline::of(value), has_stacks }
    }

    /// One row. A column grows with what is in it.
    fn row(&mut self, value: &Value, cx: &Context, out: &mut String) {
        let style = Style::People { unicode: cx.unicode };
        let start = out.len();
        let (widths, cell) = (&mut self.widths, &mut self.cell);
        let columns = widths.len();
        let (mut at, mut gap) = (0, 0);
        words::leaves(value, &mut |leaf| {
            if matches!(leaf, Value::Stack(_)) {
                return;
            }
            let Some(width) = widths.get_mut(at) else { return };
            at += 1;
            if words::is_number(leaf) {
                cell.clear();
                words::write(leaf, style, cell);
                let own = words::width(cell);
                *width = own.max(*width);
                words::spaces(gap + *width - own, out);
                out.push_str(cell);
                gap = 2;
            } else {
                words::spaces(gap, out);
                let start = out.len();
                words::write(leaf, style, out);
                let own = words::width(&out[start..]);
                if at < columns {
                    *width = own.max(*width);
                }
                gap = 2 + width.saturating_sub(own);
            }
        });
        while out.len() > start && out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }
}

/// The stacks in a value, line by line; with their names, if there are
/// several.
fn stacks(value: &Value, indent: &str, out: &mut String) {
    fn collect<'v>(name: &'v str, value: &'v Value, all: &mut Vec<(&'v str, &'v Stack)>) {
        match value {
            Value::Stack(stack) => all.push((name, stack)),
            Value::Record(members) => {
                members.iter().for_each(|(name, value)| collect(name, value, all));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    collect("", value, &mut all);
    let has_names = all.len() > 1;
    for (name, stack) in all {
        if stack.frames.is_empty() && stack.id.is_none() {
            continue;
        }
        let says = |out: &mut String| {
            out.push_str(indent);
            out.push_str(indent);
            if has_names || stack.frames.is_empty() {
                words::one_line(name, out);
            }
        };
        if stack.frames.is_empty() {
            says(out);
            out.push_str(": no stack");
            if let Some(id @ ..0) = stack.id {
                out.push_str(" (");
                words::stack_id(id, out);
                out.push(')');
            }
            out.push('\n');
            continue;
        }
        if has_names {
            says(out);
            out.push_str(":\n");
        }
        for code in &stack.frames {
            out.push_str(indent);
            out.push_str(indent);
            if has_names {
                out.push_str(indent);
            }
            words::write(&Value::Code(code.clone()), Style::Programs, out);
            out.push('\n');
        }
    }
}

/// A line, or a part of one, made harmless.
fn harmless(line: &str, out: &mut String) {
    match line.strip_suffix('\n') {
        Some(line) => {
            out.push_str(&text::escape(line));
            out.push('\n');
        }
        None => out.push_str(&text::escape(line)),
    }
}

/// Text of several lines, made harmless line by line.
fn lines(text: &str, out: &mut String) {
    for line in text.lines() {
        out.push_str(&text::escape(line));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Code, Notation, Stack};
    use crate::vm::Stream;

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
        let mut out = String::new();
        table.human(&event(1, "cat"), &Context::bare(), &mut out);
        table.human(&event(4_000_000_000, "a\x1b[2Jb"), &Context::bare(), &mut out);
        let said = Happening::Printed { task: "sh".into(), pid: 3, text: "hello".into() };
        table.human(&said, &Context::bare(), &mut out);
        table.human(&event(2, "ls"), &Context::bare(), &mut out);
        for part in ["cat", ": no\n", "more"] {
            table.human(&Happening::Output(Stream::Error, part.into()), &Context::bare(), &mut out);
        }
        table.human(&said, &Context::bare(), &mut out);
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
        let mut out = String::new();
        table.human(&map("counts", entries.clone()), &Context::bare(), &mut out);
        table.human(&map("latency_hist", entries), &Context::bare(), &mut out);
        let data = Value::Record(vec![
            ("dropped".into(), Value::Unsigned(7)),
            ("unused".into(), Value::Unsigned(0)),
        ]);
        table.human(
            &Happening::Map {
                name: "x.bss".into(),
                entries: vec![(Value::Unsigned(0), data)],
                is_cut: false,
                is_data: true,
                is_last: true,
            },
            &Context::bare(),
            &mut out,
        );
        insta::assert_snapshot!(out);
    }

    fn machine(happening: &Happening) -> (String, String) {
        let (mut keys, mut lines) = (String::new(), String::new());
        let kernels = ["6.1".to_owned()];
        let told = Told { kernels: &kernels, side: 0, happening };
        short(&told, &mut keys);
        json(&told, &mut lines);
        (keys, lines)
    }

    #[test]
    fn programs_get_keys_and_values() {
        assert_eq!(machine(&event(1, "a b")).0, "event map=rb pid=1 comm=\"a b\" ret=-2\n");
        assert_eq!(
            machine(&event(1, "c\"t")).1,
            "{\"reason\":\"event\",\"map\":\"rb\",\"value\":{\"pid\":1,\"comm\":\"c\\\"t\",\"ret\":-2}}\n"
        );
    }

    fn stacked() -> Happening {
        let code = |address, name: Option<&str>| Code { address, name: name.map(Into::into) };
        let frames = vec![
            code(0xffff_ffff_8100_0010, Some("vfs_read+0x10")),
            code(0xffff_ffff_c000_0000, None),
        ];
        let inner = Value::Record(vec![("ns".into(), Value::Noted(Notation::Nanoseconds, 1500))]);
        let value = Value::Record(vec![
            ("pid".into(), Value::Unsigned(7)),
            ("stack".into(), Value::Stack(Box::new(Stack { id: Some(3), map: None, frames }))),
            (
                "ustack".into(),
                Value::Stack(Box::new(Stack { id: Some(-14), map: None, frames: Vec::new() })),
            ),
            ("took".into(), inner),
            ("at".into(), Value::Code(code(0xffff_ffff_8100_0000, Some("vfs_read+0x0")))),
        ]);
        Happening::Event { map: "rb".into(), value }
    }

    #[test]
    fn stacks_stand_below_their_row() {
        let mut out = String::new();
        let mut table = Table::default();
        table.human(&stacked(), &Context::bare(), &mut out);
        table.human(&stacked(), &Context::bare(), &mut out);
        let (keys, lines) = machine(&stacked());
        insta::assert_snapshot!(out + &keys + &lines);
    }

    /// What happens on two kernels, in this order.
    fn story() -> Vec<(usize, Happening)> {
        let map = |name: &str, entries: &[(u64, u64)], is_data| Happening::Map {
            name: name.into(),
            entries: entries
                .iter()
                .map(|(key, value)| match is_data {
                    true => {
                        let member = ("total".into(), Value::Unsigned(*value));
                        (Value::Unsigned(*key), Value::Record(vec![member]))
                    }
                    false => (Value::Unsigned(*key), Value::Unsigned(*value)),
                })
                .collect(),
            is_cut: false,
            is_data,
            is_last: true,
        };
        vec![
            (0, event(1, "cat")),
            (1, event(2, "cat")),
            (0, Happening::Output(Stream::Out, b"no line".to_vec())),
            (1, Happening::Output(Stream::Out, b"a line\n".to_vec())),
            (0, map("counts", &[(1, 10), (2, 20)], false)),
            (1, map("counts", &[(2, 21), (30, 5)], false)),
            (0, map("hist", &[(0, 0), (1, 3), (2, 40)], false)),
            (1, map("hist", &[(0, 1), (1, 5), (2, 10)], false)),
            (0, map("x.bss", &[(0, 7)], true)),
            (1, map("x.bss", &[(0, 8)], true)),
            (1, Happening::Over(None)),
            (0, Happening::Over(None)),
        ]
    }

    fn kernels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn kernels_stand_side_by_side() {
        let kernels = kernels(&["debian/bookworm", "6.12"]);
        let mut sides = Sides::default();
        let mut out = String::new();
        for (side, happening) in story() {
            let told = Told { kernels: &kernels, side, happening: &happening };
            sides.human(&told, &Context::bare(), &mut out);
            if !matches!(happening, Happening::Over(_)) {
                short(&told, &mut out);
                json(&told, &mut out);
            }
        }
        insta::assert_snapshot!(out);
    }

    fn shown(kernels: &[String], story: &[(usize, Happening)], cx: &Context) -> String {
        let mut sides = Sides::default();
        let mut out = String::new();
        for (side, happening) in story {
            sides.human(&Told { kernels, side: *side, happening }, cx, &mut out);
        }
        out
    }

    /// A terminal that has room for two sides, and no column to spare.
    const ROOM: usize = 2 * 50 + 3;

    /// Rows of all kinds, and what is cut.
    fn rows() -> Vec<(usize, Happening)> {
        let said = |text: &str| {
            let text = text.to_owned();
            Happening::Printed { task: "s\x1b[2Jh".into(), pid: 3, text }
        };
        let wrote = |text: &str| Happening::Output(Stream::Out, text.into());
        let mut all = vec![
            (1, event(7, "sh")),
            (1, event(4_000_000_000, "漢字")),
            (0, stacked()),
            (0, said("hello")),
            (1, said("what is too long for a column is cut where the column ends")),
            (0, said("漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字")),
            (0, wrote("the beginning of a line")),
            (1, wrote("a line\n\nbehind an empty one\n")),
            (0, wrote(", and its end\ttoo\n")),
            (0, wrote("no end")),
            (0, event(1, "cat")),
            (1, wrote("no end at all")),
        ];
        all.extend(story());
        all
    }

    #[test]
    fn two_kernels_have_columns_where_there_is_room() {
        let kernels = kernels(&["debian/bookworm", "6.12"]);
        let cx = Context { width: Some(ROOM), ..Context::bare() };
        let out = shown(&kernels, &rows(), &cx);
        insta::assert_snapshot!(out);
        let (columns, _) = out.split_once("\n\n").unwrap();
        for line in columns.lines() {
            let (left, right) = line.split_once(['│', '┼']).unwrap();
            assert_eq!(text::width(left), 51, "{line}");
            assert!(text::width(right) <= 51, "{line}");
        }
    }

    #[test]
    fn columns_have_colours_or_only_ascii() {
        let kernels = kernels(&["debian/bookworm", "6.12"]);
        let cx = Context { width: Some(ROOM), color: true, ..Context::bare() };
        let colored = shown(&kernels, &rows(), &cx);
        insta::assert_snapshot!(colored.replace('\x1b', "\\e"));
        let bare = shown(&kernels, &rows(), &Context { color: false, ..cx });
        assert_eq!(
            colored.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", ""),
            bare
        );
        let ascii = shown(&kernels, &rows(), &Context { color: false, unicode: false, ..cx });
        assert!(!ascii.contains(['│', '─', '┼', '…']) && ascii.contains(" |\n"), "{ascii}");
        assert!(ascii.contains("-+-") && ascii.contains("...\n"), "{ascii}");
    }

    #[test]
    fn columns_are_for_two_kernels_on_a_wide_terminal() {
        let two = kernels(&["debian/bookworm", "6.12"]);
        let wide = Context { width: Some(ROOM), ..Context::bare() };
        let narrow = Context { width: Some(ROOM - 1), ..Context::bare() };
        let labelled = shown(&two, &rows(), &Context::bare());
        assert_eq!(shown(&two, &rows(), &narrow), labelled);
        assert_ne!(shown(&two, &rows(), &wide), labelled);
        let three = kernels(&["debian/bookworm", "6.12", "host"]);
        assert!(shown(&three, &rows(), &wide).starts_with("6.12            │     PID"));
        let one = kernels(&["host"]);
        let own: Vec<_> = rows().into_iter().filter(|(side, _)| *side == 0).collect();
        assert_eq!(shown(&one, &own, &wide), shown(&one, &own, &narrow));
    }
}
