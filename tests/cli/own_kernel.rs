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
