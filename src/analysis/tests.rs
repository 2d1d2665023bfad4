//! The rules, each on C that breaks it and on C that does not.

use super::check;
use crate::diagnostics::Origin;
use crate::elf::Object;
use crate::elf::fixture::{compile, compile_with};
use std::path::Path;

/// The findings about `source`, those of caution left out: severity, code, C
/// line (0 for none), message.
fn findings_with(source: &str, flags: &[&str]) -> Vec<String> {
    said(source, flags, |origin| origin != Origin::Lint)
}

/// What the rules of caution say of `source`.
fn lints(source: &str) -> Vec<String> {
    said(&format!("{GPL}{source}"), &[], |origin| origin == Origin::Lint)
}

fn said(source: &str, flags: &[&str], is_wanted: fn(Origin) -> bool) -> Vec<String> {
    let object = Object::parse(&compile_with(source, flags)).unwrap();
    // The source as the rules would read it from the disk.
    let sources = |file: &Path| file.ends_with("fixture.bpf.c").then(|| source.to_owned());
    check(&object, Path::new("fixture.o"), &sources)
        .iter()
        .filter(|finding| is_wanted(finding.origin))
        .map(|finding| {
            let line = finding.primary.as_ref().map_or(0, |label| label.span.start.line);
            let (severity, code) = (finding.severity.as_str(), finding.code.id());
            format!("{severity} {code} {line}: {}", finding.message)
        })
        .collect()
}

fn findings(source: &str) -> Vec<String> {
    findings_with(source, &[])
}

const GPL: &str = "char LICENSE[] SEC(\"license\") = \"GPL\";\n";

/// A program of inline assembly: what a compiler would not write.
fn asm(code: &str) -> Vec<String> {
    let text = format!(
        "{GPL}__attribute__((naked)) SEC(\"socket\") int p(void *ctx) {{ asm volatile({code:?}); }}"
    );
    findings(&text)
}

#[test]
fn a_sound_object_has_no_findings() {
    let source = r#"
        struct { __uint(type, 1); __uint(max_entries, 4); __type(key, int); __type(value, __u64); } m SEC(".maps");
        SEC("kprobe/do_unlinkat")
        int p(void *ctx)
        {
            int key = 0;
            __u64 *value = bpf_map_lookup_elem(&m, &key);
            if (value)
                (*value)++;
            return 0;
        }
    "#;
    assert_eq!(findings(&format!("{GPL}{source}")), [""; 0]);
}

#[test]
fn sections_are_those_libbpf_knows() {
    let program = |section: &str| {
        findings(&format!("{GPL}SEC(\"{section}\") int p(void *c) {{ return 0; }}"))
    };
    assert_eq!(program("tp_btf/sched_switch"), [""; 0]);
    assert_eq!(
        program("tracepont/sched/x"),
        [r#"error E0404 2: libbpf knows no program type for SEC("tracepont/sched/x")"#]
    );
    assert_eq!(
        program("kprobe_open"),
        [r#"error E0404 2: libbpf knows no program type for SEC("kprobe_open")"#]
    );
    for section in ["xdp_drop", "decap"] {
        let message = format!(
            "warning W0404 2: libbpf knows no program type for SEC(\"{section}\"); the loader must set it"
        );
        assert_eq!(program(section), [message]);
    }
}

#[test]
fn a_static_program_is_an_error_of_the_object() {
    let source = "SEC(\"xdp\") static int p(void *c) { return 0; }\n";
    assert_eq!(
        findings(&format!("{GPL}{source}")),
        [
            "error E0410 2: function `p` is static in section \"xdp\", and libbpf refuses the whole object"
        ]
    );
}

#[test]
fn gpl_only_helpers_need_a_license_the_kernel_knows() {
    let source = |license: &str| {
        findings(&format!(
            "{license}\nstatic __noinline int say(void) {{ char f[] = \"x\"; return bpf_trace_printk(f, 2); }}\n\
             SEC(\"xdp\") int p(void *c) {{ return say(); }}\nSEC(\"tc\") int q(void *c) {{ return say(); }}"
        ))
    };
    assert_eq!(source(GPL), [""; 0]);
    assert_eq!(
        source("char L[] SEC(\"license\") = \"GPL-2.0\";"),
        [
            "error E0305 2: `bpf_trace_printk` needs a GPL-compatible license, and the object's is \"GPL-2.0\""
        ]
    );
    assert_eq!(
        source(""),
        [
            "error E0305 2: `bpf_trace_printk` needs a GPL-compatible license, and the object says none"
        ]
    );
    let quiet = findings("SEC(\"xdp\") int p(void *c) { return 0; }");
    assert_eq!(quiet, ["warning W0405 0: the object says no license"]);
    let lsm =
        "char L[] SEC(\"license\") = \"X\";\nSEC(\"lsm/file_open\") int p(void *c) { return 0; }";
    assert_eq!(
        findings(lsm),
        ["error E0346 2: an LSM program needs a GPL-compatible license, and the object's is \"X\""]
    );
}

#[test]
fn what_is_guarded_by_a_load_time_value_is_no_error() {
    let source = r#"
        const volatile int verbose = 0;
        SEC("xdp") int p(void *c) { char f[] = "x"; return verbose ? bpf_trace_printk(f, 2) : 1; }
        SEC("tc") int q(int *c) { char f[] = "x"; return *c ? bpf_trace_printk(f, 2) : 1; }
        char L[] SEC("license") = "MIT";
    "#;
    assert_eq!(
        findings(source),
        [
            "warning E0305 3: `bpf_trace_printk` needs a GPL-compatible license, and the object's is \"MIT\"",
            "error E0305 4: `bpf_trace_printk` needs a GPL-compatible license, and the object's is \"MIT\"",
        ]
    );
}

#[test]
fn maps_fit_their_types() {
    let source = r#"
        struct { __uint(type, 11); __uint(max_entries, 1); __type(key, int); __type(value, int); } trie SEC(".maps");
        struct { __uint(type, 22); __uint(max_entries, 1); __type(key, int); __type(value, int); } queue SEC(".maps");
        struct { __uint(type, 24); __uint(max_entries, 9); __uint(map_flags, 1); __type(key, int); __type(value, int); } sk SEC(".maps");
        struct { __uint(type, 1); __type(key, int); } half SEC(".maps");
        struct { __uint(type, 27); __uint(max_entries, 5000); } ring SEC(".maps");
        struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
        struct { __uint(type, 2); __uint(max_entries, 1); __uint(map_flags, 1); __type(key, long); __type(value, int); } array SEC(".maps");
        struct { __uint(type, 12); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } maps SEC(".maps");
        SEC("xdp") int p(void *c) { return 0; }
    "#;
    assert_eq!(
        findings(&format!("{GPL}{source}")),
        [
            "error E0406 3: map `trie`: an lpm_trie map has keys of 5 to 260 bytes, not 4 bytes",
            "error E0406 3: map `trie`: an lpm_trie map needs the flag BPF_F_NO_PREALLOC",
            "error E0406 4: map `queue`: a queue map has no keys, and here they have 4 bytes",
            "error E0406 5: map `sk`: a sk_storage map takes no max_entries",
            "warning W0406 6: map `half`: its definition says no value size and no number of elements",
            "error E0406 9: map `array`: an array map has keys of 4 bytes, not 8 bytes",
            "error E0406 9: map `array`: an array map does not take the flag BPF_F_NO_PREALLOC",
            "warning W0406 10: map `maps`: its definition says no definition of the maps in it",
        ]
    );
}

#[test]
fn program_arrays_are_for_programs_of_one_type() {
    let head = format!(
        "{GPL}struct {{ __uint(type, 3); __uint(max_entries, 2); __type(key, int); __type(value, int); }} jumps SEC(\".maps\");\n\
         static long (*tail_call)(void *, void *, __u32) = (void *) 12;\n\
         SEC(\"xdp\") int a(void *c) {{ tail_call(c, &jumps, 0); return 2; }}\n"
    );
    let with = |section: &str| {
        let second =
            format!("SEC(\"{section}\") int b(void *c) {{ tail_call(c, &jumps, 1); return 0; }}");
        findings(&format!("{head}{second}"))
    };
    assert_eq!(
        with("tc"),
        ["error E0349 5: `jumps` is used by programs of two types: `b` is of type sched_cls, `a` \
          of type xdp"]
    );
    for fine in ["xdp", "?tc", "freplace/f"] {
        assert_eq!(with(fine), [""; 0], "{fine}");
    }
}

#[test]
fn helpers_work_on_maps_of_some_types() {
    let source = "struct { __uint(type, 2); __uint(max_entries, 2); __type(key, int); __type(value, int); } some SEC(\".maps\");\n\
        struct { __uint(type, 22); __uint(max_entries, 2); __type(value, int); } queue SEC(\".maps\");\n\
        static long (*tail_call)(void *, void *, __u32) = (void *) 12;\n\
        static long (*push)(void *, void *, __u64) = (void *) 87;\n\
        SEC(\"xdp\") int a(void *c) {\n\
        int x = 1; push(&queue, &x, 0); bpf_map_lookup_elem(&some, &x);\n\
        tail_call(c, &some, 0);\n\
        return push(&some, &x, 0); }";
    assert_eq!(
        findings(&format!("{GPL}{source}")),
        [
            "error E0324 8: `bpf_tail_call` does not work on `some`, a map of type array",
            "error E0324 9: `bpf_map_push_elem` does not work on `some`, a map of type array",
        ]
    );
}

#[test]
fn some_maps_cannot_be_within_maps() {
    let source = r#"
        struct progs { __uint(type, 3); __uint(max_entries, 1); __type(key, int); __type(value, int); };
        struct maps { __uint(type, 12); __uint(max_entries, 1); __type(key, int); __type(value, int); };
        struct ring { __uint(type, 27); __uint(max_entries, 4096); };
        struct { __uint(type, 13); __uint(max_entries, 1); __type(key, int); __array(values, struct progs); } a SEC(".maps");
        struct { __uint(type, 13); __uint(max_entries, 1); __type(key, int); __array(values, struct maps); } b SEC(".maps");
        struct { __uint(type, 13); __uint(max_entries, 1); __type(key, int); __array(values, struct ring); } c SEC(".maps");
        SEC("xdp") int p(void *c) { return 0; }
    "#;
    assert_eq!(
        findings(&format!("{GPL}{source}")),
        [
            "error E0406 6: map `a`: a prog_array map cannot be within a map",
            "error E0406 7: map `b`: an array_of_maps map cannot be within a map",
        ]
    );
}

#[test]
fn maps_hold_what_they_can_hold_from_the_beginning() {
    let head = r#"
        struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, int); __type(value, int); };
        struct inner same SEC(".maps");
        struct { __uint(type, 2); __uint(max_entries, 8); __type(key, int); __type(value, int); } longer SEC(".maps");
        struct { __uint(type, 2); __uint(max_entries, 4); __type(key, int); __type(value, long); } wider SEC(".maps");
        struct { __uint(type, 1); __uint(max_entries, 4); __type(key, int); __type(value, int); } hash SEC(".maps");
        SEC("xdp") int a(void *c) { return 0; }
        SEC("tc") int b(void *c) { return 0; }
        int sub(void) { return 1; }
    "#;
    let maps = |size: usize, values: &str| {
        format!(
            "{GPL}{head}struct {{ __uint(type, 12); __uint(max_entries, {size}); __type(key, int); \
             __array(values, struct inner); }} all SEC(\".maps\") = {{ .values = {{ {values} }} }};"
        )
    };
    assert_eq!(findings(&maps(2, "&same, [1] = (void *)&same")), [""; 0]);
    let other = "error E0406 11: map `all`: ";
    let unlike = "is not like the maps that it is declared to hold:";
    assert_eq!(
        findings(&maps(3, "(void *)&longer, (void *)&wider, (void *)&hash")),
        [
            format!("{other}`longer` {unlike} it has 8 entries, not 4"),
            format!("{other}`wider` {unlike} its values have 8 bytes, not 4"),
            format!("{other}`hash` {unlike} its type is hash, not array"),
        ]
    );
    assert_eq!(
        findings(&maps(2, "[2] = &same")),
        [format!("{other}its values need slots for as many entries as 3, and max_entries is 2")]
    );
    let programs = |values: &str| {
        format!(
            "{GPL}{head}struct {{ __uint(type, 3); __uint(max_entries, 2); __uint(key_size, 4); \
             __array(values, int (void *)); }} jumps SEC(\".maps\") = {{ .values = {{ {values} }} }};"
        )
    };
    assert_eq!(findings(&programs("[1] = (void *)&a")), [""; 0]);
    assert_eq!(
        findings(&programs("(void *)&a, (void *)&b")),
        ["error E0349 11: `jumps` holds programs of another type than it is for: `b` is of type \
          sched_cls, `a` of type xdp"]
    );
    assert_eq!(
        findings(&programs("(void *)&sub")),
        ["error E0406 11: map `jumps`: `sub` in its values is no program: only functions with \
          SEC() are"]
    );
    // What is held is used; `all` and `jumps` themselves are not.
    let unused = |source: &str| {
        let said = lints(source.trim_start_matches(GPL)).into_iter();
        said.map(|line| line.split('`').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut unused = unused(&maps(1, "&same"));
    unused.sort();
    assert_eq!(unused, ["all", "hash", "longer", "wider"]);
}

#[test]
fn programs_of_struct_ops_are_named_by_a_struct() {
    let source = |value: &str, section: &str| {
        format!(
            "{GPL}struct car_ops {{ int (*start)(int); }};\n\
             SEC(\"{section}\") int go(long *c) {{ return 0; }}\n\
             SEC(\".struct_ops\") struct car_ops my = {{ {value} }};"
        )
    };
    let said = findings(&source("", "struct_ops"));
    assert_eq!(said, ["warning W0422 3: no struct of functions names `go`"]);
    for (value, section) in [(".start = (void *)go", "struct_ops"), ("", "?struct_ops/start")] {
        assert_eq!(findings(&source(value, section)), [""; 0]);
    }
}

#[test]
fn callbacks_are_as_their_helpers_call_them() {
    let with = |callback: &str, call: &str| {
        findings(&format!(
            "{GPL}struct {{ __uint(type, 1); __uint(max_entries, 4); __type(key, int); __type(value, long); }} m SEC(\".maps\");\n\
             static long (*each)(void *, void *, void *, __u64) = (void *) 164;\n\
             static long (*timer)(void *, void *) = (void *) 170;\n\
             {callback}\n\
             SEC(\"tc\") int p(int *c) {{ {call}; return 0; }}"
        ))
    };
    let call = "bpf_loop(4, f, 0, 0)";
    assert_eq!(with("static long f(__u32 i, void *c) { return i & 1; }", call), [""; 0]);
    assert_eq!(with("static long f(__u32 i, void *c) { return 1; }", call), [""; 0]);
    assert_eq!(
        with("__noinline long f(__u32 i, void *c) { return 0; }", call),
        ["error E0342 6: the callback `f` is not `static`"]
    );
    assert_eq!(
        with("static long f(__u32 i, void *c, int x) { return x > 5; }", call),
        ["error E0342 5: the callback `f` reads argument 3, and `bpf_loop` passes 2"]
    );
    assert_eq!(
        with(
            "static long f(void *m, void *k, long *v, int x) { return x > 5; }",
            "each(&m, f, 0, 0)"
        ),
        [""; 0]
    );
    let two = "static long f(__u32 i, void *c) {\nif (i > 2)\nreturn 7;\nreturn 0; }";
    let seven = "the callback `f` returns 7, and `bpf_loop` takes only 0 or 1";
    let said = with(two, call);
    assert!(said.len() == 1 && said[0].ends_with(seven), "{said:?}");
    assert_eq!(
        with("static void f(__u32 i, void *c) { bpf_trace_printk(\"\", 1); }", call),
        ["error E0342 5: the callback `f` returns nothing, and `bpf_loop` takes only 0 or 1"]
    );
    assert_eq!(
        with("static int f(void *m, void *k, long *v) { return 1; }", "timer(c, f)"),
        ["error E0342 5: the callback `f` returns 1, and `bpf_timer_set_callback` takes only 0"]
    );
    assert_eq!(
        with("static int f(__u32 i, void *c) { return -1; }", call),
        ["error E0342 5: the callback `f` returns 4294967295, and `bpf_loop` takes only 0 or 1"]
    );
    assert_eq!(
        with("static long f(__u64 *i, void *c) { return *i & 1; }", call),
        [
            "error E0308 5: the callback `f` reads what argument 1 points to, which is a number where \
          `bpf_loop` calls it"
        ]
    );
    let right = "static long f(__u32 i, void *c) { return 0; }";
    assert_eq!(
        with(right, "bpf_loop(4, f, c, 0)"),
        ["error E0323 6: argument 3 of `bpf_loop` is the context; it must be the address of \
          something on the stack"]
    );
    assert_eq!(with(right, "long x; bpf_loop(4, f, &x, 0)"), [""; 0]);
    // Nobody calls it.
    assert_eq!(
        with("static long f(__u32 i, void *c) { return 7; }", "bpf_loop(0, f, 0, 0)"),
        [""; 0]
    );
}

#[test]
fn debug_info_that_disagrees_with_the_code_has_a_place() {
    let source = "SEC(\"xdp\") int p(void *c) { bpf_trace_printk(\"\", 1); return 2; }";
    let sound = Object::parse(&compile(&format!("{GPL}{source}"))).unwrap();
    let with = |change: &dyn Fn(&mut crate::btf::ext::Ext)| {
        let mut object = sound.clone();
        change(std::sync::Arc::make_mut(object.ext.as_mut().unwrap()));
        let said = check(&object, Path::new("x"), &|_| None).into_iter();
        let said =
            said.filter(|finding| finding.code == crate::diagnostics::codes::DEBUG_INFO_MISMATCH);
        let said = said.map(|finding| {
            let line = finding.primary.as_ref().map_or(0, |label| label.span.start.line);
            (line, finding.message)
        });
        said.collect::<Vec<_>>()
    };
    assert_eq!(with(&|_| {}), []);
    let middle = "BTF says that `p` begins in the middle of a function".to_owned();
    assert_eq!(with(&|ext| ext.func_info[0].records[0].offset = 8), [(2, middle)]);
    let beyond = "BTF says that `p` begins beyond the section's code".to_owned();
    assert_eq!(with(&|ext| ext.func_info[0].records[0].offset = 8000), [(0, beyond)]);
    let line = "1 line record lies beyond the section's code".to_owned();
    assert_eq!(with(&|ext| ext.line_info[0].records[1].offset = 8000), [(0, line)]);
    let between = "a line record lies between two instructions".to_owned();
    assert_eq!(with(&|ext| ext.line_info[0].records[1].offset = 4), [(2, between)]);
}

#[test]
fn maps_of_old_have_a_way_out() {
    let source = "struct { int type; } counts SEC(\"maps\") = { 1 };\n\
                  SEC(\"xdp\") int p(void *c) { return (long)bpf_map_lookup_elem(&counts, c); }";
    assert_eq!(
        findings(&format!("{GPL}{source}")),
        [
            "error E0407 2: maps are defined in SEC(\"maps\") (counts), which libbpf gave up with 1.0"
        ]
    );
}

#[test]
fn instructions_are_ones_a_kernel_loads() {
    assert_eq!(asm("r0 = 0; exit"), [""; 0]);
    assert_eq!(asm("r0 = 0; r0 /= 0; exit"), ["error E0333 2: a division by the constant zero"]);
    assert_eq!(asm("w0 = 0; w0 <<= 32; exit"), ["error E0333 2: a shift of 32 bits by 32"]);
    assert_eq!(asm("r0 = 0; r10 = 0; exit"), ["error E0316 2: the frame pointer r10 is read-only"]);
    assert_eq!(
        asm("r0 = *(u32*)(r1 + 0); if r0 == 0 goto +1; r10 = 0; exit"),
        ["warning E0316 2: the frame pointer r10 is read-only"]
    );
    assert_eq!(asm(".8byte 0x18d; exit"), ["error E0333 2: unknown opcode 0x8d"]);
    assert_eq!(asm("r0 = 0; call 9999; exit"), ["error E0321 2: no helper has the number 9999"]);
}

#[test]
fn control_stays_in_the_function_and_ends() {
    assert_eq!(
        asm("r0 = 0; if r0 == 0 goto +7; exit"),
        ["error E0331 2: a jump leads beyond the end of `p`"]
    );
    assert_eq!(
        asm("r0 = 0; goto -3; exit"),
        ["error E0331 2: a jump leads before the beginning of `p`"]
    );
    assert_eq!(
        asm("goto +1; r0 = 0x1122334455667788 ll; exit"),
        ["error E0331 2: a jump leads into the middle of a 64-bit immediate"]
    );
    assert_eq!(
        asm("r0 = 0"),
        ["error E0331 2: `p` can run past its end: its last instruction is no exit"]
    );
    assert_eq!(
        asm("r0 = 0; exit; r0 = 1; exit"),
        ["error E0330 2: no way through `p` leads to this instruction"]
    );
}

#[test]
fn stack_is_summed_over_the_calls() {
    let functions = |section: &str, size: u32| {
        let text = format!(
            "{GPL}static __noinline int b(char *q) {{ char x[{size}]; for (int i = 0; i < {size}; i++) ((volatile char *)x)[i] = q[i]; return ((volatile char *)x)[5]; }}\n\
             SEC(\"{section}\") int a(char *q) {{ char x[300]; for (int i = 0; i < 300; i++) ((volatile char *)x)[i] = q[i]; return b(x); }}"
        );
        findings(&text)
    };
    assert_eq!(functions("xdp", 100), [""; 0]);
    let message =
        "E0304 3: `a` and the functions it calls need 608 bytes of stack, and there are 512";
    assert_eq!(functions("xdp", 300), [format!("error {message}")]);
    assert_eq!(functions("kprobe/x", 300), [format!("warning {message}")]);
    assert_eq!(
        asm("r0 = 0; *(u64*)(r10 - 600) = r0; exit"),
        [
            "error E0304 2: `p` accesses its stack at 600 bytes below its top, and a function has 512"
        ]
    );
    assert_eq!(
        asm("r0 = 0; r2 = r10; r2 += -520; *(u32*)(r2 + 0) = r0; exit"),
        [
            "error E0304 2: `p` accesses its stack at 520 bytes below its top, and a function has 512"
        ]
    );
}

#[test]
fn calls_have_an_end() {
    let source = "static __noinline int f(int n) { return n > 3 ? f(n - 1) * 5 + 1 : 3; }\n\
                  SEC(\"xdp\") int p(int *c) { return f(*c); }";
    assert_eq!(findings(&format!("{GPL}{source}")), ["error E0332 2: `f` calls itself"]);
    let mut deep =
        format!("{GPL}static __noinline int f9(int n) {{ asm volatile(\"\"); return n * 3; }}\n");
    for n in (1..9).rev() {
        let next = n + 1;
        deep +=
            &format!("static __noinline int f{n}(int n) {{ return f{next}(n * {n}) + {n}; }}\n");
    }
    deep += "SEC(\"xdp\") int p(int *c) { return f1(*c); }";
    assert_eq!(
        findings(&deep),
        ["error E0332 11: `p` calls functions 10 deep, and the kernel allows 8 frames"]
    );
}

#[test]
fn names_are_ones_that_libbpf_can_provide() {
    let source = "int nowhere(int);\nextern int gone;\n\
                  SEC(\"xdp\") int p(int *c) { return nowhere(*c) + gone; }";
    assert_eq!(
        findings(&format!("{GPL}{source}")),
        [
            "error E0409 4: `nowhere` is declared neither __ksym nor __kconfig",
            "error E0409 4: `gone` is declared neither __ksym nor __kconfig",
        ]
    );
    let program = "SEC(\"xdp\") int inner(void *c) { return 1; }\n\
                   SEC(\"tc\") int outer(void *c) { asm volatile(\"\"); return 2; }";
    assert_eq!(findings(&format!("{GPL}{program}")), [""; 0]);
}

#[test]
fn objects_without_btf_are_told_what_it_is_for() {
    let maps = "struct { __uint(type, 1); } m SEC(\".maps\");\n\
                SEC(\"xdp\") int p(void *c) { return (long)bpf_map_lookup_elem(&m, c); }";
    assert_eq!(
        findings_with(&format!("{GPL}{maps}"), &["-g0"]),
        [
            "error E0412 0: the object has no BTF, and libbpf cannot load the maps in section .maps without it"
        ]
    );
    let plain = "SEC(\"xdp\") int p(void *c) { return 1; }";
    assert_eq!(
        findings_with(&format!("{GPL}{plain}"), &["-g0"]),
        ["warning W0412 0: the object has no BTF, so nothing can be told about types and C lines"]
    );
}

#[test]
fn hostile_objects_are_checked_without_harm() {
    let source = format!(
        "{GPL}struct {{ __uint(type, 1); __type(key, int); }} m SEC(\".maps\");\n\
         const volatile int on;\n\
         static __noinline int f(int n) {{ return on ? n * 7 : (long)bpf_map_lookup_elem(&m, &n); }}\n\
         SEC(\"xdp\") int p(int *c) {{ return f(*c); }}\nSEC(\"tc\") int q(int *c) {{ return f(c[1]); }}"
    );
    let bytes = compile(&source);
    let sources = |_: &Path| Some(source.clone());
    for bit in (0..bytes.len() * 8).step_by(5) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(object) = Object::parse(&flipped) {
            check(&object, Path::new("x.o"), &sources);
        }
    }
}

#[test]
fn helpers_must_be_allowed_in_the_type_of_program() {
    let redirect = "static long (*bpf_redirect)(__u32, __u64) = (void *) 23;\n";
    let program = |section: &str| {
        findings(&format!(
            "{GPL}{redirect}SEC(\"{section}\")\nint p(void *c) {{ return bpf_redirect(1, 0); }}"
        ))
    };
    assert_eq!(
        program("tracepoint/syscalls/sys_enter_getpid"),
        ["error E0322 4: `bpf_redirect` cannot be called from a program in SEC(\"tracepoint\")"]
    );
    assert_eq!(program("xdp"), [""; 0]);
    assert_eq!(program("tc"), [""; 0]);
    // Its target decides what a replacement may call.
    assert_eq!(program("freplace/f"), [""; 0]);
}

#[test]
fn loops_need_something_that_counts() {
    let program = |body: &str| {
        lints(&format!(
            "struct node {{ struct node *next; int n; }};\nstatic long (*random)(void) = (void *)7;\n\
             SEC(\"fentry/f\") int p(unsigned long long *ctx) {{ struct node *at = (void *)ctx[0]; int sum = 0;\n{body}\nreturn sum; }}"
        ))
    };
    let found = |body: &str| {
        let all = program(body);
        all.iter().filter(|said| said.contains("E0303")).cloned().collect::<Vec<_>>()
    };
    let unbounded =
        "warning E0303 5: nothing bounds this loop: what ends it comes from memory or from a call";
    assert_eq!(found("while (at) { sum ^= at->n; at = at->next; }"), [unbounded]);
    assert_eq!(found("while (random() & 7) { asm volatile(\"\"); }"), [unbounded]);
    assert_eq!(
        found("for (;;) { random(); }"),
        ["warning E0303 5: nothing leads out of this loop"]
    );
    assert_eq!(
        found("for (int i = 0; i < 64 && at; i++) { sum ^= at->n; at = at->next; }"),
        [""; 0]
    );
    assert_eq!(found("for (int i = 0; i < ctx[1]; i++) { sum ^= random(); }"), [""; 0]);
    assert_eq!(
        found("for (int i = 0; i < 8; i++) for (int j = i; j < 8; j++) { sum ^= random(); }"),
        [""; 0]
    );
    // On the stack it counts, too.
    assert_eq!(
        found("volatile int i = 0; while (1) { sum ^= random(); if (i > 9) break; i = i + 1; }"),
        [""; 0]
    );
}

#[test]
fn printing_is_told_where_it_happens_often() {
    let program = |section: &str, body: &str| {
        lints(&format!(
            "SEC(\"{section}\") int p(int *ctx) {{ char f[] = \"x\"; {body} return 0; }}"
        ))
    };
    let print = "bpf_trace_printk(f, 2);";
    assert_eq!(program("tp/syscalls/sys_enter_execve", print), [""; 0]);
    assert_eq!(
        program("tp_btf/sched_switch", print),
        [
            "warning W0414 2: `bpf_printk` is called at every `sched_switch`, which happens all the time"
        ]
    );
    assert_eq!(
        program(
            "tp/syscalls/sys_enter_execve",
            &format!("for (int i = 0; i < ctx[0]; i++) {print}")
        ),
        ["warning W0414 2: `bpf_printk` is called in every turn of a loop"]
    );
}

#[test]
fn kernel_memory_is_read_by_names() {
    let program = |section: &str, before: &str, body: &str| {
        lints(&format!(
            "struct task {{ int x[99]; int pid; struct task *parent; }} {before};\nint last;\n\
             static long (*probe)(void *, int, const void *) = (void *)113;\n\
             static struct task *(*current)(void) = (void *)35;\n\
             SEC(\"{section}\") int p(unsigned long long *ctx) {{ struct task *t = (void *)ctx[0]; {body} return 0; }}"
        ))
    };
    let core = "__attribute__((preserve_access_index))";
    let direct = "last = t->parent->pid;";
    let said = |offset: u32, by: &str| {
        format!(
            "warning W0510 6: byte {offset} of a kernel structure is read{by} without CO-RE, at a fixed offset"
        )
    };
    assert_eq!(program("tp_btf/x", "", direct), [said(400, "")]);
    assert_eq!(program("lsm/x", core, direct), [""; 0]);
    let probed = "probe(&last, 4, &current()->pid);";
    assert_eq!(program("kprobe/x", "", probed), [said(396, " by `bpf_probe_read_kernel`")]);
    assert_eq!(program("kprobe/x", core, probed), [""; 0]);
    // A string, a number: what begins there may be anything.
    assert_eq!(program("kprobe/x", "", "probe(&last, 4, t);"), [""; 0]);
}

#[test]
fn the_context_is_accessed_as_its_program_may() {
    let program = |section: &str, code: &str| {
        let text = format!(
            "{GPL}__attribute__((naked)) SEC(\"{section}\") int p(void *ctx) {{ asm volatile({code:?}); }}"
        );
        findings(&text)
    };
    let refused = |section, code, said: &str| {
        assert_eq!(program(section, code), [format!("error E0306 2: {said}")], "{section}: {code}");
    };
    assert_eq!(program("xdp", "r0 = *(u32 *)(r1 + 4); exit"), [""; 0]);
    refused(
        "xdp",
        "r0 = *(u64 *)(r1 + 0); exit",
        "8 bytes at byte 0 of the context are accessed at once, in `data`",
    );
    refused(
        "xdp",
        "r0 = 0; *(u32 *)(r1 + 12) = r0; exit",
        "`ingress_ifindex` of the context cannot be written by a program in SEC(\"xdp\")",
    );
    refused(
        "xdp",
        "r0 = *(u32 *)(r1 + 24); exit",
        "a program in SEC(\"xdp\") cannot read 4 bytes at byte 24 of its context",
    );
    // `mark` is for all but packets of sockets.
    assert_eq!(program("tc", "r0 = 7; *(u32 *)(r1 + 8) = r0; exit"), [""; 0]);
    assert_eq!(program("tc", "r0 = *(u8 *)(r1 + 9); exit"), [""; 0]);
    refused(
        "socket",
        "r0 = 7; *(u32 *)(r1 + 8) = r0; exit",
        "`mark` of the context cannot be written by a program in SEC(\"socket\")",
    );
    // Another attach type may be set by the loader.
    let warning = "warning E0306 2: `egress_ifindex` of the context is not there for a program in SEC(\"xdp\")";
    assert_eq!(program("xdp", "r0 = *(u32 *)(r1 + 20); exit"), [warning]);
    assert_eq!(program("xdp/devmap", "r0 = *(u32 *)(r1 + 20); exit"), [""; 0]);
    // What another way may bring is not known.
    assert_eq!(
        program("xdp", "r6 = r1; r2 = *(u32 *)(r1 + 0); r6 = *(u32 *)(r1 + 12); r0 = 0; exit"),
        [""; 0]
    );
    assert_eq!(program("kprobe/f", "r0 = *(u64 *)(r1 + 112); exit"), [""; 0]);
    refused(
        "tp/a/b",
        "r0 = *(u64 *)(r1 + 0); exit",
        "a program in SEC(\"tp\") cannot read 8 bytes at byte 0 of its context",
    );
}

#[test]
fn constants_are_ones_that_helpers_take() {
    let call = |section: &str, call: &str| {
        let mut said = lints(&format!(
            "struct {{ __uint(type, 2); __uint(max_entries, 1); __type(key, int); __type(value, int); }} m SEC(\".maps\");\n\
             static long (*update)(void *, void *, void *, __u64) = (void *)2;\n\
             static long (*redirect)(__u32, __u64) = (void *)23;\n\
             static long (*lookup_tcp)(void *, void *, __u32, __u64, __u64) = (void *)84;\n\
             SEC(\"{section}\") int p(int *ctx) {{ int x[9] = {{}}; {call}; return 0; }}"
        ));
        // Not every call takes the map.
        said.retain(|line| !line.contains("W0421"));
        said
    };
    assert_eq!(call("tc", "update(&m, x, x, 0)"), [""; 0]);
    let said = |what: &str| [format!("warning W0420 6: {what}")];
    assert_eq!(
        call("tc", "update(&m, x, x, 1)"),
        said("`bpf_map_update_elem` fails with -EEXIST, because of its argument 4")
    );
    assert_eq!(
        call("tc", "update(&m, x, x, 64)"),
        said("`bpf_map_update_elem` fails with -EINVAL, because of its argument 4")
    );
    assert_eq!(call("tc", "redirect(1, 1)"), [""; 0]);
    assert_eq!(
        call("xdp", "redirect(1, 1)"),
        said("`bpf_redirect` drops the packet (XDP_ABORTED), because of its argument 2")
    );
    assert_eq!(
        call("tc", "lookup_tcp(ctx, x, 16, -1, 0)"),
        said("`bpf_sk_lookup_tcp` finds nothing (NULL), because of its argument 3")
    );
}
