//! Compiling C for BPF.

use std::path::Path;
use std::process::Command;

/// Compiles C to an object with the newest clang that is installed.
pub fn compile(source: &str) -> Vec<u8> {
    compile_for("bpf", source)
}

/// As [`compile`], for another byte order: `bpfeb`.
pub fn compile_for(target: &str, source: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("a.bpf.c"), dir.path().join("a.o"));
    std::fs::write(&input, source).unwrap();
    let run = Command::new(newest())
        .args(["-target", target, "-g", "-O2", "-mcpu=v3", "-c", "-Wall", "-Werror"])
        .arg("-Wno-unused-value")
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read(output).unwrap()
}

/// The name of the newest clang.
pub fn newest() -> String {
    let versioned = (14..40).rev().map(|version| format!("clang-{version}"));
    let found = versioned.into_iter().find(|name| {
        Path::new("/usr/bin").join(name).exists() || Path::new("/usr/local/bin").join(name).exists()
    });
    found.unwrap_or_else(|| "clang".to_owned())
}

/// The bytes of an ELF's `.BTF` section.
pub fn btf_of(elf: &[u8]) -> Vec<u8> {
    use object::{Object as _, ObjectSection as _};
    let elf = object::File::parse(elf).unwrap();
    elf.section_by_name(".BTF").unwrap().data().unwrap().to_vec()
}
