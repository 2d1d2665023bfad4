//! `skep doctor`. Installing is tried with an `apt-get` of our own: the
//! machine that runs the tests is not ours to change.

use crate::support::Place;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

/// A place whose search path has nothing but these scripts.
fn place(scripts: &[(&str, &str)]) -> Place {
    let place = Place::new();
    for (name, script) in scripts {
        let path = place.file(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let bin = place.path().join("bin");
    place.env("PATH", bin)
}

/// `sudo` and an `apt-get` that notes how it was called; installing links the
/// real programs into the search path. (The suite runs on Debian and its kin.)
fn with_apt(install: &str) -> Place {
    let apt = format!(
        "case $1 in --version) exit;; esac\necho \"apt-get $*\" >> calls\n\
         case $1 in install) {install};; esac"
    );
    place(&[("apt-get", &apt), ("sudo", "exec \"$@\"")])
}

#[test]
fn a_machine_with_everything_is_healthy() {
    let run = Place::new().skep(&["doctor"]).expect(0);
    assert!(run.stdout.starts_with("TOOL "), "{run}");
    assert!(run.stderr.contains("nothing is missing"), "{run}");
}

#[test]
fn what_is_missing_is_named_with_the_command_that_needs_it() {
    let place = with_apt("true");
    let run = place.skep(&["--message-format", "json", "doctor"]).expect(3);
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |name: &str| lines.iter().find(|line| line["name"] == name).unwrap();
    assert_eq!(row("clang")["state"], "missing");
    assert_eq!(row("clang")["needed_for"], "build");
    assert_eq!(row("clang")["required"], true);
    assert_eq!(row("qemu-system-x86_64")["state"], "missing");
    assert_eq!(row("bpftool")["required"], false);
    assert_eq!(row("libbpf headers")["state"], "found");
    assert_eq!(row("cc")["state"], "missing");
    assert!(row("cc")["install"].as_str().unwrap().ends_with(" gcc"));
    assert_eq!(row("libelf")["state"], "found");
    assert_eq!(row("zlib")["needed_for"], "build, for user programs in C");
    let codes: Vec<_> =
        lines.iter().filter_map(|line| line["message"]["code"]["code"].as_str()).collect();
    assert_eq!(codes, ["E0203", "E0701"]);
    let install = row("clang")["install"].as_str().unwrap();
    assert!(install.ends_with("apt-get install -y --no-install-recommends clang"), "{install}");
}

#[test]
fn without_a_terminal_nothing_is_installed_unasked() {
    let place = with_apt("true");
    let run = place.skep(&["doctor", "--fix"]).expect(2);
    assert!(run.stderr.contains("install -y --no-install-recommends clang qemu"), "{run}");
    assert!(!place.path().join("calls").exists());
    place.skep(&["doctor", "--yes"]).expect(2);
    place.skep(&["--offline", "doctor", "--fix", "--yes"]).expect(2);
    assert!(!place.path().join("calls").exists());
}

#[test]
fn with_yes_it_is_installed_and_looked_at_again() {
    let real = |name: &str| {
        let path = std::env::var_os("PATH").unwrap();
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.exists())
    };
    let clang = real("clang").or_else(|| real("clang-19")).expect("clang is installed");
    let qemu = real("qemu-system-x86_64").expect("QEMU is installed");
    let link = format!(
        "/bin/ln -s '{}' bin/clang; /bin/ln -s '{}' bin/qemu-system-x86_64",
        clang.display(),
        qemu.display()
    );
    let place = with_apt(&link);
    let run = place.skep(&["doctor", "--fix", "--yes"]).expect(0);
    assert_eq!(
        place.read("calls"),
        "apt-get update\napt-get install -y --no-install-recommends clang qemu-system-x86\n"
    );
    assert!(run.stderr.contains("nothing is missing"), "{run}");

    let place = with_apt("exit 100");
    let run = place.skep(&["doctor", "--fix", "--yes"]).expect(3);
    assert!(run.stderr.contains("error[E0604]") && run.stderr.contains("exit code 100"), "{run}");
}

#[test]
fn on_a_terminal_it_is_asked_first() {
    let place = with_apt("true");
    let mut session = place.on_terminal(&["doctor", "--fix"]);
    session.wait_for("Run `").wait_for("install -y").type_in("n");
    assert_eq!(session.finish(), 3, "{}", session.shown);
    assert!(!place.path().join("calls").exists());

    let mut session = place.on_terminal(&["doctor", "--fix"]);
    session.wait_for("install -y").type_in("y");
    assert_eq!(session.finish(), 3, "{}", session.shown);
    assert!(place.read("calls").contains("install -y"));
}

#[test]
fn ctrl_c_at_a_question_ends_it() {
    let place = with_apt("true");
    let mut session = place.on_terminal(&["doctor", "--fix"]);
    session.wait_for("install -y").type_in("\x03");
    assert_eq!(session.finish(), 130, "{}", session.shown);
    assert!(session.shown.contains("interrupted"), "{}", session.shown);
    let (hidden, visible) = (session.shown.rfind("\x1b[?25l"), session.shown.rfind("\x1b[?25h"));
    assert!(visible >= hidden, "the cursor stays hidden: {:?}", session.shown);
    assert!(!place.path().join("calls").exists());
}
