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

use super::data::Data;
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
pub(super) const MAX_TYPES: usize = 1 << 26;

/// BTF: an index over its bytes. Cheap to share behind an [`Arc`].
#[derive(Debug)]
pub struct Btf {
    /// The bytes, with the words of the type section in little-endian order.
    pub(super) data: Data,
    pub(super) endian: Endian,
    pub(super) strings: Range<usize>,
    /// Where in `data` each own type's record begins; then where the last
    /// ends.
    offsets: Vec<u32>,
    /// The kind of each own type.
    kinds: Vec<Kind>,
    /// What is known of each own type.
    extents: Vec<Extent>,
    /// Whether an integer uses only some of its bits, as bit-fields had it
    /// before kind_flag.
    has_partial_ints: bool,
    /// Whether a function's type has another one in it that is not behind a
    /// pointer, as in no C.
    has_bare_protos: bool,
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
pub(super) struct Layout {
    pub info: u32,
    pub element: u32,
}

impl Layout {
    pub fn of(kind: Kind) -> Self {
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
    pub fn parse(data: impl Into<Data>) -> Result<Self, Error> {
        Self::read(data.into(), None)
    }

    /// Reads split BTF, which continues the types and strings of `base`: a
    /// kernel module's over its kernel's.
    ///
    /// # Errors
    /// As [`Btf::parse`].
    pub fn parse_split(data: impl Into<Data>, base: Arc<Self>) -> Result<Self, Error> {
        Self::read(data.into(), Some(base))
    }

    fn read(mut data: Data, base: Option<Arc<Self>>) -> Result<Self, Error> {
        let header = Header::read(&data)?;
        if data.len() > u32::MAX as usize {
            return Err(Error::Header("it is larger than 4 GiB"));
        }
        if header.endian == Endian::Big {
            for word in data.to_mut()[header.types.clone()].as_chunks_mut::<4>().0 {
                word.reverse();
            }
        }
        let base_strings = base.as_ref().map_or(0, |base| base.strings_end());
        let mut btf = Self {
            endian: header.endian,
            strings: header.strings.clone(),
            offsets: vec![header.types.start as u32],
            kinds: Vec::new(),
            extents: Vec::new(),
            has_partial_ints: base.as_ref().is_some_and(|base| base.has_partial_ints),
            has_bare_protos: false,
            first: base.as_ref().map_or(1, |base| base.len()),
            base_strings,
            base,
            names: OnceLock::new(),
            data,
        };
        btf.check_strings()?;
        btf.index(&header)?;
        let count = btf.kinds.len();
        let extents = std::mem::take(&mut btf.extents);
        let mut checker = Checker { btf: &btf, extents, has_bare_protos: btf.has_bare_protos };
        for id in btf.first..btf.len() {
            if checker.known(id).is_none() {
                checker.contain(id, 0)?;
            }
        }
        let Checker { extents, has_bare_protos, .. } = checker;
        btf.has_bare_protos = has_bare_protos;
        let mut speller = Speller { btf: &btf, known: vec![0; count] };
        for (id, kind) in (btf.first..).zip(&btf.kinds) {
            // Nothing is spelled with a function or a variable in it, and
            // their own types are visited as types.
            if is_spelled(*kind)
                && speller.known[(id - btf.first) as usize] == 0
                && !speller.is_leaf(id, *kind)
            {
                speller.spell(id, 0)?;
            }
        }
        btf.extents = extents;
        Ok(btf)
    }

    fn check_strings(&self) -> Result<(), Error> {
        // Every use of a name costs as much as it is long. Lines of source are
        // strings too, and those of generated sources are not short.
        const LONG: usize = 64 << 10;
        let strings = &self.data[self.strings.clone()];
        if strings.chunks_exact(LONG).any(|block| !block.contains(&0)) {
            return Err(Error::Header("a string in it is longer than any name"));
        }
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
        let mut offsets = Vec::with_capacity(types.len() / 20);
        let mut kinds = Vec::with_capacity(types.len() / 20);
        let mut extents = Vec::with_capacity(types.len() / 20);
        let names = NameCheck {
            btf: self,
            own: &self.data[self.strings.clone()],
            ascii: self.data[self.strings.clone()].is_ascii(),
        };
        let mut rest = types;
        let (mut partial, mut bare) = (false, false);
        while !rest.is_empty() {
            let at = types.len() - rest.len();
            let id = self.first.saturating_add(kinds.len() as u32);
            let Some((head, behind)) = rest.split_first_chunk::<12>() else {
                return Err(self.cut("the last type", header.types.start + at + 12));
            };
            let [name, info, third] = words(head);
            let (kind, count) = (Kind::of(info), info & 0xff_ffff);
            if id as usize > MAX_TYPES {
                return Err(Error::Header("it has too many types"));
            }
            let layout = match kind {
                Kind::Void => return Err(Error::ty(id, "has no kind")),
                Kind::Unknown => unknown_layout(layouts, id, info)?,
                kind => Layout::of(kind),
            };
            let size = u64::from(layout.info) + u64::from(layout.element) * u64::from(count);
            let Some((own, behind)) =
                usize::try_from(size).ok().and_then(|size| behind.split_at_checked(size))
            else {
                let needed = header.types.start as u64 + at as u64 + 12 + size;
                let present = header.types.end as u64;
                return Err(Error::Truncated { what: "a type's list", needed, present });
            };
            if !size.is_multiple_of(4) {
                return Err(Error::ty(id, "has a size that is not a multiple of 4"));
            }
            names.check(id, name)?;
            // What refers only to types that came before, as most do, need
            // not be visited again.
            let known = |id: u32| match id.checked_sub(self.first) {
                Some(own) => kinds.get(own as usize).copied(),
                None if id == 0 => Some(Kind::Void),
                None => None,
            };
            let mut extent = Extent { size: UNSIZED, depth: 0, align: 0 };
            match kind {
                Kind::Ptr if known(third).is_some_and(is_value) => {
                    extent = Extent { size: 8, depth: 1, align: 3 };
                }
                Kind::Func if known(third) == Some(Kind::FuncProto) => extent.depth = 1,
                Kind::FuncProto => {
                    let returned = known(third);
                    let mut all = returned.is_some_and(is_value);
                    bare |= returned == Some(Kind::FuncProto);
                    for param in own.as_chunks::<8>().0 {
                        let [name, ty] = words(param);
                        names.check(id, name)?;
                        let ty = known(ty);
                        all &= ty.is_some_and(is_value);
                        bare |= ty == Some(Kind::FuncProto);
                    }
                    extent.depth = all.into();
                }
                Kind::Int => {
                    let [encoding] = words(own);
                    partial |=
                        encoding & 0xff != third.saturating_mul(8) || encoding >> 16 & 0xff != 0;
                }
                Kind::Struct | Kind::Union | Kind::Enum64 => {
                    for element in own.as_chunks::<12>().0 {
                        names.check(id, words::<1>(element)[0])?;
                    }
                }
                Kind::Enum => {
                    for element in own.as_chunks::<8>().0 {
                        names.check(id, words::<1>(element)[0])?;
                    }
                }
                _ => {}
            }
            offsets.push((header.types.start + at) as u32);
            kinds.push(kind);
            extents.push(extent);
            rest = behind;
        }
        offsets.push(header.types.end as u32);
        self.offsets = offsets;
        self.kinds = kinds;
        self.extents = extents;
        self.has_partial_ints |= partial;
        self.has_bare_protos = bare;
        Ok(())
    }

    fn cut(&self, what: &'static str, needed: usize) -> Error {
        Error::Truncated { what, needed: needed as u64, present: self.data.len() as u64 }
    }

    /// Checks a name that is the base's, or not plainly right.
    #[cold]
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
        self.first + self.kinds.len() as u32
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
        let (head, rest) = self.record_bytes(id)?.split_first_chunk::<12>()?;
        let [name, info, third] = words(head);
        Some(Record { name, info, third, rest })
    }

    /// The bytes of an own type's record.
    #[inline]
    pub(super) fn record_bytes(&self, id: u32) -> Option<&[u8]> {
        let index = id.checked_sub(self.first)? as usize;
        let [start, end] = *self.offsets.get(index..)?.first_chunk()?;
        self.data.get(start as usize..end as usize)
    }

    /// The kinds of the own types, in order of their numbers.
    #[inline]
    pub(crate) fn own_kinds(&self) -> &[Kind] {
        &self.kinds
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
        match id.0.checked_sub(self.first) {
            Some(own) => self.kinds.get(own as usize).copied().unwrap_or(Kind::Void),
            None => self.base.as_ref().map_or(Kind::Void, |base| base.kind(id)),
        }
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
            Some(own) => match self.extents.get(own as usize) {
                Some(extent) if extent.size != UNSIZED => Some(extent.size.into()),
                _ => None,
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
        let own = id.index() - self.first as usize;
        self.extents.get(own).map_or(1, |extent| 1 << extent.align)
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

/// The layout of a kind that this reader does not know.
#[cold]
pub(super) fn unknown_layout(layouts: &[u8], id: u32, info: u32) -> Result<Layout, Error> {
    let number = (info >> 24 & 0x7f) as usize;
    match layouts.get(number * 4..number * 4 + 4) {
        Some(layout) => Ok(Layout { info: layout[0].into(), element: layout[1].into() }),
        None => Err(Error::ty(id, format!("has the kind {number}, which is not known"))),
    }
}

/// Checks names while the index is made.
struct NameCheck<'b> {
    btf: &'b Btf,
    /// The own strings.
    own: &'b [u8],
    /// Whether they have no byte beyond ASCII.
    ascii: bool,
}

impl NameCheck<'_> {
    #[inline]
    fn check(&self, id: u32, name: u32) -> Result<(), Error> {
        if name == 0 {
            return Ok(());
        }
        match self.own.get(name.wrapping_sub(self.btf.base_strings) as usize) {
            Some(first) if *first != 0 && self.ascii => Ok(()),
            _ => self.btf.check_odd_name(id, name),
        }
    }
}

/// Whether a type is spelled out somewhere, or has others in it that are.
fn is_spelled(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Ptr
            | Kind::Array
            | Kind::Struct
            | Kind::Union
            | Kind::Typedef
            | Kind::Const
            | Kind::Volatile
            | Kind::Restrict
            | Kind::TypeTag
            | Kind::FuncProto
    )
}

/// How many bytes come before the first zero byte, eight at a time; 0 if there
/// is none.
#[inline]
pub(super) fn length(bytes: &[u8]) -> usize {
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

/// What is known of a type.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// In bytes; `UNSIZED` if it has none.
    size: u32,
    /// How many types are contained in one another below it, plus one; 0: it
    /// was not visited; `BUSY`: it is being visited.
    depth: u8,
    /// The alignment, as a power of two.
    align: u8,
}

/// Whether a kind may stand where a value's type is expected.
fn is_value(kind: Kind) -> bool {
    !matches!(kind, Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag)
}

/// The walk along containment.
struct Checker<'b> {
    btf: &'b Btf,
    extents: Vec<Extent>,
    /// As of the BTF; [`Btf::index`] sees only types that came before.
    has_bare_protos: bool,
}

const BUSY: u8 = u8::MAX;

impl Checker<'_> {
    /// The kind of a type that stands where a value's type is expected.
    #[inline]
    fn value_kind(&self, from: u32, id: u32) -> Result<Kind, Error> {
        let kind = self.btf.kind(TypeId(id));
        if is_value(kind) && (kind != Kind::Void || id == 0) {
            return Ok(kind);
        }
        Err(no_value(from, id, kind))
    }

    /// What is known of an own type that was checked.
    #[inline]
    fn known(&self, id: u32) -> Option<Extent> {
        let extent = *self.extents.get(id.checked_sub(self.btf.first)? as usize)?;
        (extent.depth != 0 && extent.depth != BUSY).then_some(extent)
    }

    /// Checks a type and all it contains.
    #[inline]
    fn contain(&mut self, id: u32, level: u8) -> Result<Extent, Error> {
        match self.known(id) {
            Some(extent) => Ok(extent),
            None => self.contain_new(id, level),
        }
    }

    fn contain_new(&mut self, id: u32, level: u8) -> Result<Extent, Error> {
        let btf = self.btf;
        if id < btf.first {
            // The base was checked when it was read. Its depth is not kept;
            // a chain may thus be as long as base and split together allow.
            let size = btf.size(TypeId(id)).map_or(UNSIZED, |size| size as u32);
            let align = btf.align(TypeId(id)).trailing_zeros() as u8;
            return Ok(Extent { depth: 1, align, size });
        }
        let slot = (id - btf.first) as usize;
        match self.extents.get(slot) {
            None => return Err(Error::ty(id, "is not there")),
            Some(extent) if extent.depth == BUSY => return Err(Error::ty(id, "contains itself")),
            Some(_) if level > MAX_DEPTH => return Err(Error::ty(id, "is nested too deep")),
            Some(_) => {}
        }
        self.extents[slot].depth = BUSY;
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
                (depth, align) = (inner.depth, inner.align);
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
                    (depth, align, size) = (inner.depth, inner.align, inner.size);
                }
            }
            Kind::Struct | Kind::Union => {
                let flag = record.kind_flag();
                let mut packed = false;
                size = record.third;
                if size == UNSIZED {
                    return Err(Error::ty(id, "is a struct of 4 GiB"));
                }
                for member in record.rest.as_chunks::<12>().0 {
                    let [_, ty, offset] = words(member);
                    let kind = self.value_kind(id, ty)?;
                    if kind == Kind::Void {
                        return Err(Error::ty(id, "has a member that has no size"));
                    }
                    let inner = self.contain(ty, level + 1)?;
                    depth = depth.max(inner.depth);
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
                let params = record.rest.as_chunks::<8>().0.iter();
                let params = params.map(|param| words::<2>(param)[1]);
                for ty in std::iter::once(record.third).chain(params) {
                    self.has_bare_protos |= self.value_kind(id, ty)? == Kind::FuncProto;
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
        let extent = Extent { depth: depth + 1, align, size };
        self.extents[slot] = extent;
        Ok(extent)
    }
}

/// Why a type cannot stand where a value's type is expected.
#[cold]
fn no_value(from: u32, id: u32, kind: Kind) -> Error {
    Error::ty(
        from,
        match kind {
            Kind::Void => format!("refers to type {id}, which is not there"),
            kind => format!("refers to type {id} as a type, but that is a {}", kind.as_str()),
        },
    )
}

/// The walk along spelling.
struct Speller<'b> {
    btf: &'b Btf,
    /// For each type: 0 if it was not visited; else how many types are
    /// spelled out for it, and in the low byte the depth + 1, or `BUSY`.
    known: Vec<u32>,
}

impl Speller<'_> {
    /// Whether a type need not be looked at by itself: a function's, of which
    /// there are many. Where one is spelled out inside another type, it is
    /// visited on the way; elsewhere it adds one level to what it is made of.
    #[inline]
    fn is_leaf(&self, id: u32, kind: Kind) -> bool {
        const FEW: usize = 32 * 8;
        kind == Kind::FuncProto
            && !self.btf.has_bare_protos
            && self.btf.record_bytes(id).is_some_and(|bytes| bytes.len() <= 12 + FEW)
    }

    fn spell(&mut self, id: u32, level: u8) -> Result<(u8, u32), Error> {
        let btf = self.btf;
        if id < btf.first {
            return Ok((0, 1));
        }
        let slot = (id - btf.first) as usize;
        match self.known.get(slot).copied() {
            Some(0) => {}
            Some(known) if known as u8 == BUSY => {
                return Err(Error::ty(id, "cannot be spelled without itself"));
            }
            Some(known) => return Ok((known as u8 - 1, known >> 8)),
            None => return Err(Error::ty(id, "is not there")),
        }
        if level > MAX_DEPTH {
            return Err(Error::ty(id, "is nested too deep"));
        }
        if !is_spelled(btf.kinds[slot]) {
            return Ok((0, 1));
        }
        let Some(record) = btf.record(id) else {
            return Err(Error::ty(id, "is not there"));
        };
        let mut cost = (0, 1);
        match record.kind() {
            Kind::Array => {
                self.known[slot] = BUSY.into();
                self.add(&mut cost, words::<1>(record.rest)[0], level)?;
            }
            Kind::FuncProto => {
                self.known[slot] = BUSY.into();
                self.add(&mut cost, record.third, level)?;
                for param in record.rest.as_chunks::<8>().0 {
                    self.add(&mut cost, words::<2>(param)[1], level)?;
                }
            }
            Kind::Struct | Kind::Union => {
                if record.name == 0 {
                    self.known[slot] = BUSY.into();
                    for member in record.rest.as_chunks::<12>().0 {
                        self.add(&mut cost, words::<2>(member)[1], level)?;
                    }
                }
            }
            _ => {
                self.known[slot] = BUSY.into();
                self.add(&mut cost, record.third, level)?;
            }
        }
        if cost.0 > MAX_DEPTH {
            return Err(Error::ty(id, "is nested too deep"));
        }
        if cost.1 > MAX_SPELLED {
            return Err(Error::ty(id, "is spelled out at too great a length"));
        }
        // `MAX_SPELLED` fits beside the byte.
        self.known[slot] = cost.1 << 8 | u32::from(cost.0 + 1);
        Ok(cost)
    }

    #[inline]
    fn add(&mut self, cost: &mut (u8, u32), id: u32, level: u8) -> Result<(), Error> {
        let slot = id.wrapping_sub(self.btf.first) as usize;
        let inner = match self.known.get(slot) {
            Some(known) if *known as u8 != BUSY && *known != 0 => (*known as u8 - 1, *known >> 8),
            _ => match self.btf.kinds.get(slot) {
                Some(kind) if !is_spelled(*kind) => (0, 1),
                _ => self.spell(id, level + 1)?,
            },
        };
        cost.0 = cost.0.max(inner.0 + 1);
        cost.1 = cost.1.saturating_add(inner.1);
        Ok(())
    }
}
