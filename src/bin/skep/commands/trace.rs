//! `skep verify --trace PROG`: the verifier's walk, for people and programs.

use super::CommandResult;
use crate::shell::Shell;
use crate::shell::pager::Turn;
use skep::diagnostics::{Diagnostic, Origin, codes};
use skep::ops::verify::{Part, Traced, View, Word};
use skep::report::{Cell, Format, Table, trace};

/// Shows walks: a pager on a terminal, a listing elsewhere.
pub fn show(traced: &[Traced], shell: &Shell) -> CommandResult {
    let views: Vec<View<'_>> = traced.iter().map(Traced::view).collect();
    let views: Vec<&View<'_>> = views.iter().filter(|view| !view.is_empty()).collect();
    if views.is_empty() {
        let message = "there is nothing to trace: the verifier's log tells of no instruction";
        return Err(Diagnostic::new(codes::NO_TRACE, Origin::Verifier, message).into());
    }
    match shell.format() {
        Format::Human if shell.can_page() => {
            let pages = Pages::of(views);
            shell.pages(
                pages,
                |pages, height, cx| trace::page(pages.view(), pages.part, pages.at, height, cx),
                Pages::turn,
            )?;
        }
        Format::Human => {
            for view in views {
                shell.drawn(|cx| trace::listing(view, whole_if_accepted(view), cx));
            }
        }
        _ => {
            for view in views {
                shell.table(&table(view));
            }
        }
    }
    Ok(())
}

/// An accepted program has no path that is of more interest than others.
fn whole_if_accepted(view: &View<'_>) -> Part {
    if view.verdict.word == Word::Accepted { Part::Whole } else { Part::Path }
}

fn table(view: &View<'_>) -> Table {
    let mut table = Table::new(
        "trace-step",
        &[
            ("program", "PROGRAM"),
            ("set", "SET"),
            ("kernel", "KERNEL"),
            ("step", "STEP"),
            ("instruction", "INSN"),
            ("text", "TEXT"),
            ("depth", ""),
            ("file", "FILE"),
            ("line", "LINE"),
            ("source", ""),
            ("state", ""),
            ("changed", "CHANGED"),
        ],
    );
    let text = |text: &str| match text {
        "" => Cell::Unknown,
        text => Cell::Text(text.to_owned()),
    };
    for step in view.steps(whole_if_accepted(view)) {
        let pair = |(name, value, _): &(String, String, bool)| format!("{name}={value}");
        let place = step.place.as_ref();
        table.push(vec![
            Cell::Text(view.verdict.program.clone()),
            text(&view.verdict.set),
            Cell::Text(view.verdict.kernel.clone()),
            Cell::Number(step.number as u64),
            Cell::Number(step.instruction.into()),
            Cell::Text(step.text.clone()),
            Cell::Number(step.depth as u64),
            place.map_or(Cell::Unknown, |span| Cell::Text(span.file.display().to_string())),
            place.map_or(Cell::Unknown, |span| Cell::Number(span.start.line.into())),
            text(place.and_then(|span| span.line_text.as_deref()).unwrap_or_default()),
            Cell::List(step.state.iter().map(pair).collect()),
            Cell::List(step.state.iter().filter(|(_, _, is_news)| *is_news).map(pair).collect()),
        ]);
    }
    table
}

/// Where somebody is in the walks.
struct Pages<'p, 't> {
    views: Vec<&'p View<'t>>,
    index: usize,
    part: Part,
    at: usize,
}

impl<'p, 't> Pages<'p, 't> {
    fn of(views: Vec<&'p View<'t>>) -> Self {
        let mut pages = Self { views, index: 0, part: Part::Path, at: 0 };
        pages.start();
        pages
    }

    fn view(&self) -> &'p View<'t> {
        self.views[self.index]
    }

    /// Where it failed, or where an accepted program begins.
    fn start(&mut self) {
        self.part = whole_if_accepted(self.view());
        self.at = match self.part {
            Part::Path => self.view().len(self.part).saturating_sub(1),
            Part::Whole => 0,
        };
    }

    fn turn(&mut self, turn: Turn) {
        let last = self.view().len(self.part).saturating_sub(1);
        self.at = match turn {
            Turn::Next => self.at.saturating_add(1),
            Turn::Back => self.at.saturating_sub(1),
            Turn::PageDown => self.at.saturating_add(10),
            Turn::PageUp => self.at.saturating_sub(10),
            Turn::First => 0,
            Turn::Last => last,
            Turn::Down => (self.at + 1..=last).find(|&at| self.is_new_line(at)).unwrap_or(last),
            Turn::Up => (0..self.at).rev().find(|&at| self.is_new_line(at)).unwrap_or(0),
            Turn::Letter('w') => {
                (self.part, self.at) = self.view().turn(self.part, self.at);
                return;
            }
            Turn::Letter('\t') => {
                self.index = (self.index + 1) % self.views.len();
                return self.start();
            }
            Turn::Letter(_) => return,
        }
        .min(last);
    }

    /// Whether a step begins a C line.
    fn is_new_line(&self, at: usize) -> bool {
        let line = |at: usize| {
            let span = self.view().place(self.part, at)?;
            Some((span.file, span.start.line))
        };
        at == 0 || line(at) != line(at - 1)
    }
}
