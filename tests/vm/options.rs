//! What `skep verify` can be asked: other values of globals, parts of the
//! work, budgets; and every detail of a result.

use crate::objects::{BAD, GOOD, KERNELS, object};
use crate::support::{Place, Run};
use serde_json::Value;

const KERNEL: [&str; 2] = ["--kernel", "debian/trixie"];

/// A loop whose length is a constant that can be set.
pub const LOOP: &str = r#"
const volatile u32 rounds = 4;
const volatile _Bool strict = 0;
u32 total;
SEC("socket") int spin(void *ctx) {
	u32 sum = 0;
	for (u32 i = 0; i < rounds && i < 5000; i++)
		sum += ktime() & 1;
	return strict ? *(u32 *)(long)sum : sum;
}
"#;

/// The rows of a run in JSON.
pub fn rows(run: &Run, reason: &str) -> Vec<Value> {
    let messages = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    messages.filter(|message| message["reason"] == reason).collect()
}

/// `skep verify` on one kernel, in JSON.
fn json(place: &Place, args: &[&str]) -> Run {
    place.skep(&[&["verify", "--message-format", "json"], &KERNEL[..], args].concat())
}

#[test]
fn each_combination_of_values_is_verified() {
    let place = Place::new();
    object(&place, "loop", LOOP);
    let args = ["loop.bpf.o", "--set", "rounds=2,200", "--set", "strict=false,true"];
    let run = json(&place, &args).expect(1);
    let verdicts = rows(&run, "program-verdict");
    let said = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        format!("{}: {}", text("set"), text("verdict"))
    };
    assert_eq!(
        verdicts.iter().map(said).collect::<Vec<_>>(),
        [
            "rounds=2 strict=false: accepted",
            "rounds=2 strict=true: rejected",
            "rounds=200 strict=false: accepted",
            "rounds=200 strict=true: rejected",
        ]
    );
    let cost = |index: usize| verdicts[index]["instructions"].as_u64().unwrap();
    assert!(cost(2) > 10 * cost(0), "{run}");
    // One cause is one finding, which says with what it was met.
    let findings = rows(&run, "compiler-message");
    assert_eq!(findings.len(), 1, "{run}");
    let rendered = findings[0]["message"]["rendered"].as_str().unwrap();
    assert!(rendered.contains("with `rounds=2 strict=true`, `rounds=200 strict=true`"), "{run}");
}

#[test]
fn a_value_that_makes_no_difference_is_told_and_a_wrong_one_refused() {
    let place = Place::new();
    object(&place, "loop", LOOP);
    let run = json(&place, &["loop.bpf.o", "--set", "total=5"]).expect(0);
    assert!(run.stderr.contains("`total` is not constant"), "{run}");
    for (set, said) in [
        ("round=1", "did you mean `rounds`?"),
        ("rounds=many", "`many` is no number"),
        ("rounds", "gives no value"),
        ("strict=2", "`2` is neither true nor false"),
    ] {
        let run = place.skep(&["verify", "loop.bpf.o", "--set", set]).expect(2);
        assert!(run.stderr.contains("E0101") && run.stderr.contains(said), "{set}: {run}");
    }
}

#[test]
fn results_have_every_detail() {
    let place = Place::new();
    let c = BAD.replace("__uint(max_entries, 4)", "__uint(max_entries, 0); __uint(pinning, 1)");
    object(&place, "bad", &c);
    let run = json(&place, &["bad.bpf.o", "--as", "untyped=socket"]).expect(1);
    let verdicts = rows(&run, "program-verdict");
    let of = |name: &str| verdicts.iter().find(|row| row["program"] == name).unwrap();

    let fine = of("fine");
    assert_eq!((&fine["verdict"], &fine["stage"]), (&"accepted".into(), &Value::Null));
    for key in ["instructions", "size", "xlated_bytes", "jited_bytes", "load_micros"] {
        assert!(fine[key].as_u64().unwrap() > 0, "{key}: {fine}");
    }
    for key in ["states", "peak_states", "stack", "verification_micros", "mark_read"] {
        assert!(fine[key].is_u64(), "{key}: {fine}");
    }
    // Nobody asked for the log of what went well.
    assert_eq!(fine["log"], Value::Null);
    let fixups = fine["fixups"].to_string();
    assert!(fixups.contains("max_entries set from 0 to 1"), "{fine}");
    assert!(fixups.contains("pinning ignored"), "{fine}");
    assert!(run.stderr.contains("map `counts`: max_entries set from 0 to 1"), "{run}");

    let unchecked = of("unchecked");
    assert_eq!((&unchecked["stage"], &unchecked["errno"]), (&"verifier".into(), &13.into()));
    assert!(unchecked["libbpf"].to_string().contains("load failed"), "{unchecked}");
    let log = std::fs::read_to_string(place.path().join(unchecked["log"].as_str().unwrap()));
    assert!(log.unwrap().contains("R0 invalid mem access"), "{unchecked}");

    let nowhere = of("nowhere");
    assert_eq!(nowhere["stage"], "attach-target");
    assert_eq!(nowhere["errno"], 3, "ESRCH: {nowhere}");

    let untyped = of("untyped");
    assert_eq!(untyped["verdict"], "accepted", "{untyped}");
    assert!(untyped["fixups"].to_string().contains("stood in section `socket`"), "{untyped}");
    let run = place.skep(&["verify", "bad.bpf.o", "--as", "untyped"]).expect(2);
    assert!(run.stderr.contains("PROGRAM=SECTION"), "{run}");
}

#[test]
fn parts_of_the_work_are_all_of_it_and_nothing_twice() {
    let place = Place::new();
    object(&place, "good", GOOD);
    object(&place, "loop", LOOP);
    let programs = |args: &[&str]| {
        let run = json(&place, &[&["good.bpf.o", "loop.bpf.o"], args].concat()).expect(0);
        let names = rows(&run, "program-verdict").into_iter();
        names.map(|row| row["program"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(programs(&["--partition", "1/2"]), ["count", "spin"]);
    assert_eq!(programs(&["--partition", "2/2"]), ["nothing"]);
    assert_eq!(programs(&["--partition", "4/4"]), Vec::<String>::new());
    assert_eq!(programs(&["--object", "lo*"]), ["spin"]);
    let run = place.skep(&["verify", "good.bpf.o", "--object", "bad"]).expect(2);
    assert!(run.stderr.contains("no object is called `bad`"), "{run}");
    assert_eq!(programs(&["--top", "1", "--by", "insns"]), ["spin"]);
}

/// A project with a budget.
fn project(place: &Place, budget: &str) {
    place.file("Skep.toml", format!("[package]\nname = \"p\"\n{budget}"));
    place.file("src/spin.h", "");
    object(place, "spin", LOOP);
    let c = format!("{}\n{LOOP}", place.read("spin.h"));
    place.file("src/spin.bpf.c", c);
}

#[test]
fn a_program_over_its_budget_is_an_error_on_its_line() {
    let place = Place::new();
    project(
        &place,
        "[[budget]]\ninstructions = 100_000\nstack = 0\n\
         [[budget]]\nprogram = \"spin\"\nkernel = \"debian/trix*\"\ninstructions = 10\n",
    );
    let kernels = [&KERNEL[..], &["--kernel", "debian/bookworm"]].concat();
    let short = [&["verify", "--message-format", "short"], &kernels[..]].concat();
    let run = place.skep(&short).expect(1);
    let finding = run.stdout.lines().find(|line| line.contains("E0901")).expect("it is over");
    assert!(finding.starts_with("src/spin.bpf.c:1"), "{run}");
    assert!(finding.contains("verified instructions, 10 allowed"), "{run}");
    // The exception is for one kernel.
    assert!(finding.contains("(on debian/trixie)"), "{run}");
    let text = place.read("Skep.toml").replace("= 10\n", "= 99999\n");
    place.file("Skep.toml", text);
    place.skep(&short).expect(0);
    place.file("Skep.toml", "[[budget]]\nprogram = \"[\"\n");
    let run = place.skep(&short).expect(2);
    assert!(run.stderr.contains("E0104") && run.stderr.contains("Skep.toml:1"), "{run}");
}

#[test]
fn one_table_for_all_kernels() {
    let place = Place::new();
    object(&place, "bad", BAD);
    let kernels: Vec<&str> = KERNELS.iter().flat_map(|kernel| ["--kernel", kernel]).collect();
    let run = place.skep(&[&["verify", "bad.bpf.o"], &kernels[..]].concat()).expect(1);
    let table: Vec<&str> = run.stdout.lines().take_while(|line| !line.is_empty()).collect();
    // A row a program, though there are three kernels.
    assert_eq!(table.len(), 5, "{run}");
    insta::assert_snapshot!(without_times(&table));
}

/// A table without its times, which differ from run to run.
fn without_times(rows: &[&str]) -> String {
    let at = rows[0].find("STACK").unwrap() + 5;
    let cut = |row: &&str| row.chars().take(at).collect::<String>().trim_end().to_owned();
    rows.iter().map(cut).collect::<Vec<_>>().join("\n")
}
