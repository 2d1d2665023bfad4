//! Every kind of question, about types that differ between the object and
//! the kernel, with answers worked out by hand and by libbpf.

use crate::clang;
use crate::oracle::{self, Libbpf};
use skep::bpf::Insn;
use skep::btf::ext::CoreRelo;
use skep::btf::{Btf, Builder, Endian, Kind};
use skep::elf::Object;
use skep::relocate::core::{Applied, Resolution, Resolver, Target};
use std::sync::Arc;

/// What both sides of a test begin with.
const PRELUDE: &str = r#"
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;
typedef unsigned long long u64; typedef long long s64;
#define KEEP __attribute__((preserve_access_index))
#define SEC __attribute__((section("socket"), used))
enum { OFFSET, SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };
#define FIELD(access, kind) __builtin_preserve_field_info(access, kind)
#define TYPE_EXISTS(type) __builtin_preserve_type_info(*(typeof(type) *)0, 0)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(typeof(type) *)0, 1)
#define TYPE_MATCHES(type) __builtin_preserve_type_info(*(typeof(type) *)0, 2)
#define TYPE_ID_LOCAL(type) __builtin_btf_type_id(*(typeof(type) *)0, 0)
#define TYPE_ID_TARGET(type) __builtin_btf_type_id(*(typeof(type) *)0, 1)
#define VALUE_EXISTS(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 0)
#define VALUE(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 1)
"#;

/// One relocation of an object, answered by both.
pub struct Answered {
    /// The function that has it.
    pub function: String,
    /// What it comes to, and what became of the instruction.
    pub ours: Result<(Resolution, Applied), String>,
}

impl Answered {
    /// The value, or why there is none.
    fn text(&self) -> String {
        match &self.ours {
            Err(error) => format!("refused: {error}"),
            Ok((_, Applied::PoisonedBySize)) => "poisoned by size".to_owned(),
            Ok((resolution, _)) => {
                let value = resolution.value();
                value.map_or("poisoned".to_owned(), |value| format!("{}", value as i64))
            }
        }
    }
}

/// A kernel as both sides read it.
pub struct Kernel {
    pub target: Target,
    raw: oracle::Btf,
    raw_modules: Vec<oracle::Btf>,
}

impl Kernel {
    pub fn new(bytes: &[u8], modules: &[Vec<u8>]) -> Self {
        let btf = Arc::new(Btf::parse(bytes).unwrap());
        let split = modules
            .iter()
            .map(|module| Arc::new(Btf::parse_split(module.clone(), btf.clone()).unwrap()));
        let target = Target::new(btf.clone()).with_modules(split);
        let raw = oracle::Btf::new(bytes, None);
        let raw_modules =
            modules.iter().map(|module| oracle::Btf::new(module, Some(&raw))).collect();
        Self { target, raw, raw_modules }
    }

    /// libbpf, for an object with this BTF.
    pub fn libbpf<'k>(&'k self, local: &'k oracle::Btf) -> Libbpf<'k> {
        Libbpf::new(local, &self.raw, &self.raw_modules)
    }
}

/// The relocations of an object that belong to a function.
pub fn relocations(object: &Object) -> impl Iterator<Item = (usize, usize, CoreRelo)> {
    object.core_relocations().into_iter()
}

/// Resolves all relocations of `object`, whose BTF is `local`, and fails
/// unless libbpf does the same.
pub fn ask(object: &Object, local: &[u8], kernel: &Kernel) -> Vec<Answered> {
    let raw_local = oracle::Btf::new(local, None);
    let local = object.btf.as_deref().expect("the object has BTF");
    let mut resolver = Resolver::new(local, &kernel.target);
    let mut libbpf = kernel.libbpf(&raw_local);
    let mut answered = Vec::new();
    for (section, slot, relo) in relocations(object) {
        let function = object.function_at(section, slot).unwrap().name.clone();
        let code = &object.sections[section].insns;
        let mut insns: Vec<Insn> = code[slot..].iter().take(2).copied().collect();
        let theirs = libbpf.resolve(&relo, &insns);
        let ours = resolver.resolve(&relo);
        let access = local.string(relo.access).unwrap_or_default();
        let about = format!("{function}+{slot}: {} {access}", relo.kind);
        let ours = match (ours, theirs) {
            (Err(error), None) => Err(error.to_string()),
            (Ok(ours), Some(theirs)) => {
                assert_eq!(ours.value(), theirs.value, "{about}");
                if let Some(answer) = ours.answer {
                    assert_eq!(answer.original, theirs.original, "{about}");
                    assert_eq!(answer.is_checked, theirs.is_checked, "{about}");
                }
                let found = ours.target().map(|found| {
                    let spec = &found.spec;
                    (spec.root, spec.path.clone(), spec.bit_offset)
                });
                assert_eq!(found, theirs.target, "{about}");
                let applied = ours.apply(&mut insns);
                let insns = applied.is_ok().then_some(insns);
                assert_eq!(insns, theirs.insns, "{about}");
                applied.map(|applied| (ours, applied)).map_err(|error| error.to_string())
            }
            (ours, theirs) => {
                panic!("{about}: libbpf says {theirs:?}, skep says {ours:?}")
            }
        };
        answered.push(Answered { function, ours });
    }
    answered
}

/// Compiles both sides and writes down the answers: a line a relocation.
fn answers(local: &str, kernel: &str) -> String {
    let local = clang::compile(&format!("{PRELUDE}{local}"));
    let kernel = clang::btf_of(&clang::compile(&format!("{PRELUDE}{kernel}")));
    let object = Object::parse(&local).unwrap();
    let answered = ask(&object, &clang::btf_of(&local), &Kernel::new(&kernel, &[]));
    answered.iter().map(|one| format!("{}: {}\n", one.function, one.text())).collect()
}

/// Fails unless the function `name: value` lines are those.
#[track_caller]
fn expect(answers: &str, expected: &str) {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    assert_eq!(lines(answers), lines(expected));
}

#[test]
fn fields_that_moved_are_found_by_name() {
    let local = r#"
        struct inner { int a; int b; } KEEP;
        struct outer {
            int first; struct inner inner; struct { int hidden; union { u64 deep; u8 low; }; };
            u32 list[4]; struct inner many[3]; struct outer *next; u8 tail[];
        } KEEP;
        SEC int first(struct outer *o) { return o->first; }
        SEC int inner_b(struct outer *o) { return o->inner.b; }
        SEC u64 deep(struct outer *o) { return o->deep; }
        SEC int element(struct outer *o) { return o->list[2]; }
        SEC int many_b(struct outer *o) { return o->many[1].b; }
        SEC int through_pointer(struct outer *o) { return o->next->first; }
        SEC int tail_5(struct outer *o) { return o->tail[5]; }
        SEC int second_element(struct outer *o) { return o[1].first; }
        SEC void store(struct outer *o) { o->list[1] = 7; }
        SEC u64 where(struct outer *o) { return FIELD(o->inner.b, OFFSET); }
        SEC u64 size(struct outer *o) { return FIELD(o->many, SIZE); }
        SEC u64 there(struct outer *o) { return FIELD(o->low, EXISTS); }
        SEC u64 is_signed(struct outer *o) { return FIELD(o->first, SIGNED) + FIELD(o->deep, SIGNED); }
    "#;
    let kernel = r#"
        struct inner { u64 pad; union { int b; u8 x; }; int a; };
        struct outer {
            struct { struct { u64 deep; }; }; u8 low; struct inner many[5]; u32 first; u32 list[8];
            struct outer *next; struct inner inner; u8 tail[];
        };
        struct outer *keep(struct outer *o) { return o; }
    "#;
    expect(
        &answers(local, kernel),
        "
        first: 96
        inner_b: 152
        deep: 0
        element: 108
        many_b: 40
        through_pointer: 136
        through_pointer: 96
        tail_5: 165
        second_element: 256
        store: 104
        where: 152
        size: 80
        there: 1
        is_signed: 0
        is_signed: 0
        ",
    );
}

#[test]
fn a_field_that_is_not_there_poisons_or_is_said_not_to_exist() {
    let local = r#"
        struct s { int kept; int gone; int *retyped; int list[4]; } KEEP;
        struct t { int a; } KEEP;
        SEC int kept(struct s *s) { return s->kept; }
        SEC int gone(struct s *s) { return s->gone; }
        SEC u64 retyped(struct s *s) { return (u64)s->retyped; }
        SEC int too_far(struct s *s) { return s->list[3]; }
        SEC u64 gone_exists(struct s *s) { return FIELD(s->gone, EXISTS); }
        SEC u64 gone_size(struct s *s) { return FIELD(s->gone, SIZE); }
        SEC int no_type(struct t *t) { return t->a; }
        SEC u64 no_type_exists(struct t *t) { return FIELD(t->a, EXISTS); }
    "#;
    let kernel = r#"
        struct s { int kept; u64 retyped; int list[2]; };
        union t { int a; };
        struct s *keep(struct s *s, union t *t) { return s; }
    "#;
    expect(
        &answers(local, kernel),
        "
        kept: 0
        gone: poisoned
        retyped: poisoned
        too_far: poisoned
        gone_exists: 0
        gone_size: poisoned
        no_type: poisoned
        no_type_exists: 0
        ",
    );
}

#[test]
fn loads_and_stores_get_the_size_of_the_field() {
    let local = r#"
        struct s { u32 grown; u64 shrunk; int grown_signed; u8 list[4]; u16 odd; _Bool flag; } KEEP;
        SEC u64 grown(struct s *s) { return s->grown; }
        SEC u64 shrunk(struct s *s) { return s->shrunk; }
        SEC long grown_signed(struct s *s) { return s->grown_signed; }
        SEC int list(struct s *s) { return s->list[1]; }
        SEC void store(struct s *s) { s->shrunk = 1; }
        SEC void store_register(struct s *s, u64 x) { s->shrunk = x; }
        SEC int odd(struct s *s) { return s->odd; }
        SEC int flag(struct s *s) { return s->flag; }
    "#;
    let kernel = r#"
        struct odd { u8 bytes[3]; };
        struct s { u64 pad, grown; u32 shrunk; long grown_signed; u32 list[4]; struct odd odd; u32 flag; };
        struct s *keep(struct s *s) { return s; }
    "#;
    let answers = answers(local, kernel);
    expect(
        &answers,
        "
        grown: 8
        shrunk: 16
        grown_signed: poisoned by size
        list: 36
        store: 16
        store_register: 16
        odd: poisoned
        flag: 52
        ",
    );
}

#[test]
fn bit_fields_are_loaded_and_shifted() {
    let local = r#"
        struct s { u32 a : 3; u32 b : 7; int c : 5; u64 wide : 40; u32 plain; } KEEP;
        SEC u64 offset(struct s *s) { return FIELD(s->b, OFFSET); }
        SEC u64 size(struct s *s) { return FIELD(s->b, SIZE); }
        SEC u64 lshift(struct s *s) { return FIELD(s->b, LSHIFT); }
        SEC u64 rshift(struct s *s) { return FIELD(s->b, RSHIFT); }
        SEC u64 is_signed(struct s *s) { return FIELD(s->c, SIGNED); }
        SEC u64 wide_offset(struct s *s) { return FIELD(s->wide, OFFSET); }
        SEC u64 wide_size(struct s *s) { return FIELD(s->wide, SIZE); }
        SEC u64 wide_rshift(struct s *s) { return FIELD(s->wide, RSHIFT); }
        SEC u64 no_bits_there(struct s *s) { return FIELD(s->a, LSHIFT); }
        SEC u64 bits_there(struct s *s) { return FIELD(s->plain, RSHIFT); }
    "#;
    let kernel = r#"
        struct s { u32 pad; u32 x : 20; u32 b : 9; int c : 2; u8 a; u64 wide : 33; u32 y; u32 plain : 31; };
        struct s *keep(struct s *s) { return s; }
    "#;
    expect(
        &answers(local, kernel),
        "
        offset: 4
        size: 4
        lshift: 35
        rshift: 55
        is_signed: 1
        wide_offset: 8
        wide_size: 8
        wide_rshift: 31
        no_bits_there: 56
        bits_there: 33
        ",
    );
}

#[test]
fn types_are_asked_for_as_a_whole() {
    let local = r#"
        struct same { int a; }; struct grown { int a; }; struct gone { int a; };
        union is_struct { int a; };
        typedef int number; typedef int number_gone;
        typedef int (*callback)(int, struct same *); typedef int (*callback_more)(int);
        enum e { E_A }; struct flavoured___mine { int a; };
        typedef struct { int a; } anonymous;
        SEC u64 is_same(void) { return TYPE_EXISTS(struct same); }
        SEC u64 is_gone(void) { return TYPE_EXISTS(struct gone); }
        SEC u64 is_is_struct(void) { return TYPE_EXISTS(union is_struct); }
        SEC u64 is_number(void) { return TYPE_EXISTS(number); }
        SEC u64 is_number_gone(void) { return TYPE_EXISTS(number_gone); }
        SEC u64 is_callback(void) { return TYPE_EXISTS(callback); }
        SEC u64 is_callback_more(void) { return TYPE_EXISTS(callback_more); }
        SEC u64 is_an_enum(void) { return TYPE_EXISTS(enum e); }
        SEC u64 is_flavoured(void) { return TYPE_EXISTS(struct flavoured___mine); }
        SEC u64 is_anonymous(void) { return TYPE_EXISTS(anonymous); }
        SEC u64 is_size(void) { return TYPE_SIZE(struct grown); }
        SEC u64 is_size_gone(void) { return TYPE_SIZE(struct gone); }
        SEC u64 is_id_gone(void) { return TYPE_ID_TARGET(struct gone); }
        SEC u64 is_id_local(void) { return TYPE_ID_LOCAL(struct same) != 0; }
    "#;
    let kernel = r#"
        struct same { int a; }; struct grown { int a; u64 b; }; struct is_struct { int a; };
        typedef long number; struct flavoured { long b; };
        typedef u64 (*callback)(long, struct grown *); typedef int (*callback_more)(int, int);
        enum e { E_B = 1ull << 40 };
        typedef struct { long other; } anonymous;
        u64 keep(struct same *a, struct grown *b, struct is_struct *c, number n) { return n; }
        int keep2(callback f, callback_more g, enum e e, struct flavoured *h, anonymous *i) { return 0; }
    "#;
    let text = answers(local, kernel);
    let (_, id_local) = text.trim().rsplit_once("is_id_local: ").unwrap();
    assert!(id_local.parse::<u32>().unwrap() > 0);
    expect(
        text.rsplit_once("is_id_local").unwrap().0,
        "
        is_same: 1
        is_gone: 0
        is_is_struct: 0
        is_number: 1
        is_number_gone: 0
        is_callback: 1
        is_callback_more: 0
        is_an_enum: 1
        is_flavoured: 1
        is_anonymous: 1
        is_size: 16
        is_size_gone: 0
        is_id_gone: 0
        ",
    );
}

#[test]
fn types_match_only_with_all_they_have() {
    let local = r#"
        struct named { int x; }; union u { int i; };
        struct fits { int a; struct named *p; int list[4]; struct { u32 in; }; };
        struct misses { int a; int b; };
        struct other_size { int a; };
        struct other_sign { int a; };
        struct other_pointee { struct named *p; };
        struct other_list { int list[4]; };
        struct forward; struct points { struct forward *p; union u *u; };
        enum more { MORE_A, MORE_B }; enum fewer { FEWER_A, FEWER_B };
        typedef int (*callback)(int, struct named *); typedef int (*callback_2)(int, struct named *);
        struct flavour___a { int a; };
        SEC u64 is_fits(void) { return TYPE_MATCHES(struct fits); }
        SEC u64 is_misses(void) { return TYPE_MATCHES(struct misses); }
        SEC u64 is_other_size(void) { return TYPE_MATCHES(struct other_size); }
        SEC u64 is_other_sign(void) { return TYPE_MATCHES(struct other_sign); }
        SEC u64 is_other_pointee(void) { return TYPE_MATCHES(struct other_pointee); }
        SEC u64 is_other_list(void) { return TYPE_MATCHES(struct other_list); }
        SEC u64 is_points(void) { return TYPE_MATCHES(struct points); }
        SEC u64 is_more(void) { return TYPE_MATCHES(enum more); }
        SEC u64 is_fewer(void) { return TYPE_MATCHES(enum fewer); }
        SEC u64 is_callback(void) { return TYPE_MATCHES(callback); }
        SEC u64 is_callback_2(void) { return TYPE_MATCHES(callback_2); }
        SEC u64 is_flavour(void) { return TYPE_MATCHES(struct flavour___a); }
    "#;
    let kernel = r#"
        struct named { long other; };
        struct fits { long more; int list[4]; struct { u32 in; u32 x; }; struct named *p; int a; };
        struct misses { int a; int c; };
        struct other_size { long a; };
        struct other_sign { unsigned a; };
        struct other_pointee { struct fits *p; };
        struct other_list { int list[5]; };
        struct forward { int a; }; union u; struct points { struct forward *p; union u *u; };
        enum more { MORE_C, MORE_B, MORE_A }; enum fewer { FEWER_A };
        typedef int (*callback)(int, struct named *); typedef int (*callback_2)(int, struct fits *);
        struct flavour { int a; };
        int keep(struct fits *a, struct misses *b, struct other_size *c, struct other_sign *d,
                 struct other_pointee *e) { return 0; }
        int keep2(struct other_list *f, struct points *g, enum more h, enum fewer i, callback j) { return 0; }
        int keep3(callback_2 a, struct flavour *b, struct forward *c) { return 0; }
    "#;
    expect(
        &answers(local, kernel),
        "
        is_fits: 1
        is_misses: 0
        is_other_size: 0
        is_other_sign: 0
        is_other_pointee: 0
        is_other_list: 0
        is_points: 1
        is_more: 1
        is_fewer: 0
        is_callback: 1
        is_callback_2: 0
        is_flavour: 1
        ",
    );
}

#[test]
fn values_of_enumerations_are_found_by_name() {
    let local = r#"
        enum e { E_A = 1, E_B = 2, E_GONE = 3, E_F___mine = 4 };
        enum negative { N_A = -1, N_B = 1 };
        enum big { B_A = 1ull << 40, B_B = 2 };
        enum to_big { T_A = 5, T_B = 0xffffffff };
        SEC u64 moved(void) { return VALUE(enum e, E_B); }
        SEC u64 gone(void) { return VALUE(enum e, E_GONE); }
        SEC u64 exists(void) { return VALUE_EXISTS(enum e, E_A); }
        SEC u64 gone_exists(void) { return VALUE_EXISTS(enum e, E_GONE); }
        SEC u64 flavoured(void) { return VALUE(enum e, E_F___mine); }
        SEC u64 negative(void) { return VALUE(enum negative, N_A); }
        SEC u64 big(void) { return VALUE(enum big, B_A); }
        SEC u64 to_big(void) { return VALUE(enum to_big, T_A); }
        // libbpf gives 32-bit values a sign whether they have one or not.
        SEC u64 unsigned_32(void) { return VALUE(enum to_big, T_B); }
    "#;
    let kernel = r#"
        enum e { E_A = 0, E_B = 7, E_F = 11 };
        enum negative { N_A = -8, N_B = 1 };
        enum big { B_B = 0, B_A = 3ull << 40 };
        enum to_big { T_A = 9ull << 33, T_B = 0xffffffff };
        u64 keep(enum e a, enum negative b, enum big c, enum to_big d) { return a; }
    "#;
    expect(
        &answers(local, kernel),
        "
        moved: 7
        gone: poisoned
        exists: 1
        gone_exists: 0
        flavoured: 11
        negative: -8
        big: 3298534883328
        to_big: 77309411328
        unsigned_32: refused: the instruction of a CO-RE relocation (enumval_value) holds 4294967295, where the object's own types say 18446744073709551615
        ",
    );
}

#[test]
fn flavours_are_candidates_and_must_agree() {
    let local = r#"
        struct one { int a; int b; } KEEP;
        struct one___old { int before; } KEEP;
        struct two { int a; int b; } KEEP;
        SEC int agrees(struct one *o) { return o->a; }
        SEC int in_one_only(struct one *o) { return o->b; }
        SEC int narrowed(struct one *o) { return o->a; }
        SEC u64 of_a_flavour(struct one___old *o) { return FIELD(o->before, EXISTS); }
        SEC int ambiguous(struct two *t) { return t->a; }
        SEC u64 ambiguous_too(struct two *t) { return FIELD(t->a, EXISTS); }
    "#;
    let kernel = r#"
        struct one { int a; }; struct one___2 { int a; int b; };
        struct two { int a; }; struct two___2 { int x; int a; };
        int keep(struct one *a, struct one___2 *b, struct two *c, struct two___2 *d) { return 0; }
    "#;
    let text = answers(local, kernel);
    let (start, end) = text.split_once("ambiguous: refused: ").unwrap();
    expect(start, "agrees: 0 \n in_one_only: 4 \n narrowed: 0 \n of_a_flavour: 0");
    assert!(end.contains("struct two.a is ambiguous: types "), "{end}");
}

#[test]
fn modules_count_where_the_kernel_has_no_candidate() {
    let local = r#"
        struct in_kernel { int a; } KEEP; struct in_module { int a; } KEEP;
        struct in_both { int a; } KEEP; struct in_two { int a; } KEEP;
        SEC int in_kernel(struct in_kernel *s) { return s->a; }
        SEC int in_module(struct in_module *s) { return s->a; }
        SEC int in_both(struct in_both *s) { return s->a; }
        SEC int in_two(struct in_two *s) { return s->a; }
        SEC u64 id(struct in_module *s) { return TYPE_ID_TARGET(struct in_module); }
    "#;
    let kernel = r#"
        struct in_kernel { int x, a; }; struct in_both { int x, a; };
        int keep(struct in_kernel *a, struct in_both *b) { return 0; }
    "#;
    let local = clang::compile(&format!("{PRELUDE}{local}"));
    let kernel = clang::btf_of(&clang::compile(&format!("{PRELUDE}{kernel}")));
    let base = Btf::parse(kernel.clone()).unwrap();
    let int = base.find(Kind::Int, "int").unwrap();
    let mut first = Builder::over(&base);
    let id = first.composite(Kind::Struct, "in_module", 64, &[("a", int, 80, 0)]);
    first.composite(Kind::Struct, "in_both", 64, &[("a", int, 96, 0)]);
    first.composite(Kind::Struct, "in_two", 64, &[("a", int, 96, 0)]);
    let mut second = Builder::over(&base);
    second.composite(Kind::Struct, "in_two", 64, &[("a", int, 96, 0)]);
    let modules = [first.finish(Endian::Little), second.finish(Endian::Little)];
    let object = Object::parse(&local).unwrap();
    let answered = ask(&object, &clang::btf_of(&local), &Kernel::new(&kernel, &modules));
    let values: Vec<_> = answered.iter().map(Answered::text).collect();
    assert_eq!(values, ["4", "10", "4", "12", &id.to_string()]);
    let Ok((in_two, _)) = &answered[3].ours else { panic!() };
    let modules: Vec<_> = in_two.matches.iter().map(|found| found.candidate.module).collect();
    assert_eq!(modules, [Some(0), Some(1)]);
}

#[test]
fn a_path_that_goes_nowhere_is_refused() {
    let local = r#"
        struct s { int a; } KEEP;
        SEC int f(struct s *s) { return s->a; }
        const char *paths = "0:1:2";
    "#;
    let local = clang::compile(&format!("{PRELUDE}{local}"));
    let btf = clang::btf_of(&local);
    let local = Object::parse(&local).unwrap();
    // The path is broken by asking another string of the BTF to be one.
    let mut broken = local.clone();
    let mut ext = (**broken.ext.as_ref().unwrap()).clone();
    ext.core_relo[0].records[0].access = ext.core_relo[0].name;
    broken.ext = Some(Arc::new(ext.clone()));
    let text = ask(&broken, &btf, &Kernel::new(&btf, &[]))[0].text();
    assert_eq!(text, "refused: the path `socket` of a CO-RE relocation (byte_off) leads nowhere");
    // So is a kind from the future.
    let mut broken = local;
    ext = (**broken.ext.as_ref().unwrap()).clone();
    ext.core_relo[0].records[0].kind = 99;
    broken.ext = Some(Arc::new(ext));
    let text = ask(&broken, &btf, &Kernel::new(&btf, &[]))[0].text();
    assert_eq!(text, "refused: a CO-RE relocation is of kind 99, which is not known");
}
