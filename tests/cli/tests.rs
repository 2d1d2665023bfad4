//! Which tests `skep test` and `skep bench` are asked for, as far as no
//! machine is needed to say it: names that mean none.

use crate::support::{Place, Run};

const SOURCE: &str = r#"#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
SEC("xdp") int count(struct xdp_md *ctx) { return XDP_PASS; }
SEC("xdp") int filter(struct xdp_md *ctx) { return XDP_DROP; }
SEC("kprobe/vfs_read") int traced(void *ctx) { return 0; }
"#;

const TESTS: &str =
    "[[test]]\nname = 'drops all'\nprogram = 'filter'\nexpect.retval = 'XDP_DROP'\n";

fn place() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/net.bpf.c", SOURCE);
    place.file("tests/net.toml", TESTS);
    place
}

fn said(place: &Place, args: &[&str]) -> Run {
    place.skep(&[args, &["-k", "debian/sid"]].concat()).expect(2)
}

#[test]
fn a_name_that_means_nothing_gets_the_nearest() {
    let place = place();
    for command in ["test", "bench"] {
        let run = said(&place, &[command, "fliter"]);
        let message = "`fliter` is no path, and no program and no test is called so";
        assert!(run.stderr.contains(message), "{run}");
        assert!(run.stderr.contains("did you mean `filter`?"), "{run}");
    }
    let run = said(&place, &["test", "drops al l"]);
    assert!(run.stderr.contains("did you mean `drops all`?"), "{run}");
    let run = said(&place, &["bench", "x*"]);
    let all = "there are: net::drops all, drops all, filter, net::count, count, traced";
    assert!(run.stderr.contains(all), "{run}");
    // A name among others that mean something is none the less wrong.
    let run = said(&place, &["test", "filter", "cuont"]);
    assert!(run.stderr.contains("did you mean `count`?"), "{run}");
    let run = said(&place, &["test", "-f", "drops-all"]);
    assert!(run.stderr.contains("no test is called `drops-all`"), "{run}");
    assert!(run.stderr.contains("did you mean `drops all`?"), "{run}");
    // Both must mean it.
    let run = said(&place, &["bench", "count", "-f", "filter"]);
    assert!(run.stderr.contains("no test is called `filter`"), "{run}");
}

#[test]
fn a_program_that_cannot_be_tested_is_told() {
    let place = place();
    let run = said(&place, &["test", "count"]);
    assert!(run.stderr.contains("no test is about the program `count`"), "{run}");
    assert!(run.stderr.contains("write one into tests/NAME.toml"), "{run}");
    let run = said(&place, &["bench", "traced"]);
    assert!(run.stderr.contains("the kernel does not take the time of `traced`"), "{run}");
    // A test that attaches a program has no time either.
    let deed = "[[test]]\nname = 'reads'\nprogram = 'traced'\ndo = 'cat /proc/version'\n";
    place.file("tests/net.toml", format!("{TESTS}{deed}"));
    let run = said(&place, &["bench", "reads"]);
    let message = "there is nothing among what is named whose time the kernel takes";
    assert!(run.stderr.contains(message), "{run}");
}

#[test]
fn paths_are_no_names() {
    let place = place();
    for missing in ["nets.bpf.c", "./filter", "../filter", "filter/", "/filter", "nets.toml"] {
        let run = said(&place, &["test", missing]);
        assert!(run.to_string().contains("filter") || run.to_string().contains("nets"), "{run}");
        assert!(!run.to_string().contains("is called so"), "{run}");
    }
    // A path that is there outweighs a name: here, a project without tests.
    place.file("filter/Skep.toml", "");
    place.file("filter/src/other.bpf.c", SOURCE);
    let run = said(&place, &["test", "filter"]);
    assert!(run.stderr.contains("there is no test here"), "{run}");
    let run = said(&place, &["bench", "filter", "nix"]);
    assert!(run.stderr.contains("other::count") && !run.stderr.contains("net::"), "{run}");
    // A package goes with a name, and not with a path.
    let run = said(&place, &["test", "src/net.bpf.c", "-p", "x"]);
    assert!(run.stderr.contains("src/net.bpf.c is a path, and packages are named"), "{run}");
    let run = said(&place, &["test", "fliter", "-p", "nix"]);
    assert!(run.to_string().contains("there is no package `nix`"), "{run}");
    // Where no project is, a name may have been meant for a path.
    let nowhere = Place::new();
    let run = said(&nowhere, &["test", "filter"]);
    assert!(run.to_string().contains("no project in"), "{run}");
    assert!(run.to_string().contains("`filter` is no path"), "{run}");
}
