//! What relocations are resolved against, and finding candidates in it.

use super::essential_name;
use crate::btf::{Btf, Kind, TypeId, raw};
use std::sync::Arc;

/// A type of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The module whose BTF it is in, by its index in the target; the
    /// kernel's own if there is none.
    pub module: Option<usize>,
    /// The type.
    pub id: TypeId,
}

/// A kernel's BTF and that of its modules, with an index by essential name.
/// Made once, it serves any number of objects.
#[derive(Debug)]
pub struct Target {
    kernel: Index,
    modules: Vec<Index>,
}

impl Target {
    /// A kernel without modules: what libbpf sees with `btf_custom_path`.
    pub fn new(kernel: Arc<Btf>) -> Self {
        Self { kernel: Index::new(kernel), modules: Vec::new() }
    }

    /// Adds modules, whose BTF continues the kernel's.
    pub fn with_modules(mut self, modules: impl IntoIterator<Item = Arc<Btf>>) -> Self {
        self.modules.extend(modules.into_iter().map(Index::new));
        self
    }

    /// The kernel's own BTF.
    pub fn kernel(&self) -> &Arc<Btf> {
        &self.kernel.btf
    }

    /// The modules' BTF.
    pub fn modules(&self) -> impl Iterator<Item = &Arc<Btf>> {
        self.modules.iter().map(|module| &module.btf)
    }

    /// The BTF that a candidate is in.
    pub fn btf(&self, candidate: Candidate) -> &Arc<Btf> {
        let module = candidate.module.and_then(|module| self.modules.get(module));
        &module.unwrap_or(&self.kernel).btf
    }

    /// The types that a local type may stand for: of its kind and essential
    /// name. Those of modules count only if the kernel has none.
    pub fn candidates(&self, local: &Btf, ty: TypeId) -> Vec<Candidate> {
        let (kind, name) = (local.kind(ty), essential_name(local.name(ty)));
        let own = self.kernel.find(kind, name).map(|id| Candidate { module: None, id });
        let own: Vec<_> = own.collect();
        if !own.is_empty() {
            return own;
        }
        let modules = self.modules.iter().enumerate();
        modules
            .flat_map(|(module, index)| {
                index.find(kind, name).map(move |id| Candidate { module: Some(module), id })
            })
            .collect()
    }
}

/// Whether types of two kinds can stand for each other: those of one kind,
/// and enumerations of either width.
pub(super) fn same_kind(one: Kind, other: Kind) -> bool {
    one == other || one.is_enum() && other.is_enum()
}

/// A BTF's own types by essential name: chains of types, one for each slot.
#[derive(Debug)]
struct Index {
    btf: Arc<Btf>,
    /// The first type of a chain, counted from 1 at the first own type.
    slots: Vec<u32>,
    /// The next type of the chain, by own type.
    next: Vec<u32>,
}

impl Index {
    fn new(btf: Arc<Btf>) -> Self {
        let first = btf.first_own().0;
        let count = (btf.len() - first) as usize;
        let mut slots = vec![0; count.next_power_of_two().max(2)];
        let mut next = vec![0; count];
        // Backwards, so that chains come out in the order of the types.
        for own in (0..count).rev() {
            let name = essential_name(btf.name(TypeId(first + own as u32)));
            if !name.is_empty() {
                let slot = slot(&slots, name);
                next[own] = slots[slot];
                slots[slot] = own as u32 + 1;
            }
        }
        Self { btf, slots, next }
    }

    fn find(&self, kind: Kind, name: &str) -> impl Iterator<Item = TypeId> {
        let first = self.btf.first_own().0;
        let mut own = if name.is_empty() { 0 } else { self.slots[slot(&self.slots, name)] };
        let chain = std::iter::from_fn(move || {
            let index = own.checked_sub(1)?;
            own = self.next[index as usize];
            Some(TypeId(first + index))
        });
        chain.filter(move |id| {
            same_kind(self.btf.kind(*id), kind) && essential_name(self.btf.name(*id)) == name
        })
    }
}

fn slot(slots: &[u32], name: &str) -> usize {
    raw::hash(name.as_bytes()) as usize & (slots.len() - 1)
}
