//! The oldest kernel that `skep check --min-kernel` names, tried for real: a
//! kernel at or above it accepts the object, one below it does not.

use crate::objects::{KERNELS, object_with};
use crate::support::Place;
use skep::bpf::KernelVersion;

/// Objects with the release that each needs, and a word of the reason.
const OBJECTS: [(&str, &str, &str, &str); 5] = [
    (
        "ring",
        "5.8",
        "ringbuf",
        r#"
struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
static long (*output)(void *, void *, u64, u64) = (void *)130;
SEC("socket") int p(void *ctx) { u64 now = ktime(); return output(&ring, &now, 8, 0); }
"#,
    ),
    (
        "fetch",
        "5.12",
        "atomic",
        r#"
static u64 total;
SEC("socket") int p(void *ctx) { return __sync_fetch_and_add(&total, 1); }
"#,
    ),
    (
        "tai",
        "6.1",
        "bpf_ktime_get_tai_ns",
        r#"
static u64 (*tai)(void) = (void *)208;
SEC("socket") int p(void *ctx) { return tai(); }
"#,
    ),
    (
        "extend",
        "6.6",
        "ISA v4",
        r#"
SEC("socket") int p(void *ctx) { u64 x = ktime(), y; asm volatile("%0 = (s8)%1" : "=r"(y) : "r"(x)); return y; }
"#,
    ),
    (
        "who",
        "6.12",
        "bpf_get_current_pid_tgid",
        r#"
static u64 (*who)(void) = (void *)14;
SEC("xdp") int p(struct ctx *ctx) { return who() & 1; }
"#,
    ),
];

fn rows(stdout: &str) -> Vec<serde_json::Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_below_the_inferred_minimum_refuses_and_what_is_above_accepts() {
    let place = Place::new();
    let mut args = vec!["check", "--min-kernel", "--message-format", "json"];
    let files: Vec<String> = OBJECTS.iter().map(|(name, ..)| format!("{name}.bpf.o")).collect();
    for ((name, .., c), file) in OBJECTS.iter().zip(&files) {
        let flags: &[&str] = if *name == "extend" { &["-mcpu=v4"] } else { &[] };
        object_with(&place, name, c, flags);
        args.push(file);
    }
    let checked = place.skep(&args).expect(0);
    let checked = rows(&checked.stdout);
    for (name, min, because, _) in OBJECTS {
        let row = checked.iter().find(|row| row["object"] == name).unwrap();
        assert_eq!(row["kernel"], min, "{row}");
        assert!(row["because"].as_str().unwrap().contains(because), "{row}");
    }
    let mut args = vec!["verify", "--message-format", "json"];
    args.extend(KERNELS.iter().flat_map(|kernel| ["--kernel", kernel]));
    args.extend(files.iter().map(String::as_str));
    let verdicts = rows(&place.skep(&args).expect(1).stdout);
    let verdicts: Vec<_> =
        verdicts.iter().filter(|row| row["reason"] == "program-verdict").collect();
    assert_eq!(verdicts.len(), OBJECTS.len() * KERNELS.len());
    for row in verdicts {
        let object = row["object"].as_str().unwrap();
        let (_, min, ..) = OBJECTS.iter().find(|(name, ..)| object.contains(name)).unwrap();
        let release: KernelVersion = row["release"].as_str().unwrap().parse().unwrap();
        let expected = release >= min.parse().unwrap();
        assert_eq!(row["verdict"] == "accepted", expected, "{row}");
    }
}
