//! Tests that attach programs and have something done for them to see.

use super::{Check, Maker, Ready};
use crate::bpf::errno;
use crate::diagnostics::Span;
use crate::ops::verify::Object;
use crate::project::suite::{Deed, Test};
use crate::wire::{Scene, Target};

/// What is to come of what a test does.
#[derive(Clone, Default)]
pub(in crate::ops::test) struct SceneChecks {
    /// Of each thing that is done.
    pub deeds: Vec<DeedCheck>,
    /// Programs that must be attached, and where that is written; the test
    /// itself if they are not named.
    pub attached: Vec<(String, Span)>,
    /// Texts that an iterator must show, in this order.
    pub shows: Vec<(String, Vec<(String, Span)>)>,
    /// Texts that what is done must write, in this order.
    pub output: Vec<Check<String>>,
}

/// What is to come of one thing.
#[derive(Clone)]
pub(in crate::ops::test) struct DeedCheck {
    /// It, as it is written.
    pub line: String,
    pub expected: Expected,
    pub span: Span,
}

/// How something that is done ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops::test) enum Expected {
    Done,
    /// In any error.
    Failed,
    /// In this one.
    Error(i32),
    /// With this exit code, which is not 0.
    Code(i32),
}

/// How long what a test does may take, in seconds, if it does not say.
const TIME_LIMIT: u32 = 30;

impl Maker<'_> {
    /// What a test attaches and does; nothing if it is one that runs programs.
    pub fn scene(&mut self, test: &Test, object: &Object, ready: &mut Ready) {
        let expect = &test.expect;
        let of_runs = [
            (test.packet.is_some(), "packet"),
            (test.context.is_some(), "context"),
            (test.repeat.is_some(), "repeat"),
            (expect.retval.is_some(), "expect.retval"),
            (!expect.retvals.is_empty(), "expect.retvals"),
            (expect.packet.is_some(), "expect.packet"),
            (expect.context.is_some(), "expect.context"),
            (expect.rejected.is_some(), "expect.rejected"),
            (!expect.messages.is_empty(), "expect.messages"),
        ];
        for (_, what) in of_runs.iter().filter(|(is_there, _)| *is_there) {
            let message = format!("a test with `do` attaches programs, so it has no `{what}`");
            self.wrong(test.range.clone(), message);
        }
        let time_limit = test.time_limit.unwrap_or(TIME_LIMIT);
        let mut scene = Scene { limit_ms: u64::from(time_limit) * 1000, ..Scene::default() };
        let mut checks = SceneChecks::default();
        for (name, place) in test.attach.iter().flatten() {
            let range = name.range.clone().unwrap_or_default();
            let is_map = object.elf.maps.iter().any(|map| map.name == name.value);
            if !is_map && object.elf.program(&name.value).is_none() {
                let programs: Vec<&str> =
                    object.elf.programs().map(|program| program.name.as_str()).collect();
                let listed = programs.join(", ");
                self.wrong(range, format!("there is no program `{}`", name.value))
                    .notes
                    .push(format!("there are: {listed}"));
                continue;
            }
            checks.attached.push((name.value.clone(), self.span(range)));
            if let Some(place) = place {
                let (program, place) = (name.value.clone(), place.value.clone());
                scene.targets.push(Target { program, place });
            }
        }
        if test.attach.is_none()
            && let Some(name) = &test.program
        {
            let span = self.span(name.range.clone().unwrap_or_default());
            checks.attached.push((name.value.clone(), span));
        }
        if !checks.attached.is_empty() || test.attach.is_some() {
            let names: Vec<String> = checks.attached.iter().map(|(name, _)| name.clone()).collect();
            ready.program = names.join(", ");
            scene.programs = Some(names);
        }
        for deed in &test.deeds {
            scene.deeds.push(deed.line.value.clone());
            if let Some(check) = self.deed(deed) {
                checks.deeds.push(check);
            }
        }
        for (program, texts) in &expect.shows {
            if object.elf.program(&program.value).is_none() {
                let range = program.range.clone().unwrap_or_default();
                self.wrong(range, format!("there is no program `{}`", program.value));
                continue;
            }
            let place = |text: &crate::project::manifest::Located<String>| {
                (text.value.clone(), self.span(text.range.clone().unwrap_or_default()))
            };
            let texts = texts.iter().map(place).collect();
            checks.shows.push((program.value.clone(), texts));
        }
        for text in &expect.output {
            let span = self.span(text.range.clone().unwrap_or_default());
            checks.output.push(Check { expected: text.value.clone(), span });
        }
        ready.case.scene = Some(scene);
        ready.checks.scene = checks;
    }

    fn deed(&mut self, deed: &Deed) -> Option<DeedCheck> {
        let line = deed.line.value.clone();
        let code = deed.code.as_ref().map_or(0, |code| code.value.into());
        let expected = match &deed.error {
            None if code > 0 => Expected::Code(code),
            None => Expected::Done,
            Some(error) if error.value.is_empty() => Expected::Failed,
            Some(error) => {
                let number = error.value.parse().ok().or_else(|| errno::number(&error.value));
                let Some(number) = number else {
                    let range = error.range.clone().unwrap_or_default();
                    let near = errno::names().min_by_key(|name| {
                        strsim::damerau_levenshtein(&error.value.to_uppercase(), name)
                    });
                    let near = near.unwrap_or_default();
                    let message = format!("there is no error `{}`", error.value);
                    self.wrong(range, message).notes.push(format!("did you mean `{near}`?"));
                    return None;
                };
                Expected::Error(number)
            }
        };
        let range = match (&deed.error, &deed.code) {
            (Some(error), _) => error.range.clone(),
            (None, Some(code)) => code.range.clone(),
            (None, None) => deed.line.range.clone(),
        };
        let span = self.span(range.unwrap_or_default());
        Some(DeedCheck { line, expected, span })
    }
}
