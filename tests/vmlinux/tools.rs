//! The programs of libbpf-tools, which people have written without a thought
//! of pruning: with the pruned header they come out as with the whole one.

use crate::pruned::digest;
use crate::support::{Place, debian};
use skep::btf::Btf;
use skep::ops::vmlinux::words;
use skep::vmlinux::{self, Request};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Compiles a source with the `vmlinux.h` in a directory; what clang says if
/// it refuses.
fn compile(source: &Path, headers: &Path, vmlinux: &Path) -> Result<String, String> {
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
        true => Ok(digest(&std::fs::read(object).unwrap())),
        false => Err(String::from_utf8_lossy(&clang.stderr).into_owned()),
    }
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

fn check(source: &Path, headers: &Path, whole: &Path, btf: &Btf) -> Outcome {
    let place = Place::new();
    let full = place.path().join("full");
    let pruned = place.path().join("pruned");
    std::fs::create_dir(&full).unwrap();
    std::fs::create_dir(&pruned).unwrap();
    std::os::unix::fs::symlink(whole, full.join("vmlinux.h")).unwrap();
    let expected = match compile(source, headers, &full) {
        Ok(expected) => expected,
        Err(said) => return Outcome::TooOld(said),
    };
    let files = skep::build::includes::follow([source.to_owned()], &[]).files;
    let header = vmlinux::prune(btf, &words(&files, &[]).unwrap()).unwrap();
    std::fs::write(pruned.join("vmlinux.h"), header).unwrap();
    match compile(source, headers, &pruned) {
        Ok(found) if found == expected => Outcome::Same,
        Ok(found) => {
            let mut lines = expected.lines().zip(found.lines());
            let first = lines.find(|(expected, found)| expected != found);
            Outcome::Different(format!("{first:?}"))
        }
        Err(said) => Outcome::Refused(said),
    }
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
    let btf = Btf::parse(debian::kernel_btf("debian/sid")).unwrap();
    let place = Place::new();
    for header in skep::build::libbpf::HEADERS {
        place.file(&format!("include/{}", header.name), header.text);
    }
    let whole = place.file("vmlinux.h", vmlinux::header(&btf, &Request::default()).unwrap());
    let headers = place.path().join("include");
    let (next, outcomes) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = check(source, &headers, &whole, &btf);
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
