//! Which programs are verified: those of the objects and with the names that
//! the user wants, and of those the part that this machine is to take.

use super::Object;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use globset::{Glob, GlobMatcher};
use std::path::Path;
use std::str::FromStr;

/// Names that are shown where none is meant.
const SHOWN: usize = 20;
/// Of those that are like it, so many.
const NEAREST: usize = 3;

/// One of several equal parts of the work: `2/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which one, from 1.
    pub part: u32,
    /// How many there are.
    pub of: u32,
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(part, of)| {
            Some(Self { part: part.trim().parse().ok()?, of: of.trim().parse().ok()? })
        });
        numbers
            .filter(|partition| (1..=partition.of).contains(&partition.part))
            .ok_or_else(|| "write PART/PARTS, such as 2/5".to_owned())
    }
}

/// Names as the user asks for them.
#[derive(Debug, Default)]
pub(in crate::ops) struct Names {
    pub patterns: Vec<String>,
    pub globs: Vec<GlobMatcher>,
}

impl Names {
    /// # Errors
    /// One of them is no pattern.
    pub fn new(patterns: &[String]) -> Result<Self, Failure> {
        let compile = |pattern: &String| {
            Glob::new(pattern).map(|glob| glob.compile_matcher()).map_err(|error| {
                let message = format!("`{pattern}` is not a pattern: {}", error.kind());
                Failure::from(Diagnostic::new(codes::USAGE, Origin::Command, message))
            })
        };
        let globs = patterns.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { patterns: patterns.to_vec(), globs })
    }

    /// Whether a name is meant; all are where nothing was asked for.
    pub fn mean(&self, name: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.is_match(name))
    }

    /// Whether an object is meant, by its path, its file's name, or that
    /// without `.bpf.o`.
    pub fn mean_object(&self, path: &Path) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| means_object(glob, path))
    }
}

/// An object's file name without `.bpf.o`: what libbpf calls it, too.
pub(in crate::ops) fn stem(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.trim_end_matches(".o").trim_end_matches(".bpf").to_owned()
}

fn means_object(glob: &GlobMatcher, path: &Path) -> bool {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    glob.is_match(path) || glob.is_match(&*file) || glob.is_match(stem(path))
}

/// Of all objects those that are meant.
///
/// # Errors
/// A pattern that means none: a mistyped one must not pass for an object that
/// was verified.
pub(super) fn objects(names: &Names, objects: Vec<Object>) -> Result<Vec<Object>, Failure> {
    for (pattern, glob) in names.patterns.iter().zip(&names.globs) {
        if !objects.iter().any(|object| means_object(glob, &object.path)) {
            let known = objects.iter().map(|object| object.path.display().to_string());
            return Err(nothing("object", pattern, &known.collect::<Vec<_>>()));
        }
    }
    Ok(objects.into_iter().filter(|object| names.mean_object(&object.path)).collect())
}

/// The programs to verify of each object.
#[derive(Debug)]
pub(super) struct Selection {
    names: Names,
    /// Where the work is parted: of each object, the programs that are known
    /// before libbpf lists them, with whether they belong to this part.
    part: Option<Vec<Vec<(String, bool)>>>,
    is_first_part: bool,
}

impl Selection {
    /// # Errors
    /// A pattern that no program has for a name.
    pub fn new(
        names: Names,
        partition: Option<Partition>,
        objects: &[Object],
    ) -> Result<Self, Failure> {
        let programs = |object: &Object| -> Vec<String> {
            object.elf.programs().map(|function| function.name.clone()).collect()
        };
        let known: Vec<Vec<String>> = objects.iter().map(programs).collect();
        for (pattern, glob) in names.patterns.iter().zip(&names.globs) {
            if !known.iter().flatten().any(|name| glob.is_match(name)) {
                return Err(nothing("program", pattern, &known.concat()));
            }
        }
        // Dealt out like cards, so that the large programs of one object do
        // not all go to one machine.
        let mut dealt = 0;
        let part = partition.map(|Partition { part, of }| {
            let mut deal = |name: String| {
                let is_meant = names.mean(&name);
                dealt += u32::from(is_meant);
                let is_mine = is_meant && (dealt - 1) % of + 1 == part;
                (name, is_mine)
            };
            known.into_iter().map(|names| names.into_iter().map(&mut deal).collect()).collect()
        });
        let is_first_part = partition.is_none_or(|partition| partition.part == 1);
        Ok(Self { names, part, is_first_part })
    }

    /// Whether a program that libbpf lists in an object is to be verified.
    pub fn takes(&self, object: usize, program: &str) -> bool {
        let known = self.part.as_ref().and_then(|part| part.get(object));
        let is_mine = known.and_then(|known| known.iter().find(|(name, _)| name == program));
        match is_mine {
            Some((_, is_mine)) => *is_mine,
            // What only libbpf knows goes to the first part.
            None => self.is_first_part && self.names.mean(program),
        }
    }

    /// Whether there may be anything to do for an object.
    pub fn touches(&self, object: usize) -> bool {
        match self.part.as_ref().and_then(|part| part.get(object)) {
            Some(known) if !known.is_empty() => known.iter().any(|(_, is_mine)| *is_mine),
            _ => true,
        }
    }
}

/// A pattern that means none of what is `known`.
pub(in crate::ops) fn nothing(what: &str, pattern: &str, known: &[String]) -> Failure {
    let message = format!("no {what} is called `{pattern}`");
    let diagnostic = Diagnostic::new(codes::USAGE, Origin::Command, message);
    let known = known.iter().map(String::as_str);
    suggest(diagnostic, pattern, known, &format!("there is no {what}")).into()
}

/// Says which names somebody may have meant who wrote `word`: the nearest, or
/// all that there are, or that there are `none`.
pub(in crate::ops) fn suggest<'k>(
    diagnostic: Diagnostic,
    word: &str,
    known: impl Iterator<Item = &'k str>,
    none: &str,
) -> Diagnostic {
    let mut names: Vec<&str> = Vec::new();
    for name in known {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let near = nearest(word, &names);
    if let Some((last, others)) = near.split_last() {
        let others: String = others.iter().map(|name| format!("`{name}`, ")).collect();
        let others = others.strip_suffix(", ").map(|names| format!("{names} or "));
        return diagnostic.help(format!("did you mean {}`{last}`?", others.unwrap_or_default()));
    }
    let shown = &names[..names.len().min(SHOWN)];
    diagnostic.note(match names.len() - shown.len() {
        _ if names.is_empty() => none.to_owned(),
        0 => format!("there are: {}", shown.join(", ")),
        more => format!("there are: {}, and {more} more", shown.join(", ")),
    })
}

/// The names that are most like a word, the nearest first.
fn nearest<'k>(word: &str, names: &[&'k str]) -> Vec<&'k str> {
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(word, name), *name))
        .filter(|(distance, name)| *distance <= name.len().max(word.len()) / 3)
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().take(NEAREST).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_written_as_fractions() {
        assert_eq!("2/5".parse(), Ok(Partition { part: 2, of: 5 }));
        for wrong in ["0/5", "6/5", "2", "2/", "/5", "a/b", "1/0"] {
            assert!(wrong.parse::<Partition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_nearest_names_are_suggested() {
        let say = |word: &str, known: &[&str]| {
            let diagnostic = Diagnostic::new(codes::USAGE, Origin::Command, "");
            let diagnostic = suggest(diagnostic, word, known.iter().copied(), "nothing");
            let helps = diagnostic.helps.into_iter().map(|help| help.message);
            diagnostic.notes.into_iter().chain(helps).collect::<Vec<_>>()
        };
        let known = ["on_open", "on_opened", "on_close", "on_open", "filter"];
        assert_eq!(say("on_opne", &known), ["did you mean `on_open` or `on_opened`?"]);
        assert_eq!(say("fitler", &known), ["did you mean `filter`?"]);
        assert_eq!(say("x", &known[3..]), ["there are: on_open, filter"]);
        assert_eq!(say("x", &[]), ["nothing"]);
        let many: Vec<String> = (0..24).map(|number| format!("name{number:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(say("x", &many)[0].ends_with("name19, and 4 more"));
    }
}
