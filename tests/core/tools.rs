//! The programs of libbpf-tools on four Debian kernels: every relocation as
//! libbpf resolves it, and minimal BTF that resolves them all the same.

use crate::clang;
use crate::oracle;
use crate::questions::{Kernel, ask, relocations};
use crate::support::{Place, debian};
use skep::bpf::Insn;
use skep::btf::ext::CoreRelo;
use skep::elf::Object;
use skep::relocate::core::Question;
use std::process::Command;

/// An object with its BTF.
struct Compiled {
    name: String,
    bytes: Vec<u8>,
    object: Object,
}

fn tools() -> Vec<Compiled> {
    let tools = debian::libbpf_tools().into_iter();
    let parse = |(name, bytes): (String, Vec<u8>)| {
        let object = Object::parse(&bytes).unwrap();
        Compiled { name, bytes, object }
    };
    tools.map(parse).collect()
}

fn check(reference: &str) {
    let bytes = debian::kernel_btf(reference);
    let kernel = Kernel::new(&bytes, &[]);
    let tools = tools();
    let answered: usize = tools
        .iter()
        .map(|tool| ask(&tool.object, &clang::btf_of(&tool.bytes), &kernel).len())
        .sum();
    assert!(answered > 600, "only {answered} relocations");

    // One for each object, and one for all.
    let place = Place::new();
    place.file("kernel.btf", &bytes);
    let questions = |tool: &'_ Compiled| -> Vec<CoreRelo> {
        relocations(&tool.object).map(|(_, _, relo)| relo).collect()
    };
    let (mut ours, mut theirs) = (0, 0);
    for tool in &tools {
        let local = tool.object.btf.as_deref().unwrap();
        let small = kernel.target.minimal(&[(local, questions(tool))]).unwrap();
        same_answers(tool, &kernel, &Kernel::new(&small.bytes, &[]));
        ours += small.bytes.len();
        theirs += bpftool(&place, tool);
    }
    assert!(ours < theirs, "{ours} bytes, and bpftool needs {theirs}");
    let all: Vec<_> =
        tools.iter().map(|tool| (tool.object.btf.as_deref().unwrap(), questions(tool))).collect();
    let small = kernel.target.minimal(&all).unwrap();
    assert!(small.bytes.len() < 10_000, "{} bytes", small.bytes.len());
    let small = Kernel::new(&small.bytes, &[]);
    for tool in &tools {
        same_answers(tool, &kernel, &small);
    }
}

/// Fails unless libbpf makes the same of an object's instructions with the
/// minimal BTF as with the kernel's own.
fn same_answers(tool: &Compiled, kernel: &Kernel, small: &Kernel) {
    let local = oracle::Btf::new(&clang::btf_of(&tool.bytes), None);
    let (mut full, mut cut) = (kernel.libbpf(&local), small.libbpf(&local));
    for (section, slot, relo) in relocations(&tool.object) {
        let code = &tool.object.sections[section].insns;
        let insns: Vec<Insn> = code[slot..].iter().take(2).copied().collect();
        let (one, other) = (full.resolve(&relo, &insns), cut.resolve(&relo, &insns));
        let (one, other) = (one.unwrap(), other.unwrap());
        if Question::from_number(relo.kind) != Some(Question::TypeIdTarget) {
            assert_eq!(one.insns, other.insns, "{} at {slot}", tool.name);
        }
        assert_eq!(one.target.is_some(), other.target.is_some(), "{} at {slot}", tool.name);
    }
}

/// How large bpftool's minimal BTF for an object is.
fn bpftool(place: &Place, tool: &Compiled) -> usize {
    place.file("tool.bpf.o", &tool.bytes);
    let run = Command::new("bpftool")
        .args(["gen", "min_core_btf", "kernel.btf", "min.btf", "tool.bpf.o"])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read(place.path().join("min.btf")).unwrap().len()
}

#[test]
fn libbpf_tools_on_5_10() {
    check("debian/bullseye");
}

#[test]
fn libbpf_tools_on_6_1() {
    check("debian/bookworm");
}

#[test]
fn libbpf_tools_on_6_12() {
    check("debian/trixie");
}

#[test]
fn libbpf_tools_on_7_x() {
    check("debian/sid");
}
