//! `skep vmlinux`: the header, and what is said where there is none.

use crate::support::Place;
use std::process::Command;

/// An object with BTF, and one without.
fn compile(place: &Place, name: &str, debug: &str) -> String {
    let source = place.file("t.c", "struct here { int a; char b[3]; } here;\n");
    let object = place.path().join(name);
    let clang = Command::new("clang-19")
        .args(["-target", "bpf", "-O2", debug, "-c"])
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .status()
        .unwrap();
    assert!(clang.success());
    name.to_owned()
}

#[test]
fn the_running_kernels_header_is_the_default() {
    let place = Place::new();
    let run = place.skep(&["vmlinux"]).expect(0);
    assert!(run.stdout.contains("\nstruct task_struct {\n"), "no task_struct");
    assert_eq!(run.stderr, "");
    place.skep(&["vmlinux", "-o", "include/vmlinux.h"]).expect(0);
    assert_eq!(place.read("include/vmlinux.h"), run.stdout);
}

#[test]
fn one_type_comes_with_what_it_contains() {
    let place = Place::new();
    let run = place.skep(&["vmlinux", "--type", "struct list_head"]).expect(0);
    assert!(run.stdout.contains("struct list_head {\n\tstruct list_head *next;\n"), "{run}");
    assert!(run.stdout.lines().count() < 25, "{run}");
}

#[test]
fn an_object_has_the_types_of_its_program() {
    let place = Place::new();
    let object = compile(&place, "t.o", "-g");
    let run = place.skep(&["vmlinux", "--from", &object]).expect(0);
    assert!(run.stdout.contains("struct here {\n\tint a;\n\tchar b[3];\n};\n"), "{run}");
}

#[test]
fn what_holds_no_btf_is_named_and_refused() {
    let place = Place::new();
    let whole = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    place.file("empty", b"");
    place.file("text", b"no BTF at all\n");
    place.file("cut", &whole[..whole.len() / 2]);
    place.file("header", &whole[..20]);
    std::fs::create_dir(place.path().join("dir")).unwrap();
    let object = compile(&place, "without.o", "-g0");
    let elf = std::fs::read(place.path().join(&object)).unwrap();
    place.file("cut.o", &elf[..elf.len() / 2]);
    for (from, code, id, words) in [
        ("empty", 2, "E0503", "empty"),
        ("text", 2, "E0503", "no BTF"),
        ("cut", 1, "E0501", "cut off"),
        ("header", 1, "E0501", "cut off"),
        ("dir", 2, "E0111", "directory"),
        ("without.o", 1, "E0502", ".BTF"),
        ("cut.o", 1, "E0403", "cut off"),
        ("nowhere", 2, "E0601", "nowhere"),
    ] {
        let run = place.skep(&["vmlinux", "--from", from]).expect(code);
        assert!(run.stderr.contains(id) && run.stderr.contains(words), "{from}: {run}");
        assert_eq!(run.stdout, "", "{from}");
    }
}

#[test]
fn an_unknown_type_is_named_with_the_nearest() {
    let run = Place::new().skep(&["vmlinux", "--type", "task_strukt"]).expect(2);
    assert!(run.stderr.contains("E0504"), "{run}");
    assert!(run.stderr.contains("did you mean `task_struct`?"), "{run}");
}

#[test]
fn an_unknown_module_is_no_file_of_ours() {
    let run = Place::new().skep(&["vmlinux", "--module", "no_such_module"]).expect(1);
    assert!(run.stderr.contains("E0502") && run.stderr.contains("no_such_module"), "{run}");
}

#[test]
fn btf_is_read_from_whatever_it_lies_in() {
    use std::io::Write as _;
    let place = Place::new();
    let object = compile(&place, "t.o", "-g");
    let wanted = place.skep(&["vmlinux", "--from", &object]).expect(0).stdout;
    let elf = std::fs::read(place.path().join(&object)).unwrap();
    let btf = skep::elf::section(&elf, ".BTF").unwrap().unwrap().to_vec();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&elf).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&elf).unwrap();
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz2.write_all(&elf).unwrap();
    place.file("t.btf", &btf);
    place.file("t.o.gz", gz.finish().unwrap());
    place.file("t.o.xz", xz.finish().unwrap());
    place.file("t.o.bz2", bz2.finish().unwrap());
    place.file("t.o.zst", zstd::encode_all(&elf[..], 1).unwrap());
    for from in ["t.btf", "t.o.gz", "t.o.xz", "t.o.bz2", "t.o.zst"] {
        assert_eq!(place.skep(&["vmlinux", "--from", from]).expect(0).stdout, wanted, "{from}");
    }
    // The other byte order.
    let clang = Command::new("clang-19")
        .args(["-target", "bpfeb", "-O2", "-g", "-c", "t.c", "-o", "eb.o"])
        .current_dir(place.path())
        .status();
    assert!(clang.unwrap().success());
    assert_eq!(place.skep(&["vmlinux", "--from", "eb.o"]).expect(0).stdout, wanted);
    // Detached: beside an ELF file that has none itself.
    let without = compile(&place, "vmlinux", "-g0");
    place.skep(&["vmlinux", "--from", &without]).expect(1);
    place.file("vmlinux.btf", &btf);
    assert_eq!(place.skep(&["vmlinux", "--from", &without]).expect(0).stdout, wanted);
    // Half of a compressed file.
    let half = std::fs::read(place.path().join("t.o.xz")).unwrap();
    place.file("half.xz", &half[..half.len() / 2]);
    let run = place.skep(&["vmlinux", "--from", "half.xz"]).expect(1);
    assert!(run.stderr.contains("it ends early"), "{run}");
}
