//! Static asserts about every type of a BTF: what clang, compiling for BPF,
//! has to agree with.

use skep::btf::{Btf, Composite, Type, TypeId};
use std::collections::HashMap;
use std::fmt::Write as _;

/// A C file that includes `header` and asserts the size of every struct,
/// union and enumeration whose tag is unique, and the offset of every member
/// that is no bit-field. Says how many asserts there are.
pub fn source(btf: &Btf, header: &str) -> (String, usize) {
    let mut text = format!("#include \"{header}\"\n");
    let mut tags: HashMap<&str, usize> = HashMap::new();
    let is_tag = |id: TypeId| btf.kind(id).is_composite() || is_whole_enum(btf, id);
    for id in btf.ids().filter(|id| is_tag(*id)) {
        *tags.entry(btf.name(id)).or_default() += 1;
    }
    let mut count = 0;
    for id in btf.ids().filter(|id| is_tag(*id) && tags[btf.name(*id)] == 1) {
        let name = btf.name(id);
        if name.is_empty() {
            continue;
        }
        let (word, size) = match btf.ty(id) {
            Type::Struct(composite) => ("struct", composite.size),
            Type::Union(composite) => ("union", composite.size),
            Type::Enum(values) => ("enum", values.size),
            _ => continue,
        };
        writeln!(text, "_Static_assert(sizeof({word} {name}) == {size}, \"{name}\");").unwrap();
        count += 1;
        if let Some(composite) = btf.as_composite(id) {
            members(btf, composite, &format!("{word} {name}"), 0, &mut text, &mut count);
        }
    }
    (text, count)
}

fn is_whole_enum(btf: &Btf, id: TypeId) -> bool {
    matches!(btf.ty(id), Type::Enum(values) if !values.is_empty())
}

fn members(
    btf: &Btf,
    composite: Composite<'_>,
    tag: &str,
    start: u32,
    text: &mut String,
    count: &mut usize,
) {
    for member in composite.members() {
        let offset = start + member.bit_offset;
        if member.name.is_empty() {
            if let Some(inner) = btf.as_composite(btf.resolve(member.ty)) {
                members(btf, inner, tag, offset, text, count);
            }
        } else if member.bit_size.is_none() {
            let (name, bytes) = (member.name, offset / 8);
            writeln!(
                text,
                "_Static_assert(__builtin_offsetof({tag}, {name}) == {bytes}, \"{tag}.{name}\");"
            )
            .unwrap();
            *count += 1;
        }
    }
}
