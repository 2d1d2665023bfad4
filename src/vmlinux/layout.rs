//! How clang lays out what we write, on the BPF target; and from that, how a
//! struct has to be written so that it comes out as BTF says.
//!
//! The rules are those of the System V ABI as clang applies them to BPF:
//!
//! - a member goes to the next multiple of its alignment;
//! - a bit-field of type T goes to the next bit, unless it would then cross a
//!   boundary of T's size: then to that boundary;
//! - an unnamed bit-field takes its room but does not raise the alignment of
//!   the struct, so padding can be written as `long: N`;
//! - in a packed struct, members are aligned to bytes and bit-fields to bits.
//!
//! BTF does not say whether a struct was packed. It was where a member stands
//! off its alignment, where a bit-field crosses its type's boundary, or where
//! the size is not a multiple of the alignment; elsewhere it does not matter.

use crate::btf::{Btf, Kind, TypeId, raw};

/// What was found out about a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Layout {
    /// Its alignment in C, as a power of two of bytes.
    pub align: u8,
    /// It has to be written as packed.
    pub packed: bool,
    /// Members overlap (or a union's member does not begin at its start), so
    /// that no plain struct can be written.
    pub overlaps: bool,
}

/// Layouts by type number; found when first asked for. Zero stands for what
/// was not: so memory that nobody asks about is never touched.
pub(super) struct Layouts {
    /// `KNOWN` and the rest of a layout in one byte.
    known: Vec<u8>,
    /// Alignments of all types, as powers of two, plus one.
    aligns: Vec<u8>,
}

const KNOWN: u8 = 0x80;
const PACKED: u8 = 0x40;
const OVERLAPS: u8 = 0x20;
const ALIGN: u8 = 0x1f;

impl Layout {
    fn pack(self) -> u8 {
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        KNOWN | flag(self.packed, PACKED) | flag(self.overlaps, OVERLAPS) | self.align & ALIGN
    }

    fn unpack(byte: u8) -> Option<Self> {
        (byte & KNOWN != 0).then_some(Self {
            align: byte & ALIGN,
            packed: byte & PACKED != 0,
            overlaps: byte & OVERLAPS != 0,
        })
    }
}

/// A member as the layout sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub name: u32,
    pub ty: u32,
    /// In bits.
    pub offset: u32,
    /// The width of a bit-field.
    pub width: Option<u8>,
    /// Its size in bits: the width of a bit-field.
    pub bits: u64,
}

/// The members of a composite that are written: those with a name, and
/// anonymous structs and unions. Others are padding.
pub(super) fn fields<'b>(btf: &'b Btf, id: u32) -> impl Iterator<Item = Field> + use<'b> {
    let record = raw::record(btf, id);
    let flag = record.is_some_and(|record| record.kind_flag());
    let rest = record.map_or(&[][..], |record| record.rest);
    rest.as_chunks::<12>().0.iter().filter_map(move |member| {
        let [name, ty, offset] = raw::words(member);
        let (offset, width) = raw::member_bits(btf, flag, ty, offset);
        if name == 0 && !btf.kind(btf.resolve(TypeId(ty))).is_composite() {
            return None;
        }
        let bits = match width {
            Some(width) => width.into(),
            None => btf.size(TypeId(ty)).unwrap_or(0) * 8,
        };
        Some(Field { name, ty, offset, width, bits })
    })
}

impl Layouts {
    pub fn new(btf: &Btf) -> Self {
        let count = btf.len() as usize;
        Self { known: vec![0; count], aligns: vec![0; count] }
    }

    /// The alignment of a type as we write it, as a power of two.
    #[inline]
    pub fn align(&mut self, btf: &Btf, id: u32) -> u8 {
        match self.aligns.get(id as usize) {
            Some(0) => {
                let align = self.find_align(btf, id);
                self.aligns[id as usize] = align + 1;
                align
            }
            Some(align) => *align - 1,
            None => 0,
        }
    }

    fn find_align(&mut self, btf: &Btf, mut id: u32) -> u8 {
        loop {
            let Some(record) = raw::record(btf, id) else { return 0 };
            match record.kind() {
                Kind::Ptr => return 3,
                Kind::Int | Kind::Enum | Kind::Enum64 => {
                    return record.third.trailing_zeros().min(4) as u8;
                }
                // 12 and 10 bytes are no power of two; they are written as
                // arrays of the largest that divides them.
                Kind::Float => return record.third.trailing_zeros().min(4) as u8,
                Kind::Array => [id, ..] = raw::words::<1>(record.rest),
                Kind::Struct | Kind::Union => return self.of(btf, id).align,
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = record.third;
                }
                _ => return 0,
            }
        }
    }

    /// How a struct or union has to be written.
    pub fn of(&mut self, btf: &Btf, id: u32) -> Layout {
        match self.known.get(id as usize) {
            Some(known) => {
                if let Some(known) = Layout::unpack(*known) {
                    return known;
                }
            }
            None => return Layout::default(),
        }
        let Some(record) = raw::record(btf, id) else { return Layout::default() };
        let is_union = record.kind() == Kind::Union;
        let mut layout = Layout::default();
        let mut end = 0;
        for field in fields(btf, id) {
            let align = self.align(btf, field.ty);
            layout.align = layout.align.max(align);
            let unit = 8u64 << align;
            let within = u64::from(field.offset) % unit;
            layout.packed |= match field.width {
                None => within != 0,
                Some(width) => within + u64::from(width) > unit,
            };
            if is_union {
                layout.overlaps |= field.offset != 0;
            } else {
                layout.overlaps |= u64::from(field.offset) < end;
                end = u64::from(field.offset) + field.bits;
            }
        }
        layout.packed |= record.third & ((1 << layout.align) - 1) != 0;
        if layout.overlaps || layout.packed {
            layout.packed = true;
            layout.align = 0;
        }
        self.known[id as usize] = layout.pack();
        layout
    }
}

/// Where clang puts a member that comes after `at` bits.
pub(super) fn place(at: u64, field: &Field, align: u8, packed: bool) -> u64 {
    let unit = 8u64 << if packed { 0 } else { align };
    match field.width {
        None => at.next_multiple_of(unit),
        Some(_) if packed => at,
        Some(width) if at % unit + u64::from(width) > unit => at.next_multiple_of(unit),
        Some(_) => at,
    }
}
