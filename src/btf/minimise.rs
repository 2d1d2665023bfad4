//! Cutting BTF down to what somebody needs of it.
//!
//! A [`Subset`] is told which types, members and values count. What it writes
//! has those and no more, at their old offsets and of their old sizes:
//! qualifiers and typedefs on the way are left out, a pointer points to
//! `void` unless what it points to counts, and types that have become the
//! same are one. The numbers of types are not kept.
//!
//! A subset may take types of a kernel's modules too. They lie beside the
//! kernel's own in the result, which stands on its own.

use super::types::words;
use super::{Btf, Builder, Kind, TypeId};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Which BTF a type is in: 0 for the first one of a [`Subset`], the kernel's.
type Source = usize;

/// A type and the BTF it is in; the kernel's own types are always said to be
/// in the kernel's.
type Key = (Source, TypeId);

/// What is kept of some BTF.
#[derive(Clone, Debug)]
pub struct Subset<'b> {
    sources: Vec<&'b Btf>,
    /// Structs, unions and enumerations, and the members or values that count.
    parts: BTreeMap<Key, BTreeSet<u32>>,
    /// Types that must be found by their name, and therefore are written as
    /// they are, typedefs too.
    roots: BTreeSet<Key>,
    /// Pointers whose targets count.
    followed: BTreeSet<Key>,
}

impl<'b> Subset<'b> {
    /// Nothing of a kernel's BTF, and of that of its modules, which continues
    /// the kernel's.
    pub fn new(kernel: &'b Btf, modules: impl IntoIterator<Item = &'b Btf>) -> Self {
        Self {
            sources: std::iter::once(kernel).chain(modules).collect(),
            parts: BTreeMap::new(),
            roots: BTreeSet::new(),
            followed: BTreeSet::new(),
        }
    }

    fn btf(&self, source: Source) -> &'b Btf {
        self.sources.get(source).unwrap_or(&self.sources[0])
    }

    fn key(&self, source: Source, id: TypeId) -> Key {
        if id.0 < self.sources[0].len() { (0, id) } else { (source, id) }
    }

    /// Keeps a type by its name, without its members or values.
    pub fn keep(&mut self, source: Source, id: TypeId) {
        self.roots.insert(self.key(source, id));
    }

    /// Keeps a member of a struct or union, or a value of an enumeration.
    pub fn keep_part(&mut self, source: Source, owner: TypeId, index: u32) {
        self.parts.entry(self.key(source, owner)).or_default().insert(index);
    }

    /// Keeps what a pointer points to.
    pub fn follow(&mut self, source: Source, pointer: TypeId) {
        self.followed.insert(self.key(source, pointer));
    }

    /// Keeps what has to be spelled out to write a type: through pointers,
    /// arrays and the signatures of functions, up to structs, unions and
    /// enumerations, of which nothing is kept but that they are there.
    pub fn keep_shape(&mut self, source: Source, id: TypeId) {
        let btf = self.btf(source);
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let id = btf.resolve(id);
            if !seen.insert(id) {
                continue;
            }
            let Some(record) = btf.record(id.0) else { continue };
            match record.kind() {
                Kind::Ptr => {
                    self.follow(source, id);
                    open.push(TypeId(record.third));
                }
                Kind::Array => open.push(TypeId(words::<1>(record.rest)[0])),
                Kind::FuncProto => {
                    open.push(TypeId(record.third));
                    open.extend(params(record.rest));
                }
                _ => {}
            }
        }
    }

    /// Keeps a type with all it consists of and refers to.
    pub fn keep_all(&mut self, source: Source, id: TypeId) {
        let btf = self.btf(source);
        self.keep(source, id);
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let id = btf.resolve(id);
            if !seen.insert(id) {
                continue;
            }
            let Some(record) = btf.record(id.0) else { continue };
            let elements = |size: usize| 0..(record.rest.len() / size) as u32;
            match record.kind() {
                Kind::Struct | Kind::Union => {
                    let members = record.rest.chunks_exact(12);
                    open.extend(members.map(|member| TypeId(words::<2>(member)[1])));
                    let key = self.key(source, id);
                    self.parts.entry(key).or_default().extend(elements(12));
                }
                Kind::Enum => {
                    self.parts.entry(self.key(source, id)).or_default().extend(elements(8));
                }
                Kind::Enum64 => {
                    self.parts.entry(self.key(source, id)).or_default().extend(elements(12));
                }
                Kind::Ptr => {
                    self.follow(source, id);
                    open.push(TypeId(record.third));
                }
                Kind::Array => open.push(TypeId(words::<1>(record.rest)[0])),
                Kind::FuncProto => {
                    open.push(TypeId(record.third));
                    open.extend(params(record.rest));
                }
                _ => {}
            }
        }
    }

    /// Writes what is kept, in the kernel's byte order.
    pub fn finish(&self) -> Vec<u8> {
        let mut writer = Writer {
            subset: self,
            builder: Builder::new(),
            records: Vec::new(),
            structs: HashMap::new(),
            others: HashMap::new(),
            open: VecDeque::new(),
        };
        // In the order of the source, so that the result depends on nothing
        // but what is kept.
        for &(source, id) in self.parts.keys() {
            if self.btf(source).kind(id).is_composite() {
                writer.map((source, id));
            }
        }
        for &root in &self.roots {
            writer.root(root);
        }
        for &(source, id) in self.parts.keys() {
            writer.map((source, id));
        }
        while let Some((key, slot)) = writer.open.pop_front() {
            writer.composite(key, slot);
        }
        let Writer { mut builder, records, .. } = writer;
        for Record { name, kind, flag, count, third, rest } in &records {
            builder.raw_at(*name, *kind, *flag, *count, *third, rest);
        }
        builder.finish(self.sources[0].endian())
    }
}

fn params(rest: &[u8]) -> impl Iterator<Item = TypeId> {
    rest.chunks_exact(8).map(|param| TypeId(words::<2>(param)[1]))
}

/// A type as it will be written; its name as an offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Record {
    name: u32,
    kind: Kind,
    flag: bool,
    count: usize,
    third: u32,
    rest: Vec<u32>,
}

struct Writer<'s, 'b> {
    subset: &'s Subset<'b>,
    /// Takes the strings at first, the types at last.
    builder: Builder,
    records: Vec<Record>,
    /// The new numbers of structs and unions, each of which stays one type.
    structs: HashMap<Key, u32>,
    /// The new numbers of all others, by what they are.
    others: HashMap<Record, u32>,
    /// Structs and unions that have a number and no content yet.
    open: VecDeque<(Key, usize)>,
}

impl Writer<'_, '_> {
    /// Writes a type that is found by its name.
    fn root(&mut self, key: Key) -> u32 {
        let Some(record) = self.subset.btf(key.0).record(key.1.0) else { return 0 };
        let kind = record.kind();
        if kind.is_modifier() || kind == Kind::Typedef {
            let third = self.map(self.subset.key(key.0, TypeId(record.third)));
            let name = self.name(key);
            let flag = record.info >> 31 == 1;
            return self.add(Record { name, kind, flag, count: 0, third, rest: Vec::new() });
        }
        self.map(key)
    }

    fn name(&mut self, key: Key) -> u32 {
        self.builder.string(self.subset.btf(key.0).name(key.1))
    }

    fn add(&mut self, record: Record) -> u32 {
        if let Some(known) = self.others.get(&record) {
            return *known;
        }
        self.records.push(record.clone());
        let id = self.records.len() as u32;
        self.others.insert(record, id);
        id
    }

    /// The new number of a type, which is written if it is not there yet.
    fn map(&mut self, (source, id): Key) -> u32 {
        let btf = self.subset.btf(source);
        let key = self.subset.key(source, btf.resolve(id));
        let Some(record) = btf.record(key.1.0) else { return 0 };
        let kind = record.kind();
        if kind.is_composite() {
            if let Some(known) = self.structs.get(&key) {
                return *known;
            }
            let empty =
                Record { name: 0, kind, flag: false, count: 0, third: record.third, rest: vec![] };
            self.records.push(empty);
            let new = self.records.len();
            self.structs.insert(key, new as u32);
            self.open.push_back((key, new - 1));
            return new as u32;
        }
        let name = self.name(key);
        let mut new = Record {
            name,
            kind,
            flag: record.info >> 31 == 1,
            count: 0,
            third: record.third,
            rest: Vec::new(),
        };
        match kind {
            Kind::Int => new.rest = words::<1>(record.rest).to_vec(),
            Kind::Float | Kind::Fwd => {}
            Kind::Ptr => {
                new.third = match self.subset.followed.contains(&key) {
                    true => self.map(self.subset.key(source, TypeId(record.third))),
                    false => 0,
                };
            }
            Kind::Array => {
                let [element, _, count] = words(record.rest);
                let element = self.map(self.subset.key(source, TypeId(element)));
                new.rest = vec![element, 0, count];
            }
            Kind::Enum | Kind::Enum64 => {
                let size = if kind == Kind::Enum { 8 } else { 12 };
                let kept = self.subset.parts.get(&key);
                for index in kept.into_iter().flatten() {
                    let Some(value) = record.rest.chunks_exact(size).nth(*index as usize) else {
                        continue;
                    };
                    let [name, ..] = words::<1>(value);
                    new.rest.push(self.builder.string(btf.str(name)));
                    new.rest.extend(words::<3>(value)[1..size / 4].iter());
                    new.count += 1;
                }
            }
            Kind::FuncProto => {
                new.third = self.map(self.subset.key(source, TypeId(record.third)));
                for param in params(record.rest) {
                    let param = self.map(self.subset.key(source, param));
                    new.rest.extend([0, param]);
                    new.count += 1;
                }
            }
            // Nothing that a value's type can be.
            _ => return 0,
        }
        self.add(new)
    }

    /// Fills in a struct or union.
    fn composite(&mut self, key: Key, slot: usize) {
        let btf = self.subset.btf(key.0);
        let Some(record) = btf.record(key.1.0) else { return };
        let mut rest = Vec::new();
        let kept = self.subset.parts.get(&key);
        for index in kept.into_iter().flatten() {
            let Some(member) = record.rest.chunks_exact(12).nth(*index as usize) else { continue };
            let [name, ty, offset] = words(member);
            let name = self.builder.string(btf.str(name));
            let ty = self.map(self.subset.key(key.0, TypeId(ty)));
            rest.extend([name, ty, offset]);
        }
        // A module's type that nothing asks for by name must not be found in
        // place of a kernel's.
        let is_found = key.0 == 0 || self.subset.roots.contains(&key);
        let name = if is_found { self.name(key) } else { 0 };
        let record = Record {
            name,
            kind: record.kind(),
            flag: record.info >> 31 == 1 && !rest.is_empty(),
            count: rest.len() / 3,
            third: record.third,
            rest,
        };
        self.records[slot] = record;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Endian, Type};
    use super::*;

    /// `struct list { struct list *next; const volatile num values[4]; unsigned
    /// flags:3; enum color color; }`, with `num` a typedef of `int`.
    fn source() -> Btf {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        let num = b.reference(Kind::Typedef, "num", int);
        let volatile = b.reference(Kind::Volatile, "", num);
        let constant = b.reference(Kind::Const, "", volatile);
        let array = b.array(constant, int, 4);
        let pointer = b.reference(Kind::Ptr, "", TypeId(8));
        let color = b.enumeration("color", 4, false, &[("RED", 0), ("GREEN", 1), ("BLUE", 2)]);
        let members = [
            ("next", pointer, 0, 0),
            ("values", array, 64, 0),
            ("flags", int, 192, 3),
            ("color", color, 224, 0),
        ];
        b.composite(Kind::Struct, "list", 32, &members);
        b.reference(Kind::Typedef, "list_t", TypeId(8));
        let other = b.reference(Kind::Ptr, "", TypeId(9));
        b.proto(other, &[("list", pointer), ("n", num)]);
        Btf::parse(b.finish(Endian::Big)).unwrap()
    }

    #[test]
    fn what_counts_keeps_its_place_and_the_rest_is_gone() {
        let source = source();
        let mut subset = Subset::new(&source, []);
        for member in [0, 2, 3] {
            subset.keep_part(0, TypeId(8), member);
        }
        subset.keep_part(0, TypeId(7), 1);
        let small = Btf::parse(subset.finish()).unwrap();
        assert_eq!(small.endian(), Endian::Big);
        let list = small.as_composite(small.find(Kind::Struct, "list").unwrap()).unwrap();
        assert_eq!(list.size, 32);
        let members: Vec<_> =
            list.members().map(|m| (m.name, m.bit_offset, m.bit_size, small.kind(m.ty))).collect();
        assert_eq!(
            members,
            [
                ("next", 0, None, Kind::Ptr),
                ("flags", 192, Some(3), Kind::Int),
                ("color", 224, None, Kind::Enum)
            ]
        );
        let Type::Enum(color) = small.ty(small.find(Kind::Enum, "color").unwrap()) else {
            panic!()
        };
        let values: Vec<_> = color.values().map(|value| (value.name, value.value)).collect();
        assert_eq!(values, [("GREEN", 1)]);
        let Type::Ptr(target) = small.ty(list.member(0).unwrap().ty) else { panic!() };
        assert_eq!(target, TypeId::VOID);
        // The struct, the pointer, the integer and the enumeration.
        assert_eq!(small.len(), 5);
    }

    #[test]
    fn qualifiers_are_left_out_and_roots_are_not() {
        let source = source();
        let mut subset = Subset::new(&source, []);
        subset.keep(0, TypeId(9));
        subset.keep_part(0, TypeId(8), 1);
        let small = Btf::parse(subset.finish()).unwrap();
        let typedef = small.find(Kind::Typedef, "list_t").unwrap();
        let list = small.as_composite(small.resolve(typedef)).unwrap();
        let Type::Array(array) = small.ty(list.member(0).unwrap().ty) else { panic!() };
        assert_eq!((small.kind(array.element), array.count), (Kind::Int, 4));
        assert_eq!(small.len(), 5);
    }

    #[test]
    fn a_shape_goes_up_to_names() {
        let source = source();
        let mut subset = Subset::new(&source, []);
        subset.keep(0, TypeId(11));
        subset.keep_shape(0, TypeId(11));
        let small = Btf::parse(subset.finish()).unwrap();
        let proto = small.ids().find(|id| small.kind(*id) == Kind::FuncProto).unwrap();
        let Type::FuncProto(proto) = small.ty(proto) else { panic!() };
        let Type::Ptr(list) = small.ty(proto.returns) else { panic!() };
        assert_eq!(small.name(list), "list");
        assert_eq!(small.as_composite(list).unwrap().len(), 0);
        // Both pointers to it, one through a typedef, have become one.
        assert_eq!(
            proto.params().map(|param| param.ty).collect::<Vec<_>>(),
            [proto.returns, small.find(Kind::Int, "int").unwrap()]
        );
        let mut all = Subset::new(&source, []);
        all.keep_all(0, TypeId(11));
        let all = Btf::parse(all.finish()).unwrap();
        let list = all.find(Kind::Struct, "list").unwrap();
        assert_eq!(all.as_composite(list).unwrap().len(), 4);
        assert!(all.find(Kind::Enum, "color").is_some_and(|color| {
            matches!(all.ty(color), Type::Enum(values) if values.len() == 3)
        }));
    }
}
