//! How a type of one BTF differs from the type of the same name in another:
//! field by field.
//!
//! Members of structs without a name count as members of what has them, as
//! they do in C; those of a named member whose struct has no name are
//! `member.field`. Qualifiers and typedefs make no difference, nor does what
//! lies behind a named struct: that is another type, with differences of its
//! own.

use super::{Btf, Kind, Type, TypeId};
use std::collections::{HashMap, HashSet};

/// What has become of a type or of one of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another name.
    Renamed(String),
    /// It is of another type.
    Retyped {
        /// The old type, as C spells it.
        from: String,
        /// The new one.
        to: String,
    },
    /// It has another size, in bits.
    Resized {
        /// The old size.
        from: u64,
        /// The new one.
        to: u64,
    },
    /// It lies elsewhere, in bits from the start.
    Moved {
        /// The old place.
        from: u64,
        /// The new one.
        to: u64,
    },
    /// A value of an enumeration is another number.
    Renumbered {
        /// The old number.
        from: i128,
        /// The new one.
        to: i128,
    },
}

impl Change {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Renamed(_) => "renamed",
            Self::Retyped { .. } => "retyped",
            Self::Resized { .. } => "resized",
            Self::Moved { .. } => "moved",
            Self::Renumbered { .. } => "renumbered",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field or value; empty if it is about the type as a whole.
    pub field: String,
    /// What has become of it.
    pub change: Change,
}

impl Difference {
    fn new(field: impl Into<String>, change: Change) -> Self {
        Self { field: field.into(), change }
    }
}

/// A member with its place.
struct Field {
    name: String,
    ty: TypeId,
    at: u64,
    bits: u64,
}

/// Two types, and the BTF each is in.
#[derive(Clone, Copy)]
struct Pair<'b> {
    old: &'b Btf,
    new: &'b Btf,
}

/// How far two types are followed to find out whether they are the same.
const MAX_DEPTH: u8 = 32;

/// The most fields that are looked at; a struct of a kernel has some hundreds.
const MAX_FIELDS: usize = 20_000;

impl Btf {
    /// What has become of type `id` in `new`, where it is `other`.
    pub fn differences(&self, id: TypeId, new: &Self, other: TypeId) -> Vec<Difference> {
        let pair = Pair { old: self, new };
        let mut found = Vec::new();
        let (old_id, new_id) = (self.resolve(id), new.resolve(other));
        match (self.ty(old_id), new.ty(new_id)) {
            (Type::Struct(one), Type::Struct(two)) | (Type::Union(one), Type::Union(two)) => {
                if one.size != two.size {
                    let (from, to) = (u64::from(one.size) * 8, u64::from(two.size) * 8);
                    found.push(Difference::new("", Change::Resized { from, to }));
                }
                pair.fields(old_id, new_id, &mut found);
            }
            (Type::Enum(one), Type::Enum(two)) => {
                if one.size != two.size {
                    let (from, to) = (u64::from(one.size) * 8, u64::from(two.size) * 8);
                    found.push(Difference::new("", Change::Resized { from, to }));
                }
                let old: Vec<_> = one.values().collect();
                let new: HashMap<_, _> = two.values().map(|v| (v.name, v.value)).collect();
                let known: HashSet<_> = old.iter().map(|value| value.name).collect();
                for value in &old {
                    let change = match new.get(value.name) {
                        None => Change::Removed,
                        Some(to) if *to != value.value => {
                            Change::Renumbered { from: value.value, to: *to }
                        }
                        Some(_) => continue,
                    };
                    found.push(Difference::new(value.name, change));
                }
                for value in two.values().filter(|value| !known.contains(value.name)) {
                    found.push(Difference::new(value.name, Change::Added));
                }
            }
            _ if !pair.same(id, other, 0) => {
                let (from, to) = (self.spell(old_id, ""), new.spell(new_id, ""));
                found.push(Difference::new("", Change::Retyped { from, to }));
            }
            _ => {}
        }
        found
    }
}

impl Pair<'_> {
    fn fields(self, old: TypeId, new: TypeId, found: &mut Vec<Difference>) {
        let (old, new) = (fields_of(self.old, old), fields_of(self.new, new));
        let index = |fields: &[Field]| -> HashMap<String, usize> {
            fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at)).collect()
        };
        let (old_index, new_index) = (index(&old), index(&new));
        let mut taken = HashSet::new();
        for (at, field) in old.iter().enumerate() {
            let successor = match new_index.get(&field.name) {
                Some(same) => Some(*same),
                None => self.successor(&old, at, &new, &old_index, &new_index, &taken),
            };
            let Some(successor) = successor else {
                found.push(Difference::new(&*field.name, Change::Removed));
                continue;
            };
            taken.insert(successor);
            let other = &new[successor];
            let mut add = |change| found.push(Difference::new(&*field.name, change));
            if other.name != field.name {
                add(Change::Renamed(other.name.clone()));
            }
            if !self.same(field.ty, other.ty, 0) {
                let from = self.old.spell(field.ty, "");
                add(Change::Retyped { from, to: self.new.spell(other.ty, "") });
            }
            if field.bits != other.bits {
                add(Change::Resized { from: field.bits, to: other.bits });
            }
            if field.at != other.at {
                add(Change::Moved { from: field.at, to: other.at });
            }
        }
        for (at, field) in new.iter().enumerate() {
            if !taken.contains(&at) && !old_index.contains_key(&field.name) {
                found.push(Difference::new(&*field.name, Change::Added));
            }
        }
    }

    /// What a field that is gone is called now: a new field of the same type
    /// and size between the same neighbours.
    fn successor(
        self,
        old: &[Field],
        at: usize,
        new: &[Field],
        old_index: &HashMap<String, usize>,
        new_index: &HashMap<String, usize>,
        taken: &HashSet<usize>,
    ) -> Option<usize> {
        let field = &old[at];
        let before = at.checked_sub(1).map(|before| &old[before].name);
        let after = old.get(at + 1).map(|after| &after.name);
        // Behind the same field, or before it; where the old neighbour has
        // none or is gone too, the place must be the same.
        let behind = match before {
            Some(name) => new_index.get(name).map(|at| at + 1),
            None => Some(0),
        };
        let ahead = after.and_then(|name| new_index.get(name)).and_then(|at| at.checked_sub(1));
        let same_place = new.iter().position(|other| other.at == field.at);
        [behind, ahead, same_place].into_iter().flatten().find(|candidate| {
            new.get(*candidate).is_some_and(|other| {
                !taken.contains(candidate)
                    && !old_index.contains_key(&other.name)
                    && other.bits == field.bits
                    && self.same(field.ty, other.ty, 0)
            })
        })
    }

    /// Whether two types mean the same to a program: typedefs and qualifiers
    /// aside, named structs by their name.
    fn same(self, one: TypeId, two: TypeId, depth: u8) -> bool {
        if depth > MAX_DEPTH {
            return true;
        }
        let (one, two) = (self.old.resolve(one), self.new.resolve(two));
        let (one_name, two_name) = (self.old.name(one), self.new.name(two));
        match (self.old.ty(one), self.new.ty(two)) {
            (Type::Void, Type::Void) => true,
            (Type::Int(a), Type::Int(b)) => {
                // Whether a plain `char` has a sign is up to the compiler; Linux
                // 6.2 has changed it for all of them.
                let is_plain = a.name == "char" && b.name == "char";
                (a.size, a.bits, a.is_bool) == (b.size, b.bits, b.is_bool)
                    && (is_plain || a.is_signed == b.is_signed)
            }
            (Type::Float { size: a, .. }, Type::Float { size: b, .. }) => a == b,
            (Type::Ptr(a), Type::Ptr(b)) => self.same(a, b, depth + 1),
            (Type::Array(a), Type::Array(b)) => {
                a.count == b.count && self.same(a.element, b.element, depth + 1)
            }
            (Type::Enum(a), Type::Enum(b)) => {
                one_name == two_name
                    && a.size == b.size
                    && (!one_name.is_empty() || a.values().eq(b.values()))
            }
            (Type::FuncProto(a), Type::FuncProto(b)) => {
                a.len() == b.len()
                    && self.same(a.returns, b.returns, depth + 1)
                    && a.params().zip(b.params()).all(|(a, b)| self.same(a.ty, b.ty, depth + 1))
            }
            _ => {
                let kind = |btf: &Btf, id| match btf.ty(id) {
                    Type::Struct(_) | Type::Fwd { is_union: false, .. } => Some(Kind::Struct),
                    Type::Union(_) | Type::Fwd { is_union: true, .. } => Some(Kind::Union),
                    _ => None,
                };
                // Members of structs without a name are fields of their own.
                let (a, b) = (kind(self.old, one), kind(self.new, two));
                a.is_some() && a == b && one_name == two_name
            }
        }
    }
}

fn fields_of(btf: &Btf, id: TypeId) -> Vec<Field> {
    let mut fields = Vec::new();
    add_fields(btf, id, "", 0, &mut fields);
    fields
}

fn add_fields(btf: &Btf, id: TypeId, prefix: &str, start: u64, fields: &mut Vec<Field>) {
    let Some(composite) = btf.as_composite(id) else { return };
    for member in composite.members() {
        if fields.len() >= MAX_FIELDS {
            return;
        }
        let at = start + u64::from(member.bit_offset);
        let inner = btf.resolve(member.ty);
        let is_part = btf.as_composite(inner).is_some_and(|inner| inner.name.is_empty());
        let name = format!("{prefix}{}", member.name);
        if !member.name.is_empty() {
            let bits = member
                .bit_size
                .map_or_else(|| btf.size(member.ty).unwrap_or(0).saturating_mul(8), u64::from);
            fields.push(Field { name: name.clone(), ty: member.ty, at, bits });
        }
        if is_part {
            let prefix =
                if member.name.is_empty() { prefix.to_owned() } else { format!("{name}.") };
            add_fields(btf, inner, &prefix, at, fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Endian};
    use super::*;

    /// A builder with `int` as 1, `unsigned int` as 2 and `u32` as 3.
    fn builder() -> Builder {
        let mut b = Builder::new();
        b.int("int", 4, 1);
        let unsigned = b.int("unsigned int", 4, 0);
        b.reference(Kind::Typedef, "u32", unsigned);
        b
    }

    fn compare(old: impl FnOnce(&mut Builder), new: impl FnOnce(&mut Builder)) -> Vec<String> {
        let make = |fill: &mut dyn FnMut(&mut Builder)| {
            let mut b = builder();
            fill(&mut b);
            Btf::parse(b.finish(Endian::Little)).unwrap()
        };
        let (mut old, mut new) = (Some(old), Some(new));
        let old = make(&mut |b| (old.take().unwrap())(b));
        let new = make(&mut |b| (new.take().unwrap())(b));
        let id = |btf: &Btf| btf.named("s").next().unwrap();
        let found = old.differences(id(&old), &new, id(&new));
        found
            .iter()
            .map(|one| match &one.change {
                Change::Added | Change::Removed => format!("{} {}", one.field, one.change.as_str()),
                Change::Renamed(to) => format!("{} renamed {to}", one.field),
                Change::Retyped { from, to } => format!("{} retyped {from} {to}", one.field),
                Change::Resized { from, to } => format!("{} resized {from} {to}", one.field),
                Change::Moved { from, to } => format!("{} moved {from} {to}", one.field),
                Change::Renumbered { from, to } => format!("{} renumbered {from} {to}", one.field),
            })
            .collect()
    }

    const INT: TypeId = TypeId(1);
    const UNSIGNED: TypeId = TypeId(2);
    const U32: TypeId = TypeId(3);

    #[test]
    fn every_kind_of_change_is_told() {
        let found = compare(
            |b| {
                let members = [
                    ("kept", INT, 0, 0),
                    ("same", UNSIGNED, 32, 0),
                    ("old_name", INT, 64, 0),
                    ("gone", UNSIGNED, 96, 0),
                    ("sign", INT, 128, 0),
                    ("bits", UNSIGNED, 160, 3),
                ];
                b.composite(Kind::Struct, "s", 24, &members);
            },
            |b| {
                let members = [
                    ("kept", INT, 0, 0),
                    ("same", U32, 32, 0),
                    ("new_name", INT, 64, 0),
                    ("sign", UNSIGNED, 96, 0),
                    ("bits", UNSIGNED, 128, 4),
                    ("more", INT, 160, 0),
                    ("last", INT, 192, 0),
                ];
                b.composite(Kind::Struct, "s", 28, &members);
            },
        );
        assert_eq!(
            found,
            [
                " resized 192 224",
                "old_name renamed new_name",
                "gone removed",
                "sign retyped int unsigned int",
                "sign moved 128 96",
                "bits resized 3 4",
                "bits moved 160 128",
                "more added",
                "last added"
            ]
        );
    }

    #[test]
    fn members_of_structs_without_a_name_are_fields() {
        let found = compare(
            |b| {
                let inner =
                    b.composite(Kind::Struct, "", 8, &[("a", INT, 0, 0), ("b", INT, 32, 0)]);
                let members = [("", inner, 0, 0), ("named", inner, 64, 0)];
                b.composite(Kind::Struct, "s", 16, &members);
            },
            |b| {
                let inner =
                    b.composite(Kind::Struct, "", 8, &[("b", INT, 0, 0), ("a", INT, 32, 0)]);
                let members = [("", inner, 0, 0), ("named", inner, 64, 0)];
                b.composite(Kind::Struct, "s", 16, &members);
            },
        );
        assert_eq!(
            found,
            ["a moved 0 32", "b moved 32 0", "named.a moved 64 96", "named.b moved 96 64"]
        );
    }

    #[test]
    fn values_and_typedefs_differ_too() {
        let found = compare(
            |b| _ = b.enumeration("s", 4, false, &[("A", 0), ("B", 1), ("C", 2)]),
            |b| _ = b.enumeration("s", 4, false, &[("A", 0), ("C", 1), ("D", 2)]),
        );
        assert_eq!(found, ["B removed", "C renumbered 2 1", "D added"]);
        let found = compare(
            |b| _ = b.reference(Kind::Typedef, "s", INT),
            |b| _ = b.reference(Kind::Typedef, "s", U32),
        );
        assert_eq!(found, [" retyped int unsigned int"]);
        let same = |b: &mut Builder| _ = b.reference(Kind::Typedef, "s", UNSIGNED);
        assert_eq!(compare(same, |b| _ = b.reference(Kind::Typedef, "s", U32)), [""; 0]);
    }
}
