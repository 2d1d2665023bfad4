//! The types of events and maps: bytes that come out of a machine become
//! values here.

use super::source::{self, Source};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf;
use crate::ops::{Session, build};
use crate::values::{Value, decode};
use crate::wire::Content;
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
    known: Vec<(String, TypeId)>,
    /// Types that an event may be of.
    candidates: Vec<TypeId>,
    /// The type of what iterators write, if they write bytes, and all of one
    /// type.
    iterated: Option<TypeId>,
}

impl<'o> Types<'o> {
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
        let mut types = Self {
            elf,
            btf: elf.btf.clone(),
            known: Vec::new(),
            candidates: Vec::new(),
            iterated: None,
        };
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
        types.candidates = match said.types.is_empty() {
            // Without a source all that the object knows may be meant.
            true => btf.ids().filter(|&id| btf.kind(id) == Kind::Struct).collect(),
            false => said.types.iter().filter_map(|name| find(&btf, name)).collect(),
        };
        if let [name] = said.iterated.as_slice() {
            types.iterated = find(&btf, name);
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
            types.known.push((map.to_owned(), ty));
        }
        for map in &elf.maps {
            let ty = map.def.value.filter(|_| streams.contains(&map.name.as_str()));
            // The object's own BTF has it; that of its source may number it
            // otherwise, and has the name.
            let ty = ty.and_then(|ty| find(&btf, elf.btf.as_deref()?.name(ty)));
            if let Some(ty) = ty {
                types.known.push((map.name.clone(), ty));
            }
        }
        for (map, name) in &said.uses {
            if let Some(ty) = find(&btf, name) {
                types.known.push((map.clone(), ty));
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
        match self.type_of(map, bytes.len() as u64) {
            Some((btf, ty)) => decode(btf, ty, "", bytes),
            None => Value::Bytes(bytes.to_vec()),
        }
    }

    /// The type of a map's records of this length.
    pub fn type_of(&self, map: &str, length: u64) -> Option<(&Btf, TypeId)> {
        let btf = self.btf.as_deref()?;
        let size = |ty: TypeId| btf.size(ty).unwrap_or(u64::MAX);
        let fits = |ty: TypeId| size(ty) <= length && length < size(ty) + PADDING;
        let known = self.known.iter().find(|(known, _)| known == map).map(|(_, ty)| *ty);
        // A shorter record has the beginning of its type.
        let known = known.filter(|&ty| length < size(ty) + PADDING || ends_open(btf, ty));
        let ty = known.or_else(|| {
            let exact = self.candidates.iter().find(|&&ty| size(ty) == length);
            exact.or_else(|| self.candidates.iter().find(|&&ty| fits(ty))).copied()
        });
        ty.map(|ty| (btf, ty))
    }

    /// The records that an iterator wrote; none if it wrote text.
    pub fn iterated(&self, bytes: &[u8]) -> Option<Vec<Value>> {
        let btf = self.btf.as_deref()?;
        let ty = self.iterated?;
        let size = usize::try_from(btf.size(ty)?).ok().filter(|&size| size > 0)?;
        let is_text = std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
        if is_text || !bytes.len().is_multiple_of(size) {
            return None;
        }
        Some(bytes.chunks_exact(size).map(|record| decode(btf, ty, "", record)).collect())
    }

    /// What a map holds: keys with their values, those of several processors
    /// summed.
    pub fn content(&self, content: &Content, blob: &[u8]) -> Vec<(Value, Value)> {
        let btf = self.elf.btf.as_deref();
        let def = self.elf.maps.iter().find(|map| map.name == content.map).map(|map| &map.def);
        let section = btf.and_then(|btf| self.section(btf, &content.map));
        let value = |bytes: &[u8]| match (btf, def.and_then(|def| def.value), section) {
            (Some(btf), Some(ty), _) => decode(btf, ty, &content.map, bytes),
            (Some(btf), _, Some(section)) => globals(btf, section, bytes),
            _ => plain(bytes),
        };
        let key = |bytes: &[u8]| match (btf, def.and_then(|def| def.key)) {
            (Some(btf), Some(ty)) => decode(btf, ty, "", bytes),
            _ => plain(bytes),
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
        let named = |data: &elf::DataSection| self.elf.sections[data.section].name.as_str();
        let name = self.elf.data.iter().map(named).find(|name| map.ends_with(name))?;
        btf.find(Kind::Datasec, name)
    }

    /// Whether a map holds global data.
    pub fn is_data(&self, map: &str) -> bool {
        self.elf.btf.as_deref().is_some_and(|btf| self.section(btf, map).is_some())
    }
}

/// Whether maps of a type carry events.
fn carries_events(kind: crate::bpf::MapType) -> bool {
    matches!(kind, crate::bpf::MapType::Ringbuf | crate::bpf::MapType::PerfEventArray)
}

/// A type by name, with or without its `struct`.
fn find(btf: &Btf, name: &str) -> Option<TypeId> {
    let tag = name.trim_start_matches("struct ").trim();
    let kinds = [Kind::Struct, Kind::Union, Kind::Typedef];
    kinds.into_iter().filter(|_| !tag.is_empty()).find_map(|kind| btf.find(kind, tag))
}

/// Whether a struct ends with an array without a length.
fn ends_open(btf: &Btf, ty: TypeId) -> bool {
    let last = btf.as_composite(btf.resolve(ty)).and_then(|of| of.members().last());
    last.is_some_and(
        |last| matches!(btf.ty(btf.resolve(last.ty)), Type::Array(array) if array.count == 0),
    )
}

/// The variables of a section.
fn globals(btf: &Btf, section: TypeId, bytes: &[u8]) -> Value {
    let Type::Datasec(items) = btf.ty(section) else { return plain(bytes) };
    let variable = |item: crate::btf::SecItem| {
        let Type::Var(variable) = btf.ty(item.ty) else { return None };
        let start = item.offset as usize;
        let own = bytes.get(start..start.checked_add(item.size as usize)?)?;
        Some((variable.name.to_owned(), decode(btf, variable.ty, variable.name, own)))
    };
    Value::Record(items.items().filter_map(variable).collect())
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
    fn what_a_guest_says_of_sizes_is_believed_as_far_as_its_entries_go() {
        let elf = elf::fixture::object(
            "struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); \
             __type(value, __u64); } counts SEC(\".maps\");\n\
             SEC(\"xdp\") int use(void *ctx) { __u32 key = 0; \
             return bpf_map_lookup_elem(&counts, &key) != 0; }\n",
        );
        let types = Types {
            elf: &elf,
            btf: elf.btf.clone(),
            known: Vec::new(),
            candidates: Vec::new(),
            iterated: None,
        };
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
