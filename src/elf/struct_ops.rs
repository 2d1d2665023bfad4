//! Structs of functions that programs implement: the variables of
//! `.struct_ops`, `.struct_ops.link` and their optional kin.

use crate::btf::{Btf, Kind, Type, TypeId};

/// The sections, and whether libbpf makes maps of them unasked.
const SECTIONS: [(&str, bool); 4] = [
    (".struct_ops", true),
    (".struct_ops.link", true),
    ("?.struct_ops", false),
    ("?.struct_ops.link", false),
];

/// A variable, of which libbpf makes a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOps {
    /// Its name.
    pub name: String,
    /// The section it stands in.
    pub section: &'static str,
    /// Its type: a struct.
    pub ty: TypeId,
    /// Whether libbpf makes a map of it unasked.
    pub autocreate: bool,
    /// By member: whether the object gives it something else than zero.
    pub given: Vec<bool>,
}

/// How many members are read at most. A kernel's largest such struct has some
/// 40.
const MAX_MEMBERS: usize = 100_000;

/// The variables in the sections for which `content` has their bytes and the
/// offsets of what is relocated in them, sorted.
pub(super) fn read<'b>(
    btf: &Btf,
    mut content: impl FnMut(&str) -> Option<(&'b [u8], Vec<u64>)>,
) -> Vec<StructOps> {
    let mut found = Vec::new();
    let mut left = MAX_MEMBERS;
    for (section, autocreate) in SECTIONS {
        let Some((bytes, relocated)) = content(section) else { continue };
        let Some(Type::Datasec(list)) = btf.find(Kind::Datasec, section).map(|id| btf.ty(id))
        else {
            continue;
        };
        for item in list.items() {
            let Type::Var(variable) = btf.ty(item.ty) else { continue };
            let ty = btf.resolve(variable.ty);
            let Type::Struct(members) = btf.ty(ty) else { continue };
            left = match left.checked_sub(members.len() + 1) {
                Some(left) => left,
                None => return found,
            };
            let given = members.members().map(|member| {
                let start = u64::from(item.offset) + u64::from(member.bit_offset / 8);
                let end = start + btf.size(member.ty).unwrap_or_default();
                let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                let own = range.and_then(|(start, end)| bytes.get(start..end));
                let next = relocated.partition_point(|offset| *offset < start);
                relocated.get(next).is_some_and(|offset| *offset < end)
                    || own.is_some_and(|own| own.iter().any(|byte| *byte != 0))
            });
            let given = given.collect();
            let name = variable.name.to_owned();
            found.push(StructOps { name, section, ty, autocreate, given });
        }
    }
    found
}
