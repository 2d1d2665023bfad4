//! Objects against kernels: the kernels' types are C of the tests' own, which
//! clang makes BTF of.

use super::{Kernel, Modules, check_on};
use crate::bpf::KernelVersion;
use crate::btf::Btf;
use crate::elf::Object;
use crate::elf::fixture::{compile, compile_with};
use crate::relocate::core::Target;
use std::path::Path;
use std::sync::Arc;

/// A kernel that has what `source` declares. Functions must be defined and
/// types used to be in it.
fn kernel(source: &str) -> Target {
    let object = Object::parse(&compile(source)).unwrap();
    Target::new(object.btf.unwrap())
}

fn version(major: u16, minor: u16) -> Option<KernelVersion> {
    Some(KernelVersion::new(major, minor))
}

/// Modules, each with its C.
struct Known<'m>(&'m [(&'m str, &'m str)]);

impl Modules for Known<'_> {
    fn with(&self, name: &str) -> Option<Vec<Arc<Btf>>> {
        let all = self.0.iter().filter_map(|(module, _)| self.btf(module));
        Some(all.filter(|btf| btf.named(name).next().is_some()).collect())
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    fn btf(&self, module: &str) -> Option<Arc<Btf>> {
        let (_, source) = self.0.iter().find(|(name, _)| *name == module)?;
        (!source.is_empty()).then(|| Arc::clone(kernel(source).kernel()))
    }
}

fn findings_with(source: &str, kernels: &[Kernel<'_>], flags: &[&str]) -> Vec<String> {
    let object = Object::parse(&compile_with(source, flags)).unwrap();
    check_on(&object, Path::new("fixture.o"), &|_| None, kernels)
        .iter()
        .map(|finding| {
            let line = finding.primary.as_ref().map_or(0, |label| label.span.start.line);
            let (severity, code) = (finding.severity.as_str(), finding.code.id());
            let kernels = finding.kernels.join(" ");
            format!("{severity} {code} {line} {kernels}: {}", finding.message)
        })
        .collect()
}

fn findings(source: &str, kernels: &[Kernel<'_>]) -> Vec<String> {
    findings_with(source, kernels, &[])
}

#[test]
fn helpers_are_known_by_version() {
    let source = "static long (*bpf_ringbuf_output)(void *, void *, __u64, __u64) = (void *) 130;\n\
                  SEC(\"xdp\") int p(void *c) { return bpf_ringbuf_output(c, c, 1, 0); }";
    let kernels = [
        Kernel::of_version("old", KernelVersion::new(5, 4)),
        Kernel::of_version("new", KernelVersion::new(5, 8)),
    ];
    assert_eq!(
        findings(source, &kernels),
        ["error E0321 2 old: `bpf_ringbuf_output` is called, which came with Linux 5.8"]
    );
}

#[test]
fn what_the_kernels_own_list_says_outweighs_the_version() {
    // A distribution's 5.4 with the ring buffer of 5.8 carried back, and
    // without maps of maps.
    let target = kernel(
        "enum bpf_func_id { BPF_FUNC_map_lookup_elem = 1, BPF_FUNC_ringbuf_output = 130 } f;\n\
         enum bpf_map_type { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_RINGBUF = 27 } m;",
    );
    let kernels = [Kernel::of_btf("backports", version(5, 4), &target)];
    let source = "static long (*bpf_ringbuf_output)(void *, void *, __u64, __u64) = (void *) 130;\n\
                  static long (*bpf_loop_)(__u32, void *, void *, __u64) = (void *) 181;\n\
                  struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(\".maps\");\n\
                  struct { __uint(type, 31); __uint(max_entries, 4096); } user SEC(\".maps\");\n\
                  SEC(\"xdp\") int p(void *c) { return bpf_ringbuf_output(&ring, c, 1, 0)\n\
                  + bpf_loop_(1, c, &user, 0); }";
    assert_eq!(
        findings(source, &kernels),
        [
            "error E0413 0 backports: map `user` is of type user_ringbuf, which came with Linux 6.1",
            "error E0321 6 backports: `bpf_loop` is called, which came with Linux 5.17",
        ]
    );
}

#[test]
fn instructions_and_types_of_programs_need_their_kernels() {
    let old = || [Kernel::of_version("old", KernelVersion::new(4, 14))];
    let source = "SEC(\"fentry/f\") int p(int *c) { return 0; }\n\
                  SEC(\"?fexit/f\") int q(int *c) { return 0; }\n\
                  SEC(\"cgroup/connect4\") int r(int *c) { return 1; }";
    assert_eq!(
        findings(source, &old()),
        [
            "error E0413 1 old: `p` is a program of type tracing, which came with Linux 5.5",
            "error E0413 3 old: `r` is a program of type cgroup_sock_addr, which came with Linux 4.17",
        ]
    );
    let source = "int total;\n\
                  static __noinline int f(int n) { return n * total; }\n\
                  SEC(\"socket\") int p(int *c) {\n\
                  int x = *c;\n\
                  if (x > 70)\n\
                  x = f(x);\n\
                  return __sync_fetch_and_or(&total, 3) + x; }";
    assert_eq!(
        findings(source, &[Kernel::of_version("old", KernelVersion::new(5, 0))]),
        [
            "error E0413 5 old: `p` has the ISA v3 32-bit comparisons, which came with Linux 5.1",
            "error E0413 7 old: `p` has global data, which came with Linux 5.2",
            "error E0413 7 old: `p` has an atomic operation other than an addition without fetch, which came with Linux 5.12",
        ]
    );
    let modern = findings(source, &[Kernel::of_version("new", KernelVersion::new(6, 12))]);
    assert_eq!(modern, [""; 0]);
}

/// A program that reads `task->state`, guarded and not.
const READS: &str = r#"
struct task { int pid; long state; } __attribute__((preserve_access_index));
struct task___new { long __state; } __attribute__((preserve_access_index));
SEC("kprobe/f") int plain(struct task *t)
{
    return t->pid
        + t->state;
}
SEC("kprobe/f") int guarded(struct task *t)
{
    struct task___new *n = (void *)t;
    if (__builtin_preserve_field_info(n->__state, 2))
        return n->__state;
    return t->state;
}
"#;

#[test]
fn fields_that_the_kernel_lacks_are_named_where_they_are_read() {
    let old = kernel("struct task { long state; int pid; } t;");
    let new = kernel("struct task { int pid; long __state; } t;");
    let none = kernel("int nothing;");
    let kernels = [
        Kernel::of_btf("old", None, &old),
        Kernel::of_btf("new", None, &new),
        Kernel::of_btf("none", None, &none),
    ];
    assert_eq!(
        findings(READS, &kernels),
        [
            "error E0358 7 new: struct task has no member `state` in the kernel",
            "error E0358 6 none: the kernel has no struct task",
            "error E0358 7 none: the kernel has no struct task",
        ]
    );
    let object = Object::parse(&compile(READS)).unwrap();
    let all = check_on(&object, Path::new("x"), &|_| None, &kernels[1..2]);
    assert_eq!(all[0].notes, ["it has a member `__state`; was `state` renamed?"]);
}

#[test]
fn several_types_of_one_name_are_ambiguous() {
    let target = kernel(
        "struct task { int pid; long state; } a; struct task___other { long state; int pid; } b;",
    );
    let source = "struct task { int pid; } __attribute__((preserve_access_index));\n\
                  SEC(\"kprobe/f\") int p(struct task *t) { return t->pid; }";
    let said = findings(source, &[Kernel::of_btf("k", None, &target)]);
    assert!(said[0].starts_with("error E0506 2 k: struct task.pid is ambiguous"), "{said:?}");
}

#[test]
fn targets_are_looked_up_and_the_nearest_named() {
    let target = kernel(
        "__noinline int do_unlinkat(int x) { return x * 3; }\n\
         __noinline int bpf_lsm_file_open(int x) { return x * 4; }\n\
         typedef int (*btf_trace_sched_switch)(int); btf_trace_sched_switch t;",
    );
    let kernels = [Kernel::of_btf("k", None, &target)];
    let source = "SEC(\"fentry/do_unlinkat\") int a(void *c) { return 0; }\n\
                  SEC(\"fexit/do_unlinkatt\") int b(void *c) { return 0; }\n\
                  SEC(\"lsm/file_open\") int c(void *c) { return 0; }\n\
                  SEC(\"tp_btf/sched_swich\") int d(void *c) { return 0; }\n\
                  SEC(\"?fentry/gone\") int e(void *c) { return 0; }\n\
                  SEC(\"fentry/mod:gone\") int f(void *c) { return 0; }";
    assert_eq!(
        findings(source, &kernels),
        [
            "warning E0351 2 k: the kernel has no function `do_unlinkatt` to attach `b` to",
            "warning E0351 4 k: the kernel has no trace point `sched_swich` to attach `d` to",
        ]
    );
    let object = Object::parse(&compile(source)).unwrap();
    let all = check_on(&object, Path::new("x"), &|_| None, &kernels);
    assert_eq!(all[0].helps[0].message, "did you mean `do_unlinkat`?");
    assert_eq!(all[1].helps[0].message, "did you mean `sched_switch`?");
}

#[test]
fn probes_and_events_are_looked_up_as_far_as_btf_lists_them() {
    let target = kernel(
        "__noinline int vfs_open(int x) { return x * 3; }\n\
         __noinline int __x64_sys_read(int x) { return x * 4; }\n\
         __noinline int __do_sys_sync(int x) { return x * 5; }\n\
         typedef int (*btf_trace_sched_switch)(int); btf_trace_sched_switch t;",
    );
    let source = "struct task { int pid; } __attribute__((preserve_access_index));\n\
                  SEC(\"kprobe/vfs_open+0x4\") int a(void *c) { return 0; }\n\
                  SEC(\"kretprobe/vfs_opne\") int b(struct task *c) { return c->pid; }\n\
                  SEC(\"ksyscall/read\") int d(void *c) { return 0; }\n\
                  SEC(\"kretsyscall/raed\") int e(void *c) { return 0; }\n\
                  SEC(\"tp/syscalls/sys_enter_read\") int f(void *c) { return 0; }\n\
                  SEC(\"tp/syscalls/sys_exit_gone\") int g(void *c) { return 0; }\n\
                  SEC(\"tp/sched/sched_switch\") int h(void *c) { return 0; }\n\
                  SEC(\"tp/sched/sched_swich\") int i(void *c) { return 0; }\n\
                  SEC(\"kprobe.multi/gone_*\") int j(void *c) { return 0; }\n\
                  SEC(\"tp/kprobes/own\") int k(void *c) { return 0; }\n\
                  SEC(\"tp/syscalls/sys_enter_sync\") int l(void *c) { return 0; }";
    assert_eq!(
        findings(source, &[Kernel::of_btf("k", None, &target)]),
        [
            "warning E0351 3 k: the kernel's BTF lists no function `vfs_opne` to attach `b` to",
            "warning E0351 5 k: the kernel has no system call `raed` to attach `e` to",
            "warning E0351 7 k: the kernel has no system call `gone` to attach `g` to",
            "warning E0351 9 k: the kernel's BTF lists no trace point `sched_swich` to attach `i` to",
            // It may be there, so what it reads counts.
            "error E0358 3 k: the kernel has no struct task",
        ]
    );
    // BTF without functions says nothing of them.
    let empty = kernel("struct task { int pid; } task;");
    assert_eq!(findings(source, &[Kernel::of_btf("k", None, &empty)]), [""; 0]);
}

#[test]
fn a_program_without_its_target_is_not_judged_further() {
    let target = kernel("int nothing;");
    let source = "struct task { int pid; } __attribute__((preserve_access_index));\n\
                  SEC(\"fentry/gone\") int p(struct task *t) { return t->pid; }";
    assert_eq!(
        findings(source, &[Kernel::of_btf("k", None, &target)]),
        ["warning E0351 2 k: the kernel has no function `gone` to attach `p` to"]
    );
}

#[test]
fn modules_have_targets_and_types_too() {
    let target = kernel("int nothing;");
    let nat = "__noinline int nat_setup(int x) { return x * 3; }\n\
               struct conn { int mark; } conn;";
    let module = Known(&[("nat", nat)]);
    let source = "struct conn { int mark; int other; } __attribute__((preserve_access_index));\n\
                  SEC(\"fentry/nat_setup\") int p(struct conn *t) { return t->mark; }\n\
                  SEC(\"fentry/nat_gone\") int q(struct conn *t) { return t->mark; }\n\
                  SEC(\"fentry/nat_setup\") int r(struct conn *t) { return t->other; }";
    assert_eq!(
        findings(source, &[Kernel::of_btf("k", None, &target).with_modules(&module)]),
        [
            "warning E0351 3 k: the kernel has no function `nat_gone` to attach `q` to",
            "error E0358 4 k: struct conn has no member `other` in the kernel"
        ]
    );
}

#[test]
fn targets_in_a_module_are_looked_up_there() {
    let target = kernel(
        "__noinline int vfs_read(int x) { return x * 3; }\n\
         typedef int (*btf_trace_sched_switch)(int); btf_trace_sched_switch t;",
    );
    let nat = "__noinline int nat_setup(int x) { return x * 3; }";
    let modules = Known(&[("nf_nat", nat), ("nf_old", "")]);
    let said = |section: &str| {
        let kernel = Kernel::of_btf("k", version(6, 12), &target).with_modules(&modules);
        let source = format!("SEC(\"{section}\") int p(void *c) {{ return 0; }}");
        let object = Object::parse(&compile(&source)).unwrap();
        let all = check_on(&object, Path::new("x"), &|_| None, &[kernel]);
        all.iter()
            .map(|finding| {
                let helps: Vec<_> = finding.helps.iter().map(|help| &*help.message).collect();
                format!("{}: {}", finding.message, helps[..helps.len() - 1].join(", "))
            })
            .collect::<Vec<_>>()
    };
    // libbpf takes the beginning of a module's name for the name.
    for good in ["fentry/nf_nat:nat_setup", "fexit.s/nf_n:nat_setup", "fexit/vmlinux:vfs_read"] {
        assert_eq!(said(good), [""; 0], "{good}");
    }
    for (section, expected) in [
        (
            "fentry/nf_nat:nat_setpu",
            "the module `nf_nat` has no function `nat_setpu` to attach `p` to: did you mean \
             `nat_setup`?",
        ),
        (
            "fmod_ret/nf-nat:nat_setup",
            "the kernel has no module `nf-nat` to attach `p` in: did you mean `nf_nat`?",
        ),
        (
            "fentry/vfs:vfs_read",
            "the kernel has no module `vfs` to attach `p` in: the kernel itself has `vfs_read`: \
             leave `vfs:` out",
        ),
        (
            "fentry/vmlinux:vfs_raed",
            "the kernel has no function `vfs_raed` to attach `p` to: did you mean `vfs_read`?",
        ),
        (
            "tp_btf/nf_nat:sched_swap",
            "the module `nf_nat` has no trace point `sched_swap` to attach `p` to: ",
        ),
        ("fentry/nf_old:f", "`p` attaches in the module `nf_old`, which has no BTF here: "),
        (
            "kprobe/nf_nat:nat_setup",
            "the kernel's BTF lists no function `nf_nat` to attach `p` to: ",
        ),
    ] {
        assert_eq!(said(section), [expected], "{section}");
    }
    // Nothing is known of the modules of a file of BTF.
    let source = "SEC(\"fentry/nf_nat:gone\") int p(void *c) { return 0; }";
    assert_eq!(findings(source, &[Kernel::of_btf("k", None, &target)]), [""; 0]);
}

#[test]
fn kfuncs_that_must_be_there_are_looked_up() {
    let target = kernel("__noinline int bpf_known(int x) { return x * 3; }");
    let source = "extern int bpf_known(int) __ksym; extern int bpf_gone(int) __ksym;\n\
                  extern int bpf_maybe(int) __ksym __weak;\n\
                  SEC(\"xdp\") int p(int *c) { return bpf_known(*c) +\n\
                  bpf_gone(*c) + (bpf_maybe ? bpf_maybe(1) : 0); }";
    assert_eq!(
        findings(source, &[Kernel::of_btf("k", None, &target)]),
        ["warning E0334 4 k: the kernel has no kfunc `bpf_gone` of its own"]
    );
}

#[test]
fn kfuncs_are_declared_as_the_kernel_has_them() {
    let target = kernel("__noinline int bpf_known(int x, long y) { return x * y; }");
    let declared = |declaration: &str, call: &str| {
        let source =
            format!("struct s;\n{declaration}\nSEC(\"xdp\") int p(int *c) {{ return {call}; }}");
        findings(&source, &[Kernel::of_btf("k", None, &target)])
    };
    let good = "extern int bpf_known(int, long) __ksym;";
    assert_eq!(declared(good, "bpf_known(*c, 1)"), [""; 0]);
    // A flavour stands for the same function; sizes of numbers do not count.
    let flavour = "extern long bpf_known___new(int, int) __ksym;";
    assert_eq!(declared(flavour, "bpf_known___new(*c, 1)"), [""; 0]);
    let short = "extern int bpf_known(int) __ksym;";
    let said = "error E0334 3 k: `bpf_known` is declared in another way than the kernel has it";
    assert_eq!(declared(short, "bpf_known(*c)"), [said]);
    let pointer = "extern int bpf_known(int *, long) __ksym;";
    assert_eq!(declared(pointer, "bpf_known(c, 1)"), [said]);
    // What is weak is left out by libbpf, as if the kernel did not have it.
    let weak = "extern int bpf_known(int) __ksym __weak;";
    assert_eq!(declared(weak, "bpf_known ? bpf_known(1) : 0"), [""; 0]);
}

#[test]
fn variables_of_the_kernel_are_looked_up_with_their_types() {
    let target = kernel("struct rq { long clock; } runqueues; int bpf_prog_active; int jiffy;");
    let declared = |declaration: &str, kernel: Kernel<'_>| {
        let (before, _) = declaration.split_once(" __ksym").unwrap();
        let name = before.rsplit(' ').next().unwrap();
        let code = format!("return *(volatile int *)&{name}; }}");
        findings(&format!("{declaration}\nSEC(\"xdp\") int p(int *c) {{\n{code}"), &[kernel])
    };
    let of = || Kernel::of_btf("k", None, &target);
    let none = [""; 0];
    for good in [
        "struct rq { int other; }; extern const struct rq runqueues __ksym;",
        "extern const int bpf_prog_active __ksym;",
        "typedef volatile long word; extern word bpf_prog_active __ksym;",
        "extern const int runqueus __ksym __weak;",
        "extern const void runqueus __ksym;",
    ] {
        assert_eq!(declared(good, of()), none, "{good}");
    }
    let said = "error E0334 3 k: the kernel's variable `runqueues` has another type";
    assert_eq!(declared("extern const int runqueues __ksym;", of()), [said]);
    // libbpf takes no other type, not even of what is weak.
    assert_eq!(declared("extern const int runqueues __ksym __weak;", of()), [said]);
    let said = "warning E0334 3 k: the kernel has no variable `runqueus` of its own";
    assert_eq!(declared("extern const int runqueus __ksym;", of()), [said]);
    // Only functions may be looked up as flavours.
    let said = "warning E0334 3 k: the kernel has no variable `jiffy___x` of its own";
    assert_eq!(declared("extern const int jiffy___x __ksym;", of()), [said]);
    // What is known of all modules makes it certain.
    let empty = Known(&[]);
    let said = "error E0334 3 k: neither the kernel nor its modules have a variable `runqueus`";
    let missing = "extern const int runqueus __ksym;";
    assert_eq!(declared(missing, of().with_modules(&empty)), [said]);
    let modules = Known(&[("sched", "long runqueus;")]);
    assert_eq!(declared(missing, of().with_modules(&modules)), none);
    // Kernels before 5.10 take none with a type.
    let said =
        "error E0413 3 k: `p` has a typed variable of the kernel, which came with Linux 5.10";
    let old =
        |declaration| declared(declaration, Kernel::of_version("k", KernelVersion::new(5, 9)));
    assert_eq!(old(missing), [said]);
    assert_eq!(old("extern const void runqueus __ksym;"), none);
}

#[test]
fn the_nearest_names_are_suggested_for_functions_and_variables() {
    let target = kernel(
        "struct rq { long clock; } runqueues; __noinline int bpf_known(int x) { return x * 3; }",
    );
    let source = "struct rq { int other; }; extern const struct rq runqueue __ksym;\n\
                  extern int bpf_knwon(int) __ksym;\n\
                  SEC(\"xdp\") int p(int *c) { return bpf_knwon(((struct rq *)&runqueue)->other); }";
    let object = Object::parse(&compile(source)).unwrap();
    let kernels = [Kernel::of_btf("k", None, &target)];
    let mut found = check_on(&object, Path::new("x"), &|_| None, &kernels);
    found.sort_by(|one, other| one.message.cmp(&other.message));
    let first = |at: usize| found[at].helps[0].message.clone();
    assert_eq!(
        (first(0), first(1)),
        ("did you mean `bpf_known`?".into(), "did you mean `runqueues`?".into())
    );
}

#[test]
fn fields_of_the_context_come_later_than_their_programs() {
    let source = "SEC(\"tc\") int p(char *c) {\n\
                  int m = *(volatile int *)(c + 8);\n\
                  return m + *(volatile __u64 *)(c + 184); }\n\
                  SEC(\"socket\") int q(char *c) { return *(volatile int *)(c + 8); }";
    let of = |minor| [Kernel::of_version("k", KernelVersion::new(5, minor))];
    assert_eq!(
        findings(source, &of(15)),
        ["error E0306 3 k: `hwtstamp` of the context is accessed, which came with Linux 5.16"]
    );
    assert_eq!(findings(source, &of(16)), [""; 0]);
    let object = Object::parse(&compile(source)).unwrap();
    let needs = super::needs(&object, Path::new("x"), &|_| None);
    assert_eq!(needs[0].since, KernelVersion::new(5, 16));
    let through = |exists: &str| {
        format!(
            "struct __sk_buff {{ int len; __u64 hwtstamp; }} __attribute__((preserve_access_index));\n\
             SEC(\"tc\") int p(struct __sk_buff *c) {{ {exists} return c->hwtstamp; return c->len; }}"
        )
    };
    let plain = through("");
    assert_eq!(
        findings(&plain, &of(15)),
        ["error E0306 2 k: `hwtstamp` of the context is accessed, which came with Linux 5.16"]
    );
    assert_eq!(findings(&plain, &of(16)), [""; 0]);
    let asked = through("if (__builtin_preserve_field_info(c->hwtstamp, 2))");
    assert_eq!(findings(&asked, &of(15)), [""; 0]);
}

#[test]
fn structs_of_functions_are_as_the_kernel_has_them() {
    let target = kernel(
        "struct car_ops { int (*start)(int); void (*stop)(void); char name[8]; long flags; };\n\
         struct bpf_struct_ops_car_ops { struct car_ops data; } car;",
    );
    let none = Known(&[]);
    let said = |members: &str, section: &str, value: &str| {
        let source = format!(
            "struct car_ops___mine {{ {members} }};\n\
             SEC(\"struct_ops/start\") int go(long *c) {{ return 0; }}\n\
             SEC(\"{section}\") struct car_ops___mine my = {{ {value} }};"
        );
        findings(&source, &[Kernel::of_btf("k", None, &target).with_modules(&none)])
    };
    let members = "int (*start)(int); int (*strat)(int); long newer; char name[8];";
    let good = ".start = (void *)go, .name = \"x\"";
    assert_eq!(said(members, ".struct_ops", good), [""; 0]);
    let start = "error E0353 0 k: struct car_ops has no member";
    assert_eq!(
        said(members, ".struct_ops.link", ".strat = (void *)go, .newer = 3"),
        [format!("{start} `strat` in the kernel"), format!("{start} `newer` in the kernel")]
    );
    let other = "int (*flags)(int); int (*stop)(int);";
    assert_eq!(
        said(other, ".struct_ops", ".flags = (void *)go"),
        ["error E0353 0 k: member `flags` of struct car_ops has another type in the kernel"]
    );
    let gone = |section: &str| {
        let source = format!(
            "struct boat_ops {{ int (*start)(int); }};\n\
             SEC(\"struct_ops/start\") int go(long *c) {{ return 0; }}\n\
             SEC(\"{section}\") struct boat_ops my = {{ .start = (void *)go }};"
        );
        findings(&source, &[Kernel::of_btf("k", None, &target).with_modules(&none)])
    };
    assert_eq!(
        gone(".struct_ops"),
        ["warning E0353 0 k: the kernel has no struct boat_ops for programs to implement, and \
          `my` is one"]
    );
    assert_eq!(gone("?.struct_ops"), [""; 0]);
}

#[test]
fn helpers_come_to_program_types_later_than_to_kernels() {
    let source = "static __u64 (*bpf_get_current_pid_tgid)(void) = (void *) 14;\n\
                  SEC(\"xdp\") int p(void *c) { return bpf_get_current_pid_tgid(); }";
    let kernels = [
        Kernel::of_version("6.1", KernelVersion::new(6, 1)),
        Kernel::of_version("7.2", KernelVersion::new(7, 2)),
        // Which releases between those that were asked let it is not known.
        Kernel::of_version("99.0", KernelVersion::new(99, 0)),
    ];
    assert_eq!(
        findings(source, &kernels),
        ["error E0322 2 6.1: `bpf_get_current_pid_tgid` cannot be called from a program in \
          SEC(\"xdp\")"]
    );
}

#[test]
fn needs_are_told_with_the_release_that_brought_them() {
    let source = "static long (*bpf_ringbuf_output)(void *, void *, __u64, __u64) = (void *) 130;\n\
                  static __u64 total;\n\
                  SEC(\"xdp\") int p(void *c) { total++; return bpf_ringbuf_output(c, c, 1, 0); }";
    let object = Object::parse(&compile(source)).unwrap();
    let needs = super::needs(&object, Path::new("fixture.o"), &|_| None);
    let needs: Vec<_> =
        needs.iter().map(|need| format!("{} {}", need.since, need.finding.message)).collect();
    assert_eq!(
        needs,
        [
            "5.8 `bpf_ringbuf_output` is called, which came with Linux 5.8",
            "5.2 `p` has global data, which came with Linux 5.2",
            "4.8 `p` is a program of type xdp, which came with Linux 4.8",
        ]
    );
}

/// Kfuncs as a kernel has them that the table of flags was read from.
const SLEEPING: &str = "extern int bpf_copy_from_user_str(void *, __u32, const void *, __u64) __ksym;\n\
    extern void bpf_rcu_read_lock(void) __ksym; extern void bpf_rcu_read_unlock(void) __ksym;\n\
    extern int bpf_wq_set_callback_impl(void *, void *, unsigned, void *) __ksym;\n\
    static long (*bpf_loop_)(__u32, void *, void *, __u64) = (void *) 181;\n";

fn of_6_12(source: &str) -> Vec<String> {
    let kernel = [Kernel::of_version("k", KernelVersion::new(6, 12))];
    findings(&format!("{SLEEPING}{source}"), &kernel)
}

#[test]
fn kfuncs_that_sleep_are_for_programs_that_sleep() {
    let call = "int p(void *c) { return bpf_copy_from_user_str(c, 1, c, 0); }";
    let said = "cannot be called from a program in";
    assert_eq!(
        of_6_12(&format!("SEC(\"lsm/file_open\") {call}")),
        [format!("error E0337 5 k: `bpf_copy_from_user_str` {said} SEC(\"lsm\")")]
    );
    assert_eq!(
        of_6_12(&format!("SEC(\"xdp\") {call}")),
        [format!("error E0337 5 k: `bpf_copy_from_user_str` {said} SEC(\"xdp\")")]
    );
    assert_eq!(of_6_12(&format!("SEC(\"lsm.s/file_open\") {call}")), [""; 0]);
    assert_eq!(of_6_12(&format!("SEC(\"syscall\") {call}")), [""; 0]);
    // What it is put into decides.
    assert_eq!(of_6_12(&format!("SEC(\"freplace/f\") {call}")), [""; 0]);
}

#[test]
fn the_section_of_programs_that_sleep_is_named() {
    let help = |section: &str| {
        let source = format!(
            "{SLEEPING}SEC(\"{section}\") int p(void *c) {{ return bpf_copy_from_user_str(c, 1, c, 0); }}"
        );
        let object = Object::parse(&compile(&source)).unwrap();
        let kernels = [Kernel::of_version("k", KernelVersion::new(6, 12))];
        let found = check_on(&object, Path::new("fixture.o"), &|_| None, &kernels);
        found[0].helps[0].message.clone()
    };
    assert!(help("fentry/f").ends_with("put the program in SEC(\"fentry.s/…\")"));
    assert!(help("xdp").contains("callback of a `bpf_wq`"));
}

#[test]
fn of_kernels_whose_flags_are_not_known_nothing_is_said() {
    let source = format!(
        "{SLEEPING}SEC(\"xdp\") int p(void *c) {{ return bpf_copy_from_user_str(c, 1, c, 0); }}"
    );
    let kernels =
        [KernelVersion::new(6, 11), KernelVersion::new(99, 0)].map(|v| Kernel::of_version("k", v));
    assert_eq!(findings(&source, &kernels), [""; 0]);
    let target = kernel("int nothing;");
    let source = source.replace("__u64) __ksym;", "__u64) __ksym __weak;");
    // Neither of what the kernel does not have, nor without its version.
    let kernels =
        [Kernel::of_btf("k", version(6, 12), &target), Kernel::of_btf("k", None, &target)];
    assert_eq!(findings(&source, &kernels), [""; 0]);
}

#[test]
fn kfuncs_that_sleep_are_asked_for_where_they_run() {
    let called =
        "static __noinline int inner(void *c) { return bpf_copy_from_user_str(c, 1, c, 0); }\n";
    let said =
        "error E0337 5 k: `bpf_copy_from_user_str` cannot be called from a program in SEC(\"xdp\")";
    let direct = format!("{called}SEC(\"xdp\") int p(void *c) {{ return inner(c) + 1; }}");
    assert_eq!(of_6_12(&direct), [said]);
    let callback =
        "static int each(__u32 i, void *c) { return bpf_copy_from_user_str(c, 1, c, 0); }\n";
    let looped =
        format!("{callback}SEC(\"xdp\") int p(void *c) {{ return bpf_loop_(2, each, c, 0); }}");
    assert_eq!(of_6_12(&looped), [said]);
    // The callbacks of a work queue may sleep.
    let later = format!(
        "{callback}SEC(\"xdp\") int p(void *c) {{ return bpf_wq_set_callback_impl(c, each, 0, 0); }}"
    );
    assert_eq!(of_6_12(&later), [""; 0]);
    // The author asks first.
    let guarded = "const volatile int may = 0;\n\
        SEC(\"xdp\") int p(void *c) { return may ? bpf_copy_from_user_str(c, 1, c, 0) : 0; }";
    assert_eq!(of_6_12(guarded), [""; 0]);
}

#[test]
fn nobody_sleeps_in_a_region_of_rcu() {
    let program = |body: &str| {
        of_6_12(&format!("SEC(\"syscall\") int p(int *c) {{\nint x = 0;\n{body}\nreturn x; }}"))
    };
    let inside =
        "bpf_rcu_read_lock();\nx = bpf_copy_from_user_str(c, 1, c, 0);\nbpf_rcu_read_unlock();";
    assert_eq!(
        program(inside),
        ["error E0337 8 k: `bpf_copy_from_user_str` cannot be called between `bpf_rcu_read_lock` \
          and `bpf_rcu_read_unlock`"]
    );
    let after =
        "bpf_rcu_read_lock();\nbpf_rcu_read_unlock();\nx = bpf_copy_from_user_str(c, 1, c, 0);";
    assert_eq!(program(after), [""; 0]);
    // Where ways meet it is not certain that the region is open.
    let either = "if (*c) bpf_rcu_read_lock();\nx = bpf_copy_from_user_str(c, 1, c, 0);\n\
                  if (*c) bpf_rcu_read_unlock();";
    assert_eq!(program(either), [""; 0]);
}
