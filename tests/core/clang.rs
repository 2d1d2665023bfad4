//! Compiling C for BPF.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Compiles C to an object with the newest clang that is installed.
pub fn compile(source: &str) -> Vec<u8> {
    compile_for("bpf", source)
}

/// As [`compile`], for another byte order: `bpfeb`.
pub fn compile_for(target: &str, source: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("a.bpf.c"), dir.path().join("a.o"));
    std::fs::write(&input, source).unwrap();
    let run = Command::new(newest())
        .args(["-target", target, "-g", "-O2", "-mcpu=v3", "-c", "-Wall", "-Werror"])
        .arg("-Wno-unused-value")
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read(output).unwrap()
}

/// Compiles C files of the kernel's source to `NAME.bpf.o` in a directory, with
/// these ones to be searched for headers; what clang says of those that it does
/// not compile comes back by their names.
pub fn compile_all(
    files: Vec<PathBuf>,
    include: &[PathBuf],
    flags: &[&str],
    done: &Path,
) -> Vec<(String, String)> {
    let clang = newest();
    let (open, refused) = (Mutex::new(files), Mutex::new(Vec::new()));
    let compile = || {
        while let Some(file) = { open.lock().unwrap().pop() } {
            let run = Command::new(&clang)
                .args(["-target", "bpf", "-g", "-O2", "-mcpu=v4", "-std=gnu11", "-c", "-w"])
                .args(["-fno-strict-aliasing", "-D__TARGET_ARCH_x86"])
                .args(include.iter().map(|path| format!("-I{}", path.display())))
                .args(["-idirafter", "/usr/include/x86_64-linux-gnu"])
                .args(flags)
                .arg(&file)
                .arg("-o")
                .arg(done.join(format!("{}.bpf.o", stem(&file))))
                .output()
                .unwrap();
            if !run.status.success() {
                let said = String::from_utf8_lossy(&run.stderr).into_owned();
                refused.lock().unwrap().push((stem(&file), said));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(compile);
        }
    });
    refused.into_inner().unwrap()
}

/// `dir/name.c` → `name`
pub fn stem(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned()
}

/// The name of the newest clang.
pub fn newest() -> String {
    let versioned = (14..40).rev().map(|version| format!("clang-{version}"));
    let found = versioned.into_iter().find(|name| {
        Path::new("/usr/bin").join(name).exists() || Path::new("/usr/local/bin").join(name).exists()
    });
    found.unwrap_or_else(|| "clang".to_owned())
}

/// The bytes of an ELF's `.BTF` section.
pub fn btf_of(elf: &[u8]) -> Vec<u8> {
    use object::{Object as _, ObjectSection as _};
    let elf = object::File::parse(elf).unwrap();
    elf.section_by_name(".BTF").unwrap().data().unwrap().to_vec()
}
