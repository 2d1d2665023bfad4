//! `skep verify --host` without the privileges that it needs. With them it is
//! tested in a guest (`tests/vm/own.rs`): nothing is loaded into the kernel of
//! the machine that tests run on.

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
    assert!(run.stderr.contains("sudo setcap") || run.stderr.contains("runs as root"), "{run}");
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
    let run = place.skep(&["__load", "99"]).expect(3);
    assert!(run.stderr.contains("cannot load"), "{run}");
    place.skep(&["__load"]).expect(2);
    place.skep(&["__load", "x"]).expect(2);
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
    // A project without such a program, and flags that are for a machine.
    let none = place.skep(&["run", "--host", "one.bpf.c"]).expect(2);
    assert!(none.stderr.contains("there is no user program"), "{none}");
    for other in [&["-k", "host"][..], &["--exec", "true"], &["--no-user"]] {
        let wrong = place.skep(&[&["run", "--host"], other].concat()).expect(2);
        assert!(wrong.stderr.contains("cannot be used with"), "{wrong}");
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

#[test]
fn who_is_not_root_needs_sudo() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = project();
    let usual = std::env::var("PATH").unwrap();
    // A search path with all that is there, but for sudo.
    let tools = place.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    for dir in usual.split(':') {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name() != "sudo" {
                drop(std::os::unix::fs::symlink(entry.path(), tools.join(entry.file_name())));
            }
        }
    }
    let path = tools.to_str().unwrap();
    let args = ["run", "--host", "--yes", "--env", "MINE=x y", "--", "arg"];
    let denied = Run::from(as_somebody(&place, path, &args).output().unwrap()).expect(3);
    assert!(
        denied.stderr.contains("error[E0713]") && denied.stderr.contains("`sudo` was not found"),
        "{denied}"
    );
    // One that only says what it is asked for.
    let sudo = tools.join("sudo");
    std::fs::write(&sudo, "#!/bin/sh\necho \"sudo $*\" >&2\nshift\nexec \"$@\"\n").unwrap();
    std::fs::set_permissions(&sudo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = Run::from(as_somebody(&place, path, &args).output().unwrap()).expect(4);
    assert_eq!(ran.stdout, "arg x y\n", "{ran}");
    assert!(ran.stderr.contains("sudo -- ") && ran.stderr.contains("env MINE=x y /"), "{ran}");
}
