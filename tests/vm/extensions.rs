//! `freplace` programs: what `skep check` says of one beside what it replaces
//! is what the kernels make of it.

use crate::objects::object;
use crate::support::Place;
use std::collections::BTreeSet;

/// What is replaced. Every argument is used, for clang passes nothing where
/// none is.
const TARGETS: &str = r#"
#define NOINLINE __attribute__((noinline))
#define USE(x) asm volatile("" :: "r"(x))
struct xdp_md { u32 data; };
struct __sk_buff { u32 len; };
struct other { u32 data; };
struct pair { int a; long b; };
struct twin { int a; long b; };
enum kind { ONE = 1 };
NOINLINE int choose(struct xdp_md *ctx, int n) { USE(ctx); volatile int x = n; return x; }
NOINLINE int wide(struct xdp_md *ctx, u64 n) { USE(ctx); volatile int x = n; return x; }
NOINLINE int memory(struct pair *pair, int n) { volatile int x = n; return pair ? pair->a + x : x; }
NOINLINE int named(struct xdp_md *ctx, enum kind n) { USE(ctx); volatile int x = n; return x; }
static NOINLINE int inner(struct xdp_md *ctx) { USE(ctx); volatile int x = 1; return x; }
__attribute__((visibility("hidden")))
NOINLINE int hidden(struct xdp_md *ctx) { USE(ctx); volatile int x = 1; return x; }
NOINLINE int idle(struct xdp_md *ctx) { USE(ctx); volatile int x = 1; return x; }
SEC("xdp") int entry(struct xdp_md *ctx) {
	struct pair pair = {};
	return choose(ctx, 1) + wide(ctx, 2) + memory(&pair, 3) + named(ctx, ONE) + inner(ctx) + hidden(ctx);
}
SEC("tc") int other_entry(struct __sk_buff *ctx) { return 0; }
SEC("fentry/vfs_read") int traced(u64 *ctx) { return 0; }
"#;

/// What each replaces, its result and its arguments.
const EXTENSIONS: [(&str, &str, &str); 33] = [
    ("choose", "int", "struct xdp_md *ctx, int n"),
    ("choose", "int", "struct xdp_md *ctx, u32 n"),
    ("choose", "int", "const struct xdp_md *ctx, int n"),
    ("choose", "int", "struct xdp_md *ctx"),
    ("choose", "int", "struct xdp_md *ctx, int n, int m"),
    ("choose", "int", "struct xdp_md *ctx, u64 n"),
    ("choose", "int", "struct other *ctx, int n"),
    ("choose", "int", "void *ctx, int n"),
    ("choose", "int", "u64 *ctx, int n"),
    ("choose", "int", "struct xdp_md *ctx, void *n"),
    ("choose", "int", "struct xdp_md *ctx, enum kind n"),
    ("choose", "long", "struct xdp_md *ctx, int n"),
    ("choose", "char", "struct xdp_md *ctx, int n"),
    ("choose", "enum kind", "struct xdp_md *ctx, int n"),
    ("choose", "void *", "struct xdp_md *ctx, int n"),
    ("wide", "int", "struct xdp_md *ctx, u64 n"),
    ("wide", "int", "struct xdp_md *ctx, long n"),
    ("wide", "int", "struct xdp_md *ctx, int n"),
    ("memory", "int", "struct pair *pair, int n"),
    ("memory", "int", "const struct pair *pair, int n"),
    ("memory", "int", "struct twin *pair, int n"),
    ("memory", "int", "void *pair, int n"),
    ("named", "int", "struct xdp_md *ctx, enum kind n"),
    ("named", "int", "struct xdp_md *ctx, int n"),
    ("inner", "int", "struct xdp_md *ctx"),
    ("hidden", "int", "struct xdp_md *ctx"),
    ("idle", "int", "struct xdp_md *ctx"),
    ("entry", "int", "struct xdp_md *ctx"),
    ("entry", "int", "void"),
    ("entry", "int", "struct __sk_buff *ctx"),
    ("other_entry", "int", "struct __sk_buff *ctx"),
    ("other_entry", "int", "struct xdp_md *ctx"),
    ("traced", "int", "u64 *ctx"),
];

#[test]
fn extensions_are_refused_where_check_says_so() {
    let place = Place::new();
    let mut c = TARGETS.to_owned();
    for (at, (target, result, arguments)) in EXTENSIONS.iter().enumerate() {
        c += &format!(
            "SEC(\"freplace/{target}\") {result} p{at}({arguments}) {{ return ({result})0; }}\n"
        );
    }
    object(&place, "extensions", &c);
    let rows = |args: &[&str]| {
        let run = place.skep(&[args, &["--message-format", "json", "extensions.bpf.o"]].concat());
        let run = run.expect(1);
        let rows = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.collect::<Vec<serde_json::Value>>()
    };
    let mut predicted = BTreeSet::new();
    for row in rows(&["check"]).iter().filter(|row| row["message"]["code"]["code"] == "E0354") {
        assert_eq!(row["message"]["level"], "error", "{row}");
        predicted.insert(row["skep"]["program"].as_str().unwrap().to_owned());
    }
    let kernels = ["-k", "debian/bookworm", "-k", "debian/trixie", "-k", "debian/sid"];
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows(&[&["verify"], &kernels[..]].concat()) {
        if row["reason"] != "program-verdict" {
            continue;
        }
        let program = row["program"].as_str().unwrap();
        count += 1;
        if predicted.contains(program) != (row["verdict"] != "accepted") {
            wrong.push(format!("{program} on {}: {}", row["kernel"], row["verdict"]));
        }
    }
    // What is replaced can be loaded, too.
    assert_eq!(count, (EXTENSIONS.len() + 3) * 3);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(predicted.len() > 15 && predicted.len() < 24, "{predicted:?}");
}
