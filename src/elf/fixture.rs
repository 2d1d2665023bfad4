//! Objects for tests: C compiled by the clang that is installed, so that what
//! is read is what clang writes.

use super::Object;
use crate::base::process::Command;
use crate::base::programs::Programs;
use crate::base::{Cancel, fs};

/// What every fixture's C begins with: the macros and helpers of libbpf that
/// fixtures need, so that they need no header.
pub(crate) const PRELUDE: &str = r#"
typedef unsigned char __u8; typedef unsigned short __u16;
typedef unsigned int __u32; typedef unsigned long long __u64; typedef long long __s64;
#define SEC(n) __attribute__((section(n), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __ksym __attribute__((section(".ksyms")))
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *) 1;
static long (*bpf_trace_printk)(const char *fmt, __u32 size, ...) = (void *) 6;
static long (*bpf_loop)(__u32 n, void *fn, void *ctx, __u64 flags) = (void *) 181;
"#;

/// Compiles `source`, with the prelude before it, to an object.
pub(crate) fn compile_with(source: &str, flags: &[&str]) -> Vec<u8> {
    let search = option_env!("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let programs = Programs::new(search.into(), "/".into());
    // The newest versioned one before the plain one, which may be old.
    let clang = programs.find_versioned("clang");
    let clang = clang.get(1).or(clang.first()).expect("clang is installed");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name);
    fs::write_atomic(&path("prelude.h"), PRELUDE.as_bytes()).expect("room for it");
    fs::write_atomic(&path("fixture.bpf.c"), source.as_bytes()).expect("room for it");
    let run = Command::new(clang)
        .args(["-target", "bpf", "-g", "-O2", "-mcpu=v3", "-c", "-Wno-everything"])
        .args(flags)
        .args(["-include", "prelude.h", "fixture.bpf.c", "-o", "fixture.o"])
        .cwd(dir.path())
        .run(&Cancel::new())
        .expect("clang runs");
    assert!(run.success(), "{}", run.stderr_text());
    fs::read(&path("fixture.o")).expect("clang wrote it")
}

/// [`compile_with`] without further flags.
pub(crate) fn compile(source: &str) -> Vec<u8> {
    compile_with(source, &[])
}

/// Compiles and reads an object that has nothing wrong.
pub(crate) fn object(source: &str) -> Object {
    let object = Object::parse(&compile(source)).expect("clang writes objects");
    assert_eq!(object.problems, []);
    object
}
