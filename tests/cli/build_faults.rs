//! Builds that end in the middle: killed, or on a disk that is full. The next
//! one repairs what they left.
#![expect(clippy::print_stdout, reason = "a failure has to tell its seed")]

use crate::build::{objects, signal};
use crate::support::{Place, Run};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many builds are killed while they run.
const KILLED: usize = 200;
/// How many disks are filled.
const FILLED: usize = 20;

const SOURCE: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\
    #include \"shared.h\"\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n\
    SEC(\"tp/syscalls/sys_enter_write\") int one(void *ctx) { return SHARED; }\n";

/// Compiling, stripping and linking: every kind of step that has an object.
fn project() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "[profile.dev]\nstrip = true\n");
    place.file("include/shared.h", "#define SHARED 0\n");
    place.file("src/one.bpf.c", SOURCE);
    place.file("src/two.bpf.c", SOURCE.replace("int one", "int two"));
    place
}

/// Numbers that look random (Marsaglia's xorshift); the seed is said where a
/// test fails, and `SKEP_FAULT_SEED` sets it.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let given = std::env::var("SKEP_FAULT_SEED").ok().and_then(|text| text.parse().ok());
        let seed: u64 = given.unwrap_or(now.subsec_nanos().into());
        println!("SKEP_FAULT_SEED={seed}");
        Self(seed.max(1))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

#[test]
fn two_hundred_killed_builds_are_each_repaired_by_the_next() {
    let mut random = Random::new();
    let place = project();
    let build = ["build", "-q", "--jobs", "2"];
    // What a clean build makes of either content of the header.
    let mut clean = Vec::new();
    let mut longest = Duration::ZERO;
    for value in [0, 1] {
        place.file("include/shared.h", format!("#define SHARED {value}\n"));
        place.skep(&["clean", "-q"]).expect(0);
        let began = Instant::now();
        place.skep(&build).expect(0);
        longest = longest.max(began.elapsed());
        clean.push(objects(&place));
    }
    assert!(clean[0] != clean[1]);
    let (mut killed, mut tries) = (0, 0);
    while killed < KILLED {
        tries += 1;
        assert!(tries < KILLED * 10, "builds end before they are killed: {killed} of {tries}");
        let value = tries % 2;
        place.file("include/shared.h", format!("#define SHARED {value}\n"));
        if random.below(8) == 0 {
            std::fs::remove_dir_all(place.path().join("target")).unwrap();
        }
        let moment = Duration::from_micros(random.below(longest.as_micros() as u64));
        let mut running = place.command(&build).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment);
        if running.try_wait().unwrap().is_none() {
            signal(running.id(), libc::SIGKILL);
            killed += usize::from(!running.wait().unwrap().success());
        }
        place.skep(&build).expect(0);
        assert!(objects(&place) == clean[value], "try {tries}, killed after {moment:?}");
    }
    println!("{killed} of {tries} builds were killed while they ran");
    // Nothing is left of them but what a clean build leaves, and perhaps the
    // summary, which only a build with nothing to do writes.
    let files = |place: &Place| {
        let files = walkdir(&place.path().join("target/skep"));
        let lasts = |path: &String| !path.contains("/aside/") && !path.ends_with("/dev/summary");
        files.into_iter().filter(lasts).collect::<Vec<_>>()
    };
    let left = files(&place);
    place.skep(&["clean", "-q"]).expect(0);
    place.skep(&build).expect(0);
    assert_eq!(left, files(&place));
}

fn walkdir(dir: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => files.extend(walkdir(&entry)),
            false => files.push(entry.to_str().unwrap().to_owned()),
        }
    }
    files.sort();
    files
}

/// Builds twice on a file system of its own: with this many kilobytes, then
/// with enough. What the second build made is taken to `out`.
fn on_a_disk_of(place: &Place, kilobytes: u64) -> (Run, Run) {
    let script = "mount -t tmpfs -o size=\"$2k\" none target || exit 99\n\
        \"$1\" build --jobs 2 2>first.err; echo $? >first.code\n\
        mount -o remount,size=32m target || exit 99\n\
        \"$1\" build --jobs 2 2>second.err; echo $? >second.code\n\
        rm -rf out && cp -r target/skep/dev out";
    std::fs::create_dir_all(place.path().join("target")).unwrap();
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(env!("CARGO_BIN_EXE_skep"))
        .arg(kilobytes.to_string())
        .current_dir(place.path())
        .env("SKEP_CACHE_DIR", place.path().join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let run = |name: &str| Run {
        code: place.read(&format!("{name}.code")).trim().parse().unwrap(),
        stdout: String::new(),
        stderr: place.read(&format!("{name}.err")),
    };
    (run("first"), run("second"))
}

#[test]
fn twenty_full_disks_are_each_repaired_by_the_next() {
    let mut random = Random::new();
    let place = project();
    place.skep(&["build"]).expect(0);
    let clean = objects(&place);
    let used = walkdir(&place.path().join("target/skep"));
    let used: u64 = used.iter().map(|file| std::fs::metadata(file).unwrap().len() / 1024 + 4).sum();
    place.skep(&["clean"]).expect(0);
    // The smallest disk that was large enough.
    let mut enough = used;
    let (mut filled, mut tries) = (0, 0);
    while filled < FILLED {
        tries += 1;
        assert!(tries < FILLED * 4, "disks are not filled: {filled} of {tries}");
        // Half of them in the last part, where the objects are written.
        let from = if tries % 2 == 0 { 4 } else { enough - enough / 3 };
        let size = from + random.below(enough - from);
        let (first, second) = on_a_disk_of(&place, size);
        assert!(first.code == 3 || first.code == 0, "{size}k: {first}");
        if first.code == 0 {
            enough = size;
        } else {
            filled += 1;
            assert!(first.stderr.contains("error[E0603]"), "{size}k: {first}");
            assert!(first.stderr.to_lowercase().contains("no space left"), "{size}k: {first}");
        }
        let second = second.expect(0);
        let mut made: Vec<_> = std::fs::read_dir(place.path().join("out"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().into(), std::fs::read(&path).unwrap()))
            .collect();
        made.sort();
        assert!(made == clean, "{size}k: {second}");
    }
    println!("{filled} of {tries} builds ran out of space");
}
