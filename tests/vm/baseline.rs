//! Old against new: figures that `skep verify` keeps, and veristat's.

use crate::objects::object;
use crate::options::{LOOP, rows};
use crate::support::{Place, Run};

const KERNEL: [&str; 2] = ["--kernel", "debian/trixie"];

fn verify(place: &Place, args: &[&str]) -> Run {
    place.skep(&[&["verify"], &KERNEL[..], args].concat())
}

/// Two programs whose cost is set from outside, one that needs a check.
const PROGRAMS: &str = r#"
SEC("socket") int steady(void *ctx) { return 0; }
SEC("socket") int growing(void *ctx) {
	u32 sum = 0;
	for (u32 i = 0; i < ROUNDS; i++)
		sum += ktime() & 1;
	return sum;
}
SEC("socket") int flipping(void *ctx) { return FLIP ? *(u32 *)(long)(u32)ktime() : 0; }
"#;

fn compile(place: &Place, rounds: &str, flip: &str) {
    let c = PROGRAMS.replace("ROUNDS", rounds).replace("FLIP", flip);
    object(place, "some", &c);
}

#[test]
fn what_changed_since_the_baseline() {
    let place = Place::new();
    compile(&place, "1000", "0");
    verify(&place, &["some.bpf.o", "--save", "base.json", "--csv", "base.csv"]).expect(0);
    // Nothing changed: nothing to show, nothing wrong.
    let compare = ["some.bpf.o", "--compare", "base.json", "--max-growth", "10%"];
    let run = verify(&place, &compare).expect(0);
    assert!(run.stderr.contains("with base.json: 0 of 3 changed"), "{run}");
    assert!(!run.stdout.contains("CHANGE"), "{run}");

    compile(&place, "1500", "1");
    let run = verify(&place, &compare).expect(1);
    let from = run.stdout.find("PROGRAM   KERNEL         CHANGE").expect("there is a table");
    let table: Vec<&str> = run.stdout[from..].lines().take_while(|line| !line.is_empty()).collect();
    let table = table.join("\n");
    insta::assert_snapshot!(table);
    assert!(run.stdout.contains("E0902") && run.stdout.contains("E0903"), "{run}");
    assert!(run.stdout.contains("`flipping` was accepted before, and is rejected now"), "{run}");

    // More than that is allowed.
    let run = verify(
        &place,
        &["some.bpf.o", "--program", "growing", "--compare", "base.json", "--max-growth", "60%"],
    );
    run.expect(0);
    // veristat's figures do as well; they have no kernel.
    let json = ["--message-format", "json", "some.bpf.o", "--compare", "base.csv"];
    let run = verify(&place, &json).expect(1);
    let changes: Vec<_> = rows(&run, "verdict-change")
        .iter()
        .map(|row| format!("{} {} {}", row["program"], row["change"], row["instructions_percent"]))
        .collect();
    let growth = changes[1].rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    assert!(
        changes[0] == "\"steady\" \"same\" 0.0" && (45.0..55.0).contains(&growth),
        "{changes:?}"
    );
    assert!(changes[2].starts_with("\"flipping\" \"broken\""), "{changes:?}");
}

#[test]
fn programs_come_and_go() {
    let place = Place::new();
    object(&place, "loop", LOOP);
    verify(&place, &["loop.bpf.o", "--save", "base.json"]).expect(0);
    object(&place, "loop", &LOOP.replace("spin", "turn"));
    let json = ["--message-format", "json", "loop.bpf.o", "--compare", "base.json"];
    let run = verify(&place, &json).expect(0);
    let changes: Vec<String> = rows(&run, "verdict-change")
        .iter()
        .map(|row| format!("{} {}", row["program"], row["change"]))
        .collect();
    assert_eq!(changes, ["\"turn\" \"new\"", "\"spin\" \"gone\""]);
    place.file("no.json", "{}");
    let run = verify(&place, &["loop.bpf.o", "--compare", "no.json"]).expect(2);
    assert!(run.stderr.contains("no.json cannot be compared with"), "{run}");
    let run = verify(&place, &["loop.bpf.o", "--max-growth", "1%"]).expect(2);
    assert!(run.stderr.contains("--compare"), "{run}");
}

#[test]
fn veristats_format_has_a_file_a_kernel() {
    let place = Place::new();
    object(&place, "loop", LOOP);
    let more = ["--kernel", "debian/bookworm", "loop.bpf.o", "--csv", "some.csv"];
    verify(&place, &more).expect(0);
    for kernel in ["debian-trixie", "debian-bookworm"] {
        let csv = place.read(&format!("some.{kernel}.csv"));
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with("file_name,prog_name,verdict,duration,total_insns,"), "{csv}");
        assert!(lines[1].starts_with("loop.bpf.o,spin,success,"), "{csv}");
        assert_eq!(lines.len(), 2);
    }
}
