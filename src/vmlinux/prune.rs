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
use super::words::{Uses, Words};
use crate::btf::raw::{self, Record, Records};
use crate::btf::{Btf, Kind, TypeId};

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
    let named = |kind: Kind| kind.is_composite() || kind.is_enum() || kind == Kind::Typedef;
    let uses = |id: u32, name: &[u8]| match names.suffix(id) {
        None => words.uses(name),
        Some(suffix) => words.uses(&[name, format!("___{suffix}").as_bytes()].concat()),
    };
    let functions: Vec<u32> = functions.iter().map(|func| func.0).collect();
    reach(btf, words, raw::ids_of(btf, named), uses, &functions)
}

/// [`prune`] for records that nothing is known of, which `uses` may know by
/// other names: `candidates` are the types that may be named.
pub(super) fn reach<'p, R: Records>(
    records: &R,
    words: &'p Words,
    candidates: impl Iterator<Item = u32>,
    uses: impl Fn(u32, &[u8]) -> Uses,
    functions: &[u32],
) -> Pruned<'p> {
    let mut reach = Reach {
        records,
        words,
        extents: vec![Extent::None; records.end() as usize],
        roots: Vec::new(),
        queue: Vec::new(),
    };
    for id in candidates {
        if let Some(record) = records.record(id) {
            reach.seed(id, record, &uses);
        }
    }
    for func in functions {
        let Some(record) = records.record(*func) else { continue };
        let Some(proto) = records.record(record.third) else { continue };
        reach.follow(proto.third, Extent::Part);
        for param in proto.rest.chunks_exact(8) {
            reach.follow(raw::words::<2>(param)[1], Extent::Part);
        }
    }
    while let Some(id) = reach.queue.pop() {
        reach.visit(id);
    }
    let Reach { extents, mut roots, .. } = reach;
    roots.sort_unstable();
    roots.dedup();
    Pruned { words, extents, roots }
}

/// The walk from the types that are named to all they lead to.
struct Reach<'r, R> {
    records: &'r R,
    words: &'r Words,
    extents: Vec<Extent>,
    roots: Vec<TypeId>,
    /// Structs and unions whose members have to be followed.
    queue: Vec<u32>,
}

/// How many links are followed from one type to a struct. In BTF that was
/// checked no chain is as long.
const MAX_LINKS: usize = 1024;

impl<R: Records> Reach<'_, R> {
    /// Takes in a type that a word names.
    fn seed(&mut self, id: u32, record: Record<'_>, uses: &impl Fn(u32, &[u8]) -> Uses) {
        let uses = || uses(id, self.records.text(record.name));
        match record.kind() {
            Kind::Struct | Kind::Union if record.name != 0 => {
                let uses = uses();
                if uses.whole_tag() {
                    self.raise(id, record, Extent::Whole);
                } else if uses.tag() {
                    self.raise(id, record, Extent::Part);
                }
            }
            kind @ (Kind::Enum | Kind::Enum64) => {
                // An enumerator of a name that came before has a number
                // behind it, which counts as the plain name here.
                let size = if kind == Kind::Enum { 8 } else { 12 };
                let named = |value: &[u8]| self.words.has(self.records.text(raw::word(value)));
                if record.name != 0 && uses().tag() || record.rest.chunks_exact(size).any(named) {
                    self.roots.push(TypeId(id));
                }
            }
            Kind::Typedef => {
                let uses = uses();
                if !uses.typedef() {
                    return;
                }
                self.roots.push(TypeId(id));
                let extent = if uses.whole() { Extent::Whole } else { Extent::Part };
                self.follow(record.third, extent);
            }
            _ => {}
        }
    }

    /// Follows a type to the struct it comes to: by value with the same
    /// extent, through a pointer in part.
    fn follow(&mut self, id: u32, extent: Extent) {
        let (mut id, mut extent) = (id, extent);
        for _ in 0..MAX_LINKS {
            let Some(record) = self.records.record(id) else { return };
            match record.kind() {
                Kind::Ptr => {
                    extent = Extent::Part;
                    id = record.third;
                }
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = record.third;
                }
                Kind::Array => id = raw::word(record.rest),
                Kind::Struct | Kind::Union => return self.raise(id, record, extent),
                _ => return,
            }
        }
    }

    fn raise(&mut self, id: u32, record: Record<'_>, extent: Extent) {
        let known = &mut self.extents[id as usize];
        // A struct that was only reached is a root too: it is mentioned
        // behind pointers, which alone would leave it incomplete.
        if *known == Extent::None && record.name != 0 {
            self.roots.push(TypeId(id));
        }
        if *known < extent {
            *known = extent;
            self.queue.push(id);
        }
    }

    fn visit(&mut self, id: u32) {
        let extent = self.extents[id as usize];
        let records = self.records;
        let Some(record) = records.record(id) else { return };
        for member in record.rest.as_chunks::<12>().0 {
            let [name, ty, _] = raw::words(member);
            let is_named = name == 0 || self.words.has(records.text(name));
            if is_named || extent == Extent::Whole && !self.is_pointer(ty) {
                self.follow(ty, extent);
            }
        }
    }

    /// Whether a member's type is behind a pointer.
    fn is_pointer(&self, id: u32) -> bool {
        let mut id = id;
        for _ in 0..MAX_LINKS {
            let Some(record) = self.records.record(id) else { return false };
            match record.kind() {
                Kind::Ptr => return true,
                Kind::Array => id = raw::word(record.rest),
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = record.third;
                }
                _ => return false,
            }
        }
        false
    }
}

impl Pruned<'_> {
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
