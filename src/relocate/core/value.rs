//! The answer to a relocation's question, from the local and the target path.

use super::{Error, Question, Spec};
use crate::btf::{Btf, Endian, Type, TypeId};

/// What to write into an instruction, and what must stand there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the compiler wrote, by the object's own types.
    pub original: u64,
    /// What is right for the target.
    pub value: u64,
    /// Whether the instruction must hold `original`. Where compilers may
    /// differ from libbpf (bit-fields, type numbers), it need not.
    pub is_checked: bool,
    /// The size of the field that a load or store accesses, by the object's
    /// own types; 0 if it is none.
    pub original_size: u32,
    /// Its size in the target.
    pub size: u32,
    /// Whether an access of the one size may become one of the other: only
    /// pointers and unsigned integers keep their value.
    pub may_resize: bool,
}

impl Answer {
    fn plain(original: u64, value: u64, is_checked: bool) -> Self {
        Self { original, value, is_checked, original_size: 0, size: 0, may_resize: true }
    }

    /// Numbers of the object's own types stay as they are; what the compiler
    /// wrote may have been changed by a linker.
    pub(super) fn type_id_local(root: TypeId) -> Self {
        Self::plain(root.0.into(), root.0.into(), false)
    }
}

/// A path and the BTF it is in.
type Place<'s> = (&'s Btf, &'s Spec);

/// The answer (`bpf_core_calc_relo`), or nothing where the instruction must
/// be poisoned.
pub(super) fn answer(
    question: Question,
    local: Place<'_>,
    target: Option<Place<'_>>,
) -> Result<Option<Answer>, Error> {
    if question.is_a_test() {
        return Ok(Some(Answer::plain(1, target.is_some().into(), true)));
    }
    match question {
        Question::EnumvalValue => {
            let original = enum_value(local).ok_or(Error::NoSize { question })?;
            let Some(target) = target else { return Ok(None) };
            let value = enum_value(target).ok_or(Error::NoSize { question })?;
            Ok(Some(Answer::plain(original, value, true)))
        }
        Question::TypeSize => {
            let size =
                |(btf, spec): Place<'_>| btf.size(spec.root).ok_or(Error::NoSize { question });
            let original = size(local)?;
            let value = target.map_or(Ok(0), size)?;
            Ok(Some(Answer::plain(original, value, true)))
        }
        Question::TypeIdTarget => {
            let value = target.map_or(0, |(_, spec)| spec.root.0.into());
            Ok(Some(Answer::plain(local.1.root.0.into(), value, false)))
        }
        _ => {
            let original = field(question, local)?;
            let Some(target) = target else { return Ok(None) };
            let new = field(question, target)?;
            let types = (local.0.ty(original.ty), target.0.ty(new.ty));
            let may_resize = original.size == new.size
                || match types {
                    (Type::Ptr(_), Type::Ptr(_)) => true,
                    (Type::Int(one), Type::Int(other)) => {
                        // libbpf compares the whole encoding with "signed".
                        ![one, other]
                            .iter()
                            .any(|int| int.is_signed && !int.is_char && !int.is_bool)
                    }
                    _ => false,
                };
            Ok(Some(Answer {
                original: original.value,
                value: new.value,
                is_checked: original.is_checked,
                original_size: original.size,
                size: new.size,
                may_resize,
            }))
        }
    }
}

/// The number behind a value. 32-bit ones are extended by their sign whether
/// or not they have one, as libbpf does it.
fn enum_value((btf, spec): Place<'_>) -> Option<u64> {
    let accessor = spec.accessors.first()?;
    let Type::Enum(values) = btf.ty(accessor.ty) else { return None };
    let value = values.values().nth(accessor.index as usize)?.value;
    Some(match btf.kind(accessor.ty) {
        crate::btf::Kind::Enum => i64::from(value as i32) as u64,
        _ => value as u64,
    })
}

/// What there is to say of a field on one side.
struct Field {
    value: u64,
    /// The size and type by which a load or store of it is adapted.
    size: u32,
    ty: TypeId,
    is_checked: bool,
}

/// `bpf_core_calc_field_relo`. Arithmetic on offsets wraps at 32 bits, as
/// libbpf's does.
fn field(question: Question, (btf, spec): Place<'_>) -> Result<Field, Error> {
    let no_size = || Error::NoSize { question };
    let size = |ty: TypeId| btf.size(ty).map(|size| size as u32).ok_or_else(no_size);
    // A path has at least the element it begins at.
    let last = spec.accessors.last().ok_or_else(no_size)?;
    if !last.is_named {
        let (value, access) = match question {
            Question::FieldByteOffset => (spec.bit_offset / 8, size(element(btf, last.ty))?),
            Question::FieldByteSize => (size(last.ty)?, 0),
            _ => return Err(Error::NotAField { question, what: spec.describe(btf) }),
        };
        let ty = if access == 0 { TypeId::VOID } else { last.ty };
        return Ok(Field { value: value.into(), size: access, ty, is_checked: true });
    }
    let member = btf
        .as_composite(last.ty)
        .and_then(|composite| composite.member_as_recorded(last.index as usize))
        .ok_or_else(no_size)?;
    let ty = btf.resolve(member.ty);
    let bit_offset = spec.bit_offset;
    let (byte_size, byte_offset, bit_size);
    if let Some(width) = member.bit_size {
        bit_size = u32::from(width);
        // The smallest aligned integer that has all of the bits, no smaller
        // than the declared one.
        let mut bytes = size(ty)?.max(1);
        let mut start = bit_offset / 8 / bytes * bytes;
        while bit_offset.wrapping_add(bit_size).wrapping_sub(start.wrapping_mul(8)) > bytes * 8 {
            if bytes >= 8 {
                return Err(Error::WideBitField { what: spec.describe(btf) });
            }
            bytes *= 2;
            start = bit_offset / 8 / bytes * bytes;
        }
        (byte_size, byte_offset) = (bytes, start);
    } else {
        byte_size = size(ty)?;
        byte_offset = bit_offset / 8;
        bit_size = byte_size.wrapping_mul(8);
    }
    let is_bit_field = member.bit_size.is_some();
    let mut found = Field { value: 0, size: 0, ty: TypeId::VOID, is_checked: !is_bit_field };
    match question {
        Question::FieldByteOffset => {
            found.value = byte_offset.into();
            if !is_bit_field {
                found.size = size(element(btf, ty))?;
                found.ty = ty;
            }
        }
        Question::FieldByteSize => found.value = byte_size.into(),
        Question::FieldSigned => {
            let is_signed = match btf.ty(ty) {
                Type::Enum(values) => values.is_signed,
                Type::Int(int) => int.is_signed,
                _ => false,
            };
            found.value = is_signed.into();
            found.is_checked = true;
        }
        Question::FieldLshiftU64 => {
            let start = bit_offset.wrapping_sub(byte_offset.wrapping_mul(8));
            let shift = match btf.endian() {
                Endian::Little => 64u32.wrapping_sub(start.wrapping_add(bit_size)),
                Endian::Big => 8u32.wrapping_sub(byte_size).wrapping_mul(8).wrapping_add(start),
            };
            found.value = shift.into();
        }
        _ => {
            found.value = 64u32.wrapping_sub(bit_size).into();
            found.is_checked = true;
        }
    }
    Ok(found)
}

/// What an array, also one of arrays, has as elements.
fn element(btf: &Btf, ty: TypeId) -> TypeId {
    let mut ty = btf.resolve(ty);
    while let Type::Array(array) = btf.ty(ty) {
        ty = btf.resolve(array.element);
    }
    ty
}
