//! `skep init`.

use super::new::tree;
use crate::support::Place;

#[test]
fn the_directory_becomes_a_project_and_gives_it_its_name() {
    let place = Place::new();
    place.file("p/notes.txt", "mine");
    place.skep(&["-C", "p", "init"]).expect(0);
    let files = [
        ".gitignore",
        "README.md",
        "Skep.toml",
        "notes.txt",
        "src/p.bpf.c",
        "src/p.c",
        "tests/programs.toml",
    ];
    assert_eq!(tree(&place.path().join("p")), files);
    assert!(place.read("p/Skep.toml").contains("name = \"p\""));
    // The name of a directory need not be usable.
    std::fs::create_dir(place.path().join("1 ü")).unwrap();
    place.skep(&["-C", "1 ü", "init"]).expect(0);
    assert!(place.read("1 ü/Skep.toml").contains("name = \"bpf-1\""));
}

#[test]
fn nothing_is_overwritten_and_nothing_half_written() {
    let place = Place::new();
    place.file("src/bees.bpf.c", "mine");
    let run = place.skep(&["init", "--name", "bees"]).expect(2);
    assert!(run.stderr.contains("E0108") && run.stderr.contains("src/bees.bpf.c"), "{run}");
    assert_eq!(tree(place.path()), ["src/bees.bpf.c"]);
    place.file("README.md", "mine");
    place.file(".gitignore", "mine");
    let run = place.skep(&["init", "--name", "wasps"]).expect(0);
    assert!(run.stderr.contains(".gitignore is there already and was left"), "{run}");
    assert_eq!((place.read("README.md"), place.read(".gitignore")), ("mine".into(), "mine".into()));
    let run = place.skep(&["init"]).expect(2);
    assert!(run.stderr.contains("a project already"), "{run}");
}

#[test]
fn a_name_that_cannot_be_used() {
    let place = Place::new();
    let run = place.skep(&["init", "--name", "a/b"]).expect(2);
    assert!(run.stderr.contains("E0107") && run.stderr.contains("use `b`"), "{run}");
    assert!(tree(place.path()).is_empty());
}
