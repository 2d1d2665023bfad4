//! Types by name: an open hash table of type numbers, made when the first
//! name is looked up.

use super::{Btf, Kind, TypeId};

/// The table. Types of one name are chained in order of their numbers.
#[derive(Debug)]
pub(super) struct Names {
    /// First type of a name, as its distance from the first own type plus
    /// one; 0 is free.
    slots: Vec<u32>,
    /// The next type with the same name, in the same encoding.
    next: Vec<u32>,
}

/// FNV-1a with a final mix. Names are short, and a table of a hostile file's
/// names is bounded by the file.
#[inline]
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        hash = (hash ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = rest.len() as u8;
    hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 32) as u32
}

impl Names {
    /// The table of a BTF's own named types.
    pub fn of(btf: &Btf) -> Self {
        let first = btf.first_own().0;
        let count = btf.len() - first;
        let size = (count as usize * 2).next_power_of_two().max(2);
        let mut names = Self { slots: vec![0; size], next: vec![0; count as usize] };
        // Backwards, so that chains come out in order.
        for id in (first..btf.len()).rev() {
            let Some(record) = btf.record(id) else { continue };
            if record.name == 0 || matches!(record.kind(), Kind::DeclTag | Kind::TypeTag) {
                continue;
            }
            let slot = names.slot(btf, btf.bytes_of(record.name));
            let own = id - first + 1;
            names.next[own as usize - 1] = names.slots[slot];
            names.slots[slot] = own;
        }
        names
    }

    /// The slot of a name: its own, or the free one it would take.
    fn slot(&self, btf: &Btf, name: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let first = btf.first_own().0;
        let mut slot = hash(name) as usize & mask;
        // At most half of the slots are taken.
        loop {
            match self.slots[slot] {
                0 => return slot,
                own => {
                    let held = btf.record(first + own - 1).map_or(0, |record| record.name);
                    if btf.bytes_of(held) == name {
                        return slot;
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The own types of a name.
    pub fn find<'n>(&'n self, btf: &Btf, name: &[u8]) -> impl Iterator<Item = TypeId> + use<'n> {
        let first = btf.first_own().0;
        let mut own = if name.is_empty() { 0 } else { self.slots[self.slot(btf, name)] };
        std::iter::from_fn(move || {
            let id = own.checked_sub(1)?;
            own = self.next[id as usize];
            Some(TypeId(first + id))
        })
    }
}
