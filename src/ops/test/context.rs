//! Contexts by the names of their members: the kernel's structures as BTF,
//! which is what values are written and read by.

use crate::bpf::test_run::Context;
use crate::btf::{Btf, Builder, Endian, Kind, TypeId};
use std::sync::Arc;

/// A context's type. Guests are little-endian.
pub(super) fn type_of(context: &Context) -> Option<(Arc<Btf>, TypeId)> {
    let mut builder = Builder::new();
    let ints = [
        (1, builder.int("unsigned char", 1, 0)),
        (2, builder.int("unsigned short", 2, 0)),
        (4, builder.int("unsigned int", 4, 0)),
        (8, builder.int("unsigned long long", 8, 0)),
    ];
    let int = |size: u32| ints.iter().find(|(known, _)| *known == size).map(|(_, ty)| *ty);
    let index = int(4)?;
    let short = builder.reference(Kind::Typedef, "__be16", int(2)?);
    let word = builder.reference(Kind::Typedef, "__be32", int(4)?);
    let mut members = Vec::new();
    for member in context.members {
        let mut ty = match (member.is_big_endian, member.size) {
            (true, 2) => short,
            (true, _) => word,
            (false, size) => int(size)?,
        };
        if member.count > 0 {
            ty = builder.array(ty, index, member.count);
        }
        members.push((member.name, ty, member.offset * 8, 0));
    }
    let record = builder.composite(Kind::Struct, context.name, context.size, &members);
    let btf = Btf::parse(builder.finish(Endian::Little)).ok()?;
    Some((Arc::new(btf), record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::{ProgramType, test_run::test_run};

    #[test]
    fn every_context_has_a_type_of_its_size() {
        for kind in ProgramType::ALL {
            let Some(context) = test_run(*kind).and_then(|run| run.context) else { continue };
            let (btf, ty) = type_of(context).expect(context.name);
            assert_eq!(btf.size(ty), Some(context.size.into()), "{}", context.name);
            let of = btf.as_composite(ty).expect(context.name);
            for (member, expected) in of.members().zip(context.members) {
                assert_eq!(member.bit_offset, expected.offset * 8, "{}", member.name);
            }
        }
    }
}
