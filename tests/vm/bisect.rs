//! The first kernel, and the first compiler, that says something else.

use crate::objects::object;
use crate::options::rows;
use crate::support::Place;

/// `bpf_ktime_get_tai_ns` came with Linux 6.1.
const NEWER: &str = r#"
static u64 (*tai)(void) = (void *)208;
SEC("socket") int asks(void *ctx) { return tai(); }
SEC("socket") int plain(void *ctx) { return 0; }
"#;

#[test]
fn the_first_kernel_that_flips_a_verdict() {
    let place = Place::new();
    object(&place, "newer", NEWER);
    let kernels = "debian/bullseye,debian/bookworm,debian/trixie,debian/sid";
    let args = ["bisect", "newer.bpf.o", "--kernels", kernels];
    let run = place.skep(&args).expect(1);
    let said =
        "debian/bookworm is the first to flip `asks`: accepted there, rejected on debian/bullseye";
    assert!(run.stderr.contains(said), "{run}");
    assert!(!run.stderr.contains("flip `plain`"), "{run}");
    // Why it was rejected, on its line.
    assert!(run.stdout.contains("E0321") && run.stdout.contains("newer.bpf.c:3"), "{run}");
    let json = place.skep(&[&args[..], &["--message-format", "json"]].concat()).expect(1);
    let flip = &rows(&json, "bisect-flip")[0];
    assert_eq!(flip["before"], "debian/bullseye");
    assert_eq!(
        (&flip["after"], &flip["verdict_after"]),
        (&"debian/bookworm".into(), &"accepted".into())
    );
    // Both ends and what lay between them: not all four, were there more.
    let tried: Vec<_> = rows(&json, "bisect-step").iter().map(|row| row["index"].clone()).collect();
    assert!(tried.contains(&0.into()) && tried.contains(&3.into()), "{json}");
}

#[test]
fn ends_that_agree_are_told_and_one_candidate_is_no_list() {
    let place = Place::new();
    object(&place, "newer", NEWER);
    let kernels = ["--kernels", "debian/bookworm,debian/trixie"];
    let run = place.skep(&[&["bisect", "newer.bpf.o"], &kernels[..]].concat()).expect(0);
    assert!(run.stderr.contains("both ends agree on every program"), "{run}");
    let run = place.skep(&["bisect", "newer.bpf.o", "--kernels", "debian/trixie"]).expect(2);
    assert!(run.stderr.contains("takes two kernels or more"), "{run}");
}

#[test]
fn the_first_compiler_that_flips_a_verdict() {
    let place = Place::new();
    let c = r#"
#define SEC(name) __attribute__((section(name), used))
SEC("socket") int reads(void *ctx)
{
#if __clang_major__ >= 19
	return *(volatile int *)8;
#else
	return 0;
#endif
}
char LICENSE[] SEC("license") = "GPL";
"#;
    place.file("reads.bpf.c", c);
    let run = place
        .skep(&[
            "bisect",
            "reads.bpf.c",
            "--clang",
            "clang-14,clang-19",
            "--kernel",
            "debian/trixie",
        ])
        .expect(1);
    let said = "clang-19 is the first to flip `reads`: rejected there, accepted on clang-14";
    assert!(run.stderr.contains(said), "{run}");
    assert!(run.stdout.contains("reads.bpf.c:6"), "{run}");
}
