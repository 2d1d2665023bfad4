//! Sizes and offsets of every type in a kernel's header, as clang sees them.

use crate::asserts;
use crate::support::Place;
use skep::base::Cancel;
use skep::base::programs::Programs;
use skep::btf::Btf;
use skep::events::Silent;
use skep::kernels::{Apt, Reference, Store};
use std::process::Command;

/// The compilers that the header has to please.
const CLANGS: [&str; 2] = ["clang-14", "clang-19"];

/// Writes the header of a kernel's BTF and has clang check every layout in
/// it, without a warning.
fn check(kernel: &str, btf: &[u8]) {
    let place = Place::new();
    place.skep(&["vmlinux", "--from", kernel, "-o", "vmlinux.h"]).expect(0);
    let (source, count) = asserts::source(&Btf::parse(btf).unwrap(), "vmlinux.h");
    assert!(count > 40_000, "only {count} asserts about {kernel}");
    place.file("asserts.c", source);
    for clang in CLANGS {
        let output = Command::new(clang)
            .args(["-target", "bpf", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "asserts.c"])
            .current_dir(place.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{clang} about {kernel}:\n{said}");
    }
}

/// Checks a Debian kernel, fetched into the cache that all tests share.
fn check_debian(suite: &str) {
    let path = std::env::var_os("PATH").unwrap();
    let apt = Apt::new(Programs::new(path, "/".into()));
    let store = Store::new(crate::support::shared_cache().join("kernels"), apt, false);
    let reference = format!("debian/{suite}");
    let parsed = Reference::parse(&reference, |_| false).unwrap();
    let kernel = store.get(&parsed, &Cancel::new(), &Silent).unwrap();
    let vmlinux = kernel.vmlinux().unwrap();
    let btf = skep::elf::section(&vmlinux, ".BTF").unwrap().unwrap();
    check(&reference, btf);
}

#[test]
fn the_running_kernel_keeps_its_layout() {
    let btf = std::fs::read("/sys/kernel/btf/vmlinux");
    check("host", &btf.expect("the running kernel has no BTF, so nothing is shown of it here"));
}

#[test]
fn debians_5_10_keeps_its_layout() {
    check_debian("bullseye");
}

#[test]
fn debians_6_1_keeps_its_layout() {
    check_debian("bookworm");
}

#[test]
fn debians_6_12_keeps_its_layout() {
    check_debian("trixie");
}

#[test]
fn debians_7_x_keeps_its_layout() {
    check_debian("sid");
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
