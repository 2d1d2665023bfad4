//! The programs of libbpf-tools, which people have written without a thought
//! of pruning: with the pruned header they come out as with the whole one,
//! before and after their CO-RE relocations are resolved for a kernel.

use crate::pruned::digest;
use crate::support::{Place, debian};
use skep::bpf::Insn;
use skep::btf::{Btf, Outline};
use skep::elf::Object;
use skep::ops::vmlinux::words;
use skep::relocate::core::{Question, Resolver, Target};
use skep::vmlinux::{self, Request};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The kernels for which the objects are relocated.
const KERNELS: [&str; 2] = ["debian/bookworm", "debian/trixie"];

/// Compiles a source with the `vmlinux.h` in a directory; what clang says if
/// it refuses.
fn compile(source: &Path, headers: &Path, vmlinux: &Path) -> Result<Vec<u8>, String> {
    let object = vmlinux.join("out.o");
    let clang = Command::new("clang-19")
        .args(["-target", "bpf", "-g", "-O2", "-mcpu=v3", "-D__TARGET_ARCH_x86", "-w"])
        .arg("-I")
        .arg(headers)
        .arg("-I")
        .arg(vmlinux)
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(&object)
        .output()
        .unwrap();
    match clang.status.success() {
        true => Ok(std::fs::read(object).unwrap()),
        false => Err(String::from_utf8_lossy(&clang.stderr).into_owned()),
    }
}

/// What a kernel's verifier gets: every section's instructions with the CO-RE
/// relocations applied; and what cannot be applied.
fn relocated(bytes: &[u8], target: &Target) -> (Vec<Vec<Insn>>, Vec<String>) {
    let object = Object::parse(bytes).unwrap();
    let mut resolver = Resolver::new(object.btf.as_deref().unwrap(), target);
    let mut code: Vec<Vec<Insn>> =
        object.sections.iter().map(|section| section.insns.to_vec()).collect();
    let mut refused = Vec::new();
    for (section, slot, relo) in object.core_relocations() {
        // Numbers of the object's own types, and those differ.
        if Question::from_number(relo.kind) == Some(Question::TypeIdLocal) {
            continue;
        }
        let end = code[section].len().min(slot + 2);
        let applied =
            resolver.resolve(&relo).and_then(|found| found.apply(&mut code[section][slot..end]));
        if let Err(error) = applied {
            refused.push(format!("{section}+{slot}: {error}"));
        }
    }
    (code, refused)
}

/// How a source came out.
#[expect(dead_code, reason = "what is in them is for who reads a failure")]
#[derive(Debug)]
enum Outcome {
    Same,
    /// Not even the whole header of this kernel will do.
    TooOld(String),
    Refused(String),
    Different(String),
}

/// What the objects are made of, and for.
struct Setting {
    headers: PathBuf,
    whole: PathBuf,
    btf: Btf,
    outline: Outline,
    targets: Vec<Target>,
}

fn check(source: &Path, setting: &Setting) -> Outcome {
    let place = Place::new();
    let full = place.path().join("full");
    let pruned = place.path().join("pruned");
    std::fs::create_dir(&full).unwrap();
    std::fs::create_dir(&pruned).unwrap();
    std::os::unix::fs::symlink(&setting.whole, full.join("vmlinux.h")).unwrap();
    let expected = match compile(source, &setting.headers, &full) {
        Ok(expected) => expected,
        Err(said) => return Outcome::TooOld(said),
    };
    let files = skep::build::includes::follow([source.to_owned()], &[]).files;
    let words = words(&files, &[]).unwrap();
    let header = vmlinux::prune(&setting.btf, &words).unwrap();
    let quick = vmlinux::prune_outline(&setting.outline, &words);
    if quick.as_ref() != Some(&header) {
        return Outcome::Different("without reading all of the BTF".to_owned());
    }
    std::fs::write(pruned.join("vmlinux.h"), header).unwrap();
    let found = match compile(source, &setting.headers, &pruned) {
        Ok(found) => found,
        Err(said) => return Outcome::Refused(said),
    };
    let (one, two) = (digest(&expected), digest(&found));
    if one != two {
        let first = one.lines().zip(two.lines()).find(|(one, two)| one != two);
        return Outcome::Different(format!("{first:?}"));
    }
    for (kernel, target) in KERNELS.iter().zip(&setting.targets) {
        let (one, two) = (relocated(&expected, target), relocated(&found, target));
        if one != two {
            return Outcome::Different(format!("on {kernel}: {:?} {:?}", one.1, two.1));
        }
    }
    Outcome::Same
}

#[test]
fn libbpf_tools_compile_to_the_same() {
    let dir = debian::source("bpfcc").join("libbpf-tools");
    let mut sources: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".bpf.c"))
        .collect();
    sources.sort();
    // The newest kernel: some programs name members that older ones lack, and
    // bring no types of their own.
    let bytes = debian::kernel_btf("debian/sid");
    let (btf, outline) = (Btf::parse(bytes.clone()).unwrap(), Outline::parse(bytes).unwrap());
    let place = Place::new();
    for header in skep::build::libbpf::HEADERS {
        place.file(&format!("include/{}", header.name), header.text);
    }
    let whole = place.file("vmlinux.h", vmlinux::header(&btf, &Request::default()).unwrap());
    let headers = place.path().join("include");
    let target =
        |kernel: &&str| Target::new(Arc::new(Btf::parse(debian::kernel_btf(kernel)).unwrap()));
    let targets = KERNELS.iter().map(target).collect();
    let setting = Setting { headers, whole, btf, outline, targets };
    let (next, outcomes) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = check(source, &setting);
                    let name = source.file_name().unwrap().to_string_lossy().into_owned();
                    outcomes.lock().unwrap().push((name, outcome));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let bad: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Refused(_) | Outcome::Different(_)))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let same = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Same)).count();
    let others: Vec<_> =
        outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::TooOld(_))).collect();
    assert!(same > 50, "only {same} of {}: {others:#?}", outcomes.len());
}
