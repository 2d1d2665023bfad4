//! Old against new: figures kept in a file, and those of this run.

use super::{Object, Outcome, Verdict, Word, finding};
use crate::base::fs;
use crate::baseline::{self, Change, Figures, Kind, csv, json};
use crate::diagnostics::{Diagnostic, Failure, Label, Origin, Span, codes};
use crate::ops::Session;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What may not grow by more than so many per cent: `10%`, `states=25%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    cost: Cost,
    percent: f64,
}

/// What a program costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    Instructions,
    States,
    Stack,
}

impl Cost {
    const ALL: [(&'static str, Self); 3] =
        [("insns", Self::Instructions), ("states", Self::States), ("stack", Self::Stack)];

    fn figure(self) -> fn(&Figures) -> Option<u64> {
        match self {
            Self::Instructions => |of| of.instructions,
            Self::States => |of| of.states,
            Self::Stack => |of| of.stack,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Instructions => "verified instructions",
            Self::States => "states",
            Self::Stack => "bytes of stack",
        }
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (cost, percent) = text.split_once('=').unwrap_or(("insns", text));
        let cost = Cost::ALL.iter().find(|(name, _)| *name == cost.trim()).map(|&(_, cost)| cost);
        let percent: Option<f64> = percent.trim().trim_end_matches('%').trim().parse().ok();
        match (cost, percent.filter(|percent| percent.is_finite() && *percent >= 0.0)) {
            (Some(cost), Some(percent)) => Ok(Self { cost, percent }),
            _ => Err("write PERCENT or WHAT=PERCENT, such as 10% or states=25%; WHAT is insns, \
                      states or stack"
                .to_owned()),
        }
    }
}

/// Files of figures to read and write.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Where this run's figures go.
    pub save: Option<PathBuf>,
    /// Where they go in veristat's format.
    pub csv: Option<PathBuf>,
    /// What they are compared with.
    pub compare: Option<PathBuf>,
    /// By how much they may have grown.
    pub gates: Vec<Gate>,
}

impl Files {
    /// The figures to compare with, read before anything is built.
    ///
    /// # Errors
    /// There are none in the file.
    pub(super) fn baseline(&self, session: &Session) -> Result<Option<Vec<Figures>>, Failure> {
        let Some(path) = &self.compare else { return Ok(None) };
        let text = fs::read_to_string(&session.absolute(path))?;
        let figures = baseline::read(&text).map_err(|error| {
            let message = format!("{} cannot be compared with: {error}", path.display());
            let span = match error.line {
                0 => Span::file(path),
                line => Span::line(path, line),
            };
            Diagnostic::new(codes::USAGE, Origin::Command, message)
                .at(span)
                .help("`--save FILE` and `veristat -o csv` write what can be")
        })?;
        Ok(Some(figures))
    }

    /// Compares, and writes what is to be written. `is_whole` says that
    /// nothing was left out of the run.
    pub(super) fn finish(
        &self,
        session: &Session,
        baseline: Option<&[Figures]>,
        objects: &[Object],
        is_whole: bool,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let figures: Vec<(&Verdict, Figures)> = outcome
            .verdicts
            .iter()
            // What has no verdict cost nothing that could be compared.
            .filter(|verdict| verdict.word != Word::None)
            .map(|verdict| (verdict, figures(verdict, objects)))
            .collect();
        let new: Vec<Figures> = figures.iter().map(|(_, figures)| figures.clone()).collect();
        if let Some(old) = baseline {
            let changes =
                baseline::compare(old, &new, |old| is_missed(old, &new, objects, is_whole));
            let mut findings = Vec::new();
            for (change, (verdict, _)) in changes.iter().zip(&figures) {
                findings.extend(self.findings(session, change, verdict, objects));
            }
            outcome.diagnostics.extend(findings);
            outcome.changes = changes;
        }
        if let Some(path) = &self.save {
            fs::write_atomic(&session.absolute(path), json::write(&new).as_bytes())?;
        }
        if let Some(path) = &self.csv {
            write_csv(session, path, &new)?;
        }
        Ok(())
    }

    /// What is wrong with a change.
    fn findings(
        &self,
        session: &Session,
        change: &Change,
        verdict: &Verdict,
        objects: &[Object],
    ) -> Vec<Diagnostic> {
        let (Some(old), Some(new)) = (&change.old, &change.new) else { return Vec::new() };
        let object = objects.iter().find(|object| object.path == verdict.object);
        let begin = object.and_then(|object| finding::begin(session, object, &verdict.program));
        let find = |code, message: String| {
            let mut diagnostic = Diagnostic::new(code, Origin::Verifier, message)
                .program(verdict.program.clone())
                .object_place(finding::place(verdict))
                .kernel(verdict.kernel.clone());
            diagnostic.primary = begin.clone().map(|span| Label { span, message: String::new() });
            if let Some(release) = old.release.as_ref().filter(|_| old.release != new.release) {
                diagnostic = diagnostic
                    .note(format!("the kernel was {release} then, and is {} now", verdict.release));
            }
            if !verdict.set.is_empty() {
                diagnostic = diagnostic.note(format!("with `{}`", verdict.set));
            }
            diagnostic
        };
        let name = &verdict.program;
        match change.kind() {
            Kind::Broken => {
                let message = format!("`{name}` was accepted before, and is {} now", new.verdict);
                vec![find(codes::VERDICT_FLIPPED, message)]
            }
            Kind::Changed if new.accepted => {
                let mut grown = Vec::new();
                for Gate { cost, percent } in &self.gates {
                    let figure = cost.figure();
                    let growth = change.growth(figure).filter(|growth| growth > percent);
                    let (Some(growth), Some(old), Some(new)) = (growth, figure(old), figure(new))
                    else {
                        continue;
                    };
                    let words = cost.words();
                    grown
                        .push(format!("{old} to {new} {words}, {growth:+.1}%, {percent}% allowed"));
                }
                if grown.is_empty() {
                    return Vec::new();
                }
                let message = format!("`{name}` grew too much: {}", grown.join("; "));
                let help = "`skep verify --blame` shows the C lines that cost the most; `--save` \
                            makes what it costs now the baseline";
                vec![find(codes::VERIFICATION_GREW, message).help(help)]
            }
            _ => Vec::new(),
        }
    }
}

/// What a verdict comes to in a file.
fn figures(verdict: &Verdict, objects: &[Object]) -> Figures {
    let statistics = &verdict.statistics;
    Figures {
        object: object_name(&verdict.object, objects),
        program: verdict.program.clone(),
        set: verdict.set.clone(),
        kernel: Some(verdict.kernel.clone()),
        release: Some(verdict.release.clone()),
        accepted: verdict.word == Word::Accepted,
        verdict: verdict.word.text(),
        instructions: statistics.instructions,
        states: statistics.states,
        peak_states: statistics.peak_states,
        max_states_per_instruction: statistics.states_per_instruction,
        mark_read: statistics.mark_read,
        stack: statistics.stack,
        verification_micros: statistics.micros,
        ..Figures::default()
    }
}

/// An object's file name, which another machine and another profile share;
/// its path where another object has the same.
pub(in crate::ops) fn object_name(path: &Path, objects: &[Object]) -> String {
    let file = path.file_name();
    let namesakes = objects.iter().filter(|object| object.path.file_name() == file);
    match file {
        Some(file) if namesakes.count() < 2 => file.to_string_lossy().into_owned(),
        _ => path.display().to_string(),
    }
}

/// Whether a program of the baseline should have been in this run: its kernel
/// was, and its object was without it, or nothing was left out.
fn is_missed(old: &Figures, new: &[Figures], objects: &[Object], is_whole: bool) -> bool {
    let kernel = old.kernel.is_none() || new.iter().any(|new| new.kernel == old.kernel);
    let mut of_name =
        objects.iter().filter(|object| object_name(&object.path, objects) == old.object).peekable();
    let known = of_name.peek().is_some();
    let has_it = of_name.any(|object| object.elf.program(&old.program).is_some());
    kernel && !has_it && (known || is_whole) && old.set.is_empty()
}

/// veristat's files are of one kernel each: with several, each gets a file
/// that has its name before the ending.
fn write_csv(session: &Session, path: &Path, new: &[Figures]) -> Result<(), Failure> {
    let mut kernels: Vec<&str> = Vec::new();
    for kernel in new.iter().filter_map(|figures| figures.kernel.as_deref()) {
        if !kernels.contains(&kernel) {
            kernels.push(kernel);
        }
    }
    if kernels.len() < 2 {
        return Ok(fs::write_atomic(&session.absolute(path), csv::write(new).as_bytes())?);
    }
    for kernel in kernels {
        let of_kernel: Vec<Figures> = new
            .iter()
            .filter(|figures| figures.kernel.as_deref() == Some(kernel))
            .cloned()
            .collect();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let ending = path
            .extension()
            .map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
        let kernel =
            kernel.replace(|c: char| !c.is_ascii_alphanumeric() && !".+-_".contains(c), "-");
        let path = path.with_file_name(format!("{stem}.{kernel}{ending}"));
        fs::write_atomic(&session.absolute(&path), csv::write(&of_kernel).as_bytes())?;
        session.note(format!("{} has the figures of one kernel", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_per_cent_of_something() {
        let gate = |text: &str| text.parse::<Gate>();
        assert_eq!(gate("10%"), Ok(Gate { cost: Cost::Instructions, percent: 10.0 }));
        assert_eq!(gate("2.5"), Ok(Gate { cost: Cost::Instructions, percent: 2.5 }));
        assert_eq!(gate("states=25%"), Ok(Gate { cost: Cost::States, percent: 25.0 }));
        for wrong in ["", "-1%", "x%", "time=10%", "inf", "NaN"] {
            assert!(gate(wrong).is_err(), "{wrong}");
        }
    }
}
