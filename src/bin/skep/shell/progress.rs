//! Work under way, as moving lines below everything else that is printed. On
//! anything but a terminal there are none, and a step is one plain line.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use skep::events::{Ending, StepId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// The lines of the steps that are under way.
pub struct Progress {
    lines: Option<MultiProgress>,
    unicode: bool,
    steps: Mutex<HashMap<StepId, Step>>,
}

struct Step {
    verb: &'static str,
    subject: String,
    bar: ProgressBar,
    has_total: bool,
}

impl Progress {
    /// Moving lines on standard error, or none at all.
    pub fn new(moving: bool, unicode: bool) -> Self {
        let lines = moving.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { lines, unicode, steps: Mutex::default() }
    }

    /// Shows a step; says whether it is shown.
    pub fn started(&self, id: StepId, verb: &'static str, subject: &str) -> bool {
        let Some(lines) = &self.lines else { return false };
        let frames = if self.unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "-\\|/ " };
        // Everything is set before the line is drawn for the first time.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
            .with_style(style(SPINNER).tick_chars(frames))
            .with_prefix(verb)
            .with_message(subject.to_owned());
        let bar = lines.add(bar);
        bar.enable_steady_tick(Duration::from_millis(100));
        let step = Step { verb, subject: subject.to_owned(), bar, has_total: false };
        self.steps().insert(id, step);
        true
    }

    /// Shows how far a step is.
    pub fn advanced(&self, id: StepId, done: u64, total: u64) {
        let mut steps = self.steps();
        let Some(step) = steps.get_mut(&id) else { return };
        if !step.has_total && total > 0 {
            step.has_total = true;
            let chars = if self.unicode { "━╸ " } else { "=> " };
            step.bar.set_style(style(BAR).progress_chars(chars));
        }
        step.bar.set_length(total);
        step.bar.set_position(done);
    }

    /// Takes a step's line away; returns what is to be said of it for good.
    pub fn finished(&self, id: StepId, ending: Ending) -> Option<(&'static str, String)> {
        let step = self.steps().remove(&id)?;
        step.bar.finish_and_clear();
        if let Some(lines) = &self.lines {
            lines.remove(&step.bar);
        }
        (ending == Ending::Done).then_some((step.verb, step.subject))
    }

    /// Does something while no line moves.
    pub fn suspend<T>(&self, action: impl FnOnce() -> T) -> T {
        match &self.lines {
            Some(lines) => lines.suspend(action),
            None => action(),
        }
    }

    /// Takes all lines away.
    pub fn clear(&self) {
        for (_, step) in self.steps().drain() {
            step.bar.finish_and_clear();
        }
        if let Some(lines) = &self.lines {
            let _ = lines.clear();
        }
    }

    fn steps(&self) -> MutexGuard<'_, HashMap<StepId, Step>> {
        self.steps.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

/// A step of unknown length.
const SPINNER: &str = "{prefix:>12.cyan.bold} {msg} {spinner} {waited:.dim}";
/// A step of known length.
const BAR: &str = "{prefix:>12.cyan.bold} {msg} {bar:24} {percent:>3}%";

/// Who waits longer than this sees for how long.
const LONG: Duration = Duration::from_secs(3);

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("waited", |state: &ProgressState, out: &mut dyn fmt::Write| {
            if state.elapsed() >= LONG {
                // What cannot be drawn is not worth an error.
                let _ = write!(out, "{} s", state.elapsed().as_secs());
            }
        })
}

#[cfg(test)]
mod tests {
    use super::{BAR, SPINNER};
    use indicatif::ProgressStyle;

    #[test]
    fn the_templates_are_well_formed() {
        for template in [SPINNER, BAR] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
