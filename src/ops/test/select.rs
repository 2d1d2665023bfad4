//! Which tests are meant: those that the command line names, as cargo's are
//! named; of them those that the filters leave; of those the part that this
//! machine is to take.

use super::Request;
use super::ready::Ready;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::ops::verify::Object;
use crate::ops::verify::select::{Names, Partition, nothing, suggest};
use globset::Glob;

/// Which tests are meant.
#[derive(Debug)]
pub(super) struct Meant {
    filters: Names,
    partition: Option<Partition>,
}

impl Meant {
    /// # Errors
    /// A filter that is no pattern.
    pub fn new(request: &Request) -> Result<Self, Failure> {
        Ok(Self { filters: Names::new(&request.filters)?, partition: request.partition })
    }

    /// Those that filters and partition leave.
    ///
    /// # Errors
    /// A filter that means none.
    pub fn filtered(&self, tests: Vec<Ready>, objects: &[Object]) -> Result<Vec<Ready>, Failure> {
        let Names { patterns, globs } = &self.filters;
        let is_called = |test: &Ready, is_it: &dyn Fn(&str) -> bool| {
            names(test, objects).into_iter().any(is_it)
        };
        for (pattern, glob) in patterns.iter().zip(globs) {
            if !tests.iter().any(|test| is_called(test, &|name| glob.is_match(name))) {
                let known = tests.iter().flat_map(|test| names(test, objects));
                let known: Vec<String> = known.map(str::to_owned).collect();
                return Err(nothing("test", pattern, &known));
            }
        }
        let mut place = 0;
        Ok(tests
            .into_iter()
            .filter(|test| is_called(test, &|name| self.filters.mean(name)))
            .filter(|_| {
                place += 1;
                self.partition.is_none_or(|Partition { part, of }| (place - 1) % of + 1 == part)
            })
            .collect())
    }
}

/// Of all tests those that words of the command line name; all if there is no
/// word. `untested` says why there is nothing for a program that no test is
/// about.
///
/// # Errors
/// A word that names none.
pub(super) fn named(
    words: &[String],
    tests: Vec<Ready>,
    objects: &[Object],
    untested: &dyn Fn(&str) -> Diagnostic,
) -> Result<Vec<Ready>, Failure> {
    if words.is_empty() {
        return Ok(tests);
    }
    let names: Vec<Vec<&str>> = tests.iter().map(|test| names(test, objects)).collect();
    let programs: Vec<&str> = objects
        .iter()
        .flat_map(|object| object.elf.programs().map(|program| program.name.as_str()))
        .collect();
    let mut is_meant = vec![false; tests.len()];
    for word in words {
        match meant(word, &names) {
            Some(places) => places.into_iter().for_each(|place| is_meant[place] = true),
            None if programs.contains(&word.as_str()) => return Err(untested(word).into()),
            None => return Err(unknown(word, names.concat().into_iter().chain(programs))),
        }
    }
    drop(names);
    let all = tests.into_iter().zip(is_meant);
    Ok(all.filter(|(_, is_meant)| *is_meant).map(|(test, _)| test).collect())
}

/// What a test is called by: its name, with and without its file's in front,
/// and the programs that it is about.
fn names<'t>(test: &'t Ready, objects: &'t [Object]) -> Vec<&'t str> {
    let own = test.name.split_once("::").map_or(test.name.as_str(), |(_, own)| own);
    let mut names = vec![test.name.as_str(), own];
    names.extend(test.programs(&objects[test.object]));
    names
}

/// The places of what a word means: what is called so; if nothing is, what the
/// word matches as a pattern; else, as with cargo, what has it in its name.
fn meant(word: &str, names: &[Vec<&str>]) -> Option<Vec<usize>> {
    let glob = Glob::new(word).ok().map(|glob| glob.compile_matcher());
    let ways: [&dyn Fn(&str) -> bool; 3] = [
        &|name| name == word,
        &|name| glob.as_ref().is_some_and(|glob| glob.is_match(name)),
        &|name| name.contains(word),
    ];
    let found = |way: &&dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..names.len()).filter(|&place| names[place].iter().any(|name| way(name))).collect()
    };
    ways.iter().map(found).find(|places| !places.is_empty())
}

/// A word that is nothing at all.
fn unknown<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Failure {
    let message = format!("`{word}` is no path, and no program and no test is called so");
    let diagnostic = Diagnostic::new(codes::USAGE, Origin::Command, message);
    suggest(diagnostic, word, known, "there is no program").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_is_called_so_or_else_what_they_are_part_of() {
        let names = [
            vec!["net::drops TCP/80", "drops TCP/80", "filter"],
            vec!["net::counts", "counts", "filter_all"],
            vec!["io::reads [a]", "reads [a]", "on_read"],
        ];
        let found = |word: &str| meant(word, &names).unwrap_or_default();
        assert_eq!(found("filter"), [0]);
        assert_eq!(found("filter*"), [0, 1]);
        assert_eq!(found("ilter"), [0, 1]);
        assert_eq!(found("drops TCP/80"), [0]);
        assert_eq!(found("net::"), [0, 1]);
        // What is no pattern is a name all the same.
        assert_eq!(found("[a"), [2]);
        assert_eq!(found("reads [a]"), [2]);
        assert_eq!(meant("fitler", &names), None);
    }
}
