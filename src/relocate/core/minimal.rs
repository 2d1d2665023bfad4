//! The smallest BTF that answers all relocations of some objects as a
//! kernel's does: what libbpf takes as `btf_custom_path` on kernels that have
//! no BTF of their own.
//!
//! Kept is the path of every candidate that matched, and of types asked for
//! as a whole what libbpf compares. Relocations that have no answer need
//! nothing kept. Whether the result is right is not argued but tried: every
//! relocation is resolved again, over the result, and where something else
//! comes out all of its candidates are kept whole.

use super::compatible::names_match;
use super::{Candidate, Error, Question, Resolution, Resolver, Target, essential_name};
use crate::btf::ext::CoreRelo;
use crate::btf::{Btf, Subset, Type, TypeId};
use std::collections::HashSet;
use std::sync::Arc;

/// Minimal BTF, and what it was made for.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// The BTF, in the kernel's byte order.
    pub bytes: Vec<u8>,
    /// How many types it has.
    pub types: u32,
    /// What each object's relocations come to, on the kernel and on the
    /// result alike but for [`Question::TypeIdTarget`]: numbers of types are
    /// the kernel's own here, and cannot be kept in the result.
    pub resolutions: Vec<Vec<Resolution>>,
}

/// Why there is no minimal BTF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinimalError {
    /// libbpf refuses an object for one of its relocations.
    Refused {
        /// The object, by its index.
        object: usize,
        /// The relocation, by its index.
        relocation: usize,
        /// Why.
        error: Error,
    },
    /// One BTF cannot hold types of the kernel and of its modules so that
    /// this relocation is resolved the same.
    Clash {
        /// The object, by its index.
        object: usize,
        /// The relocation, by its index.
        relocation: usize,
    },
}

impl Target {
    /// The smallest BTF that answers the relocations of `objects` as this
    /// target does. Each object is its BTF and its relocations in their order.
    ///
    /// # Errors
    /// If libbpf refuses one of the objects on this target.
    pub fn minimal(&self, objects: &[(&Btf, Vec<CoreRelo>)]) -> Result<Minimal, MinimalError> {
        let resolutions = resolve_all(objects, self)?;
        let modules: Vec<_> = self.modules().collect();
        let mut subset = Subset::new(self.kernel(), modules.iter().map(|module| &***module));
        for ((local, _), resolutions) in objects.iter().zip(&resolutions) {
            for resolution in resolutions {
                self.keep(&mut subset, local, resolution);
            }
        }
        let mut last = false;
        loop {
            let bytes = subset.finish();
            let differs = match Btf::parse(bytes.clone()) {
                Ok(small) => {
                    let types = small.len() - 1;
                    let differs = differences(objects, &resolutions, small);
                    if differs.is_empty() {
                        return Ok(Minimal { bytes, types, resolutions });
                    }
                    differs
                }
                // What was cut out of checked BTF can be read; if it cannot,
                // nothing is right.
                Err(_) => every(objects),
            };
            if last {
                let (object, relocation) = differs[0];
                return Err(MinimalError::Clash { object, relocation });
            }
            last = true;
            for (object, relocation) in differs {
                let (local, relocations) = &objects[object];
                for candidate in self.candidates(local, relocations[relocation].ty) {
                    subset.keep_all(source(candidate), candidate.id);
                }
            }
        }
    }

    /// Keeps what one relocation's answer comes from.
    fn keep(&self, subset: &mut Subset<'_>, local: &Btf, resolution: &Resolution) {
        for found in &resolution.matches {
            let source = source(found.candidate);
            subset.keep(source, found.spec.root);
            if resolution.question == Question::TypeMatches {
                let target = self.btf(found.candidate);
                let seen = HashSet::new();
                let mut matching = Matching { local, target, source, subset, seen };
                matching.keep(resolution.local.root, found.spec.root, false);
            } else if resolution.question.is_about_type() {
                subset.keep_shape(source, found.spec.root);
            }
            // Every struct on the way is stepped through, with or without a
            // name; only the path has them all.
            self.keep_path(subset, found.candidate, &found.spec.path);
        }
    }

    fn keep_path(&self, subset: &mut Subset<'_>, candidate: Candidate, path: &[u32]) {
        let (btf, source) = (self.btf(candidate), source(candidate));
        let mut ty = btf.resolve(candidate.id);
        // The first step is an element of the root, or an enumeration's value.
        if let (Type::Enum(_), Some(value)) = (btf.ty(ty), path.first()) {
            subset.keep_part(source, ty, *value);
            return;
        }
        for &index in path.iter().skip(1) {
            ty = match btf.ty(ty) {
                Type::Struct(composite) | Type::Union(composite) => {
                    let Some(member) = composite.member(index as usize) else { return };
                    subset.keep_part(source, ty, index);
                    btf.resolve(member.ty)
                }
                Type::Array(array) => btf.resolve(array.element),
                _ => return,
            };
        }
    }
}

fn source(candidate: Candidate) -> usize {
    candidate.module.map_or(0, |module| module + 1)
}

fn resolve_all(
    objects: &[(&Btf, Vec<CoreRelo>)],
    target: &Target,
) -> Result<Vec<Vec<Resolution>>, MinimalError> {
    let mut all = Vec::with_capacity(objects.len());
    for (object, (local, relocations)) in objects.iter().enumerate() {
        let mut resolver = Resolver::new(local, target);
        let resolved = relocations.iter().enumerate().map(|(relocation, relo)| {
            resolver.resolve(relo).map_err(|error| MinimalError::Refused {
                object,
                relocation,
                error,
            })
        });
        all.push(resolved.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(all)
}

/// The relocations, by object and index, that are answered otherwise by
/// `small`.
fn differences(
    objects: &[(&Btf, Vec<CoreRelo>)],
    resolutions: &[Vec<Resolution>],
    small: Btf,
) -> Vec<(usize, usize)> {
    let target = Target::new(Arc::new(small));
    let mut differ = Vec::new();
    for (object, ((local, relocations), expected)) in objects.iter().zip(resolutions).enumerate() {
        let mut resolver = Resolver::new(local, &target);
        for (relocation, (relo, expected)) in relocations.iter().zip(expected).enumerate() {
            let same = resolver.resolve(relo).is_ok_and(|found| {
                if found.question == Question::TypeIdTarget {
                    found.matches.is_empty() == expected.matches.is_empty()
                } else {
                    found.answer == expected.answer
                }
            });
            if !same {
                differ.push((object, relocation));
            }
        }
    }
    differ
}

fn every(objects: &[(&Btf, Vec<CoreRelo>)]) -> Vec<(usize, usize)> {
    let all = objects.iter().enumerate();
    all.flat_map(|(object, (_, relocations))| (0..relocations.len()).map(move |at| (object, at)))
        .collect()
}

/// The walk over two types that match, along what the comparison looks at.
struct Matching<'m, 's, 'b> {
    local: &'m Btf,
    target: &'m Btf,
    source: usize,
    subset: &'s mut Subset<'b>,
    /// The pairs that were visited, and whether behind a pointer.
    seen: HashSet<(TypeId, TypeId, bool)>,
}

impl Matching<'_, '_, '_> {
    fn keep(&mut self, local: TypeId, target: TypeId, behind_pointer: bool) {
        let (local, target) = (self.local.resolve(local), self.target.resolve(target));
        if !self.seen.insert((local, target, behind_pointer)) {
            return;
        }
        match (self.local.ty(local), self.target.ty(target)) {
            (Type::Enum(one), Type::Enum(other)) => {
                let names: HashSet<_> = one.values().map(|own| essential_name(own.name)).collect();
                for (index, value) in other.values().enumerate() {
                    if names.contains(essential_name(value.name)) {
                        self.subset.keep_part(self.source, target, index as u32);
                    }
                }
            }
            (Type::Struct(one), Type::Struct(other)) | (Type::Union(one), Type::Union(other))
                if !behind_pointer =>
            {
                for member in one.members() {
                    for (index, candidate) in other.members().enumerate() {
                        if names_match(member.name, candidate.name) {
                            self.subset.keep_part(self.source, target, index as u32);
                            self.keep(member.ty, candidate.ty, false);
                        }
                    }
                }
            }
            (Type::Ptr(one), Type::Ptr(other)) => {
                self.subset.follow(self.source, target);
                self.keep(one, other, true);
            }
            (Type::Array(one), Type::Array(other)) => {
                self.keep(one.element, other.element, behind_pointer);
            }
            (Type::FuncProto(one), Type::FuncProto(other)) => {
                for (one, other) in one.params().zip(other.params()) {
                    self.keep(one.ty, other.ty, behind_pointer);
                }
                self.keep(one.returns, other.returns, behind_pointer);
            }
            _ => {}
        }
    }
}
