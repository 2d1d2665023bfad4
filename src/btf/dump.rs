//! Types as lines of text, in the form of `bpftool btf dump file FILE`: what
//! is in a record, and nothing about what it means.

use super::{Btf, Kind, Type, TypeId};
use std::fmt::Write as _;

impl Btf {
    /// Adds the record of a type, one line and one for each of its members,
    /// to `out`; nothing for `void` and for numbers that are not there.
    pub fn dump(&self, id: TypeId, out: &mut String) {
        if id == TypeId::VOID || !self.contains(id) {
            return;
        }
        // Writing to a string does not fail.
        let _ = self.write_record(id, out);
    }

    fn write_record(&self, id: TypeId, out: &mut String) -> std::fmt::Result {
        let kind = self.kind(id);
        let name = match self.name(id) {
            "" => "(anon)",
            name => name,
        };
        write!(out, "[{id}] {} '{name}'", kind.as_str())?;
        match self.ty(id) {
            Type::Int(int) => {
                let encoding = match (int.is_signed, int.is_char, int.is_bool) {
                    (true, _, _) => "SIGNED",
                    (_, true, _) => "CHAR",
                    (_, _, true) => "BOOL",
                    _ => "(none)",
                };
                write!(
                    out,
                    " size={} bits_offset={} nr_bits={} encoding={encoding}",
                    int.size, int.offset, int.bits
                )?;
            }
            Type::Ptr(target)
            | Type::Typedef { target, .. }
            | Type::Volatile(target)
            | Type::Const(target)
            | Type::Restrict(target)
            | Type::TypeTag { target, .. } => write!(out, " type_id={target}")?,
            Type::Array(array) => {
                write!(
                    out,
                    " type_id={} index_type_id={} nr_elems={}",
                    array.element, array.index, array.count
                )?;
            }
            Type::Struct(composite) | Type::Union(composite) => {
                write!(out, " size={} vlen={}", composite.size, composite.len())?;
                for member in composite.members() {
                    let name = if member.name.is_empty() { "(anon)" } else { member.name };
                    let (ty, at) = (member.ty, member.bit_offset);
                    write!(out, "\n\t'{name}' type_id={ty} bits_offset={at}")?;
                    if let Some(width) = member.bit_size {
                        write!(out, " bitfield_size={width}")?;
                    }
                }
            }
            Type::Enum(values) => {
                let encoding = if values.is_signed { "SIGNED" } else { "UNSIGNED" };
                let (size, count) = (values.size, values.len());
                write!(out, " encoding={encoding} size={size} vlen={count}")?;
                for value in values.values() {
                    let suffix = match (kind, values.is_signed) {
                        (Kind::Enum64, true) => "LL",
                        (Kind::Enum64, false) => "ULL",
                        _ => "",
                    };
                    write!(out, "\n\t'{}' val={}{suffix}", value.name, value.value)?;
                }
            }
            Type::Fwd { is_union, .. } => {
                write!(out, " fwd_kind={}", if is_union { "union" } else { "struct" })?;
            }
            Type::Func { proto, linkage, .. } => {
                write!(out, " type_id={proto} linkage={}", linkage.as_str())?;
            }
            Type::FuncProto(proto) => {
                write!(out, " ret_type_id={} vlen={}", proto.returns, proto.len())?;
                for param in proto.params() {
                    let name = if param.name.is_empty() { "(anon)" } else { param.name };
                    write!(out, "\n\t'{name}' type_id={}", param.ty)?;
                }
            }
            Type::Var(var) => {
                write!(out, " type_id={}, linkage={}", var.ty, var.linkage.as_str())?;
            }
            Type::Datasec(section) => {
                write!(out, " size={} vlen={}", section.size, section.items().len())?;
                for item in section.items() {
                    let (ty, at, size) = (item.ty, item.offset, item.size);
                    write!(out, "\n\ttype_id={ty} offset={at} size={size}")?;
                    let (kind, name) = (self.kind(ty).as_str(), self.name(ty));
                    write!(out, " ({kind} '{name}')")?;
                }
            }
            Type::Float { size, .. } => write!(out, " size={size}")?,
            Type::DeclTag(tag) => {
                let component = tag.component.map_or(-1, i64::from);
                write!(out, " type_id={} component_idx={component}", tag.target)?;
            }
            Type::Void | Type::Unknown => {}
        }
        out.push('\n');
        Ok(())
    }
}
