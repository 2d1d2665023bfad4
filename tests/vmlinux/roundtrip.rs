//! BTF made up at random, written as C, compiled, and read back: every type
//! has the layout it had, every member and kernel function the type.

use crate::asserts;
use crate::support::Place;
use proptest::prelude::*;
use skep::btf::{Btf, Builder, Composite, Endian, Kind, Type, TypeId};
use skep::vmlinux::{self, Request};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

/// What a member is to be made of: a type to choose, a width if it can be a
/// bit-field, a gap before it in bits, and whether it keeps its alignment.
type Wish = (usize, u8, u8, bool);

/// A type to be made: its members, whether it is a union, whether it is
/// anonymous, and how many bytes to add at its end.
type Plan = (Vec<Wish>, bool, bool, u8);

/// The types there are to choose from, with their sizes in bytes.
struct Made {
    builder: Builder,
    types: Vec<(TypeId, u32)>,
    /// How many of them are integers that may be bit-fields.
    integers: usize,
}

fn basics() -> Made {
    let mut builder = Builder::new();
    let mut types = Vec::new();
    for (name, size, encoding) in [
        ("char", 1, 1),
        ("unsigned char", 1, 0),
        ("short int", 2, 1),
        ("unsigned int", 4, 0),
        ("int", 4, 1),
        ("long unsigned int", 8, 0),
        ("long long int", 8, 1),
        ("_Bool", 1, 4),
        ("__int128", 16, 1),
    ] {
        types.push((builder.int(name, size, encoding), size));
    }
    // The last two cannot be bit-fields of any width.
    let integers = types.len() - 2;
    types.push((builder.enumeration("byte_enum", 1, false, &[("BYTE", 200)]), 1));
    types.push((builder.enumeration("short_enum", 2, true, &[("SHORT", -3)]), 2));
    types.push((builder.enumeration("plain_enum", 4, true, &[("PLAIN", -1)]), 4));
    types.push((builder.enumeration("wide_enum", 8, false, &[("WIDE", 1 << 40)]), 8));
    let int = types[4].0;
    types.push((builder.reference(Kind::Ptr, "", int), 8));
    let proto = builder.proto(int, &[("a", int), ("", TypeId::VOID)]);
    types.push((builder.reference(Kind::Ptr, "", proto), 8));
    types.push((builder.array(types[2].0, int, 3), 6));
    types.push((builder.array(int, int, 0), 0));
    let constant = builder.reference(Kind::Const, "", types[5].0);
    types.push((builder.reference(Kind::Typedef, "const_t", constant), 8));
    // Tags, floats, and what is only declared.
    let user = builder.reference(Kind::TypeTag, "user", int);
    types.push((builder.reference(Kind::Ptr, "", user), 8));
    let inner = builder.reference(Kind::TypeTag, "rcu", types[types.len() - 1].0);
    types.push((builder.reference(Kind::Ptr, "", inner), 8));
    types.push((builder.raw("float", Kind::Float, false, 0, 4, &[]), 4));
    types.push((builder.raw("double", Kind::Float, false, 0, 8, &[]), 8));
    let elsewhere = builder.raw("elsewhere", Kind::Fwd, false, 0, 0, &[]);
    types.push((builder.reference(Kind::Ptr, "", elsewhere), 8));
    // Declarations whose parts stand on both sides of the name.
    let callback = builder.reference(Kind::Ptr, "", proto);
    let callback = builder.reference(Kind::Typedef, "callback_t", callback);
    types.push((builder.array(callback, int, 2), 16));
    let grid = builder.array(types[1].0, int, 3);
    let grid = builder.array(grid, int, 2);
    types.push((grid, 6));
    types.push((builder.reference(Kind::Ptr, "", grid), 8));
    let getter = builder.reference(Kind::Ptr, "", grid);
    let getter = builder.proto(getter, &[("cb", callback), ("to", types[types.len() - 1].0)]);
    let getter = builder.reference(Kind::Ptr, "", getter);
    let fixed = builder.reference(Kind::Volatile, "", getter);
    types.push((builder.reference(Kind::Const, "", fixed), 8));
    Made { builder, types, integers }
}

/// What a kernel has besides types that have a layout: functions that
/// programs may call, each with tags; variables in a section; tags on members
/// and typedefs. Gives the functions' names.
fn declare(made: &mut Made, chosen: &[usize]) -> Vec<String> {
    let b = &mut made.builder;
    let mut names = Vec::new();
    let mut items = Vec::new();
    for (number, choice) in chosen.iter().enumerate() {
        let (ty, size) = made.types[choice % made.types.len()];
        let pointer = b.reference(Kind::Ptr, "", ty);
        let name = format!("kfunc{number}");
        let proto = b.proto(pointer, &[("one", pointer), ("two", made.types[4].0)]);
        let func = b.raw(&name, Kind::Func, false, 1, proto.0, &[]);
        for tag in ["bpf_kfunc", "bpf_fastcall"].iter().take(1 + number % 2) {
            b.raw(tag, Kind::DeclTag, false, 0, func.0, &[u32::MAX]);
        }
        let typedef = b.reference(Kind::Typedef, &format!("alias{number}_t"), ty);
        b.raw("tag", Kind::DeclTag, false, 0, typedef.0, &[u32::MAX]);
        b.raw("tag", Kind::DeclTag, false, 0, func.0, &[0]);
        let var = b.raw(&format!("var{number}"), Kind::Var, false, 0, ty.0, &[1]);
        items.extend([var.0, number as u32 * 64, size]);
        names.push(name);
    }
    b.raw(".data", Kind::Datasec, false, chosen.len(), 64 * chosen.len() as u32, &items);
    names
}

/// A type's structure in words, without what C leaves to the compiler (how an
/// integer is called) or has no place for (tags elsewhere than on a pointer's
/// target, qualifiers).
fn shape(btf: &Btf, id: TypeId) -> String {
    let of = |id| shape(btf, id);
    match btf.ty(id) {
        Type::Const(target) | Type::Volatile(target) | Type::Restrict(target) => of(target),
        Type::TypeTag { target, .. } => of(target),
        Type::Ptr(target) => {
            let mut tags = String::new();
            let mut inner = target;
            while let Type::TypeTag { value, target, .. } = btf.ty(inner) {
                tags += value;
                inner = target;
            }
            format!("*{tags} {}", of(inner))
        }
        Type::Typedef { name, .. } => name.to_owned(),
        Type::Int(int) => format!("int{}{}{}", int.size, int.is_signed, int.is_bool),
        Type::Array(array) => format!("[{}]{}", array.count, of(array.element)),
        Type::FuncProto(proto) => {
            let params: Vec<String> = proto.params().map(|param| of(param.ty)).collect();
            format!("({}) -> {}", params.join(", "), of(proto.returns))
        }
        _ => format!("{}{}", btf.word(id), btf.size(id).unwrap_or(0)),
    }
}

/// The functions with these names.
fn functions(btf: &Btf, names: &[String]) -> Vec<String> {
    let find = |name: &String| {
        let Type::Func { proto, .. } = btf.ty(btf.find(Kind::Func, name)?) else { return None };
        Some(shape(btf, proto))
    };
    names.iter().map(|name| find(name).unwrap_or_else(|| format!("no {name}"))).collect()
}

/// The alignment that a type of this size most likely has; where it has
/// another, the struct comes out packed, which is as good.
fn align(size: u32) -> u32 {
    [16, 8, 4, 2].into_iter().find(|align| size > 0 && size.is_multiple_of(*align)).unwrap_or(1)
}

/// Makes a struct or union as planned. Offsets are such that a compiler could
/// have made them, with some attribute or other.
fn make(made: &mut Made, number: usize, plan: &Plan) {
    let (wishes, is_union, anonymous, tail) = plan;
    let (mut at, mut end) = (0u32, 0u32);
    let mut members = Vec::new();
    let names: Vec<String> =
        (0..wishes.len()).map(|member| format!("m{number}_{member}")).collect();
    for ((choice, width, gap, aligned), name) in wishes.iter().zip(&names) {
        let index = choice % made.types.len();
        let (ty, size) = made.types[index];
        let is_bits = index < made.integers && *width > 0;
        let bits = if is_bits { u32::from(*width).min(size * 8) } else { size * 8 };
        if !*is_union {
            at += u32::from(*gap);
            let unit = size * 8;
            if !is_bits {
                at = at.next_multiple_of(if *aligned { align(size) * 8 } else { 8 });
            } else if *aligned && at % unit + bits > unit {
                at = at.next_multiple_of(unit);
            }
        }
        members.push((name.as_str(), ty, at, if is_bits { bits as u8 } else { 0 }));
        end = end.max(at + bits);
        if !*is_union {
            at += bits;
        }
    }
    let mut size = end.div_ceil(8) + u32::from(*tail);
    if tail % 2 == 0 {
        size = size.next_multiple_of(8);
    }
    let kind = if *is_union { Kind::Union } else { Kind::Struct };
    let name = if *anonymous { String::new() } else { format!("t{number}") };
    let id = made.builder.composite(kind, &name, size, &members);
    made.types.push((id, size));
    if !*anonymous {
        made.types.push((made.builder.reference(Kind::Ptr, "", id), 8));
    }
}

/// Members by name: offset and width in bits, and the type.
type Members = BTreeMap<String, (u32, u32, String)>;

/// Members by name with offset and width, through anonymous ones.
fn flat(btf: &Btf, composite: Composite<'_>, start: u32, into: &mut Members) {
    for member in composite.members() {
        let inner = btf.as_composite(btf.resolve(member.ty));
        let offset = start + member.bit_offset;
        match inner {
            Some(inner) if member.name.is_empty() => flat(btf, inner, offset, into),
            _ => {
                let width = member.bit_size.unwrap_or(0);
                // A truth value of several bits has no type in C.
                let shape = if width > 0 { String::new() } else { shape(btf, member.ty) };
                into.insert(member.name.to_owned(), (offset, width.into(), shape));
            }
        }
    }
}

/// What is to be compared of every struct and union with a tag.
fn layouts(btf: &Btf) -> BTreeMap<String, (u32, Members)> {
    let mut layouts = BTreeMap::new();
    for id in btf.ids().filter(|id| btf.kind(*id).is_composite()) {
        let composite = btf.as_composite(id).unwrap();
        if composite.name.starts_with('t') {
            let mut members = BTreeMap::new();
            flat(btf, composite, 0, &mut members);
            members.retain(|name, _| name.starts_with('m'));
            layouts.insert(composite.name.to_owned(), (composite.size, members));
        }
    }
    layouts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(
        plans in prop::collection::vec(
            (
                prop::collection::vec((0..64usize, 0..40u8, prop_oneof![4 => Just(0u8), 1 => 0..200u8], any::<bool>()), 0..8),
                prop::bool::weighted(0.25),
                prop::bool::weighted(0.2),
                prop_oneof![3 => Just(0u8), 1 => 0..70u8],
            ),
            1..40,
        ),
        chosen in prop::collection::vec(0..64usize, 0..4),
    ) {
        let mut made = basics();
        for (number, plan) in plans.iter().enumerate() {
            make(&mut made, number, plan);
        }
        let names = declare(&mut made, &chosen);
        let btf = Btf::parse(made.builder.finish(Endian::Little)).unwrap();
        let place = Place::new();
        place.file("vmlinux.h", vmlinux::header(&btf, &Request::default()).unwrap());
        let (mut source, _) = asserts::source(&btf, "vmlinux.h");
        let (before, called) = (layouts(&btf), functions(&btf, &names));
        for (name, id) in before.keys().map(|name| {
            let is_struct = btf.find(Kind::Struct, name).is_some();
            (name, if is_struct { "struct" } else { "union" })
        }) {
            writeln!(source, "{id} {name} g_{name};").unwrap();
        }
        // Something to have BTF of, even if no type has a tag.
        source.push_str("int anchor;\nlong call(void) { return 0");
        for name in &names {
            write!(source, " + (long){name}(0, 1)").unwrap();
        }
        source.push_str("; }\n");
        place.file("t.c", &source);
        for clang in ["clang-14", "clang-19"] {
            let output = Command::new(clang)
                .args(["-target", "bpf", "-g", "-O2", "-Wall", "-Wextra", "-Werror", "-c", "t.c"])
                .current_dir(place.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            prop_assert!(
                output.status.success(),
                "{clang}:\n{said}\n{}",
                place.read("vmlinux.h")
            );
            let object = std::fs::read(place.path().join("t.o")).unwrap();
            let section = skep::elf::section(&object, ".BTF").unwrap().unwrap();
            let after = Btf::parse(section).unwrap();
            prop_assert_eq!(&before, &layouts(&after), "{}", place.read("vmlinux.h"));
            prop_assert_eq!(&called, &functions(&after, &names), "{}", place.read("vmlinux.h"));
        }
    }
}
