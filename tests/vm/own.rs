//! `skep verify --host`: the kernel that skep itself runs on. Inside of a guest
//! that is the guest's kernel, whatever machine the tests run on.

use crate::objects::{BAD, GOOD, object};
use crate::options::rows;
use crate::support::{Place, Run};
use serde_json::Value;

/// A kprobe that no kernel can attach, and a program for a function of it.
const PROBES: &str = r#"
SEC("kprobe/no_such_function") int nowhere(void *ctx) { return 0; }
SEC("fentry/vfs_read") int read(void *ctx) { return 0; }
"#;

const OBJECTS: [&str; 3] = ["bad.bpf.o", "good.bpf.o", "probes.bpf.o"];

/// A place with three objects.
fn place() -> Place {
    let place = Place::new();
    for (name, c) in [("bad", BAD), ("good", GOOD), ("probes", PROBES)] {
        object(&place, name, c);
    }
    place
}

/// Commands for the shell of a guest that has the objects.
fn in_guest(place: &Place, commands: &str) -> Run {
    let bring: Vec<&str> = OBJECTS.iter().flat_map(|object| ["--bring", object]).collect();
    place.fed(&[&["kernel", "run", "debian/trixie"], &bring[..]].concat(), commands)
}

/// What a verdict says besides times and places.
fn verdict(row: &Value) -> Vec<Value> {
    let keys = [
        "program",
        "release",
        "verdict",
        "stage",
        "errno",
        "libbpf",
        "instructions",
        "states",
        "stack",
        "xlated_bytes",
        "jited_bytes",
    ];
    keys.iter().map(|key| row[key].clone()).collect()
}

#[test]
fn the_kernel_that_skep_runs_on_says_what_the_same_one_says_in_a_guest() {
    let place = place();
    let run = in_guest(
        &place,
        "cd /bring\n\
         /init verify --host --message-format json bad.bpf.o good.bpf.o probes.bpf.o\n\
         echo rc $? >/rc; bpf prog list >/left; bpf map list >>/left; ps >>/left\n\
         cat /rc /left >/proc/self/fd/2\n",
    );
    assert!(run.stderr.contains("rc 1\n"), "{run}");
    assert!(run.stderr.contains("on this machine's own kernel, Linux 6.12."), "{run}");
    // Nothing stays: no program, no map, no process.
    for left in ["count", "unchecked", "__load"] {
        let after = run.stderr.split("rc 1\n").nth(1).unwrap();
        assert!(!after.contains(left), "{run}");
    }
    let own = rows(&run, "program-verdict");
    assert!(own.iter().all(|row| row["kernel"] == "own"), "{run}");
    let args = ["verify", "--kernel", "debian/trixie", "--message-format", "json"];
    let guest = place.skep(&[&args, &OBJECTS[..]].concat()).expect(1);
    let theirs = rows(&guest, "program-verdict");
    assert_eq!(own.len(), 8, "{run}");
    assert_eq!(
        own.iter().map(verdict).collect::<Vec<_>>(),
        theirs.iter().map(verdict).collect::<Vec<_>>()
    );
    // Whether a probe can be attached is found out by trying, so only in a
    // guest.
    let codes = |run: &Run| -> Vec<String> {
        let findings = rows(run, "compiler-message");
        let code = |row: &Value| row["message"]["code"]["code"].as_str().unwrap().to_owned();
        findings.iter().map(code).collect()
    };
    assert_eq!(codes(&guest).iter().filter(|code| *code == "E0351").count(), 2, "{guest}");
    assert_eq!(codes(&run).iter().filter(|code| *code == "E0351").count(), 1, "{run}");
}
