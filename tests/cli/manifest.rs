//! `Skep.toml`: every mistake, on its place.

use crate::support::Place;

/// What is said of a manifest, in the short format.
fn said(manifest: &str) -> String {
    let place = Place::new();
    place.file("Skep.toml", manifest);
    place.file("src/a.bpf.c", "int x;\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert!(!place.path().join("target").join("skep").join("dev").exists());
    run.stdout
}

#[test]
fn all_mistakes_are_told_at_once() {
    let manifest = r#"
[package]
name = "2fast"
vresion = "1"
license = 3

[bfp]
mcpu = "v3"

[bpf]
source = ["x"]
sources = ["../x.bpf.c", "src/[a.bpf.c"]
cflags = ["-target", "-O3 -g", "-mcpu=v4", "-o"]
defines = ["1A", "B=2", "C(x)=x"]
mcpu = "v5"
vmlinux = true
link = "yes"

[user]
kind = "pyhton"

[kernels]
min = 5.10
matrix = "debian/trixie"

[lints]
large-stack = "error"

[[budget]]
instruction = 5
states = -3
"#;
    insta::assert_snapshot!(said(manifest));
}

#[test]
fn syntax_errors() {
    insta::assert_snapshot!(said("[bpf\nmcpu = v3\n[bpf]\nlink = true\nlink = true\n"));
}

#[test]
fn a_key_for_people() {
    let place = Place::new().env("LC_ALL", "C.UTF-8");
    place.file("Skep.toml", "[bpf]\nlnik = true\n");
    insta::assert_snapshot!(place.skep(&["build"]).expect(2).stdout);
}

#[test]
fn things_that_are_not_there() {
    let place = Place::new();
    place.file("Skep.toml", "[bpf]\ninclude = [\"inculde\"]\n");
    place.file("src/a.bpf.c", "int x;\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert_eq!(
        run.stdout,
        "Skep.toml:2:12: error[E0104]: the include directory `inculde` is not there \
         [manifest-value]\n"
    );
}

#[test]
fn bytes_that_are_no_text() {
    let place = Place::new();
    place.file("Skep.toml", b"[bpf]\nmcpu = \"\xff\"\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert_eq!(
        run.stdout,
        "Skep.toml:2:9: error[E0102]: the manifest is not UTF-8 [manifest-syntax]\n"
    );
}

#[test]
fn a_cargo_manifest_has_the_same_keys() {
    let place = Place::new();
    place.file(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\n\n[package.metadata.skep.bpf]\nmpcu = \"v3\"\n",
    );
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert_eq!(
        run.stdout,
        "Cargo.toml:6:1: error[E0103]: unknown key `mpcu` in [bpf] [manifest-key]\n"
    );
}

#[test]
fn the_documented_manifest_is_taken() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/manifest.md"));
    let page = page.unwrap();
    let manifest = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let place = Place::new();
    place.file("Skep.toml", manifest);
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert!(run.stdout.contains("[no-sources]"), "only sources are missing: {run}");
}
