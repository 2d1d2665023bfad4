//! `skep bench`: how long programs run. Times themselves are nobody's to
//! foresee; that they are there, kept and compared is.

use crate::support::{Place, Run};
use serde_json::Value;

const SOURCE: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

__u64 seen;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	seen++;
	return XDP_PASS;
}

SEC("tc")
int other(struct __sk_buff *skb)
{
	return skb->len > 1000;
}

SEC("kprobe/vfs_read")
int traced(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

fn bench(place: &Place, args: &[&str]) -> Run {
    let fixed = ["bench", "-k", "debian/bookworm", "-k", "debian/sid", "--repeat", "500"];
    place.skep(&[&fixed[..], &["--rounds", "3"], args].concat())
}

fn rows(run: &Run) -> Vec<Value> {
    let rows = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["reason"] == "bench-result").collect()
}

#[test]
fn programs_are_measured_and_compared() {
    let place = Place::new();
    place.file("Skep.toml", "[package]\nname = \"fast\"\n");
    place.file("src/fast.bpf.c", SOURCE);
    // What the test expects does not matter here. One that attaches a program
    // does not run it.
    place.file(
        "tests/fast.toml",
        "[[test]]\nname = 'arp'\nprogram = 'count'\npacket = 'eth/arp'\nexpect.retval = 'XDP_TX'\n\
         [[test]]\nname = 'lets pass'\nprogram = 'other'\ndo = 'ping 127.0.0.1'\n",
    );
    let json = ["--message-format", "json"];
    let run = bench(&place, &[&json[..], &["--save", "before.json"]].concat()).expect(0);
    let found = rows(&run);
    let names: Vec<(&str, &str)> = found
        .iter()
        .map(|row| (row["test"].as_str().unwrap(), row["kernel"].as_str().unwrap()))
        .collect();
    // The program without a test gets a packet of zeros.
    assert_eq!(
        names,
        [
            ("fast::arp", "debian/bookworm"),
            ("fast::arp", "debian/sid"),
            ("fast::other", "debian/bookworm"),
            ("fast::other", "debian/sid"),
        ],
        "{run}"
    );
    for row in &found {
        assert!(row["nanos_per_run"].as_u64().unwrap() > 0, "{run}");
        assert_eq!(row["rounds"].as_array().unwrap().len(), 3, "{run}");
    }

    // One program, which no test runs.
    let args = ["other", "--baseline", "before.json", "--threshold", "100000"];
    let run = bench(&place, &args).expect(0);
    assert!(run.stdout.contains("BEFORE") && !run.stdout.contains("arp"), "{run}");
    assert!(run.stderr.contains("Measured 2 figures"), "{run}");

    let run = bench(&place, &["--baseline", "before.json", "--threshold", "100000"]).expect(0);
    assert!(run.stdout.contains("BEFORE") && run.stdout.contains("RATIO"), "{run}");
    assert!(run.stderr.contains("Measured 4 figures, 3 rounds of 500 runs each"), "{run}");

    // As if everything had been faster once.
    let mut before: Value = serde_json::from_str(&place.read("before.json")).unwrap();
    for program in before["programs"].as_array_mut().unwrap() {
        (program["run_nanos"], program["run_nanos_high"]) = (0.into(), 0.into());
    }
    place.file("before.json", before.to_string());
    let args = ["--baseline", "before.json", "count", "--message-format", "short"];
    let run = bench(&place, &args).expect(1);
    assert_eq!(run.stdout.matches("E0905").count(), 2, "{run}");
    assert!(run.stdout.contains("tests/fast.toml:1:1: error[E0905]"), "{run}");

    place.file("before.json", "{}");
    let run = bench(&place, &["--baseline", "before.json"]).expect(2);
    assert!(run.stderr.contains("before.json cannot be compared with"), "{run}");
}

#[test]
fn what_the_kernel_does_not_time_is_not_measured() {
    let place = Place::new();
    place.file(
        "slow.bpf.c",
        SOURCE
            .replace("SEC(\"xdp\")", "SEC(\"kprobe/a\")")
            .replace("SEC(\"tc\")", "SEC(\"kprobe/b\")"),
    );
    let run = place.skep(&["bench", "slow.bpf.c", "-k", "debian/sid"]);
    let run = run.expect(2);
    assert!(run.stderr.contains("there is nothing here whose time the kernel takes"), "{run}");
}
