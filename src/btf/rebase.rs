//! Split BTF over a distilled base, put on the real one.
//!
//! A module that is built apart from its kernel cannot rely on the numbers of
//! the kernel's types. Its section `.BTF.base` holds, of each of those that it
//! refers to, what tells it from others: kind, name and size. [`Btf::rebase`]
//! finds them in a kernel by the rules of libbpf's `btf__relocate`, and
//! renumbers the module's own types.

use super::rewrite::{assemble, remap};
use super::types::{Kind, Type, TypeId, words};
use super::{Btf, Data, Error};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Btf {
    /// Reads split BTF that comes with its distilled base, and puts it on the
    /// real one; without that, on the distilled base, which is little more
    /// than names.
    ///
    /// # Errors
    /// As [`Btf::parse`], for both, and [`Btf::rebase`].
    pub fn parse_distilled(
        data: impl Into<Data>,
        distilled: impl Into<Data>,
        base: Option<&Arc<Self>>,
    ) -> Result<Self, Error> {
        let split = Self::parse_split(data, Arc::new(Self::parse(distilled)?))?;
        base.map_or(Ok(None), |base| split.rebase(base).map(Some)).map(|it| it.unwrap_or(split))
    }

    /// The types of this split BTF, whose base is distilled, over `base`.
    ///
    /// # Errors
    /// If this BTF has no base; if `base` lacks a type that the distilled base
    /// has, or has several that may be meant; or if something of this one does
    /// not fit the types found.
    pub fn rebase(&self, base: &Arc<Self>) -> Result<Self, Error> {
        let Some(distilled) = self.base() else {
            return Err(Error::Header("it continues no other BTF"));
        };
        let embedded = self.embedded();
        let mut found = vec![0];
        for id in distilled.ids() {
            found.push(counterpart(distilled, id, embedded.contains(&id.0), base)?.0);
        }
        let (first, first_name) = (self.first_own().0, self.base_strings);
        let mut strings = self.data[self.strings.clone()].to_vec();
        // Names that stood in the distilled base come behind the own ones.
        let mut moved: HashMap<u32, u32> = HashMap::new();
        let mut types = Vec::new();
        for id in first..self.len() {
            let Some(record) = self.record_bytes(id) else { continue };
            if Kind::of(words::<2>(record)[1]) == Kind::Unknown {
                return Err(Error::ty(id, "has a kind that cannot be renumbered"));
            }
            let name = |name: u32| match name.checked_sub(first_name) {
                Some(own) => base.strings_end() + own,
                None if name == 0 => 0,
                None => *moved.entry(name).or_insert_with(|| {
                    let offset = base.strings_end() + strings.len() as u32;
                    strings.extend_from_slice(self.bytes_of(name));
                    strings.push(0);
                    offset
                }),
            };
            let ty = |id: u32| match id.checked_sub(first) {
                Some(own) => base.len() + own,
                None => found.get(id as usize).copied().unwrap_or(0),
            };
            remap(record, &mut types, name, ty);
        }
        let total = types.len() as u64 * 4 + strings.len() as u64 + u64::from(base.strings_end());
        if total > u64::from(u32::MAX / 2) {
            return Err(Error::Header("it is too large"));
        }
        let mut rebased = Self::parse_split(assemble(&types, &strings), base.clone())?;
        rebased.endian = base.endian();
        Ok(rebased)
    }

    /// The base's structs and unions that own ones have in them by value.
    fn embedded(&self) -> HashSet<u32> {
        let first = self.first_own();
        let own = self.ids().skip_while(|id| *id < first);
        let members = own.filter_map(|id| self.as_composite(id)).flat_map(|one| one.members());
        members
            .map(|member| {
                let mut id = self.resolve(member.ty);
                while let Type::Array(array) = self.ty(id) {
                    id = self.resolve(array.element);
                }
                id
            })
            .filter(|id| *id < first && self.kind(*id).is_composite())
            .map(|id| id.0)
            .collect()
    }
}

/// The type of `base` that one of a distilled base stands for.
fn counterpart(
    distilled: &Btf,
    id: TypeId,
    is_embedded: bool,
    base: &Btf,
) -> Result<TypeId, Error> {
    let (name, ty) = (distilled.name(id), distilled.ty(id));
    let refuse = |what: String| Error::ty(id.0, format!("of the distilled base {what}"));
    let is_known = matches!(
        ty,
        Type::Int(_)
            | Type::Float { .. }
            | Type::Enum(_)
            | Type::Struct(_)
            | Type::Union(_)
            | Type::Fwd { .. }
    );
    if name.is_empty() || !is_known {
        return Err(refuse("is none that can be found by its name".to_owned()));
    }
    let named = |is_it: &dyn Fn(TypeId) -> bool| -> Vec<TypeId> {
        base.named(name).filter(|id| is_it(*id)).collect()
    };
    let size = |other: TypeId| base.size(other) == distilled.size(id);
    let found = match ty {
        Type::Int(int) => named(&|other| match base.ty(other) {
            Type::Int(other) => int == other,
            _ => false,
        }),
        Type::Enum(_) => named(&|other| base.kind(other).is_enum() && size(other)),
        Type::Fwd { is_union, .. } => {
            let kind = if is_union { Kind::Union } else { Kind::Struct };
            let whole = named(&|other| base.kind(other) == kind);
            match whole.is_empty() {
                false => whole,
                true => named(
                    &|other| matches!(base.ty(other), Type::Fwd { is_union: it, .. } if it == is_union),
                ),
            }
        }
        _ => {
            let kind = distilled.kind(id);
            let mut same = named(&|other| base.kind(other) == kind);
            if is_embedded || same.len() > 1 || kind == Kind::Float {
                same.retain(|other| size(*other));
            }
            same
        }
    };
    let what = distilled.word(id);
    match found[..] {
        [one] => Ok(one),
        [] => Err(refuse(format!("is `{what}`, and the kernel has no such type of its size"))),
        _ => Err(refuse(format!("is `{what}`, and the kernel has several that may be meant"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Endian};
    use super::*;

    /// A kernel with `struct item { int a; long b; }` and what else `more`
    /// adds before it.
    fn kernel(more: impl Fn(&mut Builder)) -> Arc<Btf> {
        let mut b = Builder::new();
        more(&mut b);
        let int = b.int("int", 4, 1);
        let long = b.int("long", 8, 1);
        b.enumeration("mode", 8, false, &[("MODE", 1)]);
        b.composite(Kind::Struct, "item", 16, &[("a", int, 0, 0), ("b", long, 64, 0)]);
        b.composite(Kind::Struct, "far", 8, &[("x", int, 0, 3)]);
        Arc::new(Btf::parse(b.finish(Endian::Little)).unwrap())
    }

    /// The number of what was added does not matter.
    fn add(_: TypeId) {}

    /// A module over what is distilled of such a kernel.
    fn module(size: u32) -> Btf {
        let mut b = Builder::new();
        let far = b.raw("far", Kind::Fwd, false, 0, 0, &[]);
        let item = b.composite(Kind::Struct, "item", size, &[]);
        let mode = b.raw("mode", Kind::Enum, false, 0, 8, &[]);
        let int = b.int("int", 4, 1);
        let distilled = Arc::new(Btf::parse(b.finish(Endian::Little)).unwrap());
        let mut b = Builder::over(&distilled);
        let far = b.reference(Kind::Ptr, "", far);
        let items = b.array(item, int, 2);
        let members = [
            ("items", items, 0, 0),
            ("far", far, 2 * size * 8, 0),
            ("mode", mode, 2 * size * 8 + 64, 0),
            ("int", int, 2 * size * 8 + 128, 0),
        ];
        let own = b.composite(Kind::Struct, "own", 2 * size + 24, &members);
        // A name that stands in the distilled base.
        b.raw_at(1, Kind::Typedef, false, 0, own.0, &[]);
        Btf::parse_split(b.finish(Endian::Little), distilled).unwrap()
    }

    #[test]
    fn what_a_module_refers_to_is_found_in_the_kernel() {
        let module = module(16);
        for kernel in [
            kernel(|_| {}),
            kernel(|b| (0..9).for_each(|n| add(b.int(&format!("u{n}"), 8, 0)))),
            kernel(|b| add(b.raw("far", Kind::Fwd, false, 0, 0, &[]))),
            kernel(|b| add(b.composite(Kind::Struct, "item", 8, &[]))),
            kernel(|b| add(b.composite(Kind::Union, "far", 8, &[]))),
        ] {
            let rebased = module.rebase(&kernel).unwrap();
            let own = rebased.find(Kind::Struct, "own").unwrap();
            let own = rebased.as_composite(own).unwrap();
            let text: Vec<String> =
                own.members().map(|member| rebased.spell(member.ty, member.name)).collect();
            assert_eq!(
                text,
                ["struct item items[2]", "struct far *far", "enum mode mode", "int int"]
            );
            let Type::Ptr(far) = rebased.ty(own.member(1).unwrap().ty) else { panic!() };
            assert_eq!(rebased.as_composite(far).map(|far| far.len()), Some(1));
            let typedef = rebased.find(Kind::Typedef, "far").unwrap();
            assert_eq!(rebased.size(typedef), Some(56));
            assert!(Arc::ptr_eq(rebased.base().unwrap(), &kernel));
        }
    }

    #[test]
    fn what_cannot_be_found_is_named() {
        let refusal =
            |module: &Btf, kernel: Arc<Btf>| module.rebase(&kernel).unwrap_err().to_string();
        let said = refusal(&module(24), kernel(|_| {}));
        assert!(
            said.ends_with("is `struct item`, and the kernel has no such type of its size"),
            "{said}"
        );
        let said =
            refusal(&module(16), kernel(|b| add(b.composite(Kind::Struct, "item", 16, &[]))));
        assert!(
            said.ends_with("is `struct item`, and the kernel has several that may be meant"),
            "{said}"
        );
        let kernel = kernel(|_| {});
        let said = kernel.rebase(&kernel).unwrap_err().to_string();
        assert!(said.ends_with("it continues no other BTF"), "{said}");
        let mut b = Builder::over(&kernel);
        b.reference(Kind::Ptr, "", TypeId(4));
        let split = Btf::parse_split(b.finish(Endian::Little), kernel.clone()).unwrap();
        assert!(split.rebase(&kernel).is_ok(), "all of its types have names");
    }
}
