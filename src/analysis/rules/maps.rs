//! E0406 bad-map; W0406 unfinished-map; E0407 legacy-maps: definitions that
//! libbpf can read, and maps that kernels create.
//!
//! What a map type asks of sizes and flags is what its `map_alloc_check` (or
//! `map_alloc`) in kernel/bpf and net of Linux 5.10 to 7.2 refuses; where
//! kernels differ, the most generous one counts. A size or number of elements
//! that is zero can still be set by the loader (`bpf_map__set_max_entries`),
//! so that is a warning.

use super::Context;
use crate::bpf::{MapType, map_flags as flags};
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::{Map, MapDef, Problem};

/// What a size may be.
enum Size {
    /// Nothing but zero.
    Zero,
    /// Anything else.
    Some,
    /// One of these.
    OneOf(&'static [u32]),
    /// Between these, both included.
    Between(u32, u32),
    /// A multiple of this.
    MultipleOf(u32),
}

/// What the number of elements may be.
#[derive(PartialEq)]
enum Entries {
    /// Nothing but zero: the map grows with what its keys name.
    Zero,
    /// Anything else.
    Some,
    /// Anything: libbpf takes the number of CPUs for zero.
    Any,
}

/// What a map type asks for.
struct Shape {
    key: Size,
    value: Size,
    entries: Entries,
    /// Flags that may be given.
    allowed: u32,
    /// Flags that must be given.
    required: u32,
}

const ACCESS: u32 = flags::RDONLY | flags::WRONLY | flags::RDONLY_PROG | flags::WRONLY_PROG;
const USER_ACCESS: u32 = flags::RDONLY | flags::WRONLY;

fn shape(map_type: MapType) -> Shape {
    use MapType as T;
    const FD: Size = Size::OneOf(&[4]);
    let (key, value, entries, allowed, required) = match map_type {
        T::Hash => {
            (Size::Some, Size::Some, Entries::Some, hash(flags::NO_PREALLOC | flags::NUMA_NODE), 0)
        }
        T::PercpuHash => {
            (Size::Some, Size::Between(1, 32768), Entries::Some, hash(flags::NO_PREALLOC), 0)
        }
        T::LruHash => (
            Size::Some,
            Size::Some,
            Entries::Some,
            hash(flags::NO_COMMON_LRU | flags::NUMA_NODE),
            0,
        ),
        T::LruPercpuHash => {
            (Size::Some, Size::Between(1, 32768), Entries::Some, hash(flags::NO_COMMON_LRU), 0)
        }
        T::HashOfMaps => {
            (Size::Some, FD, Entries::Some, hash(flags::NO_PREALLOC | flags::NUMA_NODE), 0)
        }
        T::Array => {
            let allowed = flags::NUMA_NODE | flags::MMAPABLE | ACCESS | flags::INNER_MAP;
            (FD, Size::Some, Entries::Some, allowed, 0)
        }
        T::PercpuArray => (FD, Size::Between(1, 32768), Entries::Some, ACCESS, 0),
        T::ProgArray | T::CgroupArray | T::ArrayOfMaps => {
            (FD, FD, Entries::Some, flags::NUMA_NODE | USER_ACCESS, 0)
        }
        T::PerfEventArray => {
            let allowed = flags::NUMA_NODE | USER_ACCESS | flags::PRESERVE_ELEMS;
            (FD, FD, Entries::Any, allowed, 0)
        }
        T::StackTrace => {
            let allowed = flags::NUMA_NODE | USER_ACCESS | flags::STACK_BUILD_ID;
            (FD, Size::MultipleOf(8), Entries::Some, allowed, 0)
        }
        T::LpmTrie => {
            let allowed = flags::NO_PREALLOC | flags::NUMA_NODE | ACCESS;
            (Size::Between(5, 260), Size::Some, Entries::Some, allowed, flags::NO_PREALLOC)
        }
        T::Devmap | T::DevmapHash | T::Sockmap => {
            let allowed = flags::NUMA_NODE | USER_ACCESS;
            (FD, Size::OneOf(&[4, 8]), Entries::Some, allowed, 0)
        }
        T::Cpumap => (FD, Size::OneOf(&[4, 8]), Entries::Some, flags::NUMA_NODE, 0),
        T::Xskmap => (FD, FD, Entries::Some, flags::NUMA_NODE | USER_ACCESS, 0),
        T::Sockhash => {
            let allowed = flags::NUMA_NODE | USER_ACCESS;
            (Size::Between(1, 512), Size::OneOf(&[4, 8]), Entries::Some, allowed, 0)
        }
        T::ReuseportSockarray => {
            let allowed = flags::NUMA_NODE | ACCESS;
            (FD, Size::OneOf(&[4, 8]), Entries::Some, allowed, 0)
        }
        T::CgroupStorage | T::PercpuCgroupStorage => {
            (Size::OneOf(&[8, 16]), Size::Some, Entries::Zero, flags::NUMA_NODE | ACCESS, 0)
        }
        T::Queue | T::Stack => {
            (Size::Zero, Size::Some, Entries::Some, flags::NUMA_NODE | ACCESS, 0)
        }
        T::BloomFilter => {
            let allowed = flags::NUMA_NODE | flags::ZERO_SEED | ACCESS;
            (Size::Zero, Size::Some, Entries::Some, allowed, 0)
        }
        T::SkStorage | T::InodeStorage | T::TaskStorage | T::CgrpStorage => {
            let allowed = flags::NO_PREALLOC | flags::CLONE;
            (FD, Size::Between(1, 65535), Entries::Zero, allowed, flags::NO_PREALLOC)
        }
        // BPF_F_RB_OVERWRITE.
        T::Ringbuf => (Size::Zero, Size::Zero, Entries::Some, flags::NUMA_NODE | 1 << 19, 0),
        T::UserRingbuf => (Size::Zero, Size::Zero, Entries::Some, flags::NUMA_NODE, 0),
        // BPF_F_SEGV_ON_FAULT, BPF_F_NO_USER_CONV.
        T::Arena => {
            let allowed = flags::MMAPABLE | 1 << 17 | 1 << 18;
            (Size::Zero, Size::Zero, Entries::Some, allowed, flags::MMAPABLE)
        }
        // libbpf makes these itself.
        T::StructOps | T::InsnArray => (Size::Some, Size::Some, Entries::Any, u32::MAX, 0),
    };
    Shape { key, value, entries, allowed, required }
}

const fn hash(own: u32) -> u32 {
    own | ACCESS | flags::ZERO_SEED
}

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for problem in &cx.object.problems {
        match problem {
            Problem::LegacyMaps { maps } => findings.push(legacy(cx, maps)),
            Problem::BadMap { map, what } => {
                findings.push(cx.of_map(codes::BAD_MAP, map, format!("map `{map}`: {what}")));
            }
            _ => {}
        }
    }
    for map in &cx.object.maps {
        definition(cx, map, &map.def, "", findings);
        if let Some(inner) = &map.def.inner {
            definition(cx, map, inner, "a map within ", findings);
            within(cx, map, inner, findings);
        }
    }
    let arenas =
        || cx.object.maps.iter().filter(|map| map.def.known_type() == Some(MapType::Arena));
    if let Some(second) = arenas().nth(1) {
        let message = format!("`{}` is a second arena, and an object can have one", second.name);
        findings.push(cx.of_map(codes::BAD_MAP, &second.name, message));
    }
}

/// What cannot be within a map: maps of maps, and those of which the kernel
/// does not know whether two are alike (`bpf_map_meta_alloc`, from 5.10 to
/// 7.2: they have no `map_meta_equal`).
fn within(cx: &Context<'_>, map: &Map, inner: &MapDef, findings: &mut Vec<Diagnostic>) {
    use MapType as T;
    let Some(map_type) = inner.known_type() else { return };
    let is_refused = map_type.is_map_in_map()
        || matches!(
            map_type,
            T::ProgArray | T::CgroupStorage | T::PercpuCgroupStorage | T::StructOps
        );
    if is_refused {
        let name = &map.name;
        let message =
            format!("map `{name}`: {} {map_type} map cannot be within a map", article(map_type));
        findings.push(cx.of_map(codes::BAD_MAP, name, message));
    }
}

fn legacy(cx: &Context<'_>, maps: &[String]) -> Diagnostic {
    let names = match maps {
        [] => String::new(),
        maps => format!(" ({})", maps.join(", ")),
    };
    let message =
        format!("maps are defined in SEC(\"maps\"){names}, which libbpf gave up with 1.0");
    let finding = cx.of_section(codes::LEGACY_MAPS, "maps", message);
    let finding = match maps.iter().find_map(|map| cx.definition(map, "maps")) {
        Some(span) => finding.at(span),
        None => finding,
    };
    let name = maps.first().map_or("NAME", String::as_str);
    finding.help(format!(
        "define them with types: `struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, …); \
         __type(key, …); __type(value, …); }} {name} SEC(\".maps\");`"
    ))
}

fn definition(
    cx: &Context<'_>,
    map: &Map,
    def: &MapDef,
    within: &str,
    findings: &mut Vec<Diagnostic>,
) {
    let name = &map.name;
    let mut add = |code, message: String, help: Option<String>| {
        let finding = cx.of_map(code, name, format!("{within}map `{name}`: {message}"));
        findings.push(match help {
            Some(help) => finding.help(help),
            None => finding,
        });
    };
    let Some(map_type) = def.known_type() else {
        if def.map_type != 0 {
            let message = format!("skep knows no map type {}", def.map_type);
            add(codes::UNFINISHED_MAP, message, None);
        }
        return;
    };
    let of_type = format!("{} {map_type} map", article(map_type));
    let shape = shape(map_type);
    let mut unsaid = Vec::new();
    for (what, size, given) in
        [("key", &shape.key, def.key_size), ("value", &shape.value, def.value_size)]
    {
        match check_size(size, given) {
            Ok(()) => {}
            Err(_) if given == 0 => unsaid.push((
                format!("{what} size"),
                format!("__type({what}, …)"),
                format!("bpf_map__set_{what}_size()"),
            )),
            Err(wanted) => {
                let message = match size {
                    Size::Zero => {
                        format!("{of_type} has no {what}s, and here they have {given} bytes")
                    }
                    _ => format!("{of_type} has {what}s of {wanted}, not {given} bytes"),
                };
                add(codes::BAD_MAP, message, None);
            }
        }
    }
    match shape.entries {
        Entries::Some if def.max_entries == 0 => unsaid.push((
            "number of elements".to_owned(),
            "__uint(max_entries, …)".to_owned(),
            "bpf_map__set_max_entries()".to_owned(),
        )),
        Entries::Zero if def.max_entries != 0 => add(
            codes::BAD_MAP,
            format!("{of_type} takes no max_entries"),
            Some(
                "leave max_entries out: there is one value for each object of the kernel"
                    .to_owned(),
            ),
        ),
        _ => {}
    }
    if map_type.is_map_in_map() && def.inner.is_none() && within.is_empty() {
        unsaid.push((
            "definition of the maps in it".to_owned(),
            "__array(values, struct { … })".to_owned(),
            "bpf_map__set_inner_map_fd()".to_owned(),
        ));
    }
    if !unsaid.is_empty() {
        let list = |part: fn(&(String, String, String)) -> &String| {
            unsaid.iter().map(part).cloned().collect::<Vec<_>>().join(" and ")
        };
        add(
            codes::UNFINISHED_MAP,
            format!("its definition says no {}", list(|part| &part.0).replace(" and ", " and no ")),
            Some(format!(
                "write {}, or let the loader call {}",
                list(|part| &part.1),
                list(|part| &part.2)
            )),
        );
    }
    let missing = shape.required & !def.flags;
    if missing != 0 {
        let text = flags::names(missing);
        add(
            codes::BAD_MAP,
            format!("{of_type} needs the flag {text}"),
            Some(format!("write __uint(map_flags, {text})")),
        );
    }
    let excess = def.flags & !shape.allowed;
    if excess != 0 {
        let text = flags::names(excess);
        add(codes::BAD_MAP, format!("{of_type} does not take the flag {text}"), None);
    }
    let both = flags::RDONLY_PROG | flags::WRONLY_PROG;
    if def.flags & both == both {
        let message = "programs could neither read nor write it: it is given both BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG";
        add(codes::BAD_MAP, message.to_owned(), None);
    }
    if map_type.is_local_storage() && (def.key.is_none() || def.value.is_none()) {
        add(
            codes::BAD_MAP,
            format!("{of_type} needs the types of its key and value, not only their sizes"),
            Some("write __type(key, int) and __type(value, …)".to_owned()),
        );
    }
}

/// Whether a size will do; if not, what would.
fn check_size(size: &Size, given: u32) -> Result<(), String> {
    let list = |sizes: &[u32]| sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
    match *size {
        Size::Zero if given != 0 => Err("no size".to_owned()),
        Size::Some if given == 0 => Err("one byte or more".to_owned()),
        Size::OneOf(sizes) if !sizes.contains(&given) => Err(format!("{} bytes", list(sizes))),
        Size::Between(low, high) if !(low..=high).contains(&given) => {
            Err(format!("{low} to {high} bytes"))
        }
        Size::MultipleOf(unit) if given == 0 || !given.is_multiple_of(unit) => {
            Err(format!("a multiple of {unit} bytes"))
        }
        _ => Ok(()),
    }
}

fn article(map_type: MapType) -> &'static str {
    // As the letters of LPM, LRU and XSK are read.
    let name = map_type.name();
    let an = name.starts_with(['a', 'e', 'i', 'o'])
        || name.starts_with("lpm")
        || name.starts_with("lru");
    if an || name.starts_with("xsk") { "an" } else { "a" }
}
