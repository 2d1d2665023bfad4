//! Objects for the tests: C that clang compiles on the spot. The C is
//! self-contained, so that nothing but clang is needed.

use crate::support::Place;
use std::path::PathBuf;
use std::process::Command;

/// What every source begins with: the little of libbpf's headers that the
/// tests use.
const HEADER: &str = r#"
typedef unsigned int u32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
static void *(*lookup)(void *map, const void *key) = (void *)1;
static u64 (*ktime)(void) = (void *)5;
struct ctx { u32 data; u32 data_end; };
char LICENSE[] SEC("license") = "GPL";
"#;

/// The kernels that every verdict is asked of.
pub const KERNELS: [&str; 3] = ["debian/bullseye", "debian/bookworm", "debian/trixie"];

/// Compiles C to an object below the place. Its first line is line 1.
pub fn object(place: &Place, name: &str, c: &str) -> PathBuf {
    object_with(place, name, c, &[])
}

/// The same with further flags for clang.
pub fn object_with(place: &Place, name: &str, c: &str, flags: &[&str]) -> PathBuf {
    place.file(&format!("{name}.h"), HEADER);
    place.file(&format!("{name}.bpf.c"), c);
    let clang = ["clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang", "clang-14"]
        .into_iter()
        .find(|clang| Command::new(clang).arg("--version").output().is_ok())
        .expect("the tests need clang");
    let output = Command::new(clang)
        .args(["-target", "bpf", "-g", "-O2", "-mcpu=v3"])
        .args(flags)
        .args(["-c", "-o"])
        .arg(format!("{name}.bpf.o"))
        .args(["-include", &format!("{name}.h")])
        .arg(format!("{name}.bpf.c"))
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    place.path().join(format!("{name}.bpf.o"))
}

/// A map of four values and a program that uses it rightly.
pub const GOOD: &str = r#"
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } counts SEC(".maps");
SEC("xdp") int count(struct ctx *ctx) {
	u32 key = ktime() & 7;
	u64 *value = lookup(&counts, &key);
	if (value)
		__sync_fetch_and_add(value, 1);
	return 2;
}
SEC("socket") int nothing(void *ctx) { return 0; }
"#;

/// The same without the check, and a neighbour that is right.
pub const BAD: &str = r#"
struct { __uint(type, 1); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } counts SEC(".maps");
SEC("xdp") int unchecked(struct ctx *ctx) {
	u32 key = 0;
	u64 *value = lookup(&counts, &key);
	*value += 1;
	return 2;
}
SEC("xdp") int fine(struct ctx *ctx) { return 2; }
SEC("strange") int untyped(void *ctx) { return 0; }
SEC("fentry/no_such_function") int nowhere(void *ctx) { return 0; }
"#;
