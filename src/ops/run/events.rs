//! The types of events and maps: bytes that come out of a machine become
//! values here.

use super::happening::Happening;
use super::source::{self, Source};
use crate::bpf::MapType;
use crate::btf::{self, Btf, Type, TypeId};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf;
use crate::ops::{Session, build};
use crate::values::{Shape, Shapes, Tags, Value};
use crate::wire::{Content, records};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Perf buffers fill records up to eight bytes.
const PADDING: u64 = 8;

/// What is known of an object's events and maps.
#[derive(Debug)]
pub struct Types<'o> {
    elf: &'o elf::Object,
    /// The object's own, or one with all types that its source declares.
    btf: Option<Arc<Btf>>,
    /// Maps whose events are of a known type.
    known: Vec<(String, Kind)>,
    /// Types that an event may be of.
    candidates: Vec<Kind>,
    /// The type of what iterators write, if they write bytes, and all of one
    /// type.
    iterated: Option<Kind>,
    /// What the object's own declarations say.
    tags: Tags,
    /// Tags that say nothing, and what they stand on.
    pub unknown: Vec<(String, String)>,
}

/// A type that records are of.
#[derive(Clone, Debug)]
struct Kind {
    ty: TypeId,
    /// Its size in bytes.
    size: u64,
    /// It ends with an array without a length.
    is_open: bool,
    /// There is something in it that only a machine can name.
    has_code: bool,
    shape: Shape,
}

impl Kind {
    fn new(btf: &Btf, ty: TypeId, shapes: &mut Shapes<'_>) -> Self {
        let size = btf.size(ty).unwrap_or(u64::MAX);
        let shape = shapes.shape(ty, "");
        Self { ty, size, is_open: ends_open(btf, ty), has_code: shape.has_code(), shape }
    }
}

/// Reads records, one after the other, each in the memory of the one before.
#[derive(Debug)]
pub struct Reader<'t> {
    types: &'t Types<'t>,
    /// The maps that records come from.
    streams: Vec<String>,
    /// The last event of each.
    last: Vec<Happening>,
    /// Some type that records may be of has something in it that only a machine
    /// can name.
    may_have_code: bool,
}

impl<'t> Reader<'t> {
    /// Of the maps of these names.
    pub fn new(types: &'t Types<'t>, streams: &[String]) -> Self {
        let empty = |map: &String| Happening::Event { map: map.clone(), value: Value::default() };
        let mut kinds = types.known.iter().map(|(_, kind)| kind).chain(&types.candidates);
        Self {
            types,
            streams: streams.to_vec(),
            last: streams.iter().map(empty).collect(),
            may_have_code: kinds.any(|kind| kind.has_code),
        }
    }

    /// Tells the events of a blob of [`records`], `most` of them at most; how
    /// many those were.
    pub fn tell(&mut self, blob: &[u8], most: u64, tell: &mut dyn FnMut(&Happening)) -> u64 {
        let mut count = 0;
        for (stream, record) in records::iter(blob) {
            if count == most {
                break;
            }
            // A stream that nobody has announced says nothing.
            let Some(event) = self.last.get_mut(stream as usize) else { continue };
            if let Happening::Event { map, value } = event {
                self.types.event_into(map, record, value);
            }
            count += 1;
            tell(event);
        }
        count
    }

    /// The same as values, if there is anything in a blob that only a machine
    /// can name.
    pub fn unnamed(&self, blob: &[u8], most: u64) -> Option<Vec<(&str, Value)>> {
        let map = |stream: u32| self.streams.get(stream as usize).map(String::as_str);
        let has_code = |(stream, record): (u32, &[u8])| {
            map(stream).is_some_and(|map| self.types.has_code(map, record.len() as u64))
        };
        if !self.may_have_code || !records::iter(blob).any(has_code) {
            return None;
        }
        let value = |(stream, record): (u32, &[u8])| {
            Some((map(stream)?, self.types.event(map(stream)?, record)))
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Some(records::iter(blob).filter_map(value).take(most).collect())
    }
}

impl<'o> Types<'o> {
    /// What an object alone tells: events are of one of its structs.
    pub fn of_object(elf: &'o elf::Object) -> Self {
        let mut types = Self {
            elf,
            btf: elf.btf.clone(),
            known: Vec::new(),
            candidates: Vec::new(),
            iterated: None,
            tags: elf.btf.as_deref().map(Tags::of).unwrap_or_default(),
            unknown: Vec::new(),
        };
        types.unknown.clone_from(&types.tags.unknown);
        if let Some(btf) = elf.btf.as_deref() {
            let mut shapes = Shapes::new(btf, &types.tags);
            let structs = btf.ids().filter(|&id| btf.kind(id) == btf::Kind::Struct);
            types.candidates = structs.map(|ty| Kind::new(btf, ty, &mut shapes)).collect();
        }
        types
    }

    /// Finds out what the events of the maps in `streams` are. `wanted` is what
    /// the user says: `MAP=TYPE`.
    ///
    /// # Errors
    /// A map or a type that is not there.
    pub fn of(
        session: &Session,
        elf: &'o elf::Object,
        source: Option<PathBuf>,
        profile: build::Profile,
        wanted: &[String],
    ) -> Result<Self, Failure> {
        let streams: Vec<&str> = elf
            .maps
            .iter()
            .filter(|map| map.def.known_type().is_some_and(carries_events))
            .map(|map| map.name.as_str())
            .collect();
        let mut types = Self::of_object(elf);
        if let (true, Some(text)) = (streams.is_empty(), wanted.first()) {
            return Err(usage(format!(
                "`--event {text}`: the object has no ring buffer and no perf buffer"
            )));
        }
        let mut sections = elf.programs().map(|program| elf.section_name(program));
        if streams.is_empty() && !sections.any(|section| section.starts_with("iter")) {
            return Ok(types);
        }
        let mut said = Source::default();
        if let Some(source) = source {
            types.compile_again(session, source, profile, wanted, &mut said)?;
        }
        let Some(btf) = types.btf.clone() else { return Ok(types) };
        let tags = Tags::of(&btf);
        let new = tags
            .unknown
            .iter()
            .filter(|(tag, _)| types.unknown.iter().all(|(known, _)| known != tag));
        let new: Vec<_> = new.cloned().collect();
        types.unknown.extend(new);
        let mut shapes = Shapes::new(&btf, &tags);
        let mut kind = |ty: TypeId| Kind::new(&btf, ty, &mut shapes);
        // Without a source all that the object knows may be meant.
        if !said.types.is_empty() {
            let said = said.types.iter().filter_map(|name| find(&btf, name));
            types.candidates = said.map(&mut kind).collect();
        }
        if let [name] = said.iterated.as_slice() {
            types.iterated = find(&btf, name).map(&mut kind);
        }
        for text in wanted {
            let Some((map, name)) = text.split_once('=') else {
                return Err(usage(format!("`--event {text}` is not written as MAP=TYPE")));
            };
            if !streams.contains(&map) {
                return Err(usage(format!(
                    "`--event {text}`: no map `{map}` carries events; there are: {}",
                    streams.join(", ")
                )));
            }
            let Some(ty) = find(&btf, name) else {
                return Err(usage(format!("`--event {text}`: there is no type `{name}`")));
            };
            types.known.push((map.to_owned(), kind(ty)));
        }
        for map in &elf.maps {
            let ty = map.def.value.filter(|_| streams.contains(&map.name.as_str()));
            // The object's own BTF has it; that of its source may number it
            // otherwise, and has the name.
            let ty = ty.and_then(|ty| find(&btf, elf.btf.as_deref()?.name(ty)));
            if let Some(ty) = ty {
                types.known.push((map.name.clone(), kind(ty)));
            }
        }
        for (map, name) in &said.uses {
            if let Some(ty) = find(&btf, name) {
                types.known.push((map.clone(), kind(ty)));
            }
        }
        Ok(types)
    }

    /// Has the source compiled again with all its types in the open.
    fn compile_again(
        &mut self,
        session: &Session,
        source: PathBuf,
        profile: build::Profile,
        wanted: &[String],
        said: &mut Source,
    ) -> Result<(), Failure> {
        let request = build::Request { paths: vec![source], profile, ..Default::default() };
        let seen = std::cell::RefCell::new(Source::default());
        let more = |text: &[u8]| {
            let mut source = source::read(&String::from_utf8_lossy(text));
            for (_, name) in wanted.iter().filter_map(|text| text.split_once('=')) {
                let name = match name.contains(' ') {
                    true => name.to_owned(),
                    false if source.types.contains(&name.to_owned()) => name.to_owned(),
                    false => format!("struct {name}"),
                };
                source.types.push(name);
            }
            let declare = |(index, name): (usize, &String)| {
                format!("\nconst {name} *skep_type_{index} __attribute__((unused));")
            };
            let text = source.types.iter().enumerate().map(declare).collect();
            *seen.borrow_mut() = source;
            text
        };
        let object = build::with_more(session, &request, &more)?;
        let btf = object.and_then(|bytes| elf::Object::parse(&bytes).ok()?.btf);
        if let Some(btf) = btf {
            self.btf = Some(btf);
            *said = seen.into_inner();
        }
        Ok(())
    }

    /// What a record says.
    pub fn event(&self, map: &str, bytes: &[u8]) -> Value {
        let mut value = Value::default();
        self.event_into(map, bytes, &mut value);
        value
    }

    /// What a record says, in place of what one said before.
    #[inline]
    pub fn event_into(&self, map: &str, bytes: &[u8], value: &mut Value) {
        match self.kind_of(map, bytes.len() as u64) {
            Some(kind) => kind.shape.read_into(bytes, value),
            None => *value = Value::Bytes(bytes.to_vec()),
        }
    }

    /// The type of a map's records of this length.
    pub fn type_of(&self, map: &str, length: u64) -> Option<(&Btf, TypeId)> {
        Some((self.btf.as_deref()?, self.kind_of(map, length)?.ty))
    }

    /// Whether there is something in a map's records of this length that only
    /// a machine can name.
    pub fn has_code(&self, map: &str, length: u64) -> bool {
        self.kind_of(map, length).is_some_and(|kind| kind.has_code)
    }

    fn kind_of(&self, map: &str, length: u64) -> Option<&Kind> {
        let fits = |kind: &&Kind| kind.size <= length && length < kind.size + PADDING;
        // A shorter record has the beginning of its type.
        let known = self.known.iter().find(|(known, _)| known == map).map(|(_, kind)| kind);
        let known = known.filter(|kind| length < kind.size.saturating_add(PADDING) || kind.is_open);
        known.or_else(|| {
            let exact = self.candidates.iter().find(|kind| kind.size == length);
            exact.or_else(|| self.candidates.iter().find(fits))
        })
    }

    /// The records that an iterator wrote; none if it wrote text.
    pub fn iterated(&self, bytes: &[u8]) -> Option<Vec<Value>> {
        let kind = self.iterated.as_ref()?;
        let size = usize::try_from(kind.size).ok().filter(|&size| size > 0)?;
        let is_text = std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
        if is_text || !bytes.len().is_multiple_of(size) {
            return None;
        }
        Some(bytes.chunks_exact(size).map(|record| kind.shape.read(record)).collect())
    }

    /// What a map holds: keys with their values, those of several processors
    /// summed.
    pub fn content(&self, content: &Content, blob: &[u8]) -> Vec<(Value, Value)> {
        let btf = self.elf.btf.as_deref();
        let def = self.elf.maps.iter().find(|map| map.name == content.map).map(|map| &map.def);
        let section = btf.and_then(|btf| self.section(btf, &content.map));
        let data = self.data(&content.map);
        let mut shapes = btf.map(|btf| Shapes::new(btf, &self.tags));
        let mut shape = |ty: Option<TypeId>, name: &str| Some(shapes.as_mut()?.shape(ty?, name));
        let value_shape = shape(def.and_then(|def| def.value), &content.map);
        let key_shape = shape(def.and_then(|def| def.key), "");
        let section = btf.zip(section).map(|(btf, id)| globals(btf, &self.tags, id, data));
        let is_of_stacks = self.is_of_stacks(&content.map);
        let stack = Shape::of_stacks();
        let value = |bytes: &[u8]| match (&value_shape, &section) {
            _ if is_of_stacks => stack.read(bytes),
            (Some(shape), _) => shape.read(bytes),
            (None, Some(variables)) => Value::Record(
                variables
                    .iter()
                    .filter_map(|(name, range, shape)| {
                        Some((Arc::clone(name), shape.read(bytes.get(range.clone())?)))
                    })
                    .collect(),
            ),
            _ => plain(bytes),
        };
        let key = |bytes: &[u8]| match &key_shape {
            Some(shape) => shape.read(bytes),
            None => plain(bytes),
        };
        let key_size = content.key_size as usize;
        let stride = content.value_stride as usize;
        let whole = key_size + stride * content.values as usize;
        if stride == 0 || whole == 0 {
            return Vec::new();
        }
        let entry = |entry: &[u8]| {
            let (name, values) = entry.split_at(key_size);
            // What a guest says of sizes is believed as far as it goes.
            let size = stride.min(content.value_size as usize);
            let mut values = values.chunks_exact(stride).map(|one| &one[..size]);
            let mut sum = value(values.next().unwrap_or_default());
            values.for_each(|more| sum.add(&value(more)));
            (key(name), sum)
        };
        blob.chunks_exact(whole).map(entry).collect()
    }

    /// The section of global data that a map of libbpf's stands for.
    fn section(&self, btf: &Btf, map: &str) -> Option<TypeId> {
        btf.find(btf::Kind::Datasec, &self.elf.sections[self.data(map)?.section].name)
    }

    fn data(&self, map: &str) -> Option<&elf::DataSection> {
        let mut data = self.elf.data.iter();
        data.find(|data| map.ends_with(self.elf.sections[data.section].name.as_str()))
    }

    /// Whether a map holds stacks.
    pub fn is_of_stacks(&self, map: &str) -> bool {
        let known = self.elf.maps.iter().find(|known| known.name == map);
        known.and_then(|map| map.def.known_type()) == Some(MapType::StackTrace)
    }

    /// Whether a map holds global data.
    pub fn is_data(&self, map: &str) -> bool {
        self.elf.btf.as_deref().is_some_and(|btf| self.section(btf, map).is_some())
    }
}

/// Whether maps of a type carry events.
fn carries_events(kind: MapType) -> bool {
    matches!(kind, MapType::Ringbuf | MapType::PerfEventArray)
}

/// A type by name, with or without its `struct`.
fn find(btf: &Btf, name: &str) -> Option<TypeId> {
    let tag = name.trim_start_matches("struct ").trim();
    let kinds = [btf::Kind::Struct, btf::Kind::Union, btf::Kind::Typedef];
    kinds.into_iter().filter(|_| !tag.is_empty()).find_map(|kind| btf.find(kind, tag))
}

/// Whether a struct ends with an array without a length.
fn ends_open(btf: &Btf, ty: TypeId) -> bool {
    let last = btf.as_composite(btf.resolve(ty)).and_then(|of| of.members().last());
    last.is_some_and(
        |last| matches!(btf.ty(btf.resolve(last.ty)), Type::Array(array) if array.count == 0),
    )
}

/// The variables of a section, where they lie, and how they are read.
fn globals(
    btf: &Btf,
    tags: &Tags,
    section: TypeId,
    data: Option<&elf::DataSection>,
) -> Vec<(Arc<str>, Range<usize>, Shape)> {
    let Type::Datasec(items) = btf.ty(section) else { return Vec::new() };
    let mut shapes = Shapes::new(btf, tags);
    let variable = |item: btf::SecItem| {
        let name = btf.name(item.ty);
        // Only symbols have the offset until the object is linked.
        let known = data.and_then(|data| data.variables.iter().find(|known| known.name == name));
        let start =
            known.map_or(Some(item.offset as usize), |known| known.offset.try_into().ok())?;
        let range = start..start.checked_add(item.size as usize)?;
        Some((Arc::from(name), range, shapes.variable(item.ty)?))
    };
    items.items().filter_map(variable).collect()
}

/// Bytes without a type: a number, if they are as long as one.
fn plain(bytes: &[u8]) -> Value {
    match *bytes {
        [a, b, c, d] => Value::Unsigned(u32::from_le_bytes([a, b, c, d]).into()),
        [a, b, c, d, e, f, g, h] => Value::Unsigned(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => Value::Bytes(bytes.to_vec()),
    }
}

fn usage(message: String) -> Failure {
    Diagnostic::new(codes::USAGE, Origin::Command, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_global_variable_has_its_own_bytes() {
        let elf = elf::fixture::object(
            "__u64 first, second; __u32 third;\n\
             SEC(\"xdp\") int use(void *ctx) { first++; second++; third++; return 0; }\n",
        );
        let data = elf.data.iter().find(|data| elf.sections[data.section].name == ".bss").unwrap();
        let mut blob = vec![0; 4 + 24];
        for variable in &data.variables {
            let number = match variable.name.as_str() {
                "first" => 1,
                "second" => 2,
                _ => 3,
            };
            blob[4 + variable.offset as usize] = number;
        }
        let content = Content {
            map: "object.bss".to_owned(),
            key_size: 4,
            value_size: 24,
            value_stride: 24,
            values: 1,
            entries: 1,
            is_cut: false,
            is_last: false,
        };
        let Value::Record(mut all) = Types::of_object(&elf).content(&content, &blob).remove(0).1
        else {
            panic!("variables are a record")
        };
        all.sort_by_key(|(name, _)| name.clone());
        let all: Vec<String> =
            all.iter().map(|(name, value)| format!("{name} {value:?}")).collect();
        assert_eq!(all, ["first Unsigned(1)", "second Unsigned(2)", "third Unsigned(3)"]);
    }

    #[test]
    fn a_record_that_says_it_is_of_ipv4_has_short_addresses() {
        let elf = elf::fixture::object(
            "struct peer { __u16 family; __u8 saddr[16]; };\n\
             struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); \
             __type(value, struct peer); } peers SEC(\".maps\");\n\
             SEC(\"xdp\") int use(void *ctx) { __u32 key = 0; \
             return bpf_map_lookup_elem(&peers, &key) != 0; }\n",
        );
        let types = Types::of_object(&elf);
        let content = Content {
            map: "peers".to_owned(),
            key_size: 4,
            value_size: 18,
            value_stride: 24,
            values: 1,
            entries: 1,
            is_cut: false,
            is_last: false,
        };
        let shown = |family: u8, rest: u8| {
            let mut blob = vec![0; 28];
            (blob[4], blob[6], blob[9], blob[21]) = (family, 127, 1, rest);
            match types.content(&content, &blob).remove(0).1 {
                Value::Record(members) => format!("{:?}", members[1].1),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(shown(2, 0), "Ip(127.0.0.1)");
        assert_eq!(shown(10, 0), "Ip(7f00:1::)");
        assert_eq!(shown(2, 1), "Ip(7f00:1::1)");
    }

    #[test]
    fn what_a_guest_says_of_sizes_is_believed_as_far_as_its_entries_go() {
        let elf = elf::fixture::object(
            "struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); \
             __type(value, __u64); } counts SEC(\".maps\");\n\
             SEC(\"xdp\") int use(void *ctx) { __u32 key = 0; \
             return bpf_map_lookup_elem(&counts, &key) != 0; }\n",
        );
        let types = Types::of_object(&elf);
        let content = |value_size, value_stride, values| Content {
            map: "counts".to_owned(),
            key_size: 4,
            value_size,
            value_stride,
            values,
            entries: 1,
            is_cut: false,
            is_last: false,
        };
        let blob = [1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        let shown = |content: &Content| {
            let entries = types.content(content, &blob);
            entries.iter().map(|(key, value)| format!("{key:?} {value:?}")).collect::<Vec<_>>()
        };
        assert_eq!(shown(&content(8, 8, 1)), ["Unsigned(1) Unsigned(7)"]);
        assert_eq!(shown(&content(u32::MAX, 8, 1)), ["Unsigned(1) Unsigned(7)"]);
        for (stride, values) in [(0, 1), (16, 1), (8, 2), (u32::MAX, u32::MAX)] {
            assert_eq!(shown(&content(8, stride, values)), Vec::<String>::new());
        }
    }
}
