//! Reading: what is there is found, and what is wrong is said.

use super::*;
use crate::base::fs;
use std::path::Path;
use std::sync::Arc;

/// A struct `pair { int first; struct pair *next; unsigned flags:3; }`.
fn pair(endian: Endian) -> Vec<u8> {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let unsigned = b.int("unsigned int", 4, 0);
    let pointer = b.reference(Kind::Ptr, "", TypeId(4));
    let members = [("first", int, 0, 0), ("next", pointer, 64, 0), ("flags", unsigned, 128, 3)];
    b.composite(Kind::Struct, "pair", 24, &members);
    b.enumeration("big", 8, true, &[("MINUS", -1), ("BIG", 1 << 40)]);
    b.reference(Kind::Typedef, "pair_t", TypeId(4));
    b.array(TypeId(6), int, 7);
    b.finish(endian)
}

#[test]
fn both_byte_orders_read_the_same() {
    for endian in [Endian::Little, Endian::Big] {
        let btf = Btf::parse(pair(endian)).unwrap();
        assert_eq!(btf.endian(), endian);
        let id = btf.find(Kind::Struct, "pair").unwrap();
        let members: Vec<_> = btf.as_composite(id).unwrap().members().collect();
        let member =
            |name, ty, bit_offset, bit_size| Member { name, ty: TypeId(ty), bit_offset, bit_size };
        assert_eq!(
            members,
            [
                member("first", 1, 0, None),
                member("next", 3, 64, None),
                member("flags", 2, 128, Some(3))
            ]
        );
        assert_eq!((btf.size(id), btf.align(id)), (Some(24), 8));
        let Type::Enum(values) = btf.ty(btf.find(Kind::Enum64, "big").unwrap()) else { panic!() };
        let values: Vec<_> = values.values().map(|v| (v.name, v.value)).collect();
        assert_eq!(values, [("MINUS", -1), ("BIG", 1 << 40)]);
        assert_eq!(btf.size(TypeId(7)), Some(7 * 24));
        assert_eq!(btf.resolve(TypeId(6)), id);
        assert_eq!(btf.find(Kind::Union, "pair"), None);
        assert_eq!(btf.named("").count(), 0);
    }
}

#[test]
fn split_btf_continues_its_base() {
    let base = Arc::new(Btf::parse(pair(Endian::Little)).unwrap());
    let mut split = Builder::over(&base);
    split.composite(Kind::Struct, "more", 24, &[("inner", TypeId(4), 0, 0)]);
    let bytes = split.finish(Endian::Little);
    let btf = Btf::parse_split(bytes, base.clone()).unwrap();
    let id = btf.find(Kind::Struct, "more").unwrap();
    assert_eq!(id, TypeId(base.len()));
    assert_eq!(btf.first_own(), id);
    assert_eq!(btf.as_composite(id).unwrap().member(0).unwrap().name, "inner");
    assert_eq!(btf.find(Kind::Struct, "pair"), Some(TypeId(4)));
    assert_eq!(btf.align(id), 8);
}

/// What the reader says to BTF made by `make`.
fn refusal(make: impl FnOnce(&mut Builder)) -> String {
    let mut builder = Builder::new();
    make(&mut builder);
    match Btf::parse(builder.finish(Endian::Little)) {
        Ok(btf) => format!("nothing against its {} types", btf.len() - 1),
        Err(error) => error.to_string(),
    }
}

#[test]
fn hostile_types_are_refused_with_their_number() {
    let said = refusal(|b| {
        b.composite(Kind::Struct, "a", 8, &[("b", TypeId(2), 0, 0)]);
        b.reference(Kind::Typedef, "b", TypeId(1));
    });
    assert_eq!(said, "the BTF data is damaged: type 1 contains itself");
    let said = refusal(|b| _ = b.reference(Kind::Ptr, "", TypeId(1)));
    assert_eq!(said, "the BTF data is damaged: type 1 cannot be spelled without itself");
    let said = refusal(|b| _ = b.reference(Kind::Const, "", TypeId(9)));
    assert_eq!(said, "the BTF data is damaged: type 1 refers to type 9, which is not there");
    let said = refusal(|b| _ = b.reference(Kind::Typedef, "self", TypeId(1)));
    assert_eq!(said, "the BTF data is damaged: type 1 contains itself");
    let said = refusal(|b| {
        for id in 2..1000 {
            b.reference(Kind::Const, "", TypeId(id));
        }
        b.int("int", 4, 1);
    });
    assert!(said.ends_with("is nested too deep"), "{said}");
    // A hundred thousand levels, from the inside and from the outside.
    type Level = fn(&mut Builder, TypeId) -> TypeId;
    let levels: [Level; 5] = [
        |b, inner| b.array(inner, TypeId(1), 1),
        |b, inner| b.reference(Kind::Ptr, "", inner),
        |b, inner| b.reference(Kind::Typedef, "t", inner),
        |b, inner| b.composite(Kind::Struct, "", 4, &[("", inner, 0, 0)]),
        |b, inner| b.proto(inner, &[]),
    ];
    for level in levels {
        let said = refusal(|b| {
            let mut inner = b.int("int", 4, 1);
            for _ in 0..100_000 {
                inner = level(b, inner);
            }
        });
        assert!(said.ends_with("is nested too deep"), "{said}");
        let said = refusal(|b| {
            b.int("int", 4, 1);
            for _ in 0..100_000 {
                let next = TypeId(b.next_id().0 + 1);
                level(b, next);
            }
            level(b, TypeId(1));
        });
        assert!(said.ends_with("is nested too deep"), "{said}");
    }
    let said = refusal(|b| _ = b.int(&"long".repeat(50_000), 4, 1));
    assert!(said.ends_with("a string in it is longer than any name"), "{said}");
    let said = refusal(|b| _ = b.raw("", Kind::Struct, false, 0xff_ffff, 8, &[]));
    assert!(said.starts_with("the BTF data is cut off: a type's list needs"), "{said}");
    let said = refusal(|b| _ = b.raw("x", Kind::Int, false, 0, 4, &[0x40 << 16 | 32]));
    assert!(said.ends_with("more bits than its bytes hold"), "{said}");
    let said = refusal(|b| {
        let int = b.int("int", 4, 1);
        b.composite(Kind::Struct, "s", 4, &[("a", int, 16, 0)]);
    });
    assert!(said.ends_with("has a member that lies outside of it"), "{said}");
    let said = refusal(|b| {
        // Each level spells the one below twice: 2^40 at the end.
        let int = b.int("int", 4, 1);
        let mut inner = b.composite(Kind::Union, "", 4, &[("a", int, 0, 0)]);
        for _ in 0..40 {
            inner = b.composite(Kind::Union, "", 4, &[("a", inner, 0, 0), ("b", inner, 0, 0)]);
        }
    });
    assert!(said.ends_with("is spelled out at too great a length"), "{said}");
    let said = refusal(|b| {
        let int = b.int("int", 4, 1);
        let mut inner = int;
        for _ in 0..9 {
            inner = b.array(inner, int, u32::MAX);
        }
    });
    assert!(said.ends_with("is an array of more than 4 GiB"), "{said}");
}

#[test]
fn headers_are_told_apart() {
    let said = |bytes: &[u8]| Btf::parse(bytes).unwrap_err().to_string();
    assert_eq!(said(b""), "the BTF data is empty");
    assert_eq!(said(b"\x7fELF"), "the data does not begin with BTF's magic number");
    assert_eq!(said(b"\x9f"), "the data does not begin with BTF's magic number");
    assert_eq!(said(b"\x9f\xeb\x02"), "BTF version 2 is not known, only 1 is");
    assert_eq!(
        said(b"\x9f\xeb\x01\x00\x18"),
        "the BTF data is cut off: the header needs 24 bytes, 5 are there"
    );
    let whole = pair(Endian::Little);
    assert!(said(&whole[..whole.len() - 1]).starts_with("the BTF data is cut off: the string"));
}

#[test]
fn every_truncation_and_bit_flip_ends_in_a_result() {
    for endian in [Endian::Little, Endian::Big] {
        let whole = pair(endian);
        for end in 0..whole.len() {
            assert!(Btf::parse(&whole[..end]).is_err(), "{end} bytes");
        }
        for at in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(btf) = Btf::parse(bytes) {
                walk(&btf);
            }
        }
    }
}

/// Touches everything there is.
fn walk(btf: &Btf) {
    for id in btf.ids() {
        let _ = (btf.size(id), btf.align(id), btf.resolve(id), btf.name(id));
        match btf.ty(id) {
            Type::Struct(c) | Type::Union(c) => drop(c.members().collect::<Vec<_>>()),
            Type::Enum(e) => drop(e.values().collect::<Vec<_>>()),
            Type::FuncProto(p) => drop(p.params().collect::<Vec<_>>()),
            Type::Datasec(s) => drop(s.items().collect::<Vec<_>>()),
            _ => {}
        }
        assert!(
            btf.name(id).is_empty()
                || btf.named(btf.name(id)).any(|named| named == id)
                || matches!(btf.kind(id), Kind::DeclTag | Kind::TypeTag)
        );
    }
}

#[test]
fn the_running_kernel_is_read() {
    let btf = Btf::parse(fs::read(Path::new("/sys/kernel/btf/vmlinux")).unwrap()).unwrap();
    walk(&btf);
    let task = btf.find(Kind::Struct, "task_struct").unwrap();
    let task = btf.as_composite(task).unwrap();
    assert!(task.members().any(|member| member.name == "pid" && btf.size(member.ty) == Some(4)));
}

/// A `.BTF.ext` with one record of each kind.
fn ext(btf_strings: [u32; 3]) -> Vec<u8> {
    let [sec, file, access] = btf_strings;
    let mut words = vec![0x0001_eb9f, 32, 0, 20, 20, 28, 48, 28];
    words.extend([8, sec, 1, 0, 4]);
    words.extend([16, sec, 1, 8, file, file, 7 << 10 | 3]);
    words.extend([16, sec, 1, 16, 4, access, 0]);
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[test]
fn ext_info_is_read_and_checked_against_its_btf() {
    let btf = Btf::parse(pair(Endian::Little)).unwrap();
    let bytes = ext([1, 5, 5]);
    let read = ext::Ext::parse(&bytes, &btf).unwrap();
    assert_eq!(read.func_info[0].records, [ext::FuncInfo { offset: 0, ty: TypeId(4) }]);
    let line = read.line_info[0].records[0];
    assert_eq!((line.offset, line.line, line.column), (8, 7, 3));
    assert_eq!(btf.string_lossy(line.file), "unsigned int");
    assert_eq!(read.core_relo[0].records[0].ty, TypeId(4));
    let far = ext::Ext::parse(&ext([1, 9999, 5]), &btf).unwrap_err().to_string();
    assert_eq!(far, "the .BTF.ext section is damaged: line info: there is no string at 9999");
    for end in 0..bytes.len() {
        assert!(ext::Ext::parse(&bytes[..end], &btf).is_err(), "{end} bytes");
    }
    for at in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        let _ = ext::Ext::parse(&bytes, &btf);
    }
}

#[test]
fn split_btfs_over_one_base_are_put_together() {
    let base = Arc::new(Btf::parse(pair(Endian::Little)).unwrap());
    let part = |name: &str, member: &str| {
        let mut b = Builder::over(&base);
        let own = b.next_id();
        b.composite(Kind::Struct, name, 24, &[(member, TypeId(4), 0, 0)]);
        let pointer = b.reference(Kind::Ptr, "", own);
        b.proto(pointer, &[("arg", TypeId(1))]);
        Btf::parse_split(b.finish(Endian::Little), base.clone()).unwrap()
    };
    let joined = Btf::join(&base, &[part("one", "a"), part("two", "bcd")]).unwrap();
    assert_eq!(joined.len(), base.len() + 6);
    let two = joined.find(Kind::Struct, "two").unwrap();
    assert_eq!(two.0, base.len() + 3);
    assert_eq!(joined.as_composite(two).unwrap().member(0).unwrap().name, "bcd");
    let Type::Ptr(target) = joined.ty(TypeId(two.0 + 1)) else { panic!() };
    assert_eq!(target, two);
    let Type::FuncProto(proto) = joined.ty(TypeId(two.0 + 2)) else { panic!() };
    assert_eq!(proto.returns, TypeId(two.0 + 1));
    assert_eq!(proto.params().next().map(|param| (param.name, param.ty)), Some(("arg", TypeId(1))));
}
