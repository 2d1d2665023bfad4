//! Sizes and offsets of every type in a kernel's header, as clang sees them.

use crate::asserts;
use crate::support::Place;
use skep::btf::Btf;
use std::path::Path;
use std::process::Command;

/// The compilers that the header has to please.
const CLANGS: [&str; 2] = ["clang-14", "clang-19"];

/// Writes the header of a BTF and has clang check every layout in it, without
/// a warning.
fn check(btf: &Path) {
    let place = Place::new();
    let from = btf.to_str().unwrap();
    place.skep(&["vmlinux", "--from", from, "-o", "vmlinux.h"]).expect(0);
    let btf = Btf::parse(std::fs::read(btf).unwrap()).unwrap();
    let (source, count) = asserts::source(&btf, "vmlinux.h");
    assert!(count > 40_000, "only {count} asserts about {from}");
    place.file("asserts.c", source);
    for clang in CLANGS {
        let output = Command::new(clang)
            .args(["-target", "bpf", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "asserts.c"])
            .current_dir(place.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{clang} about {from}:\n{said}");
    }
}

#[test]
fn the_running_kernel_keeps_its_layout() {
    check(Path::new("/sys/kernel/btf/vmlinux"));
}

#[test]
fn a_wrong_layout_would_be_noticed() {
    let place = Place::new();
    let object = place.path().join("t.o");
    let clang = |args: &[&str]| {
        Command::new("clang-19").args(args).current_dir(place.path()).output().unwrap()
    };
    let source = "struct s { int a; long b; } s; union u { int c; } u; enum e { E } e;\n";
    place.file("t.c", source);
    assert!(clang(&["-target", "bpf", "-g", "-O2", "-c", "t.c"]).status.success());
    let bytes = std::fs::read(object).unwrap();
    let btf = skep::elf::section(&bytes, ".BTF").unwrap().unwrap();
    let (asserts, count) = asserts::source(&Btf::parse(btf).unwrap(), "t.c");
    assert_eq!(count, 6);
    place.file("asserts.c", asserts);
    let check = ["-target", "bpf", "-fsyntax-only", "asserts.c"];
    assert!(clang(&check).status.success());
    place.file("t.c", source.replace("int a;", "int z, a;"));
    let said = String::from_utf8(clang(&check).stderr).unwrap();
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(said.contains("struct s.a"), "{said}");
}
