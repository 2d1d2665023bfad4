//! No false errors: the kernel's own samples of BPF (samples/bpf of Linux
//! 6.12). Most are written against the kernel's internal headers, which are
//! there only where a kernel was configured; a few lines stand for those. How
//! many compile is asserted, so that nothing passes for want of programs.
//!
//! Not all of them load any more, as they are. libbpf itself says which: it is
//! asked to open each object. Of what it opens no rule may say that it is an
//! error, and of what it refuses one must.

use crate::clang::{compile_all, newest, stem};
use crate::support::{Place, debian};
use skep::analysis::{self, kernel::Kernel};
use skep::bpf::KernelVersion;
use skep::btf::Btf;
use skep::diagnostics::Diagnostic;
use skep::elf::Object;
use skep::relocate::core::Target;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the kernel's internal headers have that the samples use, and the
/// headers of the same names for programs do not.
const INTERNAL: &str = r#"
#include <linux/types.h>
#define bool _Bool
#define false 0
#define true 1
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#define AF_INET 2
#define AF_INET6 10
#define SOL_IP 0
#define SOL_SOCKET 1
#define SOL_TCP 6
#define SO_SNDBUF 7
#define SO_RCVBUF 8
#define TASK_COMM_LEN 16
#define __force
#define max(a, b) ((a) > (b) ? (a) : (b))
#define htons(x) __builtin_bswap16(x)
#define ntohs(x) __builtin_bswap16(x)
#define memcpy __builtin_memcpy
#define memset __builtin_memset
"#;

/// The objects of all samples that compile.
fn objects() -> PathBuf {
    debian::fetched(&format!("samples-6.12-{}", newest()), |dir| {
        let source = debian::selftests("6.12", "trixie");
        let place = Place::new();
        let header = place.path().join("vmlinux.h");
        let args = ["vmlinux", "--from", "debian/trixie", "-o", header.to_str().unwrap()];
        place.skep(&args).expect(0);
        let internal = place.file("internal.h", INTERNAL);
        // <uapi/linux/if_ether.h> is the same file without its first directory.
        let uapi = place.path().join("headers/uapi");
        std::fs::create_dir_all(&uapi).unwrap();
        std::os::unix::fs::symlink("/usr/include/linux", uapi.join("linux")).unwrap();
        let samples = source.join("samples/bpf");
        let entries = std::fs::read_dir(&samples).unwrap();
        let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        let ends = |ending: &str| {
            let files = files.iter().filter(|path| path.to_str().unwrap().ends_with(ending));
            files.cloned().collect::<Vec<_>>()
        };
        let include = [
            place.path().to_owned(),
            place.path().join("headers"),
            PathBuf::from(env!("SKEP_LIBBPF_INCLUDE")),
            samples.clone(),
            source.join("tools/include/uapi"),
            source.join("tools/include"),
            source.join("tools/testing/selftests/bpf"),
        ];
        let done = dir.join("objects");
        std::fs::create_dir(&done).unwrap();
        compile_all(ends(".bpf.c"), &include, &[], &done);
        let internal = ["-include", internal.to_str().unwrap()];
        compile_all(ends("_kern.c"), &include, &internal, &done);
        done
    })
}

/// Whether libbpf opens an object.
fn opens(object: &[u8]) -> bool {
    // SAFETY: the bytes live through the calls, options may be absent, and the
    // object is closed once.
    unsafe {
        libbpf_sys::libbpf_set_print(None);
        let size = object.len() as u64;
        let opened =
            libbpf_sys::bpf_object__open_mem(object.as_ptr().cast(), size, std::ptr::null());
        if !opened.is_null() {
            libbpf_sys::bpf_object__close(opened);
        }
        !opened.is_null()
    }
}

#[test]
fn samples_that_libbpf_opens_have_no_errors() {
    let btf = Btf::parse(debian::kernel_btf("debian/trixie")).unwrap();
    let target = Target::new(Arc::new(btf));
    let kernels = [Kernel::of_btf("6.12", Some(KernelVersion::new(6, 12)), &target)];
    let (mut wrong, mut opened, mut programs) = (Vec::new(), 0, 0);
    for entry in std::fs::read_dir(objects()).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let object = Object::parse(&bytes).unwrap();
        let mut findings = analysis::check(&object, Path::new(&file), &|_| None);
        findings.extend(analysis::check_on(&object, Path::new(&file), &|_| None, &kernels));
        let errors: Vec<&Diagnostic> =
            findings.iter().filter(|finding| finding.is_error()).collect();
        let said: Vec<String> =
            errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
        let is_open = opens(&bytes);
        if is_open != errors.is_empty() {
            wrong.push(format!("{} opens: {is_open}; {said:#?}", stem(&file)));
        }
        if is_open {
            opened += 1;
            programs += object.programs().count();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(opened >= 36, "only {opened} samples compile and are opened");
    assert!(programs >= 80, "only {programs} programs in them");
}
