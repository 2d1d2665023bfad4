//! What two kernels say, in two columns: the first on the left, the second on
//! the right. Each row has a line of its own, where it comes, and the other
//! side of that line stays free.
//!
//! A row is written once: no cursor goes back to fill in what is free.
//! Between two rows anything may come to the screen, notes on standard error
//! as well as keys that the user presses, so nobody knows where a row of
//! before stands. As it is, lines are in the order of time, and what was
//! scrolled away or is copied is what was seen.

use super::super::{Context, Paint, text};
use super::words;

/// Columns of a terminal that a side needs at least: a row of events with two
/// numbers, a task's name and a short text has about as many.
const LEAST: usize = 50;
/// What stands between the sides, with spaces.
const BETWEEN: usize = 3;

/// How wide each side is, if there are two, and a terminal that has room for
/// them.
pub(super) fn width(kernels: &[String], cx: &Context) -> Option<usize> {
    let own = cx.width?.saturating_sub(BETWEEN) / 2;
    (kernels.len() == 2 && own >= LEAST).then_some(own)
}

/// Two columns.
#[derive(Debug, Default)]
pub(super) struct Columns {
    has_heading: bool,
    /// What a side said that does not end a line.
    open: [String; 2],
}

/// How a side's lines are written.
pub(super) struct Side<'s> {
    pub kernels: &'s [String],
    /// Which of the kernels it is.
    pub place: usize,
    /// [`width`].
    pub width: usize,
    pub cx: &'s Context<'s>,
}

impl Columns {
    /// Writes lines that a side says. What ends no line waits for the rest of
    /// it.
    pub fn lines(&mut self, text: &str, side: &Side<'_>, out: &mut String) {
        for line in text.split_inclusive('\n') {
            let Some(open) = self.open.get_mut(side.place) else { return };
            match line.strip_suffix('\n') {
                Some(end) if open.is_empty() => self.row(end, side, out),
                Some(end) => {
                    let line = std::mem::take(open) + end;
                    self.row(&line, side, out);
                }
                // What nobody would see needs no memory.
                None if text::width(open) > side.width => {}
                None => open.push_str(line),
            }
        }
    }

    /// Writes what a side has not ended: nothing comes behind it any more.
    pub fn end(&mut self, side: &Side<'_>, out: &mut String) {
        let open = self.open.get_mut(side.place).map(std::mem::take).unwrap_or_default();
        if !open.is_empty() {
            self.row(&open, side, out);
        }
    }

    /// Whether anything was written.
    pub fn has_rows(&self) -> bool {
        self.has_heading
    }

    fn row(&mut self, line: &str, side: &Side<'_>, out: &mut String) {
        if !std::mem::replace(&mut self.has_heading, true) {
            heading(side, out);
        }
        let Side { width, place, cx, .. } = *side;
        if place == 0 {
            put(line, width, cx, out);
        } else {
            words::spaces(width, out);
        }
        out.push_str(if cx.unicode { " │" } else { " |" });
        if place > 0 && !line.is_empty() {
            out.push(' ');
            text::push_painted(line, width, cx.unicode, out);
        }
        out.push('\n');
    }
}

/// The kernels' names, underlined.
fn heading(side: &Side<'_>, out: &mut String) {
    let Side { kernels, width, cx, .. } = *side;
    let [left, right] = [0, 1].map(|place| {
        let name = kernels.get(place).map(|name| text::one_line(name)).unwrap_or_default();
        Paint::Strong.on(&name, cx.color)
    });
    put(&left, width, cx, out);
    out.push_str(if cx.unicode { " │ " } else { " | " });
    text::push_painted(&right, width, cx.unicode, out);
    out.push('\n');
    let (line, cross) = if cx.unicode { ("─", "─┼─") } else { ("-", "-+-") };
    let line = line.repeat(width);
    words::print(out, format_args!("{line}{cross}{line}\n"));
}

/// Writes a line into a column, which it fills.
fn put(line: &str, width: usize, cx: &Context, out: &mut String) {
    let own = text::push_painted(line, width, cx.unicode, out);
    words::spaces(width.saturating_sub(own), out);
}
