//! What goes wrong around a verdict: each fault gets one clear message and
//! the exit code that says whose it is.

use crate::objects::{GOOD, object};
use crate::options::rows;
use crate::support::{Place, Run};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The image of a real kernel.
fn image(place: &Place) -> PathBuf {
    let run = place.skep(&["kernel", "path", "debian/bookworm"]).expect(0);
    PathBuf::from(run.stdout.trim_end())
}

/// `skep` below a directory on which a file system of its own is mounted, in a
/// mount namespace that ends with it.
fn in_mount(place: &Place, mount: &str, args: &[&str]) -> Run {
    let skep = place.command(&[]);
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
    let mut command = Command::new("unshare");
    command
        .args(if is_root { &["-m"][..] } else { &["-r", "-m"] })
        .args(["sh", "-c", &script])
        .arg(skep.get_program())
        .args(args)
        .current_dir(place.path())
        .stdin(Stdio::null());
    for (name, value) in skep.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Run::from(command.output().unwrap())
}

/// A package as dpkg would make it, with these files.
fn deb(files: &[(&str, &[u8])]) -> Vec<u8> {
    let tar = |files: &[(&str, &[u8])]| {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *content).unwrap();
        }
        builder.into_inner().unwrap()
    };
    let control = tar(&[("./control", b"Package: linux-doc\nVersion: 9.1-2\n")]);
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in
        [("debian-binary", b"2.0\n".to_vec()), ("control.tar", control), ("data.tar", tar(files))]
    {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        builder.append(&header, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn without_qemu_it_says_what_to_install() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let place = place.env("PATH", "/nonexistent");
    let run = place.skep(&["verify", "good.bpf.o", "--kernel", "debian/bookworm"]).expect(3);
    assert!(run.stderr.contains("E0701") && run.stderr.contains("qemu-system-x86"), "{run}");
    assert_eq!(run.stdout, "");
}

#[test]
fn a_kernel_image_cut_in_half_is_named() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let whole = std::fs::read(image(&place)).unwrap();
    place.file("half", &whole[..whole.len() / 2]);
    let run = place.skep(&["verify", "good.bpf.o", "--kernel", "half"]).expect(3);
    assert!(run.stdout.contains("E0703") && run.stdout.contains("half"), "{run}");
    assert!(run.stdout.contains(&format!("ends after {} bytes", whole.len() / 2)), "{run}");
}

#[test]
fn packages_without_a_kernel_or_cut_short_are_named() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let package = deb(&[("./usr/share/doc/linux-doc/copyright", &[b'x'; 9000])]);
    place.file("doc.deb", &package);
    let run = place.skep(&["verify", "good.bpf.o", "--kernel", "doc.deb"]).expect(3);
    assert!(run.stdout.contains("E0704") && run.stdout.contains("linux-doc"), "{run}");
    place.file("cut.deb", &package[..300]);
    let run = place.skep(&["verify", "good.bpf.o", "--kernel", "cut.deb"]).expect(3);
    assert!(run.stdout.contains("E0709") && run.stdout.contains("cut.deb"), "{run}");
}

#[test]
fn an_unknown_kernel_is_wrong_usage_and_gets_the_nearest_name() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let run = place.skep(&["verify", "good.bpf.o", "--kernel", "debian/trixi"]).expect(2);
    assert!(run.stderr.contains("E0705") && run.stderr.contains("debian/trixie"), "{run}");
}

#[test]
fn offline_a_kernel_that_is_not_stored_is_not_fetched() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let place = place.env("SKEP_CACHE_DIR", "empty-cache");
    let run =
        place.skep(&["--offline", "verify", "good.bpf.o", "--kernel", "debian/trixie"]).expect(3);
    assert!(run.stdout.contains("E0702") && run.stdout.contains("kernel add"), "{run}");
}

#[test]
fn a_read_only_cache_and_a_full_one_are_told_apart() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let image = std::fs::read(image(&place)).unwrap();
    place.file("linux.deb", deb(&[("./boot/vmlinuz-6.1", &image)]));
    std::fs::create_dir(place.path().join("cache")).unwrap();
    let place = place.env("SKEP_CACHE_DIR", "cache");
    let args = ["verify", "good.bpf.o", "--kernel", "linux.deb"];
    let run = in_mount(&place, "mount -t tmpfs -o ro skep cache", &args).expect(3);
    assert!(run.stdout.contains("E0602") && run.stdout.contains("read-only"), "{run}");
    let run = in_mount(&place, "mount -t tmpfs -o size=1m skep cache", &args).expect(3);
    assert!(run.stdout.contains("E0603") && run.stdout.contains("free some space"), "{run}");
}

#[test]
fn an_image_in_a_file_needs_no_cache_at_all() {
    let place = Place::new();
    object(&place, "good", GOOD);
    place.file("vmlinuz", std::fs::read(image(&place)).unwrap());
    std::fs::create_dir(place.path().join("cache")).unwrap();
    let place = place.env("SKEP_CACHE_DIR", "cache");
    let args = ["verify", "good.bpf.o", "--kernel", "./vmlinuz"];
    let run = in_mount(&place, "mount -t tmpfs -o ro skep cache", &args).expect(0);
    assert!(run.stdout.contains("accepted"), "{run}");
}

#[test]
fn a_package_file_is_stored_listed_and_removed() {
    let place = Place::new();
    let image = std::fs::read(image(&place)).unwrap();
    place.file("linux.deb", deb(&[("./boot/vmlinuz-6.1", &image)]));
    let place = place.env("SKEP_CACHE_DIR", "cache");
    let added = place.skep(&["kernel", "add", "linux.deb", "--message-format", "short"]).expect(0);
    assert!(added.stdout.contains("linux-doc\t9.1-2"), "{added}");
    let list = place.skep(&["kernel", "list", "--message-format", "short"]).expect(0);
    let row = list.stdout.lines().last().unwrap();
    let reference = row.split('\t').next().unwrap();
    assert!(reference.starts_with("6.1."), "{list}");
    place.skep(&["kernel", "path", reference]).expect(0);
    place.skep(&["kernel", "remove", reference]).expect(0);
    let list = place.skep(&["kernel", "list"]).expect(0);
    assert_eq!(list.stdout, "");
}

#[test]
fn a_download_that_fails_says_what_apt_said() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let place = place
        .env("SKEP_CACHE_DIR", "cache")
        .env("http_proxy", "http://127.0.0.1:1")
        .env("https_proxy", "http://127.0.0.1:1");
    let run = place.skep(&["verify", "good.bpf.o", "--kernel", "debian/bullseye"]).expect(3);
    assert!(run.stdout.contains("E0708") && run.stdout.contains("127.0.0.1"), "{run}");
    // Nothing half-fetched is left.
    let left = std::fs::read_dir(place.path().join("cache/kernels")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["debian-bullseye.lock"], "{left:?}");
}

#[test]
fn a_kernel_that_panics_at_boot_shows_its_last_words() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let image = std::fs::read(image(&place)).unwrap();
    let mut kernel = skep::kernels::image::vmlinux(&image).unwrap().into_owned();
    // A kernel that looks for another first process than /init.
    let path = b"/init\0";
    let places: Vec<usize> =
        (0..kernel.len() - 6).filter(|&at| kernel[at..at + 6] == path[..]).collect();
    assert!(!places.is_empty());
    for at in places {
        kernel[at..at + 5].copy_from_slice(b"/noop");
    }
    place.file("vmlinux", &kernel);
    let run = place.skep(&["verify", "good.bpf.o", "--kernel", "./vmlinux"]).expect(3);
    assert!(run.stdout.contains("E0706"), "{run}");
    assert!(run.stdout.contains("Kernel panic - not syncing"), "{run}");
}

/// Two programs, the first of which keeps the verifier busy until it has seen
/// a million instructions.
const ENDLESS: &str = r#"
SEC("socket") int endless(struct ctx *ctx) {
	u64 sum = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 8000000; i++) {
		sum += ktime() ^ i;
	}
	return sum;
}
SEC("socket") int quick(void *ctx) { return 0; }
"#;

#[test]
fn a_program_that_takes_too_long_costs_only_itself() {
    let place = Place::new();
    object(&place, "endless", ENDLESS);
    let run = place
        .skep(&["verify", "endless.bpf.o", "--kernel", "debian/trixie", "--time-limit", "1"])
        .expect(3);
    assert!(run.stdout.contains("no verdict") && run.stdout.contains("E0711"), "{run}");
    assert!(run.stderr.contains("1 accepted, 1 without a verdict"), "{run}");
}

/// Up to half a minute where nothing but emulation runs the guest.
#[test]
fn a_program_that_takes_long_gets_its_verdict_all_the_same() {
    let place = Place::new();
    object(&place, "endless", ENDLESS);
    let args = ["verify", "endless.bpf.o", "--kernel", "debian/trixie"];
    let run = place.skep(&[&args[..], &["--message-format", "json"]].concat()).expect(1);
    let verdicts = rows(&run, "program-verdict");
    let said = |row: &serde_json::Value| (row["verdict"].clone(), row["errno"].clone());
    assert_eq!(said(&verdicts[0]), ("rejected".into(), libc::E2BIG.into()), "{run}");
    assert!(verdicts[0]["instructions"].as_u64().unwrap() >= 1_000_000, "{run}");
    assert_eq!(said(&verdicts[1]).0, "accepted", "{run}");
    assert!(run.stdout.contains("E0307"), "{run}");
}

#[test]
fn maps_that_do_not_fit_are_a_refusal() {
    let place = Place::new();
    let c = r#"
struct { __uint(type, 2); __uint(max_entries, 1 << 24); __type(key, u32); __type(value, char[4096]); } huge SEC(".maps");
SEC("socket") int big(void *ctx) { u32 key = 0; return lookup(&huge, &key) != 0; }
"#;
    object(&place, "huge", c);
    let run = place.skep(&["verify", "huge.bpf.o", "--kernel", "debian/bookworm"]).expect(1);
    assert!(run.stdout.contains("refused (prepare)") && run.stdout.contains("E0359"), "{run}");
}

/// A `skep verify` under way, whose QEMU is up.
struct UnderWay {
    skep: Child,
    qemu: u32,
    said: String,
}

impl UnderWay {
    fn start(place: &Place) -> Self {
        object(place, "endless", ENDLESS);
        let skep = place
            .command(&["verify", "--cold", "endless.bpf.o", "--kernel", "debian/bookworm"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut this = Self { skep, qemu: 0, said: String::new() };
        let started = Instant::now();
        loop {
            // The one that verifies has a kernel; the one that probes KVM has none.
            let child = children(this.skep.id())
                .into_iter()
                .find(|&pid| arguments(pid).iter().any(|argument| argument == "-kernel"));
            if let Some(qemu) = child {
                this.qemu = qemu;
                return this;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "no QEMU was started");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until skep has said this.
    fn wait_for(&mut self, word: &str) {
        let stderr = self.skep.stderr.as_mut().unwrap();
        while !self.said.contains(word) {
            let mut bytes = [0; 256];
            let count = stderr.read(&mut bytes).unwrap();
            assert!(count > 0, "it ended without saying `{word}`: {}", self.said);
            self.said.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.skep.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for skep's end and asserts that QEMU went with it.
    fn end(self) -> Run {
        let mut run = Run::from(self.skep.wait_with_output().unwrap());
        run.stderr.insert_str(0, &self.said);
        let started = Instant::now();
        while Path::new(&format!("/proc/{}/exe", self.qemu)).exists()
            && started.elapsed() < Duration::from_secs(5)
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(arguments(self.qemu), Vec::<String>::new(), "QEMU outlived skep");
        run
    }
}

/// The processes whose parent this is.
fn children(parent: u32) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name in parentheses: state, parent.
        let parent_of = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
        parent_of == Some(&parent.to_string())
    })
    .collect()
}

fn arguments(pid: u32) -> Vec<String> {
    let text = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn ctrl_c_ends_the_machine_too() {
    let place = Place::new();
    let under_way = UnderWay::start(&place);
    std::thread::sleep(Duration::from_millis(700));
    under_way.signal("-INT");
    let started = Instant::now();
    let run = under_way.end().expect(130);
    assert!(started.elapsed() < Duration::from_secs(5), "{run}");
    assert!(!run.stdout.contains("error"), "{run}");
}

#[test]
fn a_killed_skep_takes_its_machine_along() {
    let place = Place::new();
    let under_way = UnderWay::start(&place);
    under_way.signal("-KILL");
    under_way.end();
}

#[test]
fn a_machine_that_dies_costs_only_the_program_it_was_at() {
    let place = Place::new();
    let mut under_way = UnderWay::start(&place);
    under_way.wait_for("Verifying");
    std::thread::sleep(Duration::from_millis(500));
    let status = Command::new("kill").args(["-KILL", &under_way.qemu.to_string()]).status();
    assert!(status.unwrap().success());
    let run = under_way.end().expect(3);
    assert!(run.stdout.contains("E0707"), "{run}");
    assert!(run.stderr.contains("1 accepted, 1 without a verdict"), "{run}");
}

#[test]
fn the_machine_has_no_network_no_disk_and_no_directory_of_the_host() {
    let place = Place::new();
    let under_way = UnderWay::start(&place);
    let arguments = arguments(under_way.qemu);
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    assert_eq!(after("-nic"), Some("none"), "{arguments:?}");
    assert!(after("-sandbox").is_some_and(|value| value.starts_with("on")), "{arguments:?}");
    assert!(arguments.iter().any(|argument| argument == "-nodefaults"));
    for word in ["virtfs", "fsdev", "-drive", "-blockdev", "-netdev", "-hda", "vhost", "9p"] {
        assert!(!arguments.iter().any(|argument| argument.contains(word)), "{word}");
    }
    under_way.signal("-KILL");
    under_way.end();
}

#[test]
fn what_is_no_object_never_reaches_a_machine() {
    let place = Place::new().env("PATH", "/nonexistent");
    place.file("empty.o", "");
    place.file("text.o", "int main;");
    for file in ["empty.o", "text.o", "/proc/self/exe"] {
        let run = place.skep(&["verify", file, "--kernel", "debian/bookworm"]).expect(1);
        assert!(run.stdout.contains("E040"), "{run}");
    }
}
