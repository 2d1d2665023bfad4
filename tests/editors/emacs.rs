//! Emacs's compilation mode with our `skep.el`, in batch.

use crate::findings::{self, Seen};
use crate::project;
use crate::support::Place;
use crate::tools::{repository, run, with_skep};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What Emacs makes of the output of what `form` starts.
fn messages(place: &Place, form: &str) -> Vec<Value> {
    let mut command = Command::new("emacs");
    command
        .args(["-Q", "--batch", "-L"])
        .arg(repository("editors/emacs"))
        .arg("-l")
        .arg(repository("tests/editors/compile.el"))
        .args(["--eval", &format!("(print-messages {form})")])
        .env("LC_ALL", "C.UTF-8")
        .current_dir(place.path());
    let output = run(with_skep(&mut command));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with('[')).unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(line).unwrap()
}

fn seen(message: &Value, root: &Path) -> Seen {
    let file = message["file"].as_str().unwrap();
    let file = file.strip_prefix(root.to_str().unwrap()).unwrap_or(file);
    Seen {
        file: file.to_owned(),
        line: message["line"].as_u64().unwrap(),
        column: message["column"].as_u64().unwrap(),
        severity: ["note", "warning", "error"]
            [usize::try_from(message["type"].as_u64().unwrap()).unwrap()]
        .to_owned(),
        code: message["code"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn compilation_mode_finds_every_finding() {
    for mode in ["", "#'skep-compilation-mode"] {
        let place = Place::new();
        let findings = findings::all(place.path());
        place.file("output", findings::short(&findings, place.path()));
        let messages = messages(&place, &format!("(compilation-start \"cat output\" {mode})"));
        let expected = findings::expected(&findings, place.path());
        let seen = messages.iter().map(|message| seen(message, place.path())).collect();
        findings::assert_same(seen, &expected);
    }
}

#[test]
fn going_to_a_finding_counts_a_tab_as_one_column() {
    let place = Place::new();
    place.file("tabs.bpf.c", "int f(void)\n{\n\t\treturn\tx;\n}\n");
    place.file("output", "tabs.bpf.c:3:10: error[E0201]: use of 'x' [clang-error]\n");
    let messages = messages(&place, "(compilation-start \"cat output\" #'skep-compilation-mode)");
    assert_eq!(messages[0]["lands-before"], "x;", "{messages:?}");
}

#[test]
fn the_file_compiles_without_a_warning() {
    let place = Place::new();
    let copy = place.file("skep.el", std::fs::read(repository("editors/emacs/skep.el")).unwrap());
    run(Command::new("emacs")
        .args(["-Q", "--batch", "--eval", "(setq byte-compile-error-on-warn t)"])
        .args(["-f", "batch-byte-compile"])
        .arg(&copy));
}

#[test]
fn skep_build_shows_all_that_is_wrong_with_a_project() {
    let place = project::write();
    let expected = project::expected(&place);
    // `compile` from the project, and our command from a directory in it.
    let commands = [
        "(compilation-start \"skep build --message-format short\")",
        "(let ((default-directory (expand-file-name \"src/\"))) (skep-build))",
    ];
    for command in commands {
        let seen = messages(&place, command).iter().map(|one| seen(one, place.path())).collect();
        findings::assert_same(seen, &expected);
    }
    let place = project::write_checked();
    let expected = project::expected_of_check(&place);
    let seen = messages(&place, "(skep-check)").iter().map(|one| seen(one, place.path())).collect();
    findings::assert_same(seen, &expected);
}

#[test]
fn the_files_that_skep_ide_writes_set_the_editor_up() {
    let place = project::write();
    let expected = project::expected(&place);
    place.skep(&["ide", "emacs"]).expect(0);
    let form = "(progn (find-file \"src/count.bpf.c\") (compilation-start compile-command))";
    let messages = messages(&place, form);
    // Paths are relative to the file's directory, where `compile` runs.
    let seen = messages.iter().map(|one| {
        let mut one = seen(one, Path::new("nowhere"));
        let path = place.path().join("src").join(&one.file).canonicalize().unwrap();
        let root = place.path().canonicalize().unwrap();
        one.file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        one
    });
    findings::assert_same(seen.collect(), &expected);
}
