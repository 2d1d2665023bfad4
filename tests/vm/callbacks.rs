//! Callbacks of helpers: what `skep check` says of one is what the kernels that
//! have the helper make of it.

use crate::objects::object;
use crate::support::Place;
use std::collections::BTreeSet;

/// The helpers, and what the programs work on.
const HEAD: &str = r#"
static long (*each)(void *, void *, void *, u64) = (void *)164;
static void *(*task)(void) = (void *)158;
static long (*find_vma)(void *, u64, void *, void *, u64) = (void *)180;
static long (*loop)(u32, void *, void *, u64) = (void *)181;
static long (*read_dynptr)(void *, u32, void *, u32, u64) = (void *)201;
static long (*drain)(void *, void *, void *, u64) = (void *)209;
struct { __uint(type, 31); __uint(max_entries, 4096); } user SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } array SEC(".maps");
static u64 global;
"#;

/// How each helper is told to call `f`.
const CALLS: [(&str, &str); 4] = [
    ("each", "each(&array, f, &local, 0)"),
    ("vma", "find_vma(task(), 0, f, &local, 0)"),
    ("loop", "loop(2, f, &local, 0)"),
    ("drain", "drain(&user, f, &local, 0)"),
];

/// Callbacks, each tried with every helper.
const CALLBACKS: [&str; 14] = [
    "long f(void *a, void *b) { return 0; }",
    "long f(void *a, void *b) { return 1; }",
    "long f(void *a, void *b) { return ktime() & 1; }",
    "long f(void *a, void *b) { return 2; }",
    "long f(void *a, void *b) { return -1; }",
    "int f(void *a, void *b) { return -1; }",
    "void f(void *a, void *b) { ktime(); }",
    "long f(u64 *a, void *b) { return *a != 0; }",
    "long f(void *a, u64 *b) { return *b != 0; }",
    "long f(void *a, void *b, u64 *c) { return c != 0; }",
    "long f(void *a, void *b, u64 *c, void *d) { return d != 0; }",
    "long f(void *a, void *b, void *c, void *d, void *e) { return e != 0; }",
    "long f(void *a, void *b) { loop(2, f0, 0, 0); return 0; }",
    "long f(void *a, void *b) { u64 x; return read_dynptr(&x, 8, a, 0, 0) == 0; }",
];

/// What is passed through, and other ways to call.
const OTHERS: [(&str, &str); 12] = [
    ("long f(void *a, void *b) { return 0; }", "loop(2, f, 0, 0)"),
    ("long f(void *a, void *b) { return 0; }", "loop(2, f, (void *)5, 0)"),
    ("long f(void *a, void *b) { return 0; }", "loop(2, f, ctx, 0)"),
    ("long f(void *a, void *b) { return 0; }", "loop(2, f, &global, 0)"),
    ("long f(void *a, void *b) { return 0; }", "drain(&user, f, 0, 0)"),
    ("long f(void *a, void *b) { return 0; }", "drain(&user, f, &global, 0)"),
    ("long f(void *a, void *b) { return 0; }", "find_vma(task(), 0, f, ctx, 0)"),
    ("long f(void *a, void *b) { return 0; }", "each(&array, f, &array, 0)"),
    ("long f(void *a, void *b) { return drain(&user, f0, 0, 0) != 0; }", "drain(&user, f, 0, 0)"),
    ("long f(void *a, u64 *b) { *b = 1; return 0; }", "find_vma(task(), 0, f, 0, 0)"),
    ("long f(void *a, u64 *b) { *b = 1; return 0; }", "drain(&user, f, &local, 0)"),
    ("long f(u64 *a, void *b) { *a = 1; return 0; }", "drain(&user, f, &local, 0)"),
];

/// What is refused for another reason: there is no dynptr, or a key has four
/// bytes.
fn is_beyond(helper: &str, callback: &str) -> bool {
    callback.contains("read_dynptr") && helper != "drain"
        || callback.contains("*b != 0") && helper == "each"
}

#[test]
fn callbacks_are_refused_where_check_says_so() {
    let place = Place::new();
    let mut c = format!("{HEAD}static long f0(void *a, void *b) {{ return 0; }}\n");
    let mut cases = Vec::new();
    for (helper, call) in CALLS {
        let tried = CALLBACKS.iter().filter(|callback| !is_beyond(helper, callback));
        cases.extend(tried.map(|callback| (*callback, call)));
    }
    cases.extend(OTHERS);
    for (at, (callback, call)) in cases.iter().enumerate() {
        c += &format!(
            "#define f f{}\nstatic __attribute__((noinline)) {callback}\n\
             SEC(\"raw_tp/sys_enter\") int p{at}(void *ctx) {{ u64 local = 0; {call}; return 0; }}\n\
             #undef f\n",
            at + 1
        );
    }
    object(&place, "callbacks", &c);
    let rows = |args: &[&str]| {
        let run = place.skep(&[args, &["--message-format", "json", "callbacks.bpf.o"]].concat());
        let run = run.expect(1);
        let rows = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.collect::<Vec<serde_json::Value>>()
    };
    let mut predicted = BTreeSet::new();
    for row in rows(&["check"]).iter().filter(|row| row["message"]["level"] == "error") {
        predicted.insert(row["skep"]["program"].as_str().unwrap().to_owned());
    }
    let kernels = ["-k", "debian/bookworm", "-k", "debian/trixie", "-k", "debian/sid"];
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows(&[&["verify"], &kernels[..]].concat())
        .iter()
        .filter(|row| row["reason"] == "program-verdict")
    {
        let program = row["program"].as_str().unwrap();
        count += 1;
        if predicted.contains(program) != (row["verdict"] != "accepted") {
            let (callback, call) = cases[program[1..].parse::<usize>().unwrap()];
            wrong.push(format!("{}: {}: {callback} {call}", row["kernel"], row["verdict"]));
        }
    }
    assert_eq!(count, cases.len() * 3);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(predicted.len() > 25 && predicted.len() < cases.len() - 15, "{predicted:?}");
}
