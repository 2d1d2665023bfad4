//! What bpftool reads in a kernel's BTF, and what it writes as C, beside what
//! skep does.

use crate::asserts;
use crate::support::{Place, debian};
use skep::btf::{Btf, Kind, Type, TypeId};
use std::collections::BTreeSet;
use std::process::Command;

fn bpftool(place: &Place, form: &str) -> String {
    let run = Command::new("bpftool")
        .args(["btf", "dump", "file", "kernel.btf", "format", form])
        .current_dir(place.path())
        .output()
        .expect("bpftool is installed");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// Every record of a kernel: names, sizes, offsets, widths, values and
/// parameters of every type.
fn check_records(kernel: &str) {
    let place = Place::new();
    place.file("kernel.btf", debian::kernel_btf(kernel));
    let theirs = bpftool(&place, "raw");
    let ours = place.skep(&["inspect", "btf", "kernel.btf", "--as", "raw"]).expect(0).stdout;
    let different: Vec<_> = ours.lines().zip(theirs.lines()).filter(|(a, b)| a != b).collect();
    // Nothing needs an explanation: the two agree about every line.
    assert!(different.is_empty(), "{} lines of {kernel}: {:#?}", different.len(), &different[..9]);
    assert_eq!(ours.lines().count(), theirs.lines().count(), "{kernel}");
    assert!(ours.lines().count() > 100_000);
}

#[test]
fn records_of_5_10_are_read_as_bpftool_reads_them() {
    check_records("debian/bullseye");
}

#[test]
fn records_of_6_1_are_read_as_bpftool_reads_them() {
    check_records("debian/bookworm");
}

#[test]
fn records_of_6_12_are_read_as_bpftool_reads_them() {
    check_records("debian/trixie");
}

#[test]
fn records_of_7_x_are_read_as_bpftool_reads_them() {
    check_records("debian/sid");
}

/// Why bpftool's C has another layout than the BTF, which decides; nothing if
/// that is not known.
fn reason(btf: &Btf, id: TypeId, seen: &mut BTreeSet<u32>) -> Option<&'static str> {
    if !seen.insert(id.0) {
        return None;
    }
    match btf.ty(btf.resolve(id)) {
        // Those of 8 bytes have a kind of their own, but for old compilers.
        Type::Enum(values) if values.size != 4 && btf.kind(btf.resolve(id)) == Kind::Enum => Some(
            "it has an enumeration in it of other than 4 bytes, which bpftool writes as one of 4",
        ),
        Type::Array(array) => reason(btf, array.element, seen),
        Type::Struct(composite) | Type::Union(composite) => {
            composite.members().find_map(|member| {
                if btf.name(member.ty).ends_with("va_list") {
                    return Some("BPF's own va_list is not the machine's");
                }
                let inner = btf.resolve(member.ty);
                if member.name.is_empty() && !btf.name(inner).is_empty() {
                    return Some("it has a member without a name that has a tag, which gets lost");
                }
                reason(btf, member.ty, seen)
            })
        }
        _ => None,
    }
}

/// Every type whose layout in bpftool's header is another than the BTF says,
/// and whether it is known why.
fn check_layouts(kernel: &str) {
    let place = Place::new();
    let bytes = debian::kernel_btf(kernel);
    place.file("kernel.btf", &bytes);
    let btf = Btf::parse(bytes).unwrap();
    place.file("theirs.h", bpftool(&place, "c"));
    let (source, count) = asserts::source(&btf, "theirs.h");
    assert!(count > 40_000, "only {count} asserts about {kernel}");
    place.file("asserts.c", source);
    let clang = Command::new("clang-19")
        .args(["-target", "bpf", "-w", "-ferror-limit=0", "-fsyntax-only", "asserts.c"])
        .current_dir(place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&clang.stderr);
    // `… static assertion failed …: struct foo.member`, or the tag alone.
    let wrong: BTreeSet<&str> = said
        .lines()
        .filter(|line| line.contains("static assertion failed"))
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(_, what)| what.split('.').next().unwrap())
        .map(|what| what.rsplit(' ').next().unwrap())
        .collect();
    assert!(said.lines().filter(|line| line.contains("error:")).count() < 1000, "{said}");
    for name in &wrong {
        let mut ids = btf.named(name).filter(|id| {
            matches!(btf.kind(*id), Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64)
        });
        let why = ids.find_map(|id| reason(&btf, id, &mut BTreeSet::new()));
        assert!(why.is_some(), "{name} of {kernel} is wrong, and it is not known why");
    }
    // `layout` shows that ours has none of these.
}

#[test]
fn where_bpftools_header_of_5_10_is_wrong_it_is_known_why() {
    check_layouts("debian/bullseye");
}

#[test]
fn where_bpftools_header_of_6_1_is_wrong_it_is_known_why() {
    check_layouts("debian/bookworm");
}

#[test]
fn where_bpftools_header_of_6_12_is_wrong_it_is_known_why() {
    check_layouts("debian/trixie");
}

#[test]
fn where_bpftools_header_of_7_x_is_wrong_it_is_known_why() {
    check_layouts("debian/sid");
}
