//! What tests take from Debian, fetched once into the cache that all tests
//! share: kernels' BTF, and packages.

use super::shared_cache;
use skep::base::Cancel;
use skep::base::programs::Programs;
use skep::events::Silent;
use skep::kernels::{Apt, Kernel, Reference, Store};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernels that tests are about, from 5.10 to 7.x.
pub const KERNELS: [&str; 4] =
    ["debian/bullseye", "debian/bookworm", "debian/trixie", "debian/sid"];

/// The BTF of a kernel.
pub fn kernel_btf(reference: &str) -> Vec<u8> {
    let vmlinux = kernel(reference).vmlinux().unwrap();
    skep::elf::section(&vmlinux, ".BTF").unwrap().unwrap().to_vec()
}

/// What a kernel is called in the store.
pub fn kernel_key(reference: &str) -> String {
    kernel(reference).key().to_owned()
}

/// What a kernel was built with, if its package says so.
pub fn kernel_config(reference: &str) -> Option<String> {
    kernel(reference).config().map(|path| fs::read_to_string(path).unwrap())
}

fn kernel(reference: &str) -> Kernel {
    let path = std::env::var_os("PATH").unwrap();
    let apt = Apt::new(Programs::new(path, "/".into()));
    let store = Store::new(shared_cache().join("kernels"), apt, false);
    let parsed = Reference::parse(reference, |_| false).unwrap();
    store.get(&parsed, &Cancel::new(), &Silent).unwrap()
}

/// The objects of libbpf-tools, by the names of the programs: more than 50
/// that use CO-RE as people do, as Debian has compiled them. The programs in
/// the package carry them inside.
pub fn libbpf_tools() -> Vec<(String, Vec<u8>)> {
    let package = package("libbpf-tools", "sid");
    let mut programs: Vec<PathBuf> = ["usr/bin", "usr/sbin"]
        .iter()
        .filter_map(|dir| fs::read_dir(package.join(dir)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.symlink_metadata().unwrap().is_file())
        .collect();
    programs.sort();
    let mut found = Vec::new();
    for program in programs {
        let name = program.file_name().unwrap().to_str().unwrap().trim_end_matches("-libbpf");
        found.extend(embedded(&fs::read(&program).unwrap()).map(|bytes| (name.to_owned(), bytes)));
    }
    assert!(found.len() > 50, "only {} programs", found.len());
    found
}

/// The BPF object in a program that was built with a skeleton.
fn embedded(program: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize, size: usize| {
        let bytes = program.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    const EM_BPF: usize = 247;
    let magic = b"\x7fELF\x02\x01\x01";
    let starts = (1..program.len()).filter(|at| program[*at..].starts_with(magic));
    let start = starts.into_iter().find(|at| number(at + 18, 2) == Some(EM_BPF))?;
    // libbpf-tools' objects end with their section headers.
    let (headers, size, count) =
        (number(start + 40, 8)?, number(start + 58, 2)?, number(start + 60, 2)?);
    Some(program.get(start..start + headers + size * count)?.to_vec())
}

/// The files of a package, unpacked. The directory is shared; do not write to
/// it.
pub fn package(name: &str, suite: &str) -> PathBuf {
    fetched(&format!("{name}-{suite}"), |dir| {
        let apt = Suite::new(dir, "deb", suite);
        apt.run(&["download", name]).unwrap();
        let unpacked = dir.join("unpacked");
        let run = Command::new("dpkg-deb").arg("-x").args([&apt.downloaded(), &unpacked]).status();
        assert!(run.unwrap().success());
        unpacked
    })
}

/// The upstream files of a source package, unpacked, from the first suite
/// whose archive the mirror has: some mirrors lack files whose names have a
/// `+`. The directory is shared; do not write to it.
pub fn source(name: &str) -> PathBuf {
    fetched(&format!("{name}-source"), |dir| {
        let mut said = Vec::new();
        for suite in ["forky", "sid", "trixie", "bookworm", "bullseye"] {
            let place = dir.join(suite);
            fs::create_dir_all(&place).unwrap();
            let apt = Suite::new(&place, "deb-src", suite);
            if let Err(error) = apt.run(&["source", "--download-only", "--tar-only", name]) {
                said.push(error);
                continue;
            }
            let unpacked = dir.join("unpacked");
            fs::create_dir(&unpacked).unwrap();
            let run = Command::new("tar")
                .args(["--strip-components=1", "-C"])
                .args([&unpacked, Path::new("-xf"), &apt.downloaded()])
                .status();
            assert!(run.unwrap().success());
            return unpacked;
        }
        panic!("no suite has the sources of {name}: {}", said.join("\n"));
    })
}

/// The files of a kernel's source, as Debian packages it, that tests look
/// into: the verifier, veristat with the header that it needs, and the files
/// that offer kfuncs. The directory is shared; do not write to it.
pub fn kernel_source(version: &str, suite: &str) -> PathBuf {
    let veristat = Path::new("tools/testing/selftests/bpf/veristat.c");
    let header = Path::new("tools/include/uapi/linux/bpf.h");
    let is_wanted = |path: &Path, text: &[u8]| {
        let is_c = path.extension().is_some_and(|extension| extension == "c");
        let is_verifier = path.parent() == Some(Path::new("kernel/bpf"));
        let is_kernel = !path.starts_with("tools") && !path.starts_with("Documentation");
        let has_kfuncs = || is_kernel && String::from_utf8_lossy(text).contains("BTF_KFUNCS_START");
        (is_c && (is_verifier || has_kfuncs())) || path == veristat || path == header
    };
    let files = unpacked_source(version, suite, "sources", is_wanted);
    for path in [veristat, header, Path::new("kernel/bpf/verifier.c")] {
        assert!(files.join(path).exists(), "the tarball has no {}", path.display());
    }
    files
}

/// The kernel's own tests and samples of BPF: their programs, and the headers
/// that those include. The directory is shared; do not write to it.
pub fn selftests(version: &str, suite: &str) -> PathBuf {
    let is_wanted = |path: &Path, _: &[u8]| {
        let is_source =
            path.extension().is_some_and(|extension| extension == "c" || extension == "h");
        let ours = ["tools/testing/selftests/bpf", "tools/include", "samples/bpf"];
        is_source && ours.iter().any(|dir| path.starts_with(dir))
    };
    unpacked_source(version, suite, "selftests-samples", is_wanted)
}

/// What is wanted of a kernel's source, by the paths in it and the contents,
/// once for all tests.
fn unpacked_source(
    version: &str,
    suite: &str,
    name: &str,
    is_wanted: impl Fn(&Path, &[u8]) -> bool,
) -> PathBuf {
    let package = format!("linux-source-{version}");
    fetched(&format!("{package}-{name}"), |dir| {
        let apt = Suite::new(dir, "deb", suite);
        apt.run(&["download", &package]).unwrap();
        let unpacked = dir.join("unpacked");
        unpack_source(&apt.downloaded(), &unpacked, is_wanted);
        unpacked
    })
}

/// Writes what is wanted of the tarball in a package of the kernel's source.
fn unpack_source(deb: &Path, to: &Path, is_wanted: impl Fn(&Path, &[u8]) -> bool) {
    let mut archive = ar::Archive::new(File::open(deb).unwrap());
    while let Some(member) = archive.next_entry() {
        let member = member.unwrap();
        if !member.header().identifier().starts_with(b"data.tar") {
            continue;
        }
        assert!(member.header().identifier().ends_with(b".xz"), "data.tar is not xz");
        let mut package = tar::Archive::new(liblzma::read::XzDecoder::new(member));
        for entry in package.entries().unwrap() {
            let entry = entry.unwrap();
            if entry.path().unwrap().extension().is_some_and(|extension| extension == "xz") {
                return unpack_tarball(entry, to, is_wanted);
            }
        }
    }
    panic!("{} has no tarball", deb.display());
}

fn unpack_tarball(tarball: impl Read, to: &Path, is_wanted: impl Fn(&Path, &[u8]) -> bool) {
    let mut text = Vec::new();
    let mut source = tar::Archive::new(liblzma::read::XzDecoder::new(tarball));
    for entry in source.entries().unwrap() {
        let mut entry = entry.unwrap();
        // The first directory has the kernel's version for a name.
        let path: PathBuf = entry.path().unwrap().components().skip(1).collect();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        text.clear();
        entry.read_to_end(&mut text).unwrap();
        if is_wanted(&path, &text) {
            let place = to.join(&path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, &text).unwrap();
        }
    }
    assert!(to.exists(), "the tarball has nothing of what is wanted");
}

/// What the kernel of a suite calls itself.
pub fn kernel_release(reference: &str) -> String {
    kernel(reference).stored.release.clone()
}

/// What `fetch` leaves in a directory of its own, done once for all tests.
pub fn fetched(name: &str, fetch: impl FnOnce(&Path) -> PathBuf) -> PathBuf {
    let packages = shared_cache().join("packages");
    fs::create_dir_all(&packages).unwrap();
    let done = packages.join(name);
    let lock = File::create(packages.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !done.exists() {
        let scratch = tempfile::tempdir_in(&packages).unwrap();
        fs::rename(fetch(scratch.path()), &done).unwrap();
    }
    done
}

/// apt with one suite and all its state in a directory.
struct Suite {
    dir: PathBuf,
}

impl Suite {
    fn new(dir: &Path, kind: &str, suite: &str) -> Self {
        for name in ["lists/partial", "cache/archives/partial", "out"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        fs::write(dir.join("suite.sources"), stanza(kind, suite)).unwrap();
        let this = Self { dir: dir.to_owned() };
        this.run(&["update"]).unwrap();
        this
    }

    fn run(&self, args: &[&str]) -> Result<(), String> {
        let set = |key: &str, value: &str| format!("{key}={}", self.dir.join(value).display());
        let run = Command::new("apt-get")
            .args(["-q", "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User="])
            .args(["-o", &set("Dir::Etc::sourcelist", "suite.sources")])
            .args(["-o", &set("Dir::State::Lists", "lists"), "-o", &set("Dir::Cache", "cache")])
            .args(args)
            .current_dir(self.dir.join("out"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        if run.status.success() { Ok(()) } else { Err(format!("apt-get {args:?}: {said}")) }
    }

    /// The one file that was downloaded.
    fn downloaded(&self) -> PathBuf {
        fs::read_dir(self.dir.join("out")).unwrap().next().unwrap().unwrap().path()
    }
}

/// A source stanza for a suite, with the mirror and the keyring of the
/// machine's own sources.
fn stanza(kind: &str, suite: &str) -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten();
    files.extend(parts.map(|entry| entry.unwrap().path()));
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let (uri, key) = match file.extension().is_some_and(|ext| ext == "sources") {
            true => {
                let field = |name: &str| {
                    let line = text.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim().to_owned())
                };
                (field("URIs:"), field("Signed-By:"))
            }
            false => {
                let line = text.lines().find(|line| line.starts_with("deb "));
                let words = line.unwrap_or_default().split_whitespace();
                (words.clone().find(|word| word.contains("://")).map(str::to_owned), None)
            }
        };
        let is_debian = |uri: &String| Path::new(uri.trim_end_matches('/')).ends_with("debian");
        if let Some(uri) = uri.filter(is_debian) {
            let key = key.map_or(String::new(), |key| format!("Signed-By: {key}\n"));
            return format!("Types: {kind}\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{key}");
        }
    }
    panic!("no mirror of Debian in the machine's sources");
}
