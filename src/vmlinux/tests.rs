//! What is written for what. That it means the right thing is for clang to
//! say: `tests/vmlinux`.

use super::*;
use crate::btf::{Builder, Endian};

/// The types of a BTF in C, without what stands around them.
fn written(builder: Builder) -> String {
    let btf = Btf::parse(builder.finish(Endian::Little)).unwrap();
    let header = String::from_utf8(header(&btf, &Request::default()).unwrap()).unwrap();
    let types = header.strip_prefix(GUARD).unwrap().strip_suffix(END).unwrap();
    let inside = types.strip_prefix(BEFORE_RECORDS).and_then(|t| t.strip_suffix(AFTER_RECORDS));
    inside.unwrap_or(types).to_owned()
}

#[test]
fn without_a_struct_nothing_is_said_about_structs() {
    let mut b = Builder::new();
    b.int("int", 4, 1);
    b.enumeration("only", 4, false, &[("ONLY", 1)]);
    assert_eq!(written(b), "enum only {\n\tONLY = 1,\n};\n\n");
    let mut b = Builder::new();
    b.composite(Kind::Struct, "one", 0, &[]);
    let btf = Btf::parse(b.finish(Endian::Little)).unwrap();
    let header = String::from_utf8(header(&btf, &Request::default()).unwrap()).unwrap();
    assert_eq!(header.matches("#pragma clang attribute").count(), 2);
}

#[test]
fn declarations() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let character = b.int("char", 1, 1);
    let constant = b.reference(Kind::Const, "", character);
    let text = b.reference(Kind::Ptr, "", constant);
    let fixed = b.reference(Kind::Const, "", text);
    let grid = b.array(int, int, 3);
    let grid = b.array(grid, int, 2);
    let to_grid = b.reference(Kind::Ptr, "", grid);
    let fwd = b.raw("device", Kind::Fwd, false, 0, 0, &[]);
    let device = b.reference(Kind::Ptr, "", fwd);
    let proto = b.proto(device, &[("dev", device), ("fmt", text), ("", TypeId::VOID)]);
    let callback = b.reference(Kind::Ptr, "", proto);
    let table = b.array(callback, int, 4);
    let user = b.reference(Kind::TypeTag, "user", character);
    let user = b.reference(Kind::Ptr, "", user);
    let fallible = b.proto(callback, &[]);
    let fallible = b.reference(Kind::Ptr, "", fallible);
    b.reference(Kind::Typedef, "probe_t", proto);
    b.composite(
        Kind::Struct,
        "all",
        104,
        &[
            ("name", text, 0, 0),
            ("fixed", fixed, 64, 0),
            ("grid", grid, 128, 0),
            ("to_grid", to_grid, 320, 0),
            ("table", table, 384, 0),
            ("user", user, 640, 0),
            ("fallible", fallible, 704, 0),
        ],
    );
    insta::assert_snapshot!(written(b));
}

#[test]
fn layouts() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let byte = b.int("unsigned char", 1, 0);
    let long = b.int("long unsigned int", 8, 0);
    let flag = b.int("_Bool", 1, 4);
    b.composite(Kind::Struct, "packed", 12, &[("a", int, 0, 0), ("b", long, 32, 0)]);
    b.composite(Kind::Struct, "aligned", 64, &[("a", int, 0, 0), ("b", int, 256, 0)]);
    b.composite(Kind::Struct, "far", 4096, &[("a", byte, 0, 0), ("b", int, 16384, 0)]);
    let bits = [
        ("a", int, 0, 3),
        ("b", int, 5, 10),
        ("c", flag, 15, 1),
        ("d", byte, 32, 0),
        ("e", int, 40, 8),
        ("f", long, 64, 40),
        ("g", int, 104, 8),
    ];
    b.composite(Kind::Struct, "bits", 16, &bits);
    b.composite(Kind::Struct, "crossing", 8, &[("a", int, 0, 20), ("b", int, 20, 20)]);
    b.composite(Kind::Union, "wide", 32, &[("a", int, 0, 0), ("b", long, 0, 0)]);
    b.composite(Kind::Union, "odd", 9, &[("a", int, 0, 0), ("b", long, 0, 0)]);
    b.composite(Kind::Struct, "overlap", 8, &[("a", long, 0, 0), ("b", byte, 24, 0)]);
    b.composite(Kind::Struct, "empty", 0, &[]);
    b.composite(Kind::Struct, "opaque", 24, &[]);
    let flexible = b.array(int, int, 0);
    b.composite(Kind::Struct, "flexible", 4, &[("n", int, 0, 0), ("tail", flexible, 32, 0)]);
    insta::assert_snapshot!(written(b));
}

#[test]
fn anonymous_and_tagged_members() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let tagged = b.composite(Kind::Struct, "tagged", 8, &[("x", int, 0, 0), ("y", int, 32, 0)]);
    let plain = b.composite(Kind::Union, "", 4, &[("p", int, 0, 0), ("q", int, 0, 0)]);
    let alias = b.reference(Kind::Typedef, "plain_t", plain);
    b.composite(
        Kind::Struct,
        "outer",
        24,
        &[("", tagged, 0, 0), ("", plain, 64, 0), ("", alias, 96, 0), ("named", tagged, 128, 0)],
    );
    insta::assert_snapshot!(written(b));
}

#[test]
fn enumerations() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    b.enumeration("small", 1, false, &[("SMALL", 1), ("SMALLER", 255)]);
    b.enumeration("short_", 2, true, &[("SHORT", -2)]);
    b.enumeration("wide", 8, false, &[("WIDE", -1), ("WIDER", 1)]);
    b.enumeration("negative", 8, true, &[("NEGATIVE", i64::MIN), ("LESS", -7)]);
    b.enumeration("", 4, false, &[("false", 0), ("true", 1)]);
    let once = b.enumeration("", 4, false, &[("ONCE", 1)]);
    let twice = b.enumeration("", 4, false, &[("TWICE", 2)]);
    b.enumeration("declared", 4, false, &[]);
    b.composite(Kind::Struct, "first", 8, &[("once", once, 0, 0), ("twice", twice, 32, 0)]);
    b.composite(Kind::Struct, "second", 4, &[("twice", twice, 0, 0)]);
    b.enumeration("again", 4, false, &[("SMALL", 7)]);
    b.reference(Kind::Typedef, "SHORT", int);
    let flag = b.int("_Bool", 1, 4);
    b.reference(Kind::Typedef, "bool", flag);
    insta::assert_snapshot!(written(b));
}

#[test]
fn enumerations_from_before_they_had_signs() {
    let mut b = Builder::new();
    b.enumeration("error", 4, false, &[("ERROR", -1), ("FINE", 0)]);
    b.enumeration("bits", 4, false, &[("HIGH", 0x8000_0000), ("LOW", 1)]);
    insta::assert_snapshot!(written(b));
}

#[test]
fn one_name_for_many() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let first = b.composite(Kind::Struct, "node", 4, &[("a", int, 0, 0)]);
    let second = b.composite(Kind::Struct, "node", 4, &[("b", int, 0, 0)]);
    let third = b.composite(Kind::Union, "node", 4, &[("c", int, 0, 0)]);
    let fwd = b.raw("node", Kind::Fwd, true, 0, 0, &[]);
    let fwd = b.reference(Kind::Ptr, "", fwd);
    let members =
        [("x", first, 0, 0), ("y", second, 32, 0), ("z", third, 64, 0), ("p", fwd, 128, 0)];
    b.composite(Kind::Struct, "users", 24, &members);
    b.composite(Kind::Struct, "int", 4, &[("default", int, 0, 0)]);
    b.composite(Kind::Struct, "Vec<u8>", 4, &[("1st", int, 0, 0)]);
    insta::assert_snapshot!(written(b));
}

#[test]
fn what_a_parameter_names_is_declared_before() {
    let mut b = Builder::new();
    let late = b.reference(Kind::Ptr, "", TypeId(4));
    let own = b.reference(Kind::Ptr, "", TypeId(6));
    let proto = b.proto(TypeId::VOID, &[("late", late), ("own", own)]);
    let int = TypeId(7);
    b.composite(Kind::Struct, "late", 4, &[("a", int, 0, 0)]);
    let callback = b.reference(Kind::Ptr, "", proto);
    b.composite(Kind::Struct, "own", 16, &[("call", callback, 0, 0), ("late", late, 64, 0)]);
    b.int("int", 4, 1);
    insta::assert_snapshot!(written(b));
}

#[test]
fn the_machines_va_list_keeps_its_size() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let tag = b.composite(Kind::Struct, "__va_list_tag", 24, &[("gp", int, 0, 0)]);
    let list = b.array(tag, int, 1);
    let builtin = b.reference(Kind::Typedef, "__builtin_va_list", list);
    let list = b.reference(Kind::Typedef, "va_list", builtin);
    b.composite(Kind::Struct, "args", 24, &[("args", list, 0, 0)]);
    insta::assert_snapshot!(written(b));
}

#[test]
fn kernel_functions() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let task = b.composite(Kind::Struct, "task", 4, &[("pid", int, 0, 0)]);
    let task = b.reference(Kind::Ptr, "", task);
    let proto = b.proto(task, &[("p", task)]);
    let acquire = b.raw("task_acquire", Kind::Func, false, 1, proto.0, &[]);
    let other = b.raw("not_for_programs", Kind::Func, false, 1, proto.0, &[]);
    b.raw("bpf_kfunc", Kind::DeclTag, false, 0, acquire.0, &[u32::MAX]);
    b.raw("bpf_fastcall", Kind::DeclTag, false, 0, acquire.0, &[u32::MAX]);
    b.raw("bpf_fastcall", Kind::DeclTag, false, 0, other.0, &[u32::MAX]);
    let text = written(b);
    let (types, functions) = text.split_once(BEFORE_KFUNCS).unwrap();
    assert_eq!(types, "struct task {\n\tint pid;\n};\n\n");
    let line = "extern struct task *task_acquire(struct task *p) __weak __ksym __bpf_fastcall;\n";
    assert_eq!(functions, format!("{line}#endif\n\n"));
}

#[test]
fn only_what_is_asked_for_and_what_it_contains() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let inner = b.composite(Kind::Struct, "inner", 4, &[("a", int, 0, 0)]);
    let far = b.composite(Kind::Struct, "far", 4, &[("a", int, 0, 0)]);
    let far = b.reference(Kind::Ptr, "", far);
    let members = [("inner", inner, 0, 0), ("far", far, 64, 0)];
    let wanted = b.composite(Kind::Struct, "wanted", 16, &members);
    let btf = Btf::parse(b.finish(Endian::Little)).unwrap();
    let request = Request { scope: Scope::Only(&[wanted]), kfuncs: Kfuncs::None };
    let text = String::from_utf8(header(&btf, &request).unwrap()).unwrap();
    assert!(text.contains("struct inner {") && text.contains("struct far *far;"), "{text}");
    assert!(!text.contains("struct far {"), "{text}");
}

#[test]
fn a_cycle_through_pointers_that_c_cannot_order_still_ends() {
    let mut b = Builder::new();
    // Two structs with pointers to arrays of each other.
    let to_second = b.reference(Kind::Ptr, "", TypeId(2));
    b.array(TypeId(6), TypeId(7), 2);
    let to_first = b.reference(Kind::Ptr, "", TypeId(4));
    b.array(TypeId(5), TypeId(7), 2);
    b.composite(Kind::Struct, "first", 8, &[("second", to_second, 0, 0)]);
    b.composite(Kind::Struct, "second", 8, &[("first", to_first, 0, 0)]);
    b.int("int", 4, 1);
    insta::assert_snapshot!(written(b));
}

/// Everything that a header is made of, in little.
fn sampler() -> Vec<u8> {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let anonymous = b.enumeration("", 4, false, &[("A", 1)]);
    let inner = b.composite(Kind::Union, "", 4, &[("e", anonymous, 0, 0), ("i", int, 0, 7)]);
    let own = b.reference(Kind::Ptr, "", TypeId(8));
    let proto = b.proto(int, &[("own", own), ("", TypeId::VOID)]);
    let callback = b.reference(Kind::Ptr, "", proto);
    let table = b.array(callback, int, 2);
    let members = [("", inner, 0, 0), ("table", table, 64, 0), ("own", own, 192, 0)];
    b.composite(Kind::Struct, "s", 32, &members);
    b.reference(Kind::Typedef, "t", TypeId(8));
    b.raw("u", Kind::Fwd, true, 0, 0, &[]);
    let func = b.raw("f", Kind::Func, false, 1, proto.0, &[]);
    b.raw("bpf_kfunc", Kind::DeclTag, false, 0, func.0, &[u32::MAX]);
    b.finish(Endian::Little)
}

#[test]
fn every_damage_that_the_reader_lets_through_is_written_or_refused() {
    let whole = sampler();
    let mut words = Words::new();
    words.add(b"struct s *p; t x; f(A, own);");
    let (mut accepted, mut same) = (0, 0);
    for at in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        // An outline is of bytes that nothing was checked of.
        let outline = Outline::parse(bytes.clone());
        let quick = outline.ok().and_then(|outline| prune_outline(&outline, &words));
        if let Ok(btf) = Btf::parse(bytes) {
            accepted += 1;
            let _ = header(&btf, &Request::default());
            if let (Some(quick), Ok(whole)) = (quick, prune(&btf, &words)) {
                // An anonymous enumeration that something else mentions, too, has a
                // tag only in one of them.
                same += usize::from(quick == whole);
            }
        }
    }
    assert!(same > 100, "only {same} went without reading all");
    assert!(accepted > 200, "only {accepted} got past the reader");
}

#[test]
fn hundreds_of_types_of_one_name_have_a_number_each() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    for _ in 0..300 {
        b.composite(Kind::Struct, "s", 4, &[("m", int, 0, 0)]);
    }
    let text = written(b);
    for number in [2, 254, 255, 256, 300] {
        assert!(text.contains(&format!("struct s___{number} {{")), "{number}: {text}");
    }
    assert_eq!(text.matches("struct s {").count(), 1);
}

#[test]
fn an_enumerator_is_there_without_what_mentions_it() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let state = b.enumeration("", 4, false, &[("FREE", 0), ("BUSY", 1)]);
    b.reference(Kind::Typedef, "state_t", state);
    let flag = b.enumeration("", 4, false, &[("FLAG", 1)]);
    let unused = b.composite(Kind::Union, "", 4, &[("flag", flag, 0, 0)]);
    b.composite(Kind::Struct, "s", 8, &[("", unused, 0, 0), ("used", int, 32, 0)]);
    let bytes = b.finish(Endian::Little);
    let mut words = Words::new();
    words.add(b"struct s *p; p->used = BUSY | FLAG;");
    let whole = prune(&Btf::parse(bytes.clone()).unwrap(), &words).unwrap();
    let quick = prune_outline(&Outline::parse(bytes).unwrap(), &words).unwrap();
    for text in [whole, quick].map(|text| String::from_utf8(text).unwrap()) {
        assert!(text.contains(" {\n\tFREE = 0,\n\tBUSY = 1,\n};"), "{text}");
        assert!(text.contains(" {\n\tFLAG = 1,\n};"), "{text}");
    }
}

/// Ten thousand structs, each with a member that leads to the next in
/// the way `link` says, which gets the number of the next.
fn chain(link: impl Fn(&mut Builder, TypeId) -> TypeId) -> Btf {
    const COUNT: u32 = 10_000;
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let each = {
        let mut scratch = b.clone();
        let start = scratch.next_id();
        link(&mut scratch, int);
        scratch.next_id().0 - start.0 + 1
    };
    for number in 0..COUNT {
        let next = TypeId(b.next_id().0 + 2 * each - 1);
        let member = if number + 1 < COUNT { link(&mut b, next) } else { link(&mut b, int) };
        b.composite(Kind::Struct, &format!("s{number}"), 8, &[("next", member, 0, 0)]);
    }
    Btf::parse(b.finish(Endian::Little)).unwrap()
}

#[test]
fn long_chains_end_in_a_result() {
    let through_array = |b: &mut Builder, next| {
        let array = b.array(next, TypeId(1), 1);
        b.reference(Kind::Ptr, "", array)
    };
    let through_param = |b: &mut Builder, next: TypeId| {
        let array = b.array(next, TypeId(1), 1);
        let array = b.reference(Kind::Ptr, "", array);
        let typedef = b.reference(Kind::Typedef, &format!("t{next}"), array);
        let proto = b.proto(typedef, &[("next", typedef)]);
        b.reference(Kind::Ptr, "", proto)
    };
    let through_pointer = |b: &mut Builder, next| b.reference(Kind::Ptr, "", next);
    let mut words = Words::new();
    words.add(b"struct s0 *p; struct s0 q; sizeof(struct s1); p->next;");
    for (btf, is_written) in [
        (chain(through_array), false),
        (chain(through_param), false),
        (chain(through_pointer), true),
    ] {
        assert_eq!(header(&btf, &Request::default()).is_ok(), is_written);
        assert_eq!(prune(&btf, &words).is_ok(), is_written);
    }
}

#[test]
fn what_repeats_a_long_name_or_spells_out_too_much_is_refused() {
    let long = "n".repeat(15 << 10);
    let refused = |fill: &dyn Fn(&mut Builder, TypeId)| {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        fill(&mut b, int);
        let btf = Btf::parse(b.finish(Endian::Little)).unwrap();
        matches!(header(&btf, &Request::default()), Err(Error::TooLong(_)))
    };
    assert!(refused(&|b, int| {
        let members: Vec<_> = (0..2000).map(|n| (&*long, int, n * 32, 0)).collect();
        b.composite(Kind::Struct, "s", 8000, &members);
    }));
    assert!(refused(&|b, _| {
        let values: Vec<_> = (0..2000).map(|n| (&*long, n)).collect();
        b.enumeration("e", 4, false, &values);
    }));
    assert!(refused(&|b, int| {
        // Twice as much with every level, in each of many members.
        let mut inner = int;
        for _ in 0..17 {
            let proto = b.proto(int, &[("a", inner), ("b", inner)]);
            inner = b.reference(Kind::Ptr, "", proto);
        }
        let members: Vec<_> = (0..1000).map(|n| ("m", inner, n * 64, 0)).collect();
        b.composite(Kind::Struct, "s", 8000, &members);
    }));
}
