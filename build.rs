//! Tells `src/build/libbpf.rs` where libbpf-sys has installed libbpf's
//! headers, so that they can be embedded, and a hash of them; and the linker
//! that libbpf's call for the kernel's BTF leads to `src/guest/kernel_btf.rs`.

#![expect(clippy::disallowed_methods, reason = "cargo talks to build scripts by variables")]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Embedded directories: a file that is new in one must be seen.
    println!("cargo:rerun-if-changed=docs/diagnostics");
    println!("cargo:rerun-if-changed=templates");
    // Cargo makes this variable of the line `cargo:include=…` that the build
    // script of libbpf-sys prints; the `links` key of that crate is `bpf`.
    let include = std::env::var("DEP_BPF_INCLUDE")
        .expect("libbpf-sys says where it has put libbpf's headers");
    println!("cargo:rustc-env=SKEP_LIBBPF_INCLUDE={include}");
    println!("cargo:rustc-link-arg-bins=-Wl,--wrap=btf__load_vmlinux_btf");
    println!("cargo:rustc-env=SKEP_LIBBPF_HASH={:016x}", hash(&Path::new(&include).join("bpf")));
}

/// A hash of the names and contents of a directory's files.
fn hash(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("libbpf-sys has installed libbpf's headers");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    let mut hasher = DefaultHasher::new();
    for path in paths {
        path.file_name().hash(&mut hasher);
        std::fs::read(&path).expect("a header can be read").hash(&mut hasher);
    }
    hasher.finish()
}
