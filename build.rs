//! Tells `src/build/libbpf.rs` where libbpf-sys has installed libbpf's
//! headers, so that they can be embedded, and the linker that libbpf's call
//! for the kernel's BTF leads to `src/guest/kernel_btf.rs`.

#![expect(clippy::disallowed_methods, reason = "cargo talks to build scripts by variables")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Cargo makes this variable of the line `cargo:include=…` that the build
    // script of libbpf-sys prints; the `links` key of that crate is `bpf`.
    let include = std::env::var("DEP_BPF_INCLUDE")
        .expect("libbpf-sys says where it has put libbpf's headers");
    println!("cargo:rustc-env=SKEP_LIBBPF_INCLUDE={include}");
    println!("cargo:rustc-link-arg-bins=-Wl,--wrap=btf__load_vmlinux_btf");
}
