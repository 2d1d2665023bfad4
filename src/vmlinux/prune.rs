//! What of a kernel's types a program uses.
//!
//! A compiler spends ten times longer on a whole vmlinux.h than on a program.
//! The pruned header has the types that the sources name and the types these
//! lead to, and of structs that are only pointed to it has the members that
//! are named somewhere, with padding for the others. The rules err on the
//! side of more:
//!
//! 1. A typedef, an enumeration's tag, an enumerator or a kernel function
//!    that is named is there.
//! 2. A struct whose tag is named is there: *whole*, if somewhere more is
//!    done with it than pointing to it (a variable, `sizeof`, a macro's
//!    argument); else *in part*.
//! 3. Of a struct in part, the members are there whose names occur anywhere
//!    in the sources; of one with a named bit-field, all bit-fields, because
//!    clang reads neighbours together.
//! 4. A named member's type is followed, through pointers, arrays and
//!    typedefs (`ctx->meta->seq`): the struct it comes to is there in part.
//!    What a whole struct contains by value is whole.
//!
//! Whatever cannot be seen this way (`a##b`) is an error of the compiler with
//! the pruned header, and the caller then takes the full one. A struct in
//! part keeps size, alignment and every remaining offset; instructions and
//! maps come out the same. CO-RE relocations name the same members by other
//! indices.

use super::cname::Names;
use super::layout::{Field, fields};
use super::words::Words;
use crate::btf::{Btf, Kind, TypeId, raw};
use std::borrow::Cow;

/// How much of a type is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// Nothing.
    None,
    /// The members that are named.
    Part,
    /// All members, and whole what they contain.
    Whole,
}

/// The outcome: how much of each type is there.
pub(super) struct Pruned<'p> {
    words: &'p Words,
    extents: Vec<Extent>,
    /// The types that are written, in order of their numbers.
    pub roots: Vec<TypeId>,
}

/// Finds what the words lead to. `functions` are the kernel functions that
/// may be called.
pub(super) fn prune<'p>(
    btf: &Btf,
    names: &Names<'_>,
    words: &'p Words,
    functions: &[TypeId],
) -> Pruned<'p> {
    let mut pruned =
        Pruned { words, extents: vec![Extent::None; btf.len() as usize], roots: Vec::new() };
    let mut queue = Vec::new();
    let named = |kind: Kind| kind.is_composite() || kind.is_enum() || kind == Kind::Typedef;
    for id in raw::ids_of(btf, named) {
        pruned.seed(btf, names, id, &mut queue);
    }
    for func in functions {
        let Some(record) = raw::record(btf, func.0) else { continue };
        let Some(proto) = raw::record(btf, record.third) else { continue };
        pruned.follow(btf, proto.third, Extent::Part, &mut queue);
        for param in proto.rest.chunks_exact(8) {
            pruned.follow(btf, raw::words::<2>(param)[1], Extent::Part, &mut queue);
        }
    }
    while let Some(id) = queue.pop() {
        pruned.visit(btf, id, &mut queue);
    }
    // A struct that was only reached is a root too: it is mentioned behind
    // pointers, which alone would leave it incomplete.
    let reached = raw::ids_of(btf, Kind::is_composite).filter(|id| {
        pruned.extents[*id as usize] != Extent::None
            && raw::record(btf, *id).is_some_and(|record| record.name != 0)
    });
    pruned.roots.extend(reached.map(TypeId));
    pruned.roots.sort_unstable();
    pruned.roots.dedup();
    pruned
}

impl Pruned<'_> {
    /// Takes in a type that a word names.
    fn seed(&mut self, btf: &Btf, names: &Names<'_>, id: u32, queue: &mut Vec<u32>) {
        let Some(record) = raw::record(btf, id) else { return };
        let name = || {
            let name = raw::bytes(btf, record.name);
            match names.suffix(id) {
                None => Cow::Borrowed(name),
                Some(suffix) => Cow::Owned([name, format!("___{suffix}").as_bytes()].concat()),
            }
        };
        match record.kind() {
            Kind::Struct | Kind::Union if record.name != 0 => {
                let name = name();
                if self.words.has_whole_tag(&name) {
                    self.raise(id, Extent::Whole, queue);
                } else if self.words.has_tag(&name) {
                    self.raise(id, Extent::Part, queue);
                }
            }
            kind @ (Kind::Enum | Kind::Enum64) => {
                // An enumerator of a name that came before has a number
                // behind it, which counts as the plain name here.
                let size = if kind == Kind::Enum { 8 } else { 12 };
                let named = |value: &[u8]| self.words.has(raw::bytes(btf, raw::word(value)));
                if record.name != 0 && self.words.has_tag(&name())
                    || record.rest.chunks_exact(size).any(named)
                {
                    self.roots.push(TypeId(id));
                }
            }
            Kind::Typedef => {
                let name = name();
                if !self.words.has_typedef(&name) {
                    return;
                }
                self.roots.push(TypeId(id));
                let whole = self.words.has_whole(&name);
                let extent = if whole { Extent::Whole } else { Extent::Part };
                self.follow(btf, record.third, extent, queue);
            }
            _ => {}
        }
    }

    /// Follows a type to the struct it comes to: by value with the same
    /// extent, through a pointer in part.
    fn follow(&mut self, btf: &Btf, id: u32, extent: Extent, queue: &mut Vec<u32>) {
        let (mut id, mut extent) = (id, extent);
        while let Some(record) = raw::record(btf, id) {
            match record.kind() {
                Kind::Ptr => {
                    extent = Extent::Part;
                    id = record.third;
                }
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = record.third;
                }
                Kind::Array => id = raw::word(record.rest),
                Kind::Struct | Kind::Union => return self.raise(id, extent, queue),
                _ => return,
            }
        }
    }

    fn raise(&mut self, id: u32, extent: Extent, queue: &mut Vec<u32>) {
        let known = &mut self.extents[id as usize];
        if *known < extent {
            *known = extent;
            queue.push(id);
        }
    }

    fn visit(&mut self, btf: &Btf, id: u32, queue: &mut Vec<u32>) {
        let extent = self.extents[id as usize];
        let all: Vec<Field> = fields(btf, id).collect();
        for field in all {
            let is_named = field.name == 0 || self.words.has(raw::bytes(btf, field.name));
            let is_contained = extent == Extent::Whole && !is_pointer(btf, field.ty);
            if is_named || is_contained {
                self.follow(btf, field.ty, extent, queue);
            }
        }
    }

    /// How much of a type is there.
    pub fn extent(&self, id: u32) -> Extent {
        self.extents[id as usize]
    }

    /// The members that are there of a struct in part.
    pub fn fields(&self, btf: &Btf, id: u32) -> Vec<Field> {
        let all: Vec<Field> = fields(btf, id).collect();
        let named: Vec<bool> = all.iter().map(|field| self.keeps(btf, field)).collect();
        let bits = all.iter().zip(&named).any(|(field, named)| *named && field.width.is_some());
        let kept = all.into_iter().zip(named);
        kept.filter(|(field, named)| *named || bits && field.width.is_some())
            .map(|(field, _)| field)
            .collect()
    }

    fn keeps(&self, btf: &Btf, field: &Field) -> bool {
        if field.name != 0 {
            return self.words.has(raw::bytes(btf, field.name));
        }
        // An anonymous struct with nothing of interest in it is padding.
        let id = btf.resolve(TypeId(field.ty)).0;
        self.extent(id) == Extent::Whole || fields(btf, id).any(|inner| self.keeps(btf, &inner))
    }
}

/// Whether a member's type is behind a pointer.
fn is_pointer(btf: &Btf, id: u32) -> bool {
    let mut id = btf.resolve(TypeId(id));
    while btf.kind(id) == Kind::Array {
        let element = raw::record(btf, id.0).map_or(0, |record| raw::word(record.rest));
        id = btf.resolve(TypeId(element));
    }
    btf.kind(id) == Kind::Ptr
}
