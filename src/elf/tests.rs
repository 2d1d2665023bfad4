//! Reading objects: what clang writes is found, and no bytes do harm.

use super::fixture::{compile, compile_with, object};
use super::*;
use crate::bpf::{MapType, ProgramType};

/// Maps, globals, subprograms and kfuncs in one object.
const RICH: &str = r#"
struct value { __u64 sum; __u32 count; };
struct { __uint(type, 1); __uint(max_entries, 10); __type(key, __u32); __type(value, struct value);
         __uint(map_flags, 1); } counts SEC(".maps");
struct inner { __uint(type, 2); __uint(max_entries, 1); __type(key, int); __type(value, int); };
struct { __uint(type, 13); __uint(max_entries, 4); __uint(key_size, 4); __uint(pinning, 1);
         __array(values, struct inner); } outer SEC(".maps");
int total = 3; const volatile int limit = 7; int zero;
extern int bpf_kfunc(int) __ksym __weak;
extern const int knob __ksym;
__noinline int leaf(int x) { return x * limit + zero; }
static __noinline int middle(int x) { total++; return leaf(x) + 1; }
SEC("kprobe/do_unlinkat")
int first(void *ctx)
{
    __u32 key = 1;
    struct value *v = bpf_map_lookup_elem(&counts, &key);
    return v ? middle(v->sum) : 0;
}
SEC("xdp")
int second(void *ctx)
{
    if (bpf_kfunc)
        return bpf_kfunc(2);
    bpf_map_lookup_elem(&outer, &total);
    return leaf(2) + middle(3) + (long)&knob;
}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
__u32 kernel SEC("version") = 0x50a00;
"#;

#[test]
fn an_object_is_read_as_libbpf_reads_it() {
    for flags in [&["-mlittle-endian"][..], &["-mbig-endian"]] {
        let object = Object::parse(&compile_with(RICH, flags)).unwrap();
        assert_eq!(object.problems, []);
        let names: Vec<_> = object.functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["leaf", "middle", "first", "second"]);
        let programs: Vec<_> = object.programs().map(|f| f.name.as_str()).collect();
        assert_eq!(programs, ["first", "second"]);
        let first = object.program("first").unwrap();
        let target = object.target(first).unwrap();
        assert_eq!(target.def.program_type, ProgramType::Kprobe);
        assert_eq!(target.target, Some("do_unlinkat"));
        assert_eq!(object.license.as_deref(), Some("Dual BSD/GPL"));
        assert_eq!(object.kernel_version, Some(0x50a00));
        assert_eq!(object.insns(first)[0].code, 0xb4);
    }
}

#[test]
fn map_definitions_are_decoded() {
    let object = object(RICH);
    let [counts, outer] = &object.maps[..] else { panic!("{:?}", object.maps) };
    assert_eq!((counts.name.as_str(), counts.offset), ("counts", 0));
    let def = &counts.def;
    assert_eq!(def.known_type(), Some(MapType::Hash));
    assert_eq!((def.key_size, def.value_size, def.max_entries, def.flags), (4, 16, 10, 1));
    let btf = object.btf.as_ref().unwrap();
    assert_eq!(btf.name(def.value.unwrap()), "value");
    assert_eq!(outer.def.pinning, Pinning::ByName);
    assert_eq!(outer.def.value_size, 4);
    let inner = outer.def.inner.as_ref().unwrap();
    assert_eq!((inner.known_type(), inner.max_entries), (Some(MapType::Array), 1));
}

#[test]
fn data_and_externs_are_found() {
    let object = object(RICH);
    let data: Vec<_> = object
        .data
        .iter()
        .map(|data| {
            let name = object.sections[data.section].name.as_str();
            (name, data.kind, data.bytes.len(), data.variables[0].name.as_str())
        })
        .collect();
    assert_eq!(
        data,
        [
            (".data", DataKind::Data, 4, "total"),
            (".rodata", DataKind::Rodata, 4, "limit"),
            (".bss", DataKind::Bss, 0, "zero")
        ]
    );
    let mut externs: Vec<_> =
        object.externs.iter().map(|known| (known.name.as_str(), known.kind, known.weak)).collect();
    externs.sort();
    assert_eq!(
        externs,
        [("bpf_kfunc", ExternKind::Kfunc, true), ("knob", ExternKind::Ksym, false)]
    );
}

#[test]
fn relocations_lead_to_what_they_name() {
    let object = object(RICH);
    let first = object.program("first").unwrap();
    let targets: Vec<_> = object.relocations_of(first).iter().map(|r| r.target).collect();
    // `middle` is static: its symbol is the section's.
    assert_eq!(targets, [Target::Map(0), Target::Text(0)]);
    let call = object.relocations_of(first)[1].slot;
    assert_eq!(object.callee(first.section, call).unwrap().name, "middle");
    let second = object.program("second").unwrap();
    let externs = object.relocations_of(second).iter();
    assert_eq!(externs.filter(|r| matches!(r.target, Target::Extern(_))).count(), 3);
}

#[test]
fn instructions_have_c_lines() {
    let object = object(RICH);
    let first = object.program("first").unwrap();
    let span = object.span_of(first).unwrap();
    assert_eq!(span.start.line, 14);
    assert!(span.file.ends_with("fixture.bpf.c"), "{span:?}");
    assert_eq!(span.line_text.as_deref(), Some("int first(void *ctx)"));
    let call = object.relocations_of(first)[1].slot;
    let text = object.span(first.section, call).unwrap().line_text.unwrap();
    assert_eq!(text.trim(), "return v ? middle(v->sum) : 0;");
}

#[test]
fn what_is_no_object_is_said_to_be_what_it_is() {
    let says = |bytes: &[u8]| Object::parse(bytes).unwrap_err().to_string();
    assert_eq!(says(b""), "the file is empty");
    assert_eq!(says(b"int main;\n"), "the file is a text file, not an ELF object");
    assert_eq!(says(b"\x1f\x8b\x08rest"), "the file is compressed with gzip, not an ELF object");
    assert_eq!(says(b"BC\xc0\xderest"), "the file is LLVM bitcode, not an ELF object");
    assert_eq!(says(b"\x01\x02\x03"), "the file is not an ELF object");
    let bytes = compile("int x;");
    assert_eq!(
        says(&bytes[..20]),
        "the object file is cut off: the ELF header lies beyond its end"
    );
    let says_half = says(&bytes[..bytes.len() / 2]);
    assert_eq!(says_half, "the object file is cut off: the table of sections lies beyond its end");
    let mut foreign = bytes.clone();
    foreign[18..20].copy_from_slice(&62u16.to_le_bytes());
    assert_eq!(says(&foreign), "the file is an x86-64 object, not a BPF object");
    let mut linked = bytes.clone();
    linked[16..18].copy_from_slice(&2u16.to_le_bytes());
    assert_eq!(says(&linked), "the file is a BPF executable, not a BPF object");
}

#[test]
fn problems_within_an_object_do_not_hide_the_rest() {
    let source = r#"
        struct bad { __uint(type, 1); __uint(colour, 7); __uint(key_size, 4); __type(key, __u64); };
        static struct bad hidden SEC(".maps");
        SEC("xdp") static int lonely(void *ctx) { return 1; }
        SEC("xdp") int good(void *ctx) { bpf_map_lookup_elem(&hidden, ctx); return 2; }
        struct { int type; } old SEC("maps");
    "#;
    let object = Object::parse(&compile(source)).unwrap();
    let mut said: Vec<_> = object.problems.iter().map(ToString::to_string).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "map hidden: it is static, but libbpf wants maps to be global",
            "map hidden: libbpf knows no attribute `colour`",
            "map hidden: two sizes are given for its key: 4 and 8 bytes",
            "maps are defined in a section `maps`, which libbpf 1.0 gave up",
            "program lonely is static",
        ]
    );
    assert!(object.program("good").is_some());
}

#[test]
fn an_object_without_btf_is_read_as_far_as_it_goes() {
    let object = Object::parse(&compile_with(RICH, &["-g0"])).unwrap();
    assert!(object.btf.is_none());
    assert_eq!(object.programs().count(), 2);
    assert!(object.problems.contains(&Problem::MissingBtf { what: "the maps in section .maps" }));
    assert_eq!(object.span_of(object.program("first").unwrap()), None);
}

/// Everything that a later pass might ask of an object.
fn exercise(object: &Object) {
    for function in &object.functions {
        object.insns(function);
        object.span_of(function);
        let _ = object.target(function);
        for relocation in object.relocations_of(function) {
            object.callee(relocation.section, relocation.slot);
        }
    }
    for problem in &object.problems {
        let _ = problem.to_string();
    }
}

#[test]
fn no_truncation_does_harm() {
    let bytes = compile(RICH);
    for end in 0..bytes.len() {
        if let Ok(object) = Object::parse(&bytes[..end]) {
            exercise(&object);
        }
    }
}

#[test]
fn no_flipped_bit_does_harm() {
    let bytes = compile(RICH);
    // Every bit of the headers and tables; of the rest, a spread.
    let bits = bytes.len() * 8;
    let step = (bits / 15_000).max(1);
    for bit in (0..bits).step_by(step) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(object) = Object::parse(&flipped) {
            exercise(&object);
        }
    }
}

#[test]
fn sections_that_share_their_bytes_cost_no_more_than_the_file() {
    // A header claims the same code a thousand times over.
    let bytes = compile(RICH);
    let at = |bytes: &[u8], offset: usize| {
        u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap()) as usize
    };
    let count = usize::from(u16::from_le_bytes(bytes[60..62].try_into().unwrap()));
    let table = at(&bytes, 40);
    let code = (0..count)
        .map(|index| table + 64 * index)
        .find(|&header| at(&bytes, header + 8) & 4 != 0)
        .unwrap();
    let mut hostile = bytes.clone();
    let mut header = hostile[code..code + 64].to_vec();
    header[24..32].copy_from_slice(&0u64.to_le_bytes());
    header[32..40].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    let new_table = hostile.len();
    hostile.extend_from_slice(&bytes[table..table + 64 * count]);
    for _ in count..1000 {
        hostile.extend_from_slice(&header);
    }
    hostile[40..48].copy_from_slice(&(new_table as u64).to_le_bytes());
    hostile[60..62].copy_from_slice(&1000u16.to_le_bytes());
    let error = Object::parse(&hostile).unwrap_err();
    assert_eq!(error.to_string(), "the object file is damaged: its sections or names overlap");
}
