//! The index over BTF's bytes, and the checks that make every later walk end.
//!
//! Two relations between types must have no cycle and no long path:
//!
//! - *containment*: a struct contains its members, an array its elements, a
//!   typedef or qualifier what it stands for. A cycle here has no size.
//! - *spelling*: what has to be written out to write a type in C. A pointer's
//!   target, a function's parameters and an anonymous struct's members are
//!   spelled out; a named struct, union or enumeration is only named. A cycle
//!   here (a pointer to itself) cannot be written.
//!
//! Both are checked by a depth-first walk that visits each type once and goes
//! no deeper than [`MAX_DEPTH`].

use super::header::Header;
use super::names::Names;
use super::types::{
    Array, Composite, DeclTag, Enum, FuncProto, Int, Kind, Linkage, Sec, Type, TypeId, Var, words,
};
use super::{Endian, Error};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The longest chain of types that contain one another, or that have to be
/// spelled out inside one another. The deepest in a kernel has about 20.
pub const MAX_DEPTH: u8 = 128;

/// How many types may be spelled out inside one type. Anonymous structs that
/// are shared can double the text with every level; the largest in a kernel
/// has some hundreds.
const MAX_SPELLED: u32 = 1 << 20;

/// Stands for the size of what has none; nothing may be as large.
const UNSIZED: u32 = u32::MAX;

/// The largest number of types; the kernel's own limit is smaller.
const MAX_TYPES: usize = 1 << 26;

/// BTF: an index over its bytes. Cheap to share behind an [`Arc`].
#[derive(Debug)]
pub struct Btf {
    /// The bytes, with the words of the type section in little-endian order.
    pub(super) data: Vec<u8>,
    pub(super) endian: Endian,
    pub(super) strings: Range<usize>,
    /// Where in `data` each own type's record begins.
    offsets: Vec<u32>,
    /// The size of the elements of kinds this reader does not know.
    end_of_types: u32,
    /// The alignment of each own type, as a power of two.
    aligns: Vec<u8>,
    /// The size of each own type in bytes; `UNSIZED` if it has none.
    sizes: Vec<u32>,
    /// Whether an integer uses only some of its bits, as bit-fields had it
    /// before kind_flag.
    has_partial_ints: bool,
    /// The number of the first own type.
    first: u32,
    /// How many bytes of strings the base has.
    pub(super) base_strings: u32,
    pub(super) base: Option<Arc<Btf>>,
    pub(super) names: OnceLock<Names>,
}

/// Sizes of the records of a kind: what follows the three words every type
/// begins with, and what follows once per element.
#[derive(Clone, Copy)]
struct Layout {
    info: u32,
    element: u32,
}

impl Layout {
    fn of(kind: Kind) -> Self {
        let (info, element) = match kind {
            Kind::Int | Kind::Var | Kind::DeclTag => (4, 0),
            Kind::Array => (12, 0),
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => (0, 12),
            Kind::Enum | Kind::FuncProto => (0, 8),
            _ => (0, 0),
        };
        Self { info, element }
    }
}

/// A record as it lies there.
#[derive(Clone, Copy)]
pub(crate) struct Record<'b> {
    pub name: u32,
    pub info: u32,
    /// Size or type.
    pub third: u32,
    /// All that follows the first three words.
    pub rest: &'b [u8],
}

impl Record<'_> {
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::of(self.info)
    }

    #[inline]
    pub fn kind_flag(&self) -> bool {
        self.info >> 31 == 1
    }
}

impl Btf {
    /// Reads BTF that stands on its own.
    ///
    /// # Errors
    /// If the bytes are not BTF, or damaged; see [`Error`].
    pub fn parse(data: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::read(data.into(), None)
    }

    /// Reads split BTF, which continues the types and strings of `base`: a
    /// kernel module's over its kernel's.
    ///
    /// # Errors
    /// As [`Btf::parse`].
    pub fn parse_split(data: impl Into<Vec<u8>>, base: Arc<Self>) -> Result<Self, Error> {
        Self::read(data.into(), Some(base))
    }

    fn read(mut data: Vec<u8>, base: Option<Arc<Self>>) -> Result<Self, Error> {
        let header = Header::read(&data)?;
        if data.len() > u32::MAX as usize {
            return Err(Error::Header("it is larger than 4 GiB"));
        }
        if header.endian == Endian::Big {
            for word in data[header.types.clone()].as_chunks_mut::<4>().0 {
                word.reverse();
            }
        }
        let base_strings = base.as_ref().map_or(0, |base| base.strings_end());
        let mut btf = Self {
            endian: header.endian,
            strings: header.strings.clone(),
            offsets: Vec::new(),
            end_of_types: header.types.end as u32,
            aligns: Vec::new(),
            sizes: Vec::new(),
            has_partial_ints: base.as_ref().is_some_and(|base| base.has_partial_ints),
            first: base.as_ref().map_or(1, |base| base.len()),
            base_strings,
            base,
            names: OnceLock::new(),
            data,
        };
        btf.check_strings()?;
        btf.index(&header)?;
        let count = btf.offsets.len();
        let mut checker = Checker {
            btf: &btf,
            depths: vec![0; count],
            aligns: vec![0; count],
            sizes: vec![UNSIZED; count],
        };
        let all = btf.first..btf.len();
        for id in all.clone() {
            checker.contain(id, 0)?;
        }
        let Checker { mut depths, aligns, sizes, .. } = checker;
        depths.fill(0);
        let mut speller = Speller { btf: &btf, depths, weights: vec![0; count] };
        for id in all {
            // Nothing is spelled with a function or a variable in it, and
            // their own types are visited as types.
            let kind = btf.record(id).map(|record| record.kind());
            if !matches!(kind, Some(Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag)) {
                speller.spell(id, 0)?;
            }
        }
        btf.aligns = aligns;
        btf.sizes = sizes;
        Ok(btf)
    }

    fn check_strings(&self) -> Result<(), Error> {
        let strings = &self.data[self.strings.clone()];
        match (strings.first(), strings.last()) {
            // Split BTF may have no string of its own.
            (None, None) if self.base.is_some() => Ok(()),
            (None, _) | (_, None) => Err(Error::Header("it has no strings")),
            (_, Some(last)) if *last != 0 => Err(Error::Header("the last string does not end")),
            (Some(first), _) if self.base.is_none() && *first != 0 => {
                Err(Error::Header("the first string is not the empty one"))
            }
            _ => Ok(()),
        }
    }

    /// Finds where each record begins, and checks what can be checked by
    /// looking at one record.
    fn index(&mut self, header: &Header) -> Result<(), Error> {
        let types = &self.data[header.types.clone()];
        let layouts = &self.data[header.layout.clone()];
        // A record has about 24 bytes on average.
        let mut offsets = Vec::with_capacity(types.len() / 24);
        let ascii = std::str::from_utf8(&self.data[self.strings.clone()]).is_ok();
        let mut at = 0;
        let mut partial = false;
        while at < types.len() {
            let id = self.first as usize + offsets.len();
            let Some(record) = types.get(at..at + 12) else {
                return Err(self.cut("the last type", header.types.start + at + 12));
            };
            let [name, info, third] = words(record);
            let (kind, count) = (Kind::of(info), info & 0xff_ffff);
            if id > MAX_TYPES {
                return Err(Error::Header("it has too many types"));
            }
            let layout = match kind {
                Kind::Void => return Err(Error::ty(id as u32, "has no kind")),
                Kind::Unknown => {
                    let number = (info >> 24 & 0x7f) as usize;
                    match layouts.get(number * 4..number * 4 + 4) {
                        Some(layout) => {
                            Layout { info: layout[0].into(), element: layout[1].into() }
                        }
                        None => {
                            let what = format!("has the kind {number}, which is not known");
                            return Err(Error::ty(id as u32, what));
                        }
                    }
                }
                kind => Layout::of(kind),
            };
            let size = 12 + u64::from(layout.info) + u64::from(layout.element) * u64::from(count);
            let end = at as u64 + size;
            if end > types.len() as u64 {
                let needed = header.types.start as u64 + end;
                let present = header.types.end as u64;
                return Err(Error::Truncated { what: "a type's list", needed, present });
            }
            if !size.is_multiple_of(4) {
                return Err(Error::ty(id as u32, "has a size that is not a multiple of 4"));
            }
            self.check_name(id as u32, name, ascii)?;
            let rest = &types[at + 12..end as usize];
            match kind {
                Kind::Int => {
                    let [encoding] = words(rest);
                    partial |=
                        encoding & 0xff != third.saturating_mul(8) || encoding >> 16 & 0xff != 0;
                }
                Kind::Struct | Kind::Union | Kind::Enum64 => {
                    for element in rest.chunks_exact(12) {
                        self.check_name(id as u32, words::<1>(element)[0], ascii)?;
                    }
                }
                Kind::Enum | Kind::FuncProto => {
                    for element in rest.chunks_exact(8) {
                        self.check_name(id as u32, words::<1>(element)[0], ascii)?;
                    }
                }
                _ => {}
            }
            offsets.push((header.types.start + at) as u32);
            at = end as usize;
        }
        self.offsets = offsets;
        self.has_partial_ints |= partial;
        Ok(())
    }

    fn cut(&self, what: &'static str, needed: usize) -> Error {
        Error::Truncated { what, needed: needed as u64, present: self.data.len() as u64 }
    }

    #[inline]
    fn check_name(&self, id: u32, name: u32, ascii: bool) -> Result<(), Error> {
        if name == 0 {
            return Ok(());
        }
        let own = name.wrapping_sub(self.base_strings) as usize;
        match self.data[self.strings.clone()].get(own) {
            Some(first) if *first != 0 && ascii => Ok(()),
            _ => self.check_odd_name(id, name),
        }
    }

    /// Checks a name that is the base's, or not plainly right.
    fn check_odd_name(&self, id: u32, name: u32) -> Result<(), Error> {
        if name >= self.strings_end() {
            return Err(Error::ty(id, format!("has a name at {name}, past the last string")));
        }
        if self.starts_empty(name) {
            return Err(Error::ty(id, format!("has an empty name at {name}")));
        }
        if std::str::from_utf8(self.bytes_of(name)).is_err() {
            return Err(Error::ty(id, "has a name that is not text"));
        }
        Ok(())
    }

    fn starts_empty(&self, name: u32) -> bool {
        match name.checked_sub(self.base_strings) {
            Some(own) => self.data[self.strings.start + own as usize] == 0,
            None => self.base.as_ref().is_some_and(|base| base.starts_empty(name)),
        }
    }

    /// One past the last string offset, the base's strings counted.
    pub(super) fn strings_end(&self) -> u32 {
        self.base_strings.saturating_add(self.strings.len() as u32)
    }

    /// One past the last type's number: `void`, the base's types and the own.
    #[expect(clippy::len_without_is_empty, reason = "void is always there")]
    pub fn len(&self) -> u32 {
        self.first + self.offsets.len() as u32
    }

    /// The number of the first type that is not the base's; 1 without a base.
    pub fn first_own(&self) -> TypeId {
        TypeId(self.first)
    }

    /// The BTF this one continues.
    pub fn base(&self) -> Option<&Arc<Self>> {
        self.base.as_ref()
    }

    /// The own bytes; those of the types in little-endian order, whatever they
    /// were in.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The byte order of the machine it describes.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// Every type but `void`, the base's first.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = TypeId> + use<> {
        (1..self.len()).map(TypeId)
    }

    /// Whether there is a type with this number.
    pub fn contains(&self, id: TypeId) -> bool {
        id.0 < self.len()
    }

    #[inline]
    pub(super) fn record(&self, id: u32) -> Option<Record<'_>> {
        if id < self.first {
            return self.base.as_ref().and_then(|base| base.record(id));
        }
        let bytes = self.record_bytes(id)?;
        let [name, info, third] = words(bytes);
        Some(Record { name, info, third, rest: bytes.get(12..)? })
    }

    /// The bytes of an own type's record.
    #[inline]
    pub(super) fn record_bytes(&self, id: u32) -> Option<&[u8]> {
        let index = id.checked_sub(self.first)? as usize;
        let start = *self.offsets.get(index)? as usize;
        let end = *self.offsets.get(index + 1).unwrap_or(&self.end_of_types) as usize;
        self.data.get(start..end)
    }

    /// The type with this number, or nothing if there is none.
    pub fn get(&self, id: TypeId) -> Option<Type<'_>> {
        if id == TypeId::VOID {
            return Some(Type::Void);
        }
        let record = self.record(id.0)?;
        let Record { third, rest, .. } = record;
        let target = TypeId(third);
        let flag = record.kind_flag();
        let name = || self.str(record.name);
        Some(match record.kind() {
            Kind::Void => Type::Void,
            Kind::Int => {
                let [encoding] = words(rest);
                Type::Int(Int {
                    name: name(),
                    size: third,
                    bits: encoding as u8,
                    offset: (encoding >> 16) as u8,
                    is_signed: encoding >> 24 & 1 != 0,
                    is_char: encoding >> 24 & 2 != 0,
                    is_bool: encoding >> 24 & 4 != 0,
                })
            }
            Kind::Ptr => Type::Ptr(target),
            Kind::Array => {
                let [element, index, count] = words(rest);
                Type::Array(Array { element: TypeId(element), index: TypeId(index), count })
            }
            Kind::Struct => Type::Struct(self.composite(record)),
            Kind::Union => Type::Union(self.composite(record)),
            kind @ (Kind::Enum | Kind::Enum64) => Type::Enum(Enum {
                name: name(),
                size: third,
                is_signed: flag,
                is_64: kind == Kind::Enum64,
                values: rest,
                btf: self,
            }),
            Kind::Fwd => Type::Fwd { name: name(), is_union: flag },
            Kind::Typedef => Type::Typedef { name: name(), target },
            Kind::Volatile => Type::Volatile(target),
            Kind::Const => Type::Const(target),
            Kind::Restrict => Type::Restrict(target),
            Kind::Func => Type::Func {
                name: name(),
                proto: target,
                linkage: Linkage::of(record.info & 0xffff).unwrap_or(Linkage::Static),
            },
            Kind::FuncProto => {
                Type::FuncProto(FuncProto { returns: target, params: rest, btf: self })
            }
            Kind::Var => Type::Var(Var {
                name: name(),
                ty: target,
                linkage: Linkage::of(words::<1>(rest)[0]).unwrap_or(Linkage::Static),
            }),
            Kind::Datasec => Type::Datasec(Sec { name: name(), size: third, items: rest }),
            Kind::Float => Type::Float { name: name(), size: third },
            Kind::DeclTag => {
                let [component] = words(rest);
                Type::DeclTag(DeclTag {
                    value: name(),
                    target,
                    component: (component != u32::MAX).then_some(component),
                    is_attribute: flag,
                })
            }
            Kind::TypeTag => Type::TypeTag { value: name(), target, is_attribute: flag },
            Kind::Unknown => Type::Unknown,
        })
    }

    fn composite<'b>(&'b self, record: Record<'b>) -> Composite<'b> {
        Composite {
            name: self.str(record.name),
            size: record.third,
            kind_flag: record.kind_flag(),
            members: record.rest,
            btf: self,
        }
    }

    /// The type with this number. A number that this BTF does not have reads
    /// as `void`: use [`Btf::get`] for numbers that come from elsewhere.
    pub fn ty(&self, id: TypeId) -> Type<'_> {
        self.get(id).unwrap_or(Type::Void)
    }

    /// The struct or union with this number, if it is one.
    pub fn as_composite(&self, id: TypeId) -> Option<Composite<'_>> {
        match self.get(id)? {
            Type::Struct(composite) | Type::Union(composite) => Some(composite),
            _ => None,
        }
    }

    /// The kind of a type; `void` for a number this BTF does not have.
    #[inline]
    pub fn kind(&self, id: TypeId) -> Kind {
        self.record(id.0).map_or(Kind::Void, |record| record.kind())
    }

    /// The name of a type; empty if it has none.
    pub fn name(&self, id: TypeId) -> &str {
        self.record(id.0).map_or("", |record| self.str(record.name))
    }

    /// The string at an offset, if it is there and is text.
    pub fn string(&self, offset: u32) -> Option<&str> {
        (offset < self.strings_end()).then(|| std::str::from_utf8(self.bytes_of(offset)).ok())?
    }

    /// The string at an offset with what is not UTF-8 replaced: lines of
    /// source may be in any encoding. Empty if there is none.
    pub fn string_lossy(&self, offset: u32) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes_of(offset))
    }

    /// A name whose offset was checked when the BTF was read.
    #[inline]
    pub(super) fn str(&self, offset: u32) -> &str {
        std::str::from_utf8(self.bytes_of(offset)).unwrap_or_default()
    }

    /// The bytes of the string at an offset, without its end; empty if there
    /// is none.
    #[inline]
    pub(crate) fn bytes_of(&self, offset: u32) -> &[u8] {
        if offset < self.base_strings {
            return self.base.as_ref().map_or(&[], |base| base.bytes_of(offset));
        }
        let strings = &self.data[self.strings.clone()];
        let rest = strings.get((offset - self.base_strings) as usize..).unwrap_or_default();
        &rest[..length(rest)]
    }

    /// The offset in bits and, for a bit-field, the width that a member's
    /// third word stands for.
    #[inline]
    pub(super) fn member_bits(&self, kind_flag: bool, ty: u32, offset: u32) -> (u32, Option<u8>) {
        if kind_flag {
            let width = (offset >> 24) as u8;
            return (offset & 0xff_ffff, (width != 0).then_some(width));
        }
        if !self.has_partial_ints {
            return (offset, None);
        }
        // Before kind_flag, a bit-field had an integer type of its own with
        // fewer bits than its size holds.
        match self.resolve_record(ty) {
            Some(record) if record.kind() == Kind::Int => {
                let [encoding] = words(record.rest);
                let (shift, bits) = (encoding >> 16 & 0xff, encoding as u8);
                if u32::from(bits) == record.third.saturating_mul(8) || bits == 0 {
                    (offset, None)
                } else {
                    (offset.saturating_add(shift), Some(bits))
                }
            }
            _ => (offset, None),
        }
    }

    fn resolve_record(&self, mut id: u32) -> Option<Record<'_>> {
        for _ in 0..=MAX_DEPTH {
            let record = self.record(id)?;
            match record.kind() {
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = record.third;
                }
                _ => return Some(record),
            }
        }
        None
    }

    /// The type behind qualifiers and type tags.
    pub fn skip_modifiers(&self, mut id: TypeId) -> TypeId {
        while let Some(record) = self.record(id.0) {
            if !record.kind().is_modifier() {
                break;
            }
            id = TypeId(record.third);
        }
        id
    }

    /// The type behind qualifiers, type tags and typedefs.
    pub fn resolve(&self, mut id: TypeId) -> TypeId {
        while let Some(record) = self.record(id.0) {
            if !record.kind().is_modifier() && record.kind() != Kind::Typedef {
                break;
            }
            id = TypeId(record.third);
        }
        id
    }

    /// The size in bytes, or nothing for what has none: `void`, functions,
    /// forward declarations. A flexible array has size 0.
    #[inline]
    pub fn size(&self, id: TypeId) -> Option<u64> {
        match id.0.checked_sub(self.first) {
            Some(own) => match self.sizes.get(own as usize) {
                None | Some(&UNSIZED) => None,
                Some(size) => Some((*size).into()),
            },
            None => self.base.as_ref().and_then(|base| base.size(id)),
        }
    }

    /// The size of a pointer in bytes, on BPF and on every machine whose
    /// kernels come with BTF that skep is for.
    pub fn pointer_size(&self) -> u64 {
        8
    }

    /// The alignment in bytes that a type's own members ask for; 1 for a
    /// struct with a member that is not aligned, and for what has no size.
    /// Attributes like `aligned(64)` leave no trace in BTF but offsets.
    pub fn align(&self, id: TypeId) -> u64 {
        if id.0 < self.first {
            return self.base.as_ref().map_or(1, |base| base.align(id));
        }
        1 << self.aligns.get(id.index() - self.first as usize).copied().unwrap_or(0)
    }

    /// The types of one kind with a name, in order of their numbers. Names of
    /// split BTF come after its base's.
    pub fn find_all<'b>(
        &'b self,
        kind: Kind,
        name: &'b str,
    ) -> impl Iterator<Item = TypeId> + use<'b> {
        self.named(name).filter(move |id| self.kind(*id) == kind)
    }

    /// The first type of one kind with a name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<TypeId> {
        let base = self.base.as_ref().and_then(|base| base.find(kind, name));
        base.or_else(|| {
            self.names
                .get_or_init(|| Names::of(self))
                .find(self, name.as_bytes())
                .find(|id| self.kind(*id) == kind)
        })
    }

    /// The types with a name, of any kind, in order of their numbers.
    pub fn named<'b>(&'b self, name: &'b str) -> Box<dyn Iterator<Item = TypeId> + 'b> {
        let own = self.names.get_or_init(|| Names::of(self)).find(self, name.as_bytes());
        match &self.base {
            Some(base) => Box::new(base.named(name).chain(own)),
            None => Box::new(own),
        }
    }

    pub(super) fn has_string(&self, offset: u32) -> bool {
        offset < self.strings_end()
    }
}

/// How many bytes come before the first zero byte, eight at a time; 0 if there
/// is none.
#[inline]
fn length(bytes: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let chunk = u64::from_le_bytes(*chunk);
        // The lowest bit set is at the first zero byte.
        let zeros = chunk.wrapping_sub(LOW) & !chunk & HIGH;
        if zeros != 0 {
            return index * 8 + zeros.trailing_zeros() as usize / 8;
        }
    }
    match rest.iter().position(|byte| *byte == 0) {
        Some(end) => chunks.len() * 8 + end,
        None => 0,
    }
}

/// The walk along containment.
struct Checker<'b> {
    btf: &'b Btf,
    /// 0: not visited; `BUSY`: being visited; else depth + 1.
    depths: Vec<u8>,
    aligns: Vec<u8>,
    sizes: Vec<u32>,
}

/// What is known of a type that was checked.
#[derive(Clone, Copy)]
struct Extent {
    depth: u8,
    /// As a power of two.
    align: u8,
    size: u32,
}

const BUSY: u8 = u8::MAX;

impl Checker<'_> {
    /// The kind of a type that stands where a value's type is expected.
    fn value_kind(&self, from: u32, id: u32) -> Result<Kind, Error> {
        if id == 0 {
            return Ok(Kind::Void);
        }
        let Some(record) = self.btf.record(id) else {
            return Err(Error::ty(from, format!("refers to type {id}, which is not there")));
        };
        match record.kind() {
            kind @ (Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag) => {
                let what =
                    format!("refers to type {id} as a type, but that is a {}", kind.as_str());
                Err(Error::ty(from, what))
            }
            kind => Ok(kind),
        }
    }

    /// Checks a type and all it contains.
    #[inline]
    fn contain(&mut self, id: u32, level: u8) -> Result<Extent, Error> {
        let btf = self.btf;
        if id < btf.first {
            // The base was checked when it was read. Its depth is not kept;
            // a chain may thus be as long as base and split together allow.
            let size = btf.size(TypeId(id)).map_or(UNSIZED, |size| size as u32);
            let align = btf.align(TypeId(id)).trailing_zeros() as u8;
            return Ok(Extent { depth: 0, align, size });
        }
        let slot = (id - btf.first) as usize;
        match self.depths.get(slot).copied() {
            None => Err(Error::ty(id, "is not there")),
            Some(0) => self.contain_new(id, level),
            Some(BUSY) => Err(Error::ty(id, "contains itself")),
            Some(depth) => {
                Ok(Extent { depth: depth - 1, align: self.aligns[slot], size: self.sizes[slot] })
            }
        }
    }

    fn contain_new(&mut self, id: u32, level: u8) -> Result<Extent, Error> {
        let btf = self.btf;
        let slot = (id - btf.first) as usize;
        if level > MAX_DEPTH {
            return Err(Error::ty(id, "is nested too deep"));
        }
        self.depths[slot] = BUSY;
        let Some(record) = btf.record(id) else {
            return Err(Error::ty(id, "is not there"));
        };
        let mut depth = 0;
        let mut align = 0;
        let mut size = UNSIZED;
        let kind = record.kind();
        match kind {
            Kind::Int => {
                let [encoding] = words(record.rest);
                let end = (encoding >> 16 & 0xff) + (encoding & 0xff);
                if !matches!(record.third, 1 | 2 | 4 | 8 | 16) {
                    return Err(Error::ty(id, format!("is an integer of {} bytes", record.third)));
                }
                if end > record.third * 8 {
                    return Err(Error::ty(id, "is an integer with more bits than its bytes hold"));
                }
                align = record.third.trailing_zeros() as u8;
                size = record.third;
            }
            Kind::Float => {
                if !matches!(record.third, 2 | 4 | 8 | 12 | 16) {
                    return Err(Error::ty(id, format!("is a float of {} bytes", record.third)));
                }
                align = record.third.trailing_zeros() as u8;
                size = record.third;
            }
            Kind::Enum | Kind::Enum64 => {
                if !matches!(record.third, 1 | 2 | 4 | 8) {
                    let what = format!("is an enumeration of {} bytes", record.third);
                    return Err(Error::ty(id, what));
                }
                align = record.third.trailing_zeros() as u8;
                size = record.third;
            }
            Kind::Ptr => {
                self.value_kind(id, record.third)?;
                align = 3;
                size = 8;
            }
            Kind::Array => {
                let [element, index, count] = words(record.rest);
                self.value_kind(id, index)?;
                if self.value_kind(id, element)? == Kind::Void {
                    return Err(Error::ty(id, "is an array of something that has no size"));
                }
                let inner = self.contain(element, level + 1)?;
                (depth, align) = (inner.depth + 1, inner.align);
                if inner.size == UNSIZED {
                    return Err(Error::ty(id, "is an array of something that has no size"));
                }
                size = match inner.size.checked_mul(count) {
                    Some(size) if size < UNSIZED => size,
                    _ => return Err(Error::ty(id, "is an array of more than 4 GiB")),
                };
            }
            Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                if self.value_kind(id, record.third)? != Kind::Void {
                    let inner = self.contain(record.third, level + 1)?;
                    (depth, align, size) = (inner.depth + 1, inner.align, inner.size);
                }
            }
            Kind::Struct | Kind::Union => {
                let flag = record.kind_flag();
                let mut packed = false;
                size = record.third;
                if size == UNSIZED {
                    return Err(Error::ty(id, "is a struct of 4 GiB"));
                }
                for member in record.rest.chunks_exact(12) {
                    let [_, ty, offset] = words(member);
                    let kind = self.value_kind(id, ty)?;
                    if kind == Kind::Void {
                        return Err(Error::ty(id, "has a member that has no size"));
                    }
                    let inner = self.contain(ty, level + 1)?;
                    depth = depth.max(inner.depth + 1);
                    let (start, width) = btf.member_bits(flag, ty, offset);
                    if inner.size == UNSIZED {
                        return Err(Error::ty(id, "has a member that has no size"));
                    }
                    let size = u64::from(inner.size) * 8;
                    if width.is_none() && start % 8 != 0 {
                        return Err(Error::ty(id, "has a member that does not begin at a byte"));
                    }
                    let bits = width.map_or(size, u64::from);
                    if u64::from(start) + bits > u64::from(record.third) * 8 || bits > size {
                        return Err(Error::ty(id, "has a member that lies outside of it"));
                    }
                    packed |= width.is_none() && start & ((8 << inner.align) - 1) != 0;
                    align = align.max(inner.align);
                }
                if packed || record.third & ((1 << align) - 1) != 0 {
                    align = 0;
                }
            }
            Kind::Var => {
                if self.value_kind(id, record.third)? != Kind::Void {
                    size = self.contain(record.third, level + 1)?.size;
                }
                if Linkage::of(words::<1>(record.rest)[0]).is_none() {
                    return Err(Error::ty(id, "has a linkage that is not known"));
                }
            }
            Kind::Func => {
                if btf.kind(TypeId(record.third)) != Kind::FuncProto {
                    return Err(Error::ty(id, "is a function whose type is not a function's"));
                }
            }
            Kind::FuncProto => {
                self.value_kind(id, record.third)?;
                for param in record.rest.chunks_exact(8) {
                    self.value_kind(id, words::<2>(param)[1])?;
                }
            }
            Kind::Datasec => {
                size = record.third;
                for item in record.rest.chunks_exact(12) {
                    let [ty, ..] = words::<3>(item);
                    if !matches!(btf.kind(TypeId(ty)), Kind::Var | Kind::Func) {
                        return Err(Error::ty(
                            id,
                            "is a section with something else than variables",
                        ));
                    }
                }
            }
            Kind::DeclTag => {
                let [component] = words(record.rest);
                let target = btf.record(record.third);
                let components = match target.map(|target| (target.kind(), target.rest.len())) {
                    Some((Kind::Struct | Kind::Union, bytes)) => bytes / 12,
                    Some((Kind::Func, _)) => target
                        .and_then(|target| btf.record(target.third))
                        .filter(|proto| proto.kind() == Kind::FuncProto)
                        .map_or(0, |proto| proto.rest.len() / 8),
                    Some((Kind::Var | Kind::Typedef, _)) => 0,
                    _ => return Err(Error::ty(id, "is a tag on something that cannot have one")),
                };
                if component != u32::MAX && component as usize >= components {
                    return Err(Error::ty(id, "is a tag on a member that is not there"));
                }
            }
            Kind::Void | Kind::Fwd | Kind::Unknown => {}
        }
        if depth > MAX_DEPTH {
            return Err(Error::ty(id, "is nested too deep"));
        }
        self.depths[slot] = depth + 1;
        self.aligns[slot] = align;
        self.sizes[slot] = size;
        Ok(Extent { depth, align, size })
    }
}

/// The walk along spelling.
struct Speller<'b> {
    btf: &'b Btf,
    depths: Vec<u8>,
    /// How many types are spelled out for each.
    weights: Vec<u32>,
}

impl Speller<'_> {
    fn spell(&mut self, id: u32, level: u8) -> Result<(u8, u32), Error> {
        let btf = self.btf;
        if id < btf.first {
            return Ok((0, 1));
        }
        let slot = (id - btf.first) as usize;
        match self.depths[slot] {
            0 => {}
            BUSY => return Err(Error::ty(id, "cannot be spelled without itself")),
            depth => return Ok((depth - 1, self.weights[slot])),
        }
        if level > MAX_DEPTH {
            return Err(Error::ty(id, "is nested too deep"));
        }
        let Some(record) = btf.record(id) else {
            return Err(Error::ty(id, "is not there"));
        };
        let mut cost = (0, 1);
        match record.kind() {
            Kind::Ptr
            | Kind::Typedef
            | Kind::Const
            | Kind::Volatile
            | Kind::Restrict
            | Kind::TypeTag => {
                self.depths[slot] = BUSY;
                self.add(&mut cost, record.third, level)?;
            }
            Kind::Array => {
                self.depths[slot] = BUSY;
                self.add(&mut cost, words::<1>(record.rest)[0], level)?;
            }
            Kind::FuncProto => {
                self.depths[slot] = BUSY;
                self.add(&mut cost, record.third, level)?;
                for param in record.rest.chunks_exact(8) {
                    self.add(&mut cost, words::<2>(param)[1], level)?;
                }
            }
            Kind::Struct | Kind::Union if record.name == 0 => {
                self.depths[slot] = BUSY;
                for member in record.rest.chunks_exact(12) {
                    self.add(&mut cost, words::<2>(member)[1], level)?;
                }
            }
            _ => {}
        }
        if cost.0 > MAX_DEPTH {
            return Err(Error::ty(id, "is nested too deep"));
        }
        if cost.1 > MAX_SPELLED {
            return Err(Error::ty(id, "is spelled out at too great a length"));
        }
        self.depths[slot] = cost.0 + 1;
        self.weights[slot] = cost.1;
        Ok(cost)
    }

    #[inline]
    fn add(&mut self, cost: &mut (u8, u32), id: u32, level: u8) -> Result<(), Error> {
        let inner = self.spell(id, level + 1)?;
        cost.0 = cost.0.max(inner.0 + 1);
        cost.1 = cost.1.saturating_add(inner.1);
        Ok(())
    }
}
