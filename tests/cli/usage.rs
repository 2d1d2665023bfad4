//! What is the same for every command: help, version, wrong usage.

use crate::support::Place;

#[test]
fn an_unknown_command_is_wrong_usage() {
    let run = Place::new().skep(&["biuld"]).expect(2);
    assert!(run.stderr.contains("biuld"), "{run}");
    assert_eq!(run.stdout, "");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let run = Place::new().skep(&["-C", "nowhere", "completions", "bash"]).expect(2);
    assert!(run.stderr.contains("nowhere"), "{run}");
}
