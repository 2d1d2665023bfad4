//! Machines that go on where an earlier one came up.

use crate::endurance::verdicts;
use crate::objects::{BAD, GOOD, object};
use crate::support::{Place, Run, shared_cache};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// A place with the shared cache's kernels and with snapshots of its own.
fn place() -> Place {
    let place = Place::new();
    // Whoever comes first fetches the kernel.
    place.skep(&["kernel", "path", "debian/bookworm"]).expect(0);
    let cache = place.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::os::unix::fs::symlink(shared_cache().join("kernels"), cache.join("kernels")).unwrap();
    // Where KVM is there and of no use, each process that is the first waits for it: who
    // has found that out before need not be asked again.
    if let Ok(known) = std::fs::read(shared_cache().join("accelerator")) {
        std::fs::write(cache.join("accelerator"), known).unwrap();
    }
    place.env("SKEP_CACHE_DIR", "cache")
}

fn verify(place: &Place, args: &[&str]) -> Run {
    let format = ["-v", "--message-format", "short"];
    place.skep(&[&["verify", "--kernel", "debian/bookworm"], args, &format[..]].concat())
}

/// The files of the one snapshot there is.
fn snapshot(place: &Place) -> PathBuf {
    let dirs = std::fs::read_dir(place.path().join("cache/snapshots")).unwrap();
    let mut dirs: Vec<PathBuf> =
        dirs.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    assert_eq!(dirs.len(), 1, "{dirs:?}");
    dirs.remove(0)
}

#[test]
fn the_first_run_boots_and_later_ones_do_not() {
    let place = place();
    object(&place, "good", GOOD);
    object(&place, "bad", BAD);
    let first = verify(&place, &["good.bpf.o", "bad.bpf.o"]).expect(1);
    assert!(first.stderr.contains("Booting"), "{first}");
    let second = verify(&place, &["good.bpf.o", "bad.bpf.o"]).expect(1);
    assert!(!second.stderr.contains("Booting"), "{second}");
    let cold = verify(&place, &["--cold", "good.bpf.o", "bad.bpf.o"]).expect(1);
    assert!(cold.stderr.contains("Booting"), "{cold}");
    assert_eq!(verdicts(&first).len(), 6, "{first}");
    assert_eq!(verdicts(&first), verdicts(&second));
    assert_eq!(verdicts(&first), verdicts(&cold));
}

#[test]
fn a_snapshot_that_was_changed_or_cut_is_made_anew() {
    let place = place();
    object(&place, "good", GOOD);
    verify(&place, &["good.bpf.o"]).expect(0);
    for file in ["ram", "state"] {
        let path = snapshot(&place).join(file);
        let size = std::fs::metadata(&path).unwrap().len();
        let damages: [&dyn Fn(&std::fs::File); 2] =
            [&|file| file.write_all_at(b"!", size / 3).unwrap(), &|file| {
                file.set_len(size / 2).unwrap()
            }];
        for damage in damages {
            damage(&std::fs::File::options().write(true).open(&path).unwrap());
            let run = verify(&place, &["good.bpf.o"]).expect(0);
            assert!(run.stderr.contains("Booting"), "{run}");
            let run = verify(&place, &["good.bpf.o"]).expect(0);
            assert!(!run.stderr.contains("Booting"), "{run}");
        }
    }
}

#[test]
fn runs_at_once_share_one_snapshot() {
    let place = place();
    object(&place, "good", GOOD);
    let start = || {
        let args = ["verify", "-v", "good.bpf.o", "--kernel", "debian/bookworm"];
        let piped = std::process::Stdio::piped;
        place.command(&args).stdout(piped()).stderr(piped()).spawn().unwrap()
    };
    let runs: Vec<Run> = [start(), start(), start()]
        .map(|child| Run::from(child.wait_with_output().unwrap()).expect(0))
        .into();
    let booted = runs.iter().filter(|run| run.stderr.contains("Booting")).count();
    assert_eq!(booted, 1, "{} {} {}", runs[0], runs[1], runs[2]);
    snapshot(&place);
}

#[test]
fn without_a_place_for_a_snapshot_machines_boot() {
    let place = place();
    object(&place, "good", GOOD);
    // A file where the directory would be.
    place.file("cache/snapshots", "");
    let run = verify(&place, &["good.bpf.o"]).expect(0);
    assert!(run.stderr.contains("no snapshot is taken"), "{run}");
}
