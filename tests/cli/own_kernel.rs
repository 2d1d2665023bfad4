//! `skep verify --host` and `skep run --host` without the privileges that they
//! need, or without consent. With them they are tested in a guest
//! (`tests/vm/own.rs`): nothing is loaded into the kernel of the machine that
//! tests run on.

use crate::support::{Place, Run};
use std::os::unix::process::CommandExt as _;

/// Of linux/capability.h: CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF.
const CAPABILITIES: [libc::c_int; 3] = [21, 38, 39];

/// `skep` as a user without privileges runs it; a root that tests are run by
/// loses them on the way.
fn unprivileged(place: &Place, args: &[&str]) -> Run {
    let mut command = place.command(args);
    // SAFETY: only system calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for capability in CAPABILITIES {
                // Only root may, and only root has to.
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            Ok(())
        });
    }
    Run::from(command.output().unwrap())
}

fn place() -> Place {
    let place = Place::new();
    place.file(
        "one.bpf.c",
        "__attribute__((section(\"socket\"), used)) int nothing(void *ctx) { return 0; }\n",
    );
    place
}

#[test]
fn without_privileges_it_says_how_to_have_them() {
    let place = place();
    let run = unprivileged(&place, &["verify", "--host", "one.bpf.c"]).expect(3);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("E0713") && run.stderr.contains("own kernel, Linux "), "{run}");
    assert!(run.stderr.contains("skep verify --kernel host"), "{run}");
    assert!(run.stderr.contains("sudo setcap") || run.stderr.contains("asked as root"), "{run}");
}

#[test]
fn it_is_the_only_kernel_then() {
    let place = place();
    for other in [&["--kernel", "host"][..], &["--cold"]] {
        let run = place.skep(&[&["verify", "--host", "one.bpf.c"], other].concat()).expect(2);
        assert!(run.stderr.contains("cannot be used with"), "{run}");
    }
}

#[test]
fn the_other_side_serves_nobody_else() {
    let place = Place::new();
    let run = place.skep(&["__load", "99", "99"]).expect(3);
    assert!(run.stderr.contains("cannot load"), "{run}");
    place.skep(&["__load"]).expect(2);
    place.skep(&["__load", "0"]).expect(2);
    place.skep(&["__load", "x", "1"]).expect(2);
}

/// A project whose program does nothing with BPF, so that it may run anywhere.
fn project() -> Place {
    let place = place();
    place.file("Skep.toml", "[package]\nname = \"one\"\n[bpf]\nsources = [\"one.bpf.c\"]\nvmlinux = \"none\"\n[user]\nkind = \"c\"\nsources = [\"one.c\"]\n");
    place.file(
        "one.c",
        "#include <stdio.h>\n#include <stdlib.h>\nint main(int argc, char **argv)\n{\n\tint c;\n\
         \tprintf(\"%s %s\\n\", argv[1], getenv(\"MINE\"));\n\
         \twhile ((c = getchar()) != EOF)\n\t\tputchar(c);\n\treturn 4;\n}\n",
    );
    place
}

#[test]
fn a_program_runs_on_this_kernel_only_if_somebody_agrees() {
    let place = project();
    let args = ["run", "--host", "--env", "MINE=x", "--", "arg"];
    let refused = place.skep(&args).expect(2);
    assert_eq!(refused.stdout, "");
    assert!(
        refused.stderr.contains("error[E0714]") && refused.stderr.contains("no terminal"),
        "{refused}"
    );
    let mut session = place.on_terminal(&args);
    session.wait_for("on this machine's own kernel?").type_in("n\r");
    assert_eq!(session.finish(), 2, "{}", session.shown);
    assert!(
        session.shown.contains("one is not run") && !session.shown.contains("arg x"),
        "{}",
        session.shown
    );
    // What it has no part in.
    let other = place.skep(&["run", "--host", "--exec", "true"]).expect(2);
    assert!(other.stderr.contains("`--exec` has no part in how `one` runs"), "{other}");
    assert!(other.stderr.contains("`--no-user`"), "{other}");
}

#[test]
fn programs_are_attached_to_this_kernel_only_if_somebody_agrees() {
    let place = project();
    let args = ["run", "--host", "--no-user", "--attach", "nothing=lo"];
    let refused = place.skep(&args).expect(2);
    assert!(
        refused.stderr.contains("error[E0714]") && refused.stderr.contains("would be attached"),
        "{refused}"
    );
    let mut session = place.on_terminal(&args);
    session.wait_for("on this machine's own kernel?").type_in("n\r");
    assert_eq!(session.finish(), 2, "{}", session.shown);
    assert!(session.shown.contains("one.bpf.o is not attached"), "{}", session.shown);
}

#[test]
fn nothing_of_this_machine_is_chosen_for_programs() {
    let place = place();
    place.file(
        "two.bpf.c",
        "#define SEC(name) __attribute__((section(name), used))\n\
         SEC(\"xdp\") int first(void *ctx) { return 2; }\n\
         SEC(\"?tc\") int later(void *ctx) { return 0; }\n\
         SEC(\"tc\") int second(void *ctx) { return 0; }\n\
         SEC(\"cgroup_skb/egress\") int third(void *ctx) { return 1; }\n\
         SEC(\"kprobe/vfs_read\") int fourth(void *ctx) { return 0; }\n",
    );
    let run = place.skep(&["run", "--host", "two.bpf.c", "--attach", "second=none"]).expect(2);
    assert!(run.stderr.contains("`first` (xdp) is attached to an interface"), "{run}");
    assert!(run.stderr.contains("`--attach first=INTERFACE`"), "{run}");
    assert!(run.stderr.contains("`--attach third=/sys/fs/cgroup/NAME`"), "{run}");
    for known in ["later", "second", "fourth"] {
        assert!(!run.stderr.contains(known), "{run}");
    }
}

#[test]
fn what_only_a_machine_has_is_refused_with_the_reason() {
    let place = place();
    for other in [&["-k", "host"][..], &["--cold"]] {
        let wrong = place.skep(&[&["run", "--host", "one.bpf.c"], other].concat()).expect(2);
        assert!(wrong.stderr.contains("cannot be used with"), "{wrong}");
    }
    for (flag, value, reason) in [
        ("--send", "eth/ip/udp", "a pair of devices, which only a virtual machine has"),
        ("--bring", "one.bpf.c", "finds this machine's files where they are"),
        ("--module", "veth", "`sudo modprobe NAME`"),
    ] {
        let wrong = place.skep(&["run", "--host", "one.bpf.c", flag, value]).expect(2);
        assert!(wrong.stderr.contains(reason), "{wrong}");
    }
}

/// A command run as a user who is not root.
fn as_somebody(place: &Place, path: &str, args: &[&str]) -> std::process::Command {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(place.path(), open).unwrap();
    let mut command = place.command(args);
    command.env("PATH", path).env("SKEP_CACHE_DIR", place.path().join("cache"));
    // SAFETY: only system calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            // Only root may, and only root has to.
            libc::setgid(65534);
            libc::setuid(65534);
            Ok(())
        });
    }
    command
}

/// A search path with all that is there, but for `sudo`; or with one that does
/// what `sudo` says.
fn tools(place: &Place, sudo: Option<&str>) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let usual = std::env::var("PATH").unwrap();
    let tools = place.path().join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    for dir in usual.split(':') {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name() != "sudo" {
                drop(std::os::unix::fs::symlink(entry.path(), tools.join(entry.file_name())));
            }
        }
    }
    if let Some(script) = sudo {
        let sudo = tools.join("sudo");
        std::fs::write(&sudo, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&sudo, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    tools.to_str().unwrap().to_owned()
}

#[test]
fn who_is_not_root_needs_sudo() {
    let place = project();
    let run =
        |path: &str, args: &[&str]| Run::from(as_somebody(&place, path, args).output().unwrap());
    let args = ["run", "--host", "--yes", "--env", "MINE=x y", "--", "arg"];
    let denied = run(&tools(&place, None), &args).expect(3);
    assert!(
        denied.stderr.contains("error[E0713]") && denied.stderr.contains("`sudo` was not found"),
        "{denied}"
    );
    // One that only says what it is asked for.
    let path = tools(&place, Some("echo \"sudo $*\" >&2\nshift\nexec \"$@\""));
    let ran = run(&path, &args).expect(4);
    assert_eq!(ran.stdout, "arg x y\n", "{ran}");
    assert!(ran.stderr.contains("sudo -- ") && ran.stderr.contains("env MINE=x y /"), "{ran}");
}

#[test]
fn who_is_not_root_attaches_by_sudo() {
    let place = place();
    let args = ["run", "--host", "--yes", "--attach", "nothing=lo", "one.bpf.c"];
    let run = |path: &str| Run::from(as_somebody(&place, path, &args).output().unwrap()).expect(3);
    let none = run(&tools(&place, None));
    assert!(none.stderr.contains("`sudo` was not found"), "{none}");
    let refused = run(&tools(&place, Some("echo 'no, you are not' >&2\nexit 1")));
    assert!(refused.stderr.contains("no, you are not\n"), "{refused}");
    assert!(refused.stderr.contains("error[E0713]: sudo did not make skep root"), "{refused}");
    // One that makes nobody root; then the kernel refuses.
    let powerless = run(&tools(&place, Some("echo \"sudo $*\" >&2\nshift\nexec \"$@\"")));
    assert!(powerless.stderr.contains("skep __load 0 1\n"), "{powerless}");
    assert!(powerless.stderr.contains("error[E0713]: this machine's own kernel, "), "{powerless}");
}
