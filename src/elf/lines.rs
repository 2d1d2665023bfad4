//! Line info: from an instruction to its C line.

use crate::btf::Btf;
use crate::btf::ext::{Ext, LineInfo};
use std::collections::{HashMap, HashSet};

/// The line records of all sections, in an order that can be searched.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    by_section: HashMap<usize, Vec<LineInfo>>,
    files: Vec<u32>,
}

impl Lines {
    /// Sorts the records of `ext` by section and offset. `section` tells the
    /// index of a section by its name.
    pub fn new(ext: &Ext, btf: &Btf, section: impl Fn(&str) -> Option<usize>) -> Self {
        let mut by_section: HashMap<usize, Vec<LineInfo>> = HashMap::new();
        for part in &ext.line_info {
            if let Some(index) = btf.string(part.name).and_then(&section) {
                by_section.entry(index).or_default().extend(&part.records);
            }
        }
        for records in by_section.values_mut() {
            records.sort_by_key(|record| record.offset);
        }
        let mut seen = HashSet::new();
        let all = ext.line_info.iter().flat_map(|part| &part.records);
        let files = all.map(|record| record.file).filter(|&file| seen.insert(file)).collect();
        Self { by_section, files }
    }

    /// The names of the files, as offsets into the BTF's strings, each once.
    pub fn files(&self) -> impl Iterator<Item = u32> {
        self.files.iter().copied()
    }

    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.by_section.values().all(Vec::is_empty)
    }

    /// The record that holds for a slot: the last one at or before it.
    pub fn find(&self, section: usize, slot: usize) -> Option<&LineInfo> {
        let records = self.by_section.get(&section)?;
        let offset = u32::try_from(slot.checked_mul(8)?).ok()?;
        let end = records.partition_point(|record| record.offset <= offset);
        records[..end].last()
    }
}
