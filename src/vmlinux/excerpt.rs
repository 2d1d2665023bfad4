//! The part of a kernel's BTF that a pruned header can be made of.
//!
//! Reading all of a kernel's BTF, and naming all its types, costs several
//! times what writing a pruned header does. So the types that it may show are
//! copied out of an [`Outline`] first; the copy, a few per cent of the whole,
//! is BTF like any other, is read, checked and pruned as such, and gives the
//! header that the whole would give:
//!
//! - Types keep their order, and every type and enumerator that shares a name
//!   with one that is copied is there too, if only as a name: so all get the
//!   numbers behind their names that they have in the full header.
//! - Of a struct in part, the members that are not written keep their place,
//!   size and alignment; what they point to is left out.
//! - What is only pointed to or passed on is copied as a name.
//!
//! More than is needed does no harm. Whatever is odd (a circle, a number that
//! is no type's, old bit-fields, overlapping members) is an excuse: the caller
//! then reads the whole, which says what is wrong with it.

use super::layout::Layouts;
use super::prune::{Extent, Pruned, reach};
use super::words::Words;
use crate::btf::raw::{self, Record, Records};
use crate::btf::{Btf, Kind, Outline};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What is wanted of a type.
mod wants {
    /// Its name has to be there, and what is spelled out to mention it.
    pub const NAMED: u8 = 1;
    /// Its size and alignment have to be right.
    pub const SIZED: u8 = 2;
    /// It may be written out.
    pub const WRITTEN: u8 = 4;
}

/// The type that stands for all pointers nobody follows.
const POINTER: u32 = 1;
/// The number of the first copied type: before it come the pointer and an
/// enumeration that says whether enumerations know their signs.
const FIRST: u32 = 3;

/// How many qualifiers and typedefs are looked through.
const MAX_LINKS: usize = 128;

/// Why there is no excerpt: the whole BTF has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odd;

/// Copies what a header pruned to these words can show.
pub(super) fn excerpt(outline: &Outline, words: &Words) -> Result<Btf, Odd> {
    if outline.has_partial_ints() {
        return Err(Odd);
    }
    let (functions, tags) = functions(outline, words);
    let uses = |_, name: &[u8]| words.uses_with_any_number(name);
    let pruned = reach(outline, words, outline.named().iter().copied(), uses, &functions);
    let mut pick = Pick {
        outline,
        words,
        pruned: &pruned,
        wants: vec![0; outline.end() as usize],
        queue: Vec::new(),
        picked: Vec::new(),
    };
    for root in &pruned.roots {
        pick.want(root.0, wants::NAMED | wants::WRITTEN)?;
    }
    for id in functions.iter().chain(&tags) {
        pick.want(*id, wants::NAMED)?;
    }
    while let Some((id, added)) = pick.queue.pop() {
        pick.visit(id, added)?;
    }
    pick.add_namesakes()?;
    pick.copy()
}

/// The kernel functions that the words name, and the tags on them.
fn functions(outline: &Outline, words: &Words) -> (Vec<u32>, Vec<u32>) {
    let tagged = |value: &'static [u8]| {
        outline.tags().iter().filter_map(move |tag| {
            let record = outline.record(*tag)?;
            (outline.text(record.name) == value).then_some((*tag, record.third))
        })
    };
    let (mut functions, mut tags) = (Vec::new(), Vec::new());
    for (tag, func) in tagged(b"bpf_kfunc") {
        let Some(record) = outline.record(func) else { continue };
        if record.kind() == Kind::Func && words.has(outline.text(record.name)) {
            functions.push(func);
            tags.push(tag);
        }
    }
    functions.sort_unstable();
    functions.dedup();
    if !functions.is_empty() {
        let fast = tagged(b"bpf_fastcall");
        tags.extend(fast.filter(|(_, func)| functions.contains(func)).map(|(tag, _)| tag));
    }
    (functions, tags)
}

/// The types that are copied.
struct Pick<'p> {
    outline: &'p Outline,
    words: &'p Words,
    pruned: &'p Pruned<'p>,
    /// What is wanted of each type.
    wants: Vec<u8>,
    /// Types of which more is wanted than when they were looked at, and what.
    queue: Vec<(u32, u8)>,
    /// All of which something is wanted.
    picked: Vec<u32>,
}

/// How a struct or union is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Composite {
    /// As a name.
    Name,
    /// With members that nobody asks for.
    Opaque,
    /// With the members that are named, and others that nobody asks for.
    Part,
    /// As it is.
    Whole,
}

impl Pick<'_> {
    fn want(&mut self, id: u32, what: u8) -> Result<(), Odd> {
        if id == 0 {
            return Ok(());
        }
        let known = self.wants.get_mut(id as usize).ok_or(Odd)?;
        let added = what & !*known;
        if added != 0 {
            if *known == 0 {
                self.picked.push(id);
            }
            *known |= what;
            self.queue.push((id, added));
        }
        Ok(())
    }

    /// Wants what a type needs for what was newly wanted of it.
    fn visit(&mut self, id: u32, added: u8) -> Result<(), Odd> {
        let outline = self.outline;
        let record = outline.record(id).ok_or(Odd)?;
        let wanted = self.wants[id as usize];
        match record.kind() {
            Kind::Ptr => self.want(record.third, wants::NAMED)?,
            Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                self.want(record.third, added)?;
            }
            Kind::Array => {
                let [element, index, _] = raw::words(record.rest);
                self.want(index, wants::NAMED)?;
                if wanted & !wants::SIZED == 0 {
                    let element = self.opaque(element)?;
                    self.want(element, wants::SIZED)?;
                } else {
                    // C has no array of what is incomplete.
                    self.want(element, wants::NAMED | wants::SIZED | wants::WRITTEN)?;
                }
            }
            Kind::FuncProto => {
                self.want(record.third, wants::NAMED)?;
                for param in record.rest.as_chunks::<8>().0 {
                    self.want(raw::words::<2>(param)[1], wants::NAMED)?;
                }
            }
            Kind::Struct | Kind::Union => {
                let how = self.composite(id, record);
                if how == Composite::Name {
                    return Ok(());
                }
                for member in record.rest.as_chunks::<12>().0 {
                    let [_, ty, _] = raw::words(member);
                    if self.is_whole(how, record, member) {
                        self.want(ty, wants::NAMED | wants::SIZED | wants::WRITTEN)?;
                    } else {
                        let ty = self.opaque(ty)?;
                        self.want(ty, wants::SIZED)?;
                    }
                }
            }
            Kind::Func | Kind::DeclTag => self.want(record.third, wants::NAMED)?,
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 | Kind::Fwd => {}
            Kind::Void | Kind::Var | Kind::Datasec | Kind::Unknown => return Err(Odd),
        }
        Ok(())
    }

    /// How a struct is copied.
    fn composite(&self, id: u32, record: Record<'_>) -> Composite {
        let wanted = self.wants[id as usize];
        let is_mentioned = wanted & !wants::SIZED != 0;
        match self.pruned.extent(id) {
            Extent::Part if is_mentioned => Composite::Part,
            Extent::Whole if is_mentioned => Composite::Whole,
            // Without a name it is spelled out wherever it is mentioned.
            _ if wanted & wants::WRITTEN != 0 || record.name == 0 && is_mentioned => {
                Composite::Whole
            }
            _ if wanted & wants::SIZED != 0 => Composite::Opaque,
            _ => Composite::Name,
        }
    }

    /// Whether a member of a struct is copied as it is, or else as something of
    /// its size and alignment.
    fn is_whole(&self, how: Composite, record: Record<'_>, member: &[u8; 12]) -> bool {
        match how {
            Composite::Whole => true,
            Composite::Opaque | Composite::Name => false,
            // Bit-fields stay together.
            Composite::Part => {
                let [name, _, offset] = raw::words(member);
                let is_bits = record.kind_flag() && offset >> 24 != 0;
                name == 0 || is_bits || self.words.has(self.outline.text(name))
            }
        }
    }

    /// What has the size and alignment of a type: the type behind qualifiers
    /// and typedefs; 0 stands for any pointer.
    fn opaque(&self, id: u32) -> Result<u32, Odd> {
        let mut id = id;
        for _ in 0..MAX_LINKS {
            let record = self.outline.record(id).ok_or(Odd)?;
            match record.kind() {
                Kind::Ptr => return Ok(0),
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = record.third;
                }
                Kind::Int
                | Kind::Float
                | Kind::Enum
                | Kind::Enum64
                | Kind::Array
                | Kind::Struct
                | Kind::Union => return Ok(id),
                _ => return Err(Odd),
            }
        }
        Err(Odd)
    }

    /// Adds what has a name that something copied has.
    fn add_namesakes(&mut self) -> Result<(), Odd> {
        let outline = self.outline;
        let mut names = NameSet::new();
        for id in &self.picked {
            let record = outline.record(*id).ok_or(Odd)?;
            match record.kind() {
                Kind::Struct | Kind::Union | Kind::Fwd | Kind::Typedef | Kind::Func => {
                    names.add(outline.text(record.name));
                }
                kind @ (Kind::Enum | Kind::Enum64) => {
                    names.add(outline.text(record.name));
                    for value in values(kind, record) {
                        names.add(outline.text(raw::word(value)));
                    }
                }
                _ => {}
            }
        }
        for id in outline.named() {
            if self.wants[*id as usize] != 0 {
                continue;
            }
            let record = outline.record(*id).ok_or(Odd)?;
            let kind = record.kind();
            let is_namesake = names.has(outline.text(record.name))
                || kind.is_enum()
                    && values(kind, record).any(|value| names.has(outline.text(raw::word(value))));
            if is_namesake {
                self.picked.push(*id);
            }
        }
        self.picked.sort_unstable();
        Ok(())
    }

    /// Copies what is picked, and reads the copy.
    fn copy(&self) -> Result<Btf, Odd> {
        let outline = self.outline;
        let mut numbers = vec![0; outline.end() as usize];
        for (number, id) in (FIRST..).zip(&self.picked) {
            numbers[*id as usize] = number;
        }
        let number = |id: u32| numbers.get(id as usize).copied().ok_or(Odd);
        let opaque = |id: u32| match self.opaque(id)? {
            0 => Ok(POINTER),
            id => number(id),
        };
        let mut strings = Strings::new(outline);
        let signs = u32::from(outline.enums_have_signs()) << 31;
        let mut types = vec![0, info(Kind::Ptr), 0, 0, info(Kind::Enum) | signs, 4];
        let mut parts = Vec::new();
        for id in &self.picked {
            let record = outline.record(*id).ok_or(Odd)?;
            let wanted = self.wants[*id as usize];
            let kind = record.kind();
            types.push(strings.offset(record.name));
            types.extend([record.info, record.third]);
            let head = types.len();
            match kind {
                // A namesake.
                Kind::Typedef if wanted == 0 => types[head - 1] = 0,
                Kind::Ptr
                | Kind::Typedef
                | Kind::Const
                | Kind::Volatile
                | Kind::Restrict
                | Kind::TypeTag
                | Kind::Func => types[head - 1] = number(record.third)?,
                Kind::DeclTag => {
                    types[head - 1] = number(record.third)?;
                    types.push(raw::word(record.rest));
                }
                Kind::Array => {
                    let [element, index, count] = raw::words(record.rest);
                    let is_opaque = wanted & !wants::SIZED == 0;
                    let element = if is_opaque { opaque(element)? } else { number(element)? };
                    types.extend([element, number(index)?, count]);
                }
                Kind::FuncProto => {
                    types[head - 1] = number(record.third)?;
                    for param in record.rest.as_chunks::<8>().0 {
                        let [name, ty] = raw::words(param);
                        types.extend([strings.offset(name), number(ty)?]);
                    }
                }
                Kind::Struct | Kind::Union => match self.composite(*id, record) {
                    Composite::Name => {
                        types[head - 2] &= !0xff_ffff;
                        types[head - 1] = 0;
                    }
                    how => {
                        if how == Composite::Part {
                            parts.push(number(*id)?);
                        }
                        for member in record.rest.as_chunks::<12>().0 {
                            let [name, ty, offset] = raw::words(member);
                            let (name, ty) = match self.is_whole(how, record, member) {
                                true => (strings.offset(name), number(ty)?),
                                false if name == 0 => (0, opaque(ty)?),
                                false => (ANY_NAME, opaque(ty)?),
                            };
                            types.extend([name, ty, offset]);
                        }
                    }
                },
                Kind::Enum | Kind::Enum64 => {
                    for value in values(kind, record) {
                        types.push(strings.offset(raw::word(value)));
                        let rest = value.get(4..).unwrap_or_default().as_chunks::<4>().0;
                        types.extend(rest.iter().map(|word| u32::from_le_bytes(*word)));
                    }
                }
                Kind::Int => types.push(raw::word(record.rest)),
                Kind::Float | Kind::Fwd => {}
                Kind::Void | Kind::Var | Kind::Datasec | Kind::Unknown => return Err(Odd),
            }
        }
        let copy = Btf::parse(raw::assemble(&types, &strings.bytes)).map_err(|_| Odd)?;
        // A struct whose members overlap is written whole.
        let mut layouts = Layouts::new(&copy);
        match parts.into_iter().any(|id| layouts.of(&copy, id).overlaps) {
            true => Err(Odd),
            false => Ok(copy),
        }
    }
}

/// The second word of a record of a kind.
fn info(kind: Kind) -> u32 {
    (kind as u32) << 24
}

/// The enumerators of an enumeration, as they lie there.
fn values<'r>(kind: Kind, record: Record<'r>) -> impl Iterator<Item = &'r [u8]> {
    record.rest.chunks_exact(if kind == Kind::Enum { 8 } else { 12 })
}

/// A set of names that may say of a few others that they are in it, too.
struct NameSet(Vec<u64>);

impl NameSet {
    /// How many bits of a hash are looked at.
    const BITS: u32 = 20;

    fn new() -> Self {
        Self(vec![0; 1 << (Self::BITS - 6)])
    }

    fn place(name: &[u8]) -> (usize, u64) {
        let hash = raw::hash(name) >> (32 - Self::BITS);
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    fn add(&mut self, name: &[u8]) {
        // The empty name is nobody's.
        if !name.is_empty() {
            let (at, bit) = Self::place(name);
            self.0[at] |= bit;
        }
    }

    fn has(&self, name: &[u8]) -> bool {
        let (at, bit) = Self::place(name);
        self.0[at] & bit != 0
    }
}

/// The offset of the name that members have which nobody asks for: no word.
const ANY_NAME: u32 = 1;

/// The strings of the copy.
struct Strings<'o> {
    outline: &'o Outline,
    bytes: Vec<u8>,
    /// By the offset in the outline.
    known: HashMap<u32, u32, BuildHasherDefault<OffsetHasher>>,
}

impl<'o> Strings<'o> {
    fn new(outline: &'o Outline) -> Self {
        Self { outline, bytes: b"\0-\0".to_vec(), known: HashMap::default() }
    }

    fn offset(&mut self, name: u32) -> u32 {
        if name == 0 {
            return 0;
        }
        *self.known.entry(name).or_insert_with(|| {
            let offset = self.bytes.len() as u32;
            self.bytes.extend_from_slice(self.outline.text(name));
            self.bytes.push(0);
            offset
        })
    }
}

/// Hashes offsets of strings.
#[derive(Clone, Copy, Debug, Default)]
struct OffsetHasher(u64);

impl Hasher for OffsetHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
