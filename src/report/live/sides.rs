//! What programs say on one kernel, or on several side by side: each line then
//! has its kernel in front, or two have columns where a terminal has room for
//! them; maps wait for the end, where they stand beside each other.

use super::super::{Context, Paint, text};
use super::both::{self, Kept};
use super::columns::{self, Columns, Side};
use super::{Table, words};
use crate::ops::run::{Happening, Told};

/// Shows what happens to people.
#[derive(Debug, Default)]
pub struct Sides {
    tables: Vec<Table>,
    /// A side's text, until its lines have their kernel in front.
    text: String,
    columns: Columns,
    /// Whose line is not ended.
    open: Option<usize>,
    /// The maps at the end, by side.
    kept: Vec<Vec<Kept>>,
    /// How many have ended.
    over: usize,
}

impl Sides {
    /// Writes what there is to say of something that happened.
    pub fn human(&mut self, told: &Told<'_>, cx: &Context, out: &mut String) {
        let count = told.kernels.len().max(told.side + 1);
        self.tables.resize_with(self.tables.len().max(count), Table::default);
        if told.kernels.len() < 2 {
            return self.tables[told.side].human(told.happening, cx, out);
        }
        self.kept.resize_with(self.kept.len().max(count), Vec::new);
        let column = columns::width(told.kernels, cx);
        let side = column.map(|width| Side { kernels: told.kernels, place: told.side, width, cx });
        match told.happening {
            Happening::Map { name, entries, is_cut, is_data, is_last: true } => {
                self.kept[told.side].push(Kept {
                    name: name.clone(),
                    entries: entries.clone(),
                    is_cut: *is_cut,
                    is_data: *is_data,
                });
                return;
            }
            Happening::Over(_) => {
                self.over += 1;
                if let Some(side) = &side {
                    self.columns.end(side, out);
                }
                if self.over == told.kernels.len() {
                    self.end_line(out);
                    if self.columns.has_rows() {
                        out.push('\n');
                    }
                    both::write(told.kernels, &std::mem::take(&mut self.kept), cx, out);
                }
                return;
            }
            _ => {}
        }
        let mut lines = std::mem::take(&mut self.text);
        lines.clear();
        self.tables[told.side].human(told.happening, cx, &mut lines);
        if let Some(side) = &side {
            self.columns.lines(&lines, side, out);
            self.text = lines;
            return;
        }
        for line in lines.split_inclusive('\n') {
            if self.open != Some(told.side) {
                self.end_line(out);
                label(told, cx, out);
            }
            out.push_str(line);
            self.open = (!line.ends_with('\n')).then_some(told.side);
        }
        self.text = lines;
    }

    fn end_line(&mut self, out: &mut String) {
        if self.open.take().is_some() {
            out.push('\n');
        }
    }
}

/// The kernel, in a column.
fn label(told: &Told<'_>, cx: &Context, out: &mut String) {
    let width = told.kernels.iter().map(|kernel| text::width(kernel)).max().unwrap_or(0);
    let kernel = text::one_line(told.kernel());
    *out += &Paint::Faint.on(&kernel, cx.color);
    words::spaces(width.saturating_sub(text::width(&kernel)), out);
    out.push_str(if cx.unicode { " │ " } else { " | " });
}
