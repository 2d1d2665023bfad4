//! Map definitions: what `struct { __uint(type, …); … } m SEC(".maps")` says,
//! read from BTF as libbpf reads it (`parse_btf_map_def`).

use crate::bpf::MapType;
use crate::btf::{Btf, Composite, Member, Type, TypeId};

/// What a map's definition says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDef {
    /// The number of the map type; 0 if none is given.
    pub map_type: u32,
    /// The size of a key in bytes.
    pub key_size: u32,
    /// The size of a value in bytes.
    pub value_size: u32,
    /// How many elements it has room for; 0 where none is given.
    pub max_entries: u32,
    /// Flags ([`crate::bpf::map_flags`]).
    pub flags: u32,
    /// The NUMA node it lives on.
    pub numa_node: Option<u32>,
    /// What `map_extra` gives, for bloom filters and arenas.
    pub map_extra: u64,
    /// Whether and how it is pinned.
    pub pinning: Pinning,
    /// The type of a key, where it is given as a type.
    pub key: Option<TypeId>,
    /// The type of a value, where it is given as a type.
    pub value: Option<TypeId>,
    /// The definition of the maps in it, where it says one.
    pub inner: Option<Box<Self>>,
}

impl MapDef {
    /// The map type, if it is one that skep knows.
    pub fn known_type(&self) -> Option<MapType> {
        MapType::from_id(self.map_type)
    }
}

/// What a map holds from the beginning in one of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapValue {
    /// The map, by its index in the object.
    pub map: usize,
    /// The slot: the key, as `[3] = …` names it.
    pub slot: usize,
    /// What is there.
    pub target: Initial,
}

/// What can be in a map from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// A map, by its index in the object.
    Map(usize),
    /// A program, by its index in the object's functions.
    Program(usize),
}

/// Whether a map is pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pinning {
    /// It is not.
    #[default]
    None,
    /// Below `/sys/fs/bpf`, under its own name.
    ByName,
}

/// Reads the definition in struct `ty`. What cannot be read is left as it was
/// and told to `wrong`.
pub(super) fn read_def(btf: &Btf, def: Composite<'_>, wrong: &mut dyn FnMut(String)) -> MapDef {
    let mut reader = Reader { btf, wrong };
    reader.def(def, false)
}

struct Reader<'r> {
    btf: &'r Btf,
    wrong: &'r mut dyn FnMut(String),
}

impl Reader<'_> {
    fn def(&mut self, def: Composite<'_>, is_inner: bool) -> MapDef {
        let mut map = MapDef::default();
        let count = def.len();
        for (index, member) in def.members().enumerate() {
            match member.name {
                "type" => map.map_type = self.int(&member).unwrap_or_default(),
                "max_entries" => map.max_entries = self.int(&member).unwrap_or_default(),
                "map_flags" => map.flags = self.int(&member).unwrap_or_default(),
                "numa_node" => map.numa_node = self.int(&member),
                "map_extra" => map.map_extra = self.long(&member).unwrap_or_default(),
                "key_size" => {
                    if let Some(size) = self.int(&member) {
                        self.size("key", &mut map.key_size, size);
                    }
                }
                "value_size" => {
                    if let Some(size) = self.int(&member) {
                        self.size("value", &mut map.value_size, size);
                    }
                }
                "key" => {
                    if let Some((ty, size)) = self.pointee(&member) {
                        self.size("key", &mut map.key_size, size);
                        map.key = Some(ty);
                    }
                }
                "value" => {
                    if let Some((ty, size)) = self.pointee(&member) {
                        self.size("value", &mut map.value_size, size);
                        map.value = Some(ty);
                    }
                }
                "values" => self.values(&mut map, &member, is_inner, index + 1 == count),
                "pinning" => map.pinning = self.pinning(&member, is_inner),
                "" => (self.wrong)("its definition has a member without a name".to_owned()),
                name => (self.wrong)(format!("libbpf knows no attribute `{name}`")),
            }
        }
        if map.map_type == 0 {
            (self.wrong)("its definition gives no map type".to_owned());
        }
        map
    }

    /// `__uint(name, value)`: a pointer to an array of that length.
    fn int(&mut self, member: &Member<'_>) -> Option<u32> {
        if let Type::Ptr(target) = self.btf.ty(self.btf.resolve(member.ty))
            && let Type::Array(array) = self.btf.ty(target)
        {
            return Some(array.count);
        }
        (self.wrong)(format!("attribute `{0}` is not written as __uint({0}, …)", member.name));
        None
    }

    /// `__ulong(name, value)`: an enumeration of that one value.
    fn long(&mut self, member: &Member<'_>) -> Option<u64> {
        match self.btf.ty(self.btf.resolve(member.ty)) {
            Type::Ptr(_) => self.int(member).map(u64::from),
            Type::Enum(values) if values.len() == 1 => {
                values.values().next().map(|value| value.value as u64)
            }
            _ => {
                let name = member.name;
                (self.wrong)(format!("attribute `{name}` is not written as __ulong({name}, …)"));
                None
            }
        }
    }

    /// `__type(name, type)`: a pointer to that type.
    fn pointee(&mut self, member: &Member<'_>) -> Option<(TypeId, u32)> {
        let name = member.name;
        let Type::Ptr(target) = self.btf.ty(member.ty) else {
            (self.wrong)(format!("attribute `{name}` is not written as __type({name}, …)"));
            return None;
        };
        match self.btf.size(target).map(u32::try_from) {
            Some(Ok(size)) => Some((target, size)),
            _ => {
                (self.wrong)(format!("the type of its {name} has no size"));
                None
            }
        }
    }

    fn size(&mut self, what: &str, known: &mut u32, size: u32) {
        if *known != 0 && *known != size {
            (self.wrong)(format!("two sizes are given for its {what}: {known} and {size} bytes"));
        }
        *known = size;
    }

    fn values(&mut self, map: &mut MapDef, member: &Member<'_>, is_inner: bool, is_last: bool) {
        let map_type = map.known_type();
        let holds_maps = map_type.is_some_and(MapType::is_map_in_map);
        if is_inner {
            (self.wrong)("maps within maps within maps are not supported".to_owned());
            return;
        }
        if !is_last {
            (self.wrong)("attribute `values` must be the last one".to_owned());
        }
        if !holds_maps && map_type != Some(MapType::ProgArray) {
            (self.wrong)("only maps of maps and program arrays have `values`".to_owned());
            return;
        }
        if map.value_size != 0 && map.value_size != 4 {
            let size = map.value_size;
            (self.wrong)(format!("a map with `values` has values of 4 bytes, not {size}"));
        }
        map.value_size = 4;
        let pointee = match self.btf.ty(member.ty) {
            Type::Array(array) if array.count == 0 => {
                match self.btf.ty(self.btf.resolve(array.element)) {
                    Type::Ptr(target) => Some(self.btf.ty(self.btf.resolve(target))),
                    _ => None,
                }
            }
            _ => None,
        };
        match pointee {
            Some(Type::Struct(inner)) if holds_maps => {
                map.inner = Some(Box::new(self.def(inner, true)));
            }
            Some(Type::FuncProto(_)) if !holds_maps => {}
            _ => (self.wrong)("attribute `values` is not written as __array(values, …)".to_owned()),
        }
    }

    fn pinning(&mut self, member: &Member<'_>, is_inner: bool) -> Pinning {
        if is_inner {
            (self.wrong)("a map within a map cannot be pinned".to_owned());
            return Pinning::None;
        }
        match self.int(member) {
            Some(0) | None => Pinning::None,
            Some(1) => Pinning::ByName,
            Some(value) => {
                (self.wrong)(format!(
                    "pinning {value} is none of LIBBPF_PIN_NONE (0) and LIBBPF_PIN_BY_NAME (1)"
                ));
                Pinning::None
            }
        }
    }
}
