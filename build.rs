//! Makes of libbpf, as libbpf-sys has built it, what skep carries along: a
//! hash of its headers for BPF programs (`src/build/libbpf.rs` embeds those),
//! and an archive with everything that user programs need of it
//! (`src/build/user/bundled.rs`). Tells the linker that libbpf's calls for the
//! kernel's BTF, and to free it, lead to `src/guest/kernel_btf.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts by variables, and files are all they make"
)]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

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
    println!("cargo:rustc-link-arg-bins=-Wl,--wrap=btf__free");
    let headers = files(&Path::new(&include).join("bpf"));
    println!("cargo:rustc-env=SKEP_LIBBPF_HASH={:016x}", hash(&headers));
    bundle(Path::new(&include), headers);
}

/// The files of a directory, in order, with their contents.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).expect("libbpf-sys has installed libbpf's headers");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("a header can be read");
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// A hash of the files' names and contents.
fn hash(files: &[(PathBuf, Vec<u8>)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (path, bytes) in files {
        path.file_name().hash(&mut hasher);
        bytes.hash(&mut hasher);
    }
    hasher.finish()
}

/// Packs libbpf's headers and the library itself, which lies beside the
/// directory of the headers.
fn bundle(include: &Path, headers: Vec<(PathBuf, Vec<u8>)>) {
    let library = include.with_file_name("libbpf.a");
    let library = std::fs::read(library).expect("libbpf-sys has built libbpf");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let file = std::fs::File::create(out.join("libbpf.tar.gz")).expect("OUT_DIR can be written");
    let best = flate2::Compression::best();
    let packed = flate2::GzBuilder::new().mtime(0).write(file, best);
    let mut archive = tar::Builder::new(packed);
    let mut add = |name: String, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).expect("the archive can be written");
    };
    add("libbpf.a".to_owned(), &library);
    for (path, bytes) in &headers {
        let name = path.file_name().expect("it was listed").to_string_lossy();
        add(format!("include/bpf/{name}"), bytes);
    }
    let packed = archive.into_inner().expect("the archive can be written");
    packed.finish().expect("the archive can be written");
    let mut all = headers;
    all.push((PathBuf::from("libbpf.a"), library));
    println!("cargo:rustc-env=SKEP_LIBBPF_BUNDLE_HASH={:016x}", hash(&all));
}
