//! `skep add`.

use super::new::tree;
use crate::support::Place;

#[test]
fn a_program_comes_into_a_project_and_touches_nothing() {
    let place = Place::new();
    place.skep(&["new", "my-bees", "--lang", "c", "--license", "GPL-2.0-only"]).expect(0);
    std::fs::rename(place.path().join("my-bees"), place.path().join("bees")).unwrap();
    let files = |place: &Place| -> Vec<(String, String)> {
        let all = tree(&place.path().join("bees")).into_iter();
        all.map(|file| (file.clone(), place.read(&format!("bees/{file}")))).collect()
    };
    let before = files(&place);
    // Below the project, too.
    let run = place.skep(&["-C", "bees/src", "add", "kprobe", "--var", "ring_kib=64"]).expect(0);
    assert!(run.stderr.contains("Added `kprobe`"), "{run}");
    let after = files(&place);
    let new: Vec<_> = after.iter().filter(|file| !before.contains(file)).collect();
    let names: Vec<_> = new.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["src/kprobe.bpf.c", "src/kprobe.c", "src/kprobe.h"]);
    assert_eq!(after.len(), before.len() + new.len(), "nothing of the user's has changed");
    // The project's license, and the answer, are in it.
    assert!(new[0].1.starts_with("// SPDX-License-Identifier: GPL-2.0-only\n"), "{}", new[0].1);
    assert!(new[0].1.contains("64 * 1024"));
    let run = place.skep(&["-C", "bees", "add", "xdp", "--name", "drops", "--message-format=json"]);
    assert!(run.expect(0).stdout.contains(r#""path":"src/drops.bpf.c""#));
    let run = place.skep(&["-C", "bees", "build"]).expect(0);
    // Each has its own user program; the first is called as before.
    for (program, object) in [("my-bees", "my_bees"), ("kprobe", "kprobe"), ("drops", "drops")] {
        let dir = place.path().join("bees/target/skep/dev");
        assert!(dir.join(format!("{object}.bpf.o")).exists(), "{run}");
        let program = dir.join(program);
        let help = std::process::Command::new(program).arg("--help").output().unwrap();
        assert!(String::from_utf8_lossy(&help.stdout).contains("Usage:"), "{help:?}");
    }
}

#[test]
fn what_cannot_be_added_leaves_nothing_behind() {
    let place = Place::new();
    let run = place.skep(&["add", "kprobe"]).expect(2);
    assert!(run.stderr.contains("E0105"), "{run}");
    place.skep(&["new", "bees", "--lang", "none"]).expect(0);
    place.file("bees/src/kprobe.h", "mine");
    let before = tree(place.path());
    for (args, code, words) in [
        (&["krpobe"][..], "E0109", "did you mean `kprobe`?"),
        (&["kprobe"], "E0108", "src/kprobe.h is there already"),
        (&["xdp", "--name", "int"], "E0107", "use `my-int`"),
        (&["xdp", "--lang", "c"], "E0110", "`kind = \"none\"` in [user]"),
        (&["xdp", "--license", "mit"], "E0110", "did you mean `MIT`?"),
        (&["xdp", "--var", "colour=red"], "E0110", "no variable `colour`"),
        (&["--git", "nowhere"], "E0601", "there is no directory nowhere"),
        (&[], "", "<TEMPLATE>"),
    ] {
        let run = place.skep(&[&["-C", "bees", "add"], args].concat()).expect(2);
        assert!(run.stderr.contains(code) && run.stderr.contains(words), "{args:?}: {run}");
        assert_eq!(tree(place.path()), before, "{args:?}");
    }
    assert_eq!(place.read("bees/src/kprobe.h"), "mine");
}

#[test]
fn what_does_not_fit_the_project_is_said() {
    let place = Place::new();
    place.file("Skep.toml", "[bpf]\nsources = [\"bpf/*.bpf.c\"]\n[kernels]\nmin = \"4.19\"\n");
    let run = place.skep(&["add", "minimal"]).expect(0);
    assert!(run.stderr.contains("there is one in `c`"), "{run}");
    assert!(run.stderr.contains("needs Linux 5.10; Skep.toml says `min = \"4.19\"`"), "{run}");
    assert!(run.stderr.contains("no pattern in Skep.toml matches src/minimal.bpf.c"), "{run}");
}
