//! E0406 bad-map: what a map holds from the beginning (`.values = { … }`) is
//! what it can hold. libbpf puts it in when it loads the object, and the
//! kernel refuses what does not fit (`bpf_map_fd_get_ptr`, `map_update_elem`).

use super::Context;
use crate::bpf::{MapType, map_flags as flags};
use crate::diagnostics::Diagnostic;
use crate::diagnostics::codes;
use crate::elf::{Initial, Map, MapDef};
use std::collections::HashSet;

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let mut said = HashSet::new();
    let mut add = |map: &Map, message: String, note: &str| {
        if said.insert(message.clone()) {
            let message = format!("map `{}`: {message}", map.name);
            findings.push(cx.of_map(codes::BAD_MAP, &map.name, message).note(note));
        }
    };
    for value in &cx.object.map_values {
        let map = &cx.object.maps[value.map];
        let (Initial::Map(index), Some(inner)) = (value.target, &map.def.inner) else { continue };
        let other = &cx.object.maps[index];
        if let Some(difference) = difference(inner, &other.def) {
            let name = &other.name;
            let message =
                format!("`{name}` is not like the maps that it is declared to hold: {difference}");
            add(map, message, "the kernel refuses it, and libbpf then the whole object");
        }
    }
    for (index, map) in cx.object.maps.iter().enumerate() {
        let own = cx.object.map_values.iter().filter(|value| value.map == index);
        // Slots of an array are its keys; of a hash table each is an entry.
        let (needed, what) = match map.def.known_type() {
            Some(MapType::HashOfMaps) => (own.count(), "as many"),
            _ => (own.map(|value| value.slot + 1).max().unwrap_or(0), "slots for as many"),
        };
        let room = map.def.max_entries;
        if room > 0 && needed > room as usize {
            let message =
                format!("its values need {what} entries as {needed}, and max_entries is {room}");
            add(
                map,
                message,
                "the kernel refuses what is beyond, and libbpf then the whole object",
            );
        }
    }
}

/// What of a map is not as that of the maps that another one is declared to
/// hold (`map_meta_equal` of Linux 5.10 to 7.2). What the loader may still
/// set is not compared.
fn difference(wanted: &MapDef, given: &MapDef) -> Option<String> {
    if wanted.map_type != given.map_type {
        let of = |def: &MapDef| match def.known_type() {
            Some(known) => known.to_string(),
            None => def.map_type.to_string(),
        };
        return Some(format!("its type is {}, not {}", of(given), of(wanted)));
    }
    let differ = |wanted: u32, given: u32| wanted != given && wanted != 0 && given != 0;
    for (what, wanted, given) in
        [("keys", wanted.key_size, given.key_size), ("values", wanted.value_size, given.value_size)]
    {
        if differ(wanted, given) {
            return Some(format!("its {what} have {given} bytes, not {wanted}"));
        }
    }
    if wanted.flags != given.flags {
        let names = |flags: u32| match flags {
            0 => "none".to_owned(),
            flags => flags::names(flags),
        };
        return Some(format!("its flags are {}, not {}", names(given.flags), names(wanted.flags)));
    }
    let is_fixed = match wanted.known_type() {
        Some(MapType::Array) => wanted.flags & flags::INNER_MAP == 0,
        Some(MapType::Xskmap) => true,
        _ => false,
    };
    (is_fixed && differ(wanted.max_entries, given.max_entries)).then(|| {
        let (given, wanted) = (given.max_entries, wanted.max_entries);
        format!("it has {given} entries, not {wanted}")
    })
}
