//! Which object and program a test is about.

use super::Maker;
use crate::ops::test::suites::About;
use crate::ops::verify::select::stem;
use crate::project::suite::Test;

impl Maker<'_> {
    /// The objects that a test may be about; none, and a mistake, if it names
    /// one that is not there.
    fn candidates(&mut self, test: &Test) -> Option<Vec<usize>> {
        let mut candidates: Vec<usize> = (0..self.objects.len())
            .filter(|&index| match self.found.about {
                About::Project(of) => self.objects[index].project == Some(of),
                About::Artifact(of) => index == of,
                About::Any => true,
            })
            .collect();
        if let Some(name) = &test.object {
            let all: Vec<String> =
                candidates.iter().map(|&index| stem(&self.objects[index].path)).collect();
            candidates.retain(|&index| stem(&self.objects[index].path) == name.value);
            if candidates.is_empty() {
                let range = name.range.clone().unwrap_or_default();
                self.wrong(range, format!("there is no object `{}`", name.value))
                    .notes
                    .push(format!("there are: {}", all.join(", ")));
                return None;
            }
        }
        Some(candidates)
    }

    /// The object that a test is about.
    pub fn object(&mut self, test: &Test) -> Option<usize> {
        let candidates = self.candidates(test)?;
        if let [one] = candidates.as_slice() {
            return Some(*one);
        }
        let what = match candidates.is_empty() {
            true => "there is no object to attach programs of",
            false => "there are several objects",
        };
        self.wrong(test.range.clone(), what);
        let last = self.mistakes.pop()?;
        self.mistakes.push(last.help("say which with `object`, or name a `program`"));
        None
    }

    /// The object and program that a test is about.
    pub fn program(&mut self, test: &Test) -> Option<(usize, String)> {
        let candidates = self.candidates(test)?;
        let programs: Vec<(usize, &str)> = candidates
            .iter()
            .flat_map(|&index| {
                let programs = self.objects[index].elf.programs();
                programs.map(move |program| (index, program.name.as_str()))
            })
            .collect();
        let listed = programs.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
        let Some(name) = &test.program else {
            // The program that a block in a source stands in front of.
            if let About::Artifact(index) = self.found.about
                && let Some(name) = self.behind(index, test.range.start)
            {
                return Some((index, name));
            }
            if let [(index, name)] = programs.as_slice() {
                return Some((*index, (*name).to_owned()));
            }
            self.wrong(test.range.clone(), "the test names no `program`")
                .notes
                .push(format!("there are: {listed}"));
            return None;
        };
        let named: Vec<usize> = programs
            .iter()
            .filter(|(_, known)| *known == name.value)
            .map(|(index, _)| *index)
            .collect();
        let range = name.range.clone().unwrap_or_default();
        match named.as_slice() {
            [one] => Some((*one, name.value.clone())),
            [] => {
                self.wrong(range, format!("there is no program `{}`", name.value))
                    .notes
                    .push(format!("there are: {listed}"));
                None
            }
            _ => {
                self.wrong(range, format!("several objects have a program `{}`", name.value));
                let last = self.mistakes.pop()?;
                self.mistakes.push(last.help("say which with `object`"));
                None
            }
        }
    }

    /// The first program that begins behind a place of its source.
    fn behind(&self, artifact: usize, at: usize) -> Option<String> {
        let elf = &self.objects.get(artifact)?.elf;
        let line = self.span(at..at).start.line;
        let starts = elf.programs().filter_map(|program| {
            let span = elf.span_of(program)?;
            let is_here = span.file.file_name() == self.found.suite.path.file_name();
            (is_here && span.start.line > line).then(|| (span.start.line, program.name.clone()))
        });
        starts.min().map(|(_, name)| name)
    }
}
