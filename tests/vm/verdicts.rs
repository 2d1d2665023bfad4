//! What real kernels say of programs.

use crate::objects::{BAD, GOOD, KERNELS, object};
use crate::support::{Place, Run};

/// Runs `skep verify` on all kernels.
fn verify(place: &Place, args: &[&str]) -> Run {
    let kernels: Vec<&str> = KERNELS.iter().flat_map(|kernel| ["--kernel", kernel]).collect();
    place.skep(&[&["verify", "--message-format", "short"], args, &kernels[..]].concat())
}

/// The rows of the table, the words of each.
fn rows(run: &Run) -> Vec<Vec<&str>> {
    run.stdout.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn a_good_object_is_accepted_by_every_kernel() {
    let place = Place::new();
    object(&place, "good", GOOD);
    let run = verify(&place, &["good.bpf.o"]).expect(0);
    assert_eq!(run.stdout.matches("accepted").count(), 2 * KERNELS.len(), "{run}");
    assert!(run.stderr.contains("6 accepted"), "{run}");
}

#[test]
fn a_bad_program_is_rejected_and_hides_no_other() {
    let place = Place::new();
    object(&place, "bad", BAD);
    let run = verify(&place, &["bad.bpf.o", "--log", "all.log"]).expect(1);
    let verdicts = |program: &str| {
        rows(&run).into_iter().filter(|words| words.contains(&program)).collect::<Vec<_>>().len()
    };
    for program in ["unchecked", "fine", "untyped", "nowhere"] {
        assert!(verdicts(program) >= KERNELS.len(), "{program}: {run}");
    }
    assert_eq!(run.stdout.matches("accepted").count(), KERNELS.len(), "{run}");
    assert!(run.stdout.contains("rejected") && run.stdout.contains("E0301"), "{run}");
    assert!(run.stdout.contains("attach-target") && run.stdout.contains("E0351"), "{run}");
    assert!(run.stdout.contains("refused (load)") && run.stdout.contains("E0350"), "{run}");
    let log = place.read("all.log");
    assert_eq!(log.matches("R0 invalid mem access 'map_value_or_null'").count(), 3, "{log}");
    // The log of an accepted program is kept too.
    assert!(log.contains("fine on debian/trixie"), "{log}");
}

#[test]
fn only_programs_whose_name_matches_are_loaded() {
    let place = Place::new();
    object(&place, "bad", BAD);
    let run = place
        .skep(&["verify", "--kernel", "debian/bookworm", "--program", "fi*", "bad.bpf.o"])
        .expect(0);
    assert!(run.stdout.contains("fine") && !run.stdout.contains("unchecked"), "{run}");
    // A name that nothing has is a mistake, not a success.
    let run = place.skep(&["verify", "--program", "fime", "bad.bpf.o"]).expect(2);
    assert!(run.stderr.contains("no program is called `fime`"), "{run}");
    assert!(run.stderr.contains("fine"), "{run}");
}

#[test]
fn a_verdict_says_what_cannot_be_attached() {
    let place = Place::new();
    object(
        &place,
        "probes",
        r#"
SEC("kprobe/vfs_read") int there(void *ctx) { return 0; }
SEC("kprobe/no_such_function") int nowhere(void *ctx) { return 0; }
SEC("kretprobe/do_unlinkat") int renamed(void *ctx) { return 0; }
SEC("ksyscall/openat") int call(void *ctx) { return 0; }
"#,
    );
    // 7.2 calls it by another name.
    let kernels = ["--kernel", "debian/bookworm", "--kernel", "debian/sid"];
    let args = ["verify", "probes.bpf.o", "--message-format", "short"];
    let run = place.skep(&[&args, &kernels[..]].concat()).expect(0);
    assert_eq!(run.stdout.matches("accepted").count(), 8, "{run}");
    let findings: Vec<&str> = run.stdout.lines().filter(|line| line.contains("E0351")).collect();
    assert_eq!(findings.len(), 2, "{run}");
    assert!(findings[0].contains("warning") && findings[0].contains("`no_such_function`"), "{run}");
    assert!(findings[1].contains("`do_unlinkat`") && findings[1].contains("sid"), "{run}");
    assert!(!findings[1].contains("bookworm"), "{run}");
}
