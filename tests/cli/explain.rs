//! `skep explain`.

use crate::support::Place;

#[test]
fn a_page_by_number_and_by_name() {
    let by_number = Place::new().skep(&["explain", "E0603"]).expect(0).stdout;
    assert!(by_number.starts_with("E0603 disk-full\n\nThere is no space"), "{by_number}");
    assert_eq!(Place::new().skep(&["explain", "disk-full"]).expect(0).stdout, by_number);
    assert_eq!(Place::new().skep(&["explain", "e0603"]).expect(0).stdout, by_number);
}

#[test]
fn for_machines_a_page_is_a_row() {
    let run = Place::new().skep(&["explain", "--message-format", "json", "E0603"]).expect(0);
    let row: serde_json::Value = serde_json::from_str(run.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(row["reason"], "explanation");
    assert!(row["page"].as_str().unwrap().starts_with("# E0603 disk-full\n"));
}

#[test]
fn an_unknown_code_names_the_nearest() {
    let run = Place::new().skep(&["explain", "disk-ful"]).expect(2);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("error[E0101]: there is no code `disk-ful`"), "{run}");
    assert!(run.stderr.contains("E0603 disk-full"), "{run}");
    Place::new().skep(&["explain"]).expect(2);
}

#[test]
fn the_list_has_every_code() {
    let run = Place::new().skep(&["explain", "--list"]).expect(0);
    assert_eq!(run.stdout.lines().count(), 1 + skep::diagnostics::codes::ALL.len());
    assert!(run.stdout.contains("E0603  disk-full "), "{run}");
}
