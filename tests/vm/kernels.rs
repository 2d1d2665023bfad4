//! Kernels: where they come from, what is in their machines, what of their
//! modules an object gets.

use crate::objects::object;
use crate::support::{Place, Run, debian};
use std::path::Path;
use std::process::Command;

/// `skep kernel run` with commands for the shell.
fn shell(place: &Place, args: &[&str], commands: &str) -> Run {
    place.fed(&[&["kernel", "run", "debian/bookworm"], args].concat(), commands)
}

#[test]
fn a_shell_in_the_guest_reads_commands_and_its_exit_code_comes_out() {
    let place = Place::new();
    let commands = "uname; echo 'to a  file' > /x; cat /x\n\
                    cat /nowhere; echo rc $?; ps; bpf prog list; ls /sys/fs; dmesg\n\
                    nonsense; exit 7; echo unreached\n";
    let run = shell(&place, &[], commands).expect(7);
    for part in ["6.1.0-", "to a  file\n", "rc 1\n", "/init", "cgroup", "Linux version 6.1"] {
        assert!(run.stdout.contains(part), "no {part:?} in {run}");
    }
    assert!(!run.stdout.contains("unreached"), "{run}");
    assert!(run.stderr.contains("cat: /nowhere: No such file"), "{run}");
    assert!(run.stderr.contains("nonsense: no such command"), "{run}");
}

#[test]
fn on_a_terminal_the_console_is_the_users() {
    let place = Place::new();
    let mut session = place.on_terminal(&["kernel", "run", "debian/bookworm"]);
    session.wait_for("cloud-amd64 # ");
    session.type_in("echo typed $?\r").wait_for("typed 0");
    session.type_in("exit 5\r");
    assert_eq!(session.finish(), 5, "{}", session.shown);
    // A key gives the terminal back although the guest goes on.
    let mut session = place.on_terminal(&["kernel", "run", "debian/bookworm"]);
    session.wait_for("cloud-amd64 # ").type_in("cat\r").type_in("\u{1d}");
    assert_eq!(session.finish(), 130, "{}", session.shown);
}

#[test]
fn a_static_program_can_be_brought() {
    let place = Place::new();
    let busybox = debian::package("busybox-static", "bookworm").join("bin/busybox");
    place.file("more/data", "brought data");
    let run = place
        .skep(&[
            "kernel",
            "run",
            "debian/bookworm",
            "--bring",
            busybox.to_str().unwrap(),
            "--bring",
            "more",
            "--",
            "busybox",
            "sh",
            "-c",
            "cat /bring/more/data; echo $((6*7)) | busybox tr 2 3; exit 9",
        ])
        .expect(9);
    assert_eq!(run.stdout, "brought data43\n", "{run}");
}

#[test]
fn a_guest_that_may_not_map_memory_talks_over_the_serial_line() {
    let place = Place::new();
    let command = ["kernel", "run", "debian/bookworm", "--append", "lockdown=integrity"];
    let run = |words: &[&str]| place.skep(&[&command, words].concat()).expect(0);
    // Booted, and restored.
    for _ in 0..2 {
        let run = run(&["-v", "--", "dmesg"]);
        assert!(run.stdout.contains("Lockdown: init: /dev/mem"), "{run}");
        assert!(!run.stderr.contains("of no use"), "{run}");
    }
}

/// A lookup in the table of connections, through functions of nf_conntrack,
/// and a program on a function of the module.
const CONNECTIONS: &str = r#"
struct nf_conn { unsigned long status; };
struct xdp_md { u32 data; };
struct bpf_sock_tuple { u32 saddr, daddr; unsigned short sport, dport; };
struct bpf_ct_opts { int netns_id; int error; unsigned char l4proto, dir, reserved[2]; };
#define __ksym __attribute__((section(".ksyms")))
extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *, struct bpf_sock_tuple *, u32, struct bpf_ct_opts *, u32) __ksym;
extern void bpf_ct_release(struct nf_conn *) __ksym;
SEC("xdp") int known(struct xdp_md *ctx) {
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts options = { .netns_id = -1, .l4proto = 6 };
	struct nf_conn *found = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple), &options, sizeof(options));
	if (found)
		bpf_ct_release(found);
	return 2;
}
SEC("fentry/__nf_conntrack_confirm") int confirmed(void *ctx) { return 0; }
"#;

#[test]
fn modules_that_an_object_needs_are_loaded() {
    let place = Place::new();
    object(&place, "connections", CONNECTIONS);
    let kernels = ["--kernel", "debian/bookworm", "--kernel", "debian/trixie"];
    let run = place.skep(&[&["verify", "-v", "connections.bpf.o"], &kernels[..]].concat());
    let run = run.expect(0);
    assert_eq!(run.stdout.matches("accepted").count(), 4, "{run}");
    assert!(run.stderr.contains("loading modules: "), "{run}");
    assert!(run.stderr.contains("nf_conntrack"), "{run}");
}

/// A package as dpkg would make it.
fn deb(dir: &Path, name: &str, fields: &str, files: &[(&str, &[u8])]) -> String {
    let root = dir.join(name);
    std::fs::create_dir_all(root.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: 6.8.0-31.31\nArchitecture: amd64\nMaintainer: x <x@example.org>\n\
         {fields}Description: x\n"
    );
    std::fs::write(root.join("DEBIAN/control"), &control).unwrap();
    for (path, content) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let file = format!("{name}.deb");
    let status =
        Command::new("dpkg-deb").args(["-b", "-Znone", name, &file]).current_dir(dir).output();
    assert!(status.unwrap().status.success());
    let bytes = std::fs::read(dir.join(&file)).unwrap();
    let sha256 = skep::base::digest::Digest::of(&bytes);
    format!("{control}Filename: ./{file}\nSize: {}\nSHA256: {sha256}\n\n", bytes.len())
}

#[test]
fn ubuntus_kernels_come_from_a_mirror_that_the_user_names() {
    let place = Place::new();
    let image = place.skep(&["kernel", "path", "debian/bookworm"]).expect(0);
    let image = std::fs::read(image.stdout.trim_end()).unwrap();
    // apt does not take a space in the address.
    let mirror = tempfile::Builder::new().prefix("mirror").tempdir().unwrap();
    let release = "6.8.0-31-generic";
    let dists = mirror.path().join("dists/noble");
    std::fs::create_dir_all(dists.join("main/binary-amd64")).unwrap();
    let packages = [
        deb(
            mirror.path(),
            "linux-image-virtual",
            &format!("Depends: linux-image-{release}, linux-firmware\n"),
            &[],
        ),
        deb(
            mirror.path(),
            &format!("linux-image-{release}"),
            &format!("Depends: kmod, linux-base (>= 4.5), linux-modules-{release}\n"),
            &[(&format!("boot/vmlinuz-{release}"), &image)],
        ),
        deb(
            mirror.path(),
            &format!("linux-modules-{release}"),
            "",
            &[
                (&format!("boot/config-{release}"), b"CONFIG_BPF=y\n"),
                (&format!("lib/modules/{release}/kernel/fs/x.ko.zst"), b"module"),
            ],
        ),
    ]
    .concat();
    std::fs::write(dists.join("main/binary-amd64/Packages"), &packages).unwrap();
    let sha256 = skep::base::digest::Digest::of(packages.as_bytes());
    let list = format!(" {sha256} {} main/binary-amd64/Packages\n", packages.len());
    let about = "Origin: Test\nSuite: noble\nCodename: noble\nArchitectures: amd64\n\
                 Components: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n";
    std::fs::write(dists.join("Release"), format!("{about}SHA256:\n{list}")).unwrap();
    for pocket in ["updates", "security"] {
        let dir = mirror.path().join(format!("dists/noble-{pocket}/main/binary-amd64"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("Packages"), "").unwrap();
        let about = about.replace("Suite: noble", &format!("Suite: noble-{pocket}"));
        let empty = skep::base::digest::Digest::of(b"");
        let list = format!(" {empty} 0 main/binary-amd64/Packages\n");
        let release = format!("{about}SHA256:\n{list}");
        std::fs::write(dir.join("../../Release"), release).unwrap();
    }
    let place = place
        .env("SKEP_CACHE_DIR", "cache")
        .env("SKEP_UBUNTU_MIRROR", format!("[trusted=yes] file:{}", mirror.path().display()));
    let short = |args: &[&str]| place.skep(&[args, &["--message-format", "short"]].concat());
    let added = short(&["kernel", "add", "ubuntu/noble"]).expect(0);
    let expected = format!("linux-image-{release}\t6.8.0-31.31");
    assert!(added.stdout.contains(&expected), "{added}");
    let listed = short(&["kernel", "list"]).expect(0);
    assert!(listed.stdout.contains("ubuntu/noble\t6.1."), "{listed}");
    let config = place.skep(&["kernel", "config", "ubuntu/noble", "BPF", "X"]).expect(0);
    assert_eq!(config.stdout, "CONFIG_BPF=y\n# CONFIG_X is not set\n", "{config}");
    let available = short(&["--offline", "kernel", "list", "--available"]).expect(3);
    assert!(available.stderr.contains("E0702"), "{available}");
    let cleaned = place.skep(&["clean", "--kernels"]).expect(0);
    assert!(cleaned.stderr.contains("Removed"), "{cleaned}");
    assert_eq!(short(&["kernel", "list"]).expect(0).stdout, "");
}

#[test]
fn what_a_distribution_needs_and_lacks_is_said() {
    let place = Place::new().env("SKEP_CACHE_DIR", "cache");
    let place = place.env("PATH", "/nonexistent");
    let run = place.skep(&["kernel", "add", "fedora/42"]).expect(3);
    assert!(run.stderr.contains("E0708") && run.stderr.contains("dnf is not installed"), "{run}");
    let run = place.skep(&["kernel", "add", "debian/sid"]).expect(3);
    assert!(run.stderr.contains("apt-get is not installed"), "{run}");
}
