//! Pages that are turned by keys, on a terminal.

use super::Shell;
use dialoguer::console::{Key, Term};
use skep::diagnostics::{Diagnostic, Failure, Origin, codes};
use skep::report::Context;
use std::io::{self, IsTerminal as _, Write as _};

/// What a person wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The next one.
    Next,
    /// The one before.
    Back,
    /// Something larger ahead.
    Down,
    /// Something larger back.
    Up,
    /// Ten ahead.
    PageDown,
    /// Ten back.
    PageUp,
    /// The first one.
    First,
    /// The last one.
    Last,
    /// This letter was typed.
    Letter(char),
}

/// Leaves the pages whatever happens.
struct Screen<'t>(&'t Term);

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // Back to what was there before; nothing can be done about a failure.
        let _ = self.0.write_str("\x1b[?1049l");
        let _ = self.0.show_cursor();
        let _ = self.0.flush();
    }
}

impl Shell {
    /// Whether there is somebody who can turn pages.
    pub fn can_page(&self) -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal() && !self.settings.dumb
    }

    /// Shows pages until the person has seen enough. `page` draws the current
    /// one for so many lines; `turn` goes to another.
    ///
    /// # Errors
    /// Ctrl-C; or the terminal cannot be read.
    pub fn pages<S>(
        &self,
        mut state: S,
        page: impl Fn(&S, usize, &Context) -> String,
        turn: impl Fn(&mut S, Turn),
    ) -> Result<(), Failure> {
        let term = Term::buffered_stdout();
        let shown = (|| {
            let _screen = Screen(&term);
            term.write_str("\x1b[?1049h")?;
            term.hide_cursor()?;
            loop {
                let (rows, columns) = term.size();
                let cx = Context { width: Some(usize::from(columns)), ..self.out() };
                let text = page(&state, usize::from(rows), &cx);
                let kept: Vec<&str> = text.lines().take(usize::from(rows)).collect();
                term.write_str("\x1b[H\x1b[2J")?;
                (&term).write_all(kept.join("\r\n").as_bytes())?;
                term.flush()?;
                let key = match term.read_key()? {
                    Key::Char('q') | Key::Escape => return Ok(()),
                    Key::ArrowRight | Key::Enter | Key::Char('n' | 'l' | ' ') => Turn::Next,
                    Key::ArrowLeft | Key::Backspace | Key::Char('p' | 'h') => Turn::Back,
                    Key::ArrowDown | Key::Char('j') => Turn::Down,
                    Key::ArrowUp | Key::Char('k') => Turn::Up,
                    Key::PageDown => Turn::PageDown,
                    Key::PageUp => Turn::PageUp,
                    Key::Home | Key::Char('g') => Turn::First,
                    Key::End | Key::Char('G') => Turn::Last,
                    Key::Tab => Turn::Letter('\t'),
                    Key::Char(letter) => Turn::Letter(letter),
                    _ => continue,
                };
                turn(&mut state, key);
            }
        })();
        self.progress.suspend(|| shown).map_err(|error: io::Error| {
            if error.kind() == io::ErrorKind::Interrupted {
                Diagnostic::new(codes::INTERRUPTED, Origin::Command, "interrupted").into()
            } else {
                let message = format!("cannot read the terminal: {error}");
                Diagnostic::new(codes::FILE_ACCESS, Origin::Command, message).into()
            }
        })
    }
}
