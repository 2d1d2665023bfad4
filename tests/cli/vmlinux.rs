//! `skep vmlinux`: the header, and what is said where there is none.

use crate::support::Place;
use skep::btf::{Btf, Builder, Endian, Kind};
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
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&elf).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&elf).unwrap();
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz2.write_all(&elf).unwrap();
    place.file("t.btf", &btf);
    place.file("t.o.gz", gzip(&elf));
    place.file("t.o.lz4", lz4.finish().unwrap());
    place.file("t.o.xz", xz.finish().unwrap());
    place.file("t.o.bz2", bz2.finish().unwrap());
    place.file("t.o.zst", zstd::encode_all(&elf[..], 1).unwrap());
    for from in ["t.btf", "t.o.gz", "t.o.lz4", "t.o.xz", "t.o.bz2", "t.o.zst"] {
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

/// A kernel's memory with BTF in it that has a `task_struct`, and that BTF's
/// header.
fn memory(place: &Place, mark: &[u8], at: usize) -> (Vec<u8>, String) {
    place.file("kernel.c", "struct task_struct { int pid; char comm[16]; } task;\n");
    let clang = Command::new("clang-19")
        .args(["-target", "bpf", "-O2", "-g", "-c", "kernel.c", "-o", "kernel.o"])
        .current_dir(place.path())
        .status();
    assert!(clang.unwrap().success());
    let elf = std::fs::read(place.path().join("kernel.o")).unwrap();
    let mut memory = vec![0; 0x40];
    memory[at..at + mark.len()].copy_from_slice(mark);
    memory.extend(b"code \x9f\xeb\x01\x00 and data");
    // What a program that comes with the kernel brings along is no kernel's.
    let small = compile(place, "small.o", "-g");
    let small = std::fs::read(place.path().join(small)).unwrap();
    memory.extend(skep::elf::section(&small, ".BTF").unwrap().unwrap());
    memory.extend(skep::elf::section(&elf, ".BTF").unwrap().unwrap());
    memory.extend([0; 1000]);
    (memory, place.skep(&["vmlinux", "--from", "kernel.o"]).expect(0).stdout)
}

/// A payload in an EFI program that unpacks itself.
fn zboot(payload: &[u8]) -> Vec<u8> {
    let mut image = b"MZ\0\0zimg".to_vec();
    image.extend(100u32.to_le_bytes());
    image.extend((payload.len() as u32).to_le_bytes());
    image.resize(100, 0);
    image.extend(payload);
    image
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

#[test]
fn btf_is_found_in_the_images_of_other_machines() {
    let place = Place::new();
    let (arm64, wanted) = memory(&place, b"ARM\x64", 0x38);
    let (riscv, _) = memory(&place, b"RISCV\0\0\0RSC\x05", 0x30);
    place.file("Image", &arm64);
    place.file("Image.gz", gzip(&arm64));
    place.file("Image.riscv", &riscv);
    place.file("vmlinuz.efi", zboot(&gzip(&arm64)));
    place.file("vmlinuz-zstd.efi", zboot(&zstd::encode_all(&riscv[..], 1).unwrap()));
    // A package of such a kernel.
    place.file(
        "deb/DEBIAN/control",
        "Package: x\nVersion: 1\nArchitecture: arm64\nMaintainer: x\nDescription: x\n",
    );
    place.file("deb/boot/vmlinuz-6.1.0", zboot(&gzip(&arm64)));
    let dpkg = Command::new("dpkg-deb")
        .args(["--root-owner-group", "-b", "deb", "x.deb"])
        .current_dir(place.path())
        .output();
    assert!(dpkg.unwrap().status.success());
    let images = ["Image", "Image.gz", "Image.riscv", "vmlinuz.efi", "vmlinuz-zstd.efi", "x.deb"];
    for from in images {
        let run = place.skep(&["vmlinux", "--from", from]).expect(0);
        assert_eq!(run.stdout, wanted, "{from}");
        assert_eq!(run.stderr, "", "{from}");
    }
    // Without a kernel's BTF.
    let mut without = arm64;
    let end = without.windows(11).rposition(|text| text == b"task_struct").unwrap();
    without[end] = b'T';
    place.file("without", zboot(&gzip(&without)));
    let run = place.skep(&["vmlinux", "--from", "without"]).expect(1);
    assert!(
        run.stderr.contains("E0502") && run.stderr.contains("no BTF in the kernel image"),
        "{run}"
    );
    place.file("half.efi", &zboot(&gzip(&without))[..150]);
    let run = place.skep(&["vmlinux", "--from", "half.efi"]).expect(1);
    assert!(
        run.stderr.contains("E0501") && run.stderr.contains("it ends after 150 bytes"),
        "{run}"
    );
}

#[test]
fn a_module_that_was_built_apart_is_put_on_the_kernel_it_is_for() {
    let place = Place::new();
    let kernel = |pad: usize, last: &str| {
        let mut b = Builder::new();
        for n in 0..pad {
            b.int(&format!("pad{n}"), 4, 0);
        }
        let int = b.int("int", 4, 1);
        b.composite(Kind::Struct, "item", 4, &[(last, int, 0, 0)]);
        b.finish(Endian::Little)
    };
    // The module knows of the kernel's types that they are there.
    let mut b = Builder::new();
    let item = b.composite(Kind::Struct, "item", 4, &[]);
    let far = b.raw("item", Kind::Fwd, false, 0, 0, &[]);
    let base = b.clone().finish(Endian::Little);
    let distilled = std::sync::Arc::new(Btf::parse(base.clone()).unwrap());
    let mut b = Builder::over(&distilled);
    let far = b.reference(Kind::Ptr, "", far);
    b.composite(Kind::Struct, "own", 16, &[("item", item, 0, 0), ("far", far, 64, 0)]);
    place.file("module.btf", b.finish(Endian::Little));
    place.file("base.btf", base);
    let section = |name: &str, file: &str| {
        format!(
            "asm(\".pushsection {name},\\\"\\\",@progbits; .incbin \\\"{file}\\\"; .popsection\");\n"
        )
    };
    place.file("m.c", section(".BTF", "module.btf") + &section(".BTF.base", "base.btf"));
    let clang = Command::new("clang-19")
        .args(["-c", "m.c", "-o", "m.ko"])
        .current_dir(place.path())
        .status();
    assert!(clang.unwrap().success());
    // Two kernels in which the types have other numbers.
    for (pad, member) in [(0, "first"), (7, "second")] {
        place.file("kernel.btf", kernel(pad, member));
        let args = ["vmlinux", "--from", "kernel.btf", "--module", "./m.ko", "--type", "own"];
        let run = place.skep(&args).expect(0);
        let types = format!(
            "struct item {{\n\tint {member};\n}};\n\nstruct own {{\n\tstruct item item;\n\tstruct item *far;\n}};\n"
        );
        assert!(run.stdout.contains(&types), "{run}");
        assert_eq!(run.stderr, "");
    }
    // Without a kernel there is what the module itself has.
    let run = place.skep(&["inspect", "btf", "m.ko", "own"]).expect(0);
    assert!(
        run.stdout.contains("struct item item") && run.stdout.contains("struct item *far"),
        "{run}"
    );
    assert!(run.stderr.contains("little more than their names"), "{run}");
    // Another kernel's types.
    place.file("other.btf", {
        let mut b = Builder::new();
        b.composite(Kind::Struct, "item", 8, &[]);
        b.finish(Endian::Little)
    });
    let run = place.skep(&["vmlinux", "--from", "other.btf", "--module", "./m.ko"]).expect(1);
    assert!(run.stderr.contains("the kernel has no such type of its size"), "{run}");
}
