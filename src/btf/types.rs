//! Views of types, decoded from the bytes when asked for.

use super::Btf;
use std::fmt;

/// The number of a type. 0 is `void`; split BTF continues its base's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`.
    pub const VOID: Self = Self(0);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a type is; the numbers are those of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of BTF_KIND_*")]
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
    /// A kind newer than this reader; its size is known from the layout
    /// section.
    Unknown = 255,
}

impl Kind {
    /// By number; the others are not known.
    const ALL: [Self; 128] = {
        let mut all = [Self::Unknown; 128];
        let known = [
            Self::Void,
            Self::Int,
            Self::Ptr,
            Self::Array,
            Self::Struct,
            Self::Union,
            Self::Enum,
            Self::Fwd,
            Self::Typedef,
            Self::Volatile,
            Self::Const,
            Self::Restrict,
            Self::Func,
            Self::FuncProto,
            Self::Var,
            Self::Datasec,
            Self::Float,
            Self::DeclTag,
            Self::TypeTag,
            Self::Enum64,
        ];
        let mut number = 0;
        while number < known.len() {
            all[number] = known[number];
            number += 1;
        }
        all
    };

    /// The kind in the second word of a record.
    #[inline]
    pub(super) fn of(info: u32) -> Self {
        Self::ALL[(info >> 24 & 0x7f) as usize]
    }

    /// The name without its prefix, as `bpftool btf dump` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Void => "VOID",
            Self::Int => "INT",
            Self::Ptr => "PTR",
            Self::Array => "ARRAY",
            Self::Struct => "STRUCT",
            Self::Union => "UNION",
            Self::Enum => "ENUM",
            Self::Fwd => "FWD",
            Self::Typedef => "TYPEDEF",
            Self::Volatile => "VOLATILE",
            Self::Const => "CONST",
            Self::Restrict => "RESTRICT",
            Self::Func => "FUNC",
            Self::FuncProto => "FUNC_PROTO",
            Self::Var => "VAR",
            Self::Datasec => "DATASEC",
            Self::Float => "FLOAT",
            Self::DeclTag => "DECL_TAG",
            Self::TypeTag => "TYPE_TAG",
            Self::Enum64 => "ENUM64",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Whether it only qualifies another type: const, volatile, restrict or a
    /// type tag.
    pub fn is_modifier(self) -> bool {
        matches!(self, Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag)
    }

    /// Whether it is a struct or a union.
    pub fn is_composite(self) -> bool {
        matches!(self, Self::Struct | Self::Union)
    }

    /// Whether it is an enumeration of either width.
    pub fn is_enum(self) -> bool {
        matches!(self, Self::Enum | Self::Enum64)
    }
}

/// One type. Views borrow from the [`Btf`] and cost nothing to make.
#[derive(Clone, Copy, Debug)]
pub enum Type<'b> {
    /// No type.
    Void,
    /// An integer, a character or a truth value.
    Int(Int<'b>),
    /// A pointer to a type.
    Ptr(TypeId),
    /// An array.
    Array(Array),
    /// A struct.
    Struct(Composite<'b>),
    /// A union.
    Union(Composite<'b>),
    /// An enumeration, of 32-bit or 64-bit values.
    Enum(Enum<'b>),
    /// A struct or union (`is_union`) of which only the name is known.
    Fwd {
        /// Its tag.
        name: &'b str,
        /// Whether it is a union.
        is_union: bool,
    },
    /// Another name for a type.
    Typedef {
        /// The name.
        name: &'b str,
        /// The type.
        target: TypeId,
    },
    /// `volatile`.
    Volatile(TypeId),
    /// `const`.
    Const(TypeId),
    /// `restrict`.
    Restrict(TypeId),
    /// A function.
    Func {
        /// Its name.
        name: &'b str,
        /// Its type, a [`FuncProto`].
        proto: TypeId,
        /// Who sees it.
        linkage: Linkage,
    },
    /// The type of a function.
    FuncProto(FuncProto<'b>),
    /// A variable.
    Var(Var<'b>),
    /// A section with variables in it.
    Datasec(Sec<'b>),
    /// A floating-point number.
    Float {
        /// Its name.
        name: &'b str,
        /// Its size in bytes.
        size: u32,
    },
    /// `btf_decl_tag`.
    DeclTag(DeclTag<'b>),
    /// `btf_type_tag`.
    TypeTag {
        /// The tag, or, where `is_attribute` is set, a whole attribute.
        value: &'b str,
        /// The type it stands on.
        target: TypeId,
        /// The tag is the text of a compiler attribute (kind_flag).
        is_attribute: bool,
    },
    /// A kind newer than this reader.
    Unknown,
}

/// An integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int<'b> {
    /// Its name, as DWARF spells it: `long unsigned int`.
    pub name: &'b str,
    /// Its size in bytes.
    pub size: u32,
    /// How many bits of those it uses; differs from `8 * size` only in BTF
    /// from before kind_flag, for bit-fields.
    pub bits: u8,
    /// Where those bits begin.
    pub offset: u8,
    /// It has a sign.
    pub is_signed: bool,
    /// It is a character. Neither pahole nor clang sets this.
    pub is_char: bool,
    /// It is a truth value.
    pub is_bool: bool,
}

/// An array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// The type of an element.
    pub element: TypeId,
    /// The type of an index.
    pub index: TypeId,
    /// How many elements there are; 0 for a flexible array.
    pub count: u32,
}

/// A struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Composite<'b> {
    /// Its tag; empty if it has none.
    pub name: &'b str,
    /// Its size in bytes.
    pub size: u32,
    pub(super) kind_flag: bool,
    pub(super) members: &'b [u8],
    pub(super) btf: &'b Btf,
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'b> {
    /// Its name; empty for an anonymous struct or union in it.
    pub name: &'b str,
    /// Its type.
    pub ty: TypeId,
    /// Where it begins, in bits from the start of the struct.
    pub bit_offset: u32,
    /// The width in bits if it is a bit-field.
    pub bit_size: Option<u8>,
}

impl<'b> Composite<'b> {
    /// How many members it has.
    pub fn len(&self) -> usize {
        self.members.len() / 12
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in the order of the declaration.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'b>> + use<'b> {
        let this = *self;
        this.members.chunks_exact(12).map(move |record| this.decode(record))
    }

    /// The member with this index.
    pub fn member(&self, index: usize) -> Option<Member<'b>> {
        let start = index.checked_mul(12)?;
        Some(self.decode(self.members.get(start..start.checked_add(12)?)?))
    }

    /// The member with this index as libbpf's CO-RE sees it. In BTF from
    /// before kind_flag the width of a bit-field stands in its integer's
    /// type, and that is not looked at.
    pub fn member_as_recorded(&self, index: usize) -> Option<Member<'b>> {
        let member = self.member(index)?;
        if self.kind_flag {
            return Some(member);
        }
        let [_, _, bit_offset] = words(self.members.get(index * 12..)?);
        Some(Member { bit_offset, bit_size: None, ..member })
    }

    fn decode(&self, record: &[u8]) -> Member<'b> {
        let [name, ty, offset] = words(record);
        let (bit_offset, bit_size) = self.btf.member_bits(self.kind_flag, ty, offset);
        Member { name: self.btf.str(name), ty: TypeId(ty), bit_offset, bit_size }
    }
}

/// An enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Enum<'b> {
    /// Its tag; empty if it has none.
    pub name: &'b str,
    /// Its size in bytes.
    pub size: u32,
    /// Whether its values have a sign.
    pub is_signed: bool,
    pub(super) is_64: bool,
    pub(super) values: &'b [u8],
    pub(super) btf: &'b Btf,
}

/// A value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator<'b> {
    /// Its name.
    pub name: &'b str,
    /// Its value; between the smallest `i64` and the largest `u64`.
    pub value: i128,
}

impl<'b> Enum<'b> {
    /// How many values it has; none if only its name is known.
    pub fn len(&self) -> usize {
        self.values.len() / if self.is_64 { 12 } else { 8 }
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values in the order of the declaration.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Enumerator<'b>> + use<'b> {
        let this = *self;
        this.values.chunks_exact(if this.is_64 { 12 } else { 8 }).map(move |record| {
            let (name, value) = if this.is_64 {
                let [name, low, high] = words(record);
                let bits = u64::from(high) << 32 | u64::from(low);
                let value = if this.is_signed { i128::from(bits as i64) } else { i128::from(bits) };
                (name, value)
            } else {
                let [name, bits] = words(record);
                let value = if this.is_signed { i128::from(bits as i32) } else { i128::from(bits) };
                (name, value)
            };
            Enumerator { name: this.btf.str(name), value }
        })
    }
}

/// The type of a function.
#[derive(Clone, Copy, Debug)]
pub struct FuncProto<'b> {
    /// What it returns.
    pub returns: TypeId,
    pub(super) params: &'b [u8],
    pub(super) btf: &'b Btf,
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'b> {
    /// Its name; may be empty.
    pub name: &'b str,
    /// Its type; `void` for the `...` at the end.
    pub ty: TypeId,
}

impl<'b> FuncProto<'b> {
    /// How many parameters there are, the `...` at the end counted.
    pub fn len(&self) -> usize {
        self.params.len() / 8
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// The parameters.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'b>> + use<'b> {
        let btf = self.btf;
        self.params.chunks_exact(8).map(move |record| {
            let [name, ty] = words(record);
            Param { name: btf.str(name), ty: TypeId(ty) }
        })
    }
}

/// Who sees a function or variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Its own translation unit.
    Static,
    /// Everyone.
    Global,
    /// It is defined elsewhere.
    Extern,
}

impl Linkage {
    pub(super) fn of(number: u32) -> Option<Self> {
        [Self::Static, Self::Global, Self::Extern].get(number as usize).copied()
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Global => "global",
            Self::Extern => "extern",
        }
    }
}

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var<'b> {
    /// Its name.
    pub name: &'b str,
    /// Its type.
    pub ty: TypeId,
    /// Who sees it.
    pub linkage: Linkage,
}

/// A section.
#[derive(Clone, Copy, Debug)]
pub struct Sec<'b> {
    /// Its name: `.maps`.
    pub name: &'b str,
    /// Its size in bytes; 0 until libbpf fills it in.
    pub size: u32,
    pub(super) items: &'b [u8],
}

/// A variable (or an external function) in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecItem {
    /// A [`Type::Var`] or [`Type::Func`].
    pub ty: TypeId,
    /// Where it lies in the section, in bytes.
    pub offset: u32,
    /// How large it is, in bytes.
    pub size: u32,
}

impl<'b> Sec<'b> {
    /// What lies in it.
    pub fn items(&self) -> impl ExactSizeIterator<Item = SecItem> + use<'b> {
        self.items.chunks_exact(12).map(|record| {
            let [ty, offset, size] = words(record);
            SecItem { ty: TypeId(ty), offset, size }
        })
    }
}

/// A tag on a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclTag<'b> {
    /// The tag.
    pub value: &'b str,
    /// What it stands on: a struct, union, typedef, function or variable.
    pub target: TypeId,
    /// Which member or parameter it stands on, if not on the whole.
    pub component: Option<u32>,
    /// The tag is the text of a compiler attribute (kind_flag).
    pub is_attribute: bool,
}

/// The first `N` words of a record; zeros where it has fewer.
#[inline]
pub(super) fn words<const N: usize>(record: &[u8]) -> [u32; N] {
    let known = record.as_chunks().0;
    if let Some(words) = known.first_chunk::<N>() {
        return words.map(u32::from_le_bytes);
    }
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(known) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}
