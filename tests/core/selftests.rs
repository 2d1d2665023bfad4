//! No false errors: the kernel's own tests of BPF have hundreds of programs
//! that say themselves whether the verifier takes them. Of what Linux 6.12
//! takes, no rule may say that it is an error.
//!
//! Taken are all whose names begin with `verifier_` and every other one of the
//! rest. They are compiled once, with the clang that is installed, and kept in
//! the cache that tests share.

use crate::clang::{compile_all, newest, stem};
use crate::support::{Place, debian};
use skep::analysis::{self, kernel::Kernel};
use skep::bpf::KernelVersion;
use skep::btf::{Btf, Type};
use skep::diagnostics::Diagnostic;
use skep::elf::Object;
use skep::relocate::core::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Variants of one source with its loops unrolled, which take clang as long as
/// all others together.
const LARGE: &[&str] = &["pyperf100", "pyperf180", "pyperf600", "pyperf600_nounroll", "strobemeta"];

/// Programs whose errors are right although no tag says that they fail, by the
/// name of the source.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("bpf_tcp_nogpl", "prog_tests/bpf_tcp_ca.c wants it refused"),
    ("cgroup_getset_retval_hooks", "prog_tests/cgroup_getset_retval.c wants those hooks refused"),
    ("find_vma_fail1", "prog_tests/find_vma.c wants it refused"),
    (
        "kprobe_multi_sleepable",
        "prog_tests/kprobe_multi_test.c sets BPF_F_SLEEPABLE, and wants it refused without",
    ),
    ("linked_funcs1", "is one of two objects that are linked"),
    ("linked_funcs2", "is one of two objects that are linked"),
    ("linked_maps1", "is one of two objects that are linked"),
    ("linked_maps2", "is one of two objects that are linked"),
    ("linked_vars1", "is one of two objects that are linked"),
    ("linked_vars2", "is one of two objects that are linked"),
    ("test_pinning_invalid", "prog_tests/pinning.c wants it refused"),
    ("test_sk_assign", "has maps of old for iproute2, which loads it"),
    ("test_subskeleton", "is one of three objects that are linked"),
    ("test_subskeleton_lib", "is one of three objects that are linked"),
    ("test_usdt_multispec", "is linked with test_usdt"),
];

/// Sources that read types which the kernel itself does not have: a module's,
/// or those of BTF that the test brings.
const OTHER_TYPES: &[(&str, &str)] = &[
    ("core_kern", "bpf_testmod's"),
    ("test_bpf_nf", "nf_conntrack's"),
    ("test_core_autosize", "BTF that the test writes"),
    ("test_tunnel_kern", "a tunnel module's"),
    ("verifier_bitfield_write", "btf__core_reloc_bitfields.bpf.o"),
    ("xfrm_info", "xfrm_interface's"),
];

/// The objects of all programs.
fn objects() -> PathBuf {
    let clang = newest();
    debian::fetched(&format!("selftests-6.12-{clang}"), |dir| {
        let source = debian::selftests("6.12", "trixie");
        let place = Place::new();
        let header = place.path().join("vmlinux.h");
        let args = ["vmlinux", "--from", "debian/trixie", "-o", header.to_str().unwrap()];
        place.skep(&args).expect(0);
        let programs = source.join("tools/testing/selftests/bpf/progs");
        let mut files: Vec<PathBuf> = std::fs::read_dir(&programs)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
            .filter(|path| !LARGE.iter().any(|name| stem(path).starts_with(name)))
            .collect();
        files.sort();
        let mut number = 0;
        files.retain(|path| {
            number += 1;
            number % 2 == 0 || stem(path).starts_with("verifier_")
        });
        let done = dir.join("objects");
        std::fs::create_dir(&done).unwrap();
        let include = [
            place.path().to_owned(),
            PathBuf::from(env!("SKEP_LIBBPF_INCLUDE")),
            programs.parent().unwrap().to_owned(),
            programs.clone(),
            source.join("tools/include/uapi"),
            source.join("tools/include"),
        ];
        let refused = compile_all(files, &include, &["-DENABLE_ATOMICS_TESTS"], &done);
        assert!(refused.is_empty(), "{refused:#?}");
        done
    })
}

/// The programs with a tag.
fn tagged<'b>(btf: &'b Btf, wanted: &str) -> BTreeSet<&'b str> {
    let tags = btf.ids().filter_map(|id| match btf.ty(id) {
        Type::DeclTag(tag) if tag.value == wanted => Some(btf.name(tag.target)),
        _ => None,
    });
    tags.collect()
}

/// The errors about an object that nothing announces.
fn errors(object: &Object, name: &str, kernel: &[Kernel<'_>]) -> Vec<String> {
    let path = format!("{name}.bpf.o");
    let mut findings = analysis::check(object, Path::new(&path), &|_| None);
    let is_other = OTHER_TYPES.iter().any(|(known, _)| *known == name);
    let is_core = name.starts_with("test_core_reloc");
    if !is_other && !is_core {
        findings.extend(analysis::check_on(object, Path::new(&path), &|_| None, kernel));
    }
    let btf = object.btf.as_deref();
    let fail = btf.map(|btf| tagged(btf, "comment:test_expect_failure")).unwrap_or_default();
    let is_announced = |finding: &Diagnostic| {
        finding.program.as_deref().is_some_and(|program| fail.contains(program))
    };
    findings
        .iter()
        .filter(|finding| finding.is_error() && !is_announced(finding))
        .map(|finding| format!("{}: {}", finding.code, finding.message))
        .collect()
}

#[test]
fn what_a_kernel_takes_is_no_error() {
    let btf = Btf::parse(debian::kernel_btf("debian/trixie")).unwrap();
    let target = Target::new(std::sync::Arc::new(btf));
    let kernel = Kernel::of_btf("6.12", Some(KernelVersion::new(6, 12)), &target);
    let kernels = [kernel];
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(objects()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 400, "only {} objects", files.len());
    let (mut wrong, mut success) = (BTreeMap::new(), 0);
    let mut excused = BTreeSet::new();
    for file in &files {
        let name = stem(file);
        let object = Object::parse(&std::fs::read(file).unwrap()).unwrap();
        if let Some(btf) = object.btf.as_deref() {
            success += tagged(btf, "comment:test_expect_success").len();
        }
        let errors = errors(&object, &name, &kernels);
        if errors.is_empty() {
            continue;
        }
        match EXCEPTIONS.iter().find(|(known, _)| *known == name) {
            Some((known, _)) => drop(excused.insert(*known)),
            None => drop(wrong.insert(name, errors)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(success > 800, "only {success} programs say that they are taken");
    let names: BTreeSet<String> = files.iter().map(|file| stem(file)).collect();
    let idle: Vec<_> = EXCEPTIONS
        .iter()
        .filter(|(name, _)| names.contains(*name) && !excused.contains(name))
        .collect();
    assert!(idle.is_empty(), "these need no exception any more: {idle:#?}");
}
