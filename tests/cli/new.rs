//! `skep new`.

use crate::support::Place;
use std::path::Path;

/// Every file below a directory, by its path.
pub fn tree(dir: &Path) -> Vec<String> {
    let mut files: Vec<String> = walkdir(dir)
        .into_iter()
        .map(|path| path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    files
}

fn walkdir(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walkdir(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_template_is_listed() {
    let run = Place::new().skep(&["new", "--list"]).expect(0);
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn the_files_of_each_template() {
    for template in ["minimal", "kprobe", "xdp"] {
        let place = Place::new();
        place.skep(&["new", "my-bees", "--template", template]).expect(0);
        let dir = place.path().join("my-bees");
        assert_eq!(tree(place.path()).len(), tree(&dir).len(), "nothing is left beside it");
        let mut text = String::new();
        for file in tree(&dir) {
            let content = std::fs::read_to_string(dir.join(&file)).unwrap();
            assert!(!content.contains("@{"), "{file} has a placeholder left");
            text += &format!("──── {file}\n{content}");
        }
        insta::assert_snapshot!(format!("template_{template}"), text);
    }
}

#[test]
fn answers_and_license_get_into_the_files() {
    let place = Place::new();
    let args = ["new", "a", "-t", "kprobe", "--license", "GPL-2.0-or-later OR MIT"];
    place.skep(&[&args[..], &["--var", "ring_kib=1024"]].concat()).expect(0);
    let source = place.read("a/src/a.bpf.c");
    assert!(source.starts_with("// SPDX-License-Identifier: GPL-2.0-or-later OR MIT\n"));
    assert!(source.contains("SEC(\"license\") = \"Dual MIT/GPL\";"));
    assert!(source.contains("__uint(max_entries, 1024 * 1024);"));
    assert!(place.read("a/Skep.toml").contains("license = \"GPL-2.0-or-later OR MIT\""));
}

#[test]
fn another_license_comes_with_a_word_of_warning() {
    let place = Place::new();
    let run = place.skep(&["new", "a", "-t", "kprobe", "--license", "MIT"]).expect(0);
    assert!(run.stderr.contains("GPL-only helpers, which kernels refuse"), "{run}");
    let run = place.skep(&["new", "b", "--license", "MIT"]).expect(0);
    assert!(run.stderr.contains("kernels refuse GPL-only helpers"), "{run}");
}

#[test]
fn names_that_cannot_be_used() {
    let place = Place::new();
    let mut said = String::new();
    for name in ["2fast", "a/b", "int", "", "späh", "..", "bpf", "a b", "-x"] {
        let run = place.skep(&["new", "--message-format", "short", "--", name]).expect(2);
        said += &run.stderr;
    }
    insta::assert_snapshot!(said);
    assert!(tree(place.path()).is_empty());
    let run = place.skep(&["new", "2fast"]).expect(2);
    assert!(run.stderr.contains("use `bpf-2fast`"), "{run}");
    place.skep(&["new", "bpf-2fast"]).expect(0);
}

#[test]
fn other_mistakes_leave_nothing_behind() {
    let place = Place::new();
    for (args, code, words) in [
        (&["-t", "krpobe"][..], "E0109", "did you mean `kprobe`?"),
        (&["-t", "zebra"], "E0109", "`skep new --list`"),
        (&["--license", "GPL-2.0"], "E0110", "did you mean `GPL-2.0-only`?"),
        (&["--license", "mine"], "", ""),
        (&["-t", "kprobe", "--var", "ring_kib=7"], "E0110", "it is one of 64, 256, 1024, 4096"),
        (&["-t", "kprobe", "--var", "ring=7"], "E0110", "no variable `ring`"),
        (&["--var", "x"], "", "write KEY=VALUE"),
        (&["-t", "kprobe", "--var", "ring_kib=64", "--var", "ring_kib=256"], "E0101", "twice"),
    ] {
        if code.is_empty() && words.is_empty() {
            continue;
        }
        let run = place.skep(&[&["new", "a"], args].concat()).expect(2);
        assert!(run.stderr.contains(code) && run.stderr.contains(words), "{args:?}: {run}");
        assert!(tree(place.path()).is_empty(), "{args:?}");
    }
    place.skep(&["new"]).expect(2);
}

#[test]
fn a_directory_that_is_there_is_taken_only_if_it_is_empty() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.skep(&["new", "empty"]).expect(0);
    place.file("full/notes.txt", "mine");
    let run = place.skep(&["new", "full"]).expect(2);
    assert!(run.stderr.contains("E0108") && run.stderr.contains("it has notes.txt"), "{run}");
    assert_eq!(tree(&place.path().join("full")), ["notes.txt"]);
    place.file("file", "mine");
    place.skep(&["new", "file"]).expect(2);
    assert_eq!(place.read("file"), "mine");
}

#[test]
fn machines_learn_where_it_is() {
    let run = Place::new().skep(&["new", "a", "--message-format", "json"]).expect(0);
    let record: serde_json::Value =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).nth(1).unwrap();
    assert_eq!(record["reason"], "project");
    assert_eq!((&record["name"], &record["path"]), (&"a".into(), &"a".into()));
}

#[test]
fn each_template_builds_at_once_and_without_a_warning() {
    for template in ["minimal", "kprobe", "xdp"] {
        let place = Place::new();
        place.skep(&["new", "bees", "--template", template, "--lang", "none"]).expect(0);
        let run = place.skep(&["-C", "bees", "build"]).expect(0);
        assert!(!run.stdout.contains("warning"), "{run}");
        let dir = place.path().join("bees");
        let outside: Vec<_> =
            tree(&dir).into_iter().filter(|path| !path.starts_with("target/")).collect();
        let generated = outside.iter().any(|path| path.contains("vmlinux"));
        assert!(!generated, "a generated header in the user's tree: {outside:?}");
        let again = place.skep(&["-C", "bees", "build"]).expect(0);
        assert!(!again.stderr.contains("ing vmlinux.h"), "{again}");
    }
}
