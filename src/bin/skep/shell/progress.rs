//! Work under way, as moving lines below everything else that is printed. On
//! anything but a terminal there are none, and a step is one plain line.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use skep::events::{Ending, StepId};
use std::collections::HashMap;
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
        let bar = lines.add(ProgressBar::new_spinner());
        let frames = if self.unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "-\\|/ " };
        bar.set_style(style("{prefix:>12.cyan.bold} {msg} {spinner}").tick_chars(frames));
        bar.set_prefix(verb);
        bar.set_message(subject.to_owned());
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
            let template = "{prefix:>12.cyan.bold} {msg} {bar:24} {percent:>3}%";
            step.bar.set_style(style(template).progress_chars(chars));
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

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressStyle;

    #[test]
    fn the_templates_are_well_formed() {
        for template in [
            "{prefix:>12.cyan.bold} {msg} {spinner}",
            "{prefix:>12.cyan.bold} {msg} {bar:24} {percent:>3}%",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
