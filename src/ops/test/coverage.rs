//! Which C lines tests have programs run: each basic block gets a mark, a
//! store into a map, and the marks are read after each test. So what runs is
//! not quite what is tested otherwise; a kernel that refuses it with marks gets
//! it without them, and nothing is known then.
//!
//! Where the verifier has come is told beside it, from the walk of its log.

use crate::analysis::{Block, blocks};
use crate::base::fs;
use crate::elf;
use crate::ops::Session;
use crate::ops::places::SourceFinder;
use crate::ops::verify::Object;
use crate::relocate;
use crate::verifier_log::Log;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What tests have come by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The files, by their paths.
    pub files: Vec<Covered>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// The file, as messages name it.
    pub path: PathBuf,
    /// Its place on this machine.
    pub absolute: PathBuf,
    /// Its text.
    pub text: String,
    /// Lines that come to instructions, and how many runs of tests came by.
    pub lines: BTreeMap<u32, u64>,
    /// Lines that come to instructions, and how often a verifier walked over
    /// them at most; 0 where no run can ever come.
    pub walked: BTreeMap<u32, u64>,
    /// Functions: name, first line, and how many runs began them.
    pub functions: Vec<(String, u32, u64)>,
}

impl Coverage {
    /// How many lines were come by, and how many there are.
    pub fn lines(&self) -> (usize, usize) {
        let all = || self.files.iter().flat_map(|file| file.lines.values());
        (all().filter(|count| **count > 0).count(), all().count())
    }
}

impl Covered {
    /// How many of its lines were come by.
    pub fn hit(&self) -> usize {
        self.lines.values().filter(|count| **count > 0).count()
    }
}

/// An object with marks.
pub(super) struct Marked {
    pub bytes: Vec<u8>,
    blocks: Vec<Block>,
}

impl Marked {
    /// Sets marks; nothing if that cannot be done.
    pub fn of(object: &Object) -> Option<Self> {
        let (blocks, marks) = blocks(&object.elf);
        let bytes = elf::with_marks(&object.bytes, &object.elf, &marks)?;
        Some(Self { bytes, blocks })
    }
}

/// Where runs and verifiers have come.
#[derive(Default)]
pub(super) struct Come {
    /// How often marks were found set, by object and mark.
    marks: BTreeMap<usize, Vec<u64>>,
    /// How often verifiers met instructions, by object and program; and
    /// whether one has told of all.
    walks: BTreeMap<(usize, String), (BTreeMap<u32, u64>, bool)>,
}

impl Come {
    /// Adds what a test left.
    pub fn ran(&mut self, object: usize, marks: &[u8]) {
        let own = self.marks.entry(object).or_default();
        own.resize(own.len().max(marks.len()), 0);
        for (count, mark) in own.iter_mut().zip(marks) {
            *count += u64::from(*mark != 0);
        }
    }

    /// Adds a verifier's walk; `is_whole` says that the log lacks nothing.
    pub fn walked(&mut self, object: usize, program: &str, log: &str, is_whole: bool) {
        let visits = Log::parse(log).visits();
        let (known, told) = self.walks.entry((object, program.to_owned())).or_default();
        *told |= is_whole && !visits.is_empty();
        for (index, count) in visits {
            let known = known.entry(index).or_default();
            *known = count.max(*known);
        }
    }
}

/// Puts counts and C lines together.
pub(super) fn gather(
    session: &Session,
    objects: &[Object],
    marked: &[Option<Marked>],
    come: &Come,
) -> Coverage {
    let mut files: BTreeMap<PathBuf, Covered> = BTreeMap::new();
    for (index, (object, marked)) in objects.iter().zip(marked).enumerate() {
        // What no kernel has run with marks is not known.
        let (Some(marked), Some(counts)) = (marked, come.marks.get(&index)) else { continue };
        let root = session.absolute(&object.root);
        let finder = SourceFinder::new(session, &object.root);
        let place = |section: usize, slot: usize| {
            let span = finder.settle(object.elf.span(section, slot)?);
            let absolute = session.absolute(&span.file);
            let name = absolute.file_name()?.to_str()?;
            // Headers that are made, and those of others, are nobody's to test.
            let is_own = absolute.starts_with(&root) && name != "vmlinux.h";
            is_own.then_some((span.file, absolute, span.start.line))
        };
        for block in &marked.blocks {
            let Some(mark) = block.mark else { continue };
            let count = counts.get(mark).copied().unwrap_or(0);
            for slot in block.slots.clone() {
                let Some((path, absolute, line)) = place(block.section, slot) else { continue };
                let file = files.entry(absolute.clone()).or_insert_with(|| Covered {
                    path,
                    text: fs::read_to_string(&absolute).unwrap_or_default(),
                    absolute,
                    ..Covered::default()
                });
                let known = file.lines.entry(line).or_default();
                *known = (*known).max(count);
            }
        }
        for function in &object.elf.functions {
            let first = marked.blocks.iter().find(|block| {
                (block.section, block.slots.start) == (function.section, function.slots.start)
            });
            let count = first.and_then(|block| counts.get(block.mark?)).copied();
            let (Some(count), Some((_, absolute, line))) =
                (count, place(function.section, function.slots.start))
            else {
                continue;
            };
            if let Some(file) = files.get_mut(&absolute) {
                file.functions.push((function.name.clone(), line, count));
            }
        }
    }
    for ((index, program), (visits, is_whole)) in &come.walks {
        let object = &objects[*index];
        let Ok(image) = relocate::image(&object.elf, program) else { continue };
        let finder = SourceFinder::new(session, &object.root);
        for (number, at) in (0..).zip(0..image.insns.len()) {
            let Some(span) = image.span(at) else { continue };
            let span = finder.settle(span);
            let count = visits.get(&number).copied().unwrap_or(0);
            // Only lines of what was run are told of.
            let file = files.get_mut(&session.absolute(&span.file));
            if let Some(file) = file.filter(|_| count > 0 || *is_whole) {
                let known = file.walked.entry(span.start.line).or_default();
                *known = count.max(*known);
            }
        }
    }
    Coverage { files: files.into_values().collect() }
}
