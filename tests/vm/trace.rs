//! The verifier's walk, folded by line and step by step.

use crate::objects::{BAD, GOOD, KERNELS, object};
use crate::options::{LOOP, rows};
use crate::support::Place;
use serde_json::Value;

/// Functions, a loop and branches that are pruned.
const WALK: &str = r#"
static __attribute__((noinline)) int pick(u32 at) { return at & 1 ? (u32)ktime() : at; }
SEC("socket") int walks(void *ctx) {
	u32 sum = 0;
	for (u32 i = 0; i < 20; i++) {
		sum += pick(i);
		if (ktime() & 2)
			sum ^= 7;
	}
	return sum;
}
"#;

#[test]
fn lines_cost_what_the_kernel_counted() {
    let place = Place::new();
    object(&place, "walk", WALK);
    object(&place, "loop", LOOP);
    object(&place, "bad", BAD);
    let mut args = vec!["verify", "--message-format", "json", "--blame=999"];
    args.extend(KERNELS.iter().flat_map(|kernel| ["--kernel", *kernel]));
    args.extend(["--kernel", "debian/sid", "walk.bpf.o", "loop.bpf.o", "bad.bpf.o"]);
    let run = place.skep(&args).expect(1);
    let lines = rows(&run, "line-cost");
    let mut compared = 0;
    for verdict in rows(&run, "program-verdict") {
        let Some(verified) = verdict["instructions"].as_u64() else { continue };
        let own = lines.iter().filter(|line| {
            ["object", "program", "kernel"].iter().all(|key| line[key] == verdict[key])
        });
        let told: u64 = own.map(|line| line["instructions"].as_u64().unwrap()).sum();
        assert_eq!(told, verified, "{verdict}");
        compared += 1;
    }
    assert_eq!(compared, 4 * 4, "{run}");
    let of_loop = |line: &&Value| line["program"] == "spin" && line["kernel"] == "debian/trixie";
    let dearest = lines.iter().find(of_loop).unwrap();
    assert!(dearest["file"] == "loop.bpf.c", "{dearest}");
    assert!(
        dearest["source"].as_str().unwrap().contains("sum") || dearest["line"] == 7,
        "{dearest}"
    );
}

#[test]
fn the_dearest_lines_for_people() {
    let place = Place::new();
    object(&place, "loop", LOOP);
    let run = place
        .skep(&[
            "verify",
            "--kernel",
            "debian/trixie",
            "--set",
            "rounds=100",
            "--blame=3",
            "loop.bpf.o",
        ])
        .expect(0);
    let from = run.stdout.rfind("PROGRAM").unwrap();
    insta::assert_snapshot!(run.stdout[from..].trim_end());
}

#[test]
fn the_failing_path_is_told_in_every_dialect() {
    let place = Place::new();
    object(&place, "bad", BAD);
    for kernel in KERNELS.iter().chain(&["debian/sid"]) {
        let args = ["verify", "bad.bpf.o", "--kernel", kernel, "--trace", "unchecked"];
        let run = place.skep(&args).expect(1);
        let listing = &run.stdout[..run.stdout.find("error[").unwrap()];
        assert!(
            listing.contains("rejected, ") && listing.contains("on the path that failed"),
            "{run}"
        );
        assert!(listing.contains("bad.bpf.c:4  u32 key = 0;"), "{kernel}: {run}");
        assert!(listing.contains("bad.bpf.c:6  *value += 1;"), "{kernel}: {run}");
        assert!(listing.contains("R0=map_value_or_null("), "{kernel}: {run}");
        assert!(listing.contains("R0 invalid mem access 'map_value_or_null'"), "{kernel}: {run}");
        if *kernel == "debian/trixie" {
            let (heading, rest) = listing.split_once('\n').unwrap();
            assert!(heading.starts_with("unchecked on debian/trixie (6.12"), "{heading}");
            // Where the map lies is another place at every boot.
            let map = rest.find("0xffff").unwrap();
            let rest = rest.replace(&rest[map..map + 18], "0xffff000000000000");
            insta::assert_snapshot!(rest.trim());
        }
        // Programs get the state after each step.
        let json = place.skep(&[&args[..], &["--message-format", "json"]].concat()).expect(1);
        let steps = rows(&json, "trace-step");
        let last = steps.last().unwrap();
        assert_eq!(last["line"], 6, "{kernel}: {last}");
        let state = last["state"].to_string();
        assert!(state.contains("R10=fp0"), "{kernel}: {last}");
        assert!(steps.iter().all(|step| step["file"] == "bad.bpf.c"), "{kernel}: {json}");
    }
}

#[test]
fn pages_are_turned_on_a_terminal() {
    let place = Place::new();
    object(&place, "bad", BAD);
    let args = ["verify", "bad.bpf.o", "--kernel", "debian/trixie", "--trace", "unchecked"];
    let mut session = place.on_terminal(&args);
    // It begins where the program failed.
    session.wait_for("R0 invalid mem access").wait_for("step 7 of 7");
    session.type_in("p").wait_for("step 6 of 7");
    session.type_in("g").wait_for("step 1 of 7").wait_for(">     3");
    session.type_in("j").wait_for("step 2 of 7");
    session.type_in("j").wait_for(">     5");
    session.type_in("w").wait_for("on all paths");
    session.type_in("q");
    assert_eq!(session.finish(), 1, "{}", session.shown);
    assert!(session.shown.contains("error[E0301]"), "{}", session.shown);
}

#[test]
fn an_accepted_program_is_traced_too_and_an_unseen_one_is_not() {
    let place = Place::new();
    object(&place, "good", GOOD);
    object(&place, "bad", BAD);
    let run = place
        .skep(&["verify", "good.bpf.o", "--kernel", "debian/trixie", "--trace", "count"])
        .expect(0);
    assert!(run.stdout.contains("count on debian/trixie"), "{run}");
    assert!(run.stdout.contains("accepted, ") && run.stdout.contains("on all paths"), "{run}");
    let run = place
        .skep(&["verify", "bad.bpf.o", "--kernel", "debian/trixie", "--trace", "nowhere"])
        .expect(1);
    assert!(run.to_string().contains("E0904"), "{run}");
}
