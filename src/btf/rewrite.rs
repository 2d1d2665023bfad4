//! Rewriting BTF: the same types under other numbers.

use super::types::{Kind, words};
use super::{Btf, Error};
use std::sync::Arc;

/// Appends a record's words with every type number and every string offset
/// in it replaced.
pub(super) fn remap(
    record: &[u8],
    out: &mut Vec<u32>,
    mut name: impl FnMut(u32) -> u32,
    mut ty: impl FnMut(u32) -> u32,
) {
    let [first, info, third] = words(record);
    let kind = Kind::of(info);
    out.push(name(first));
    out.push(info);
    let is_reference = matches!(
        kind,
        Kind::Ptr
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Func
            | Kind::FuncProto
            | Kind::Var
            | Kind::DeclTag
            | Kind::TypeTag
    );
    out.push(if is_reference { ty(third) } else { third });
    let rest = record.get(12..).unwrap_or_default();
    for (index, word) in rest.as_chunks::<4>().0.iter().enumerate() {
        let word = u32::from_le_bytes(*word);
        out.push(match (kind, index) {
            (Kind::Array, 0 | 1) => ty(word),
            (Kind::Struct | Kind::Union, _) if index % 3 == 0 => name(word),
            (Kind::Struct | Kind::Union, _) if index % 3 == 1 => ty(word),
            (Kind::Enum, _) if index % 2 == 0 => name(word),
            (Kind::Enum64, _) if index % 3 == 0 => name(word),
            (Kind::FuncProto, _) if index % 2 == 0 => name(word),
            (Kind::FuncProto, _) => ty(word),
            (Kind::Datasec, _) if index % 3 == 0 => ty(word),
            _ => word,
        });
    }
}

/// The bytes of BTF without unknown kinds, in little-endian order.
pub(super) fn assemble(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let size = types.len() * 4;
    let mut bytes = Vec::with_capacity(24 + size + strings.len());
    bytes.extend([0x9f, 0xeb, 1, 0]);
    for word in [24, 0, size as u32, size as u32, strings.len() as u32] {
        bytes.extend(word.to_le_bytes());
    }
    for word in types {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend_from_slice(strings);
    bytes
}

impl Btf {
    /// Puts several split BTFs over one base together: the base's types, then
    /// each one's own in turn, under numbers of their own.
    ///
    /// # Errors
    /// If one of them does not continue `base`, or they are too large
    /// together.
    pub fn join(base: &Arc<Self>, parts: &[Self]) -> Result<Self, Error> {
        let (mut types, mut strings) = (Vec::new(), Vec::new());
        let mut count = 0;
        for part in parts {
            if !part.base.as_ref().is_some_and(|other| Arc::ptr_eq(other, base)) {
                return Err(Error::Header("it continues another base"));
            }
            let names = strings.len() as u32;
            let (first, first_name) = (part.first_own().0, part.base_strings);
            for id in first..part.len() {
                let Some(record) = part.record_bytes(id) else { continue };
                if Kind::of(words::<2>(record)[1]) == Kind::Unknown {
                    return Err(Error::ty(id, "has a kind that cannot be renumbered"));
                }
                let name = |name: u32| if name < first_name { name } else { name + names };
                let ty = |id: u32| if id < first { id } else { id + count };
                remap(record, &mut types, name, ty);
            }
            count += part.len() - first;
            strings.extend_from_slice(&part.data[part.strings.clone()]);
            if types.len() * 4 + strings.len() > u32::MAX as usize / 2 {
                return Err(Error::Header("it is too large"));
            }
        }
        let mut joined = Self::parse_split(assemble(&types, &strings), base.clone())?;
        joined.endian = base.endian();
        Ok(joined)
    }
}
