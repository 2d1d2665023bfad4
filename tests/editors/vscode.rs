//! VS Code: its own problem matchers, task parser and extension types, run
//! with node.

use crate::findings::{self, Seen, WIDE};
use crate::project;
use crate::support::Place;
use crate::tools::{node, repository, with_skep};
use serde_json::{Value, json};
use std::process::Command;

/// What VS Code makes of output, with a matcher of the extension's.
fn markers(place: &Place, matcher: &str, output: &str, watch: bool) -> Value {
    let seen = node(
        "problems.mjs",
        &json!({
            "extension": repository("editors/vscode"),
            "workspace": place.path(),
            "output": output,
            "matcher": matcher,
            "watch": watch,
        }),
    );
    assert_eq!(seen["complaints"], json!([]), "VS Code finds fault with the extension");
    seen
}

fn seen(marker: &Value) -> Seen {
    assert_eq!(marker["source"], "skep");
    let severity = marker["severity"].as_str().unwrap();
    Seen {
        file: marker["file"].as_str().unwrap().to_owned(),
        line: marker["line"].as_u64().unwrap(),
        column: marker["column"].as_u64().unwrap(),
        // VS Code has no notes.
        severity: if severity == "info" { "note" } else { severity }.to_owned(),
        code: marker["code"].as_str().unwrap().to_owned(),
    }
}

fn all_seen(result: &Value) -> Vec<Seen> {
    result["markers"].as_array().unwrap().iter().map(seen).collect()
}

/// VS Code counts from 1 even where there is no line or column, and knows
/// files outside the workspace by their absolute path.
fn as_vscode_has_it(expected: Vec<Seen>, place: &Place) -> Vec<Seen> {
    let mut expected: Vec<Seen> = expected
        .into_iter()
        .map(|mut one| {
            (one.line, one.column) = (one.line.max(1), one.column.max(1));
            if one.file.starts_with('/') {
                let up = "../".repeat(place.path().components().count() - 1);
                one.file = up + &one.file[1..];
            }
            one
        })
        .collect();
    expected.sort();
    expected
}

/// VS Code looks whether a file exists to tell relative paths from absolute.
fn place_with_files() -> Place {
    let place = Place::new();
    for file in [WIDE, "src/count.bpf.c", "src/gone.bpf.c", "include/with space.h", "Skep.toml"] {
        place.file(file, "");
    }
    place.file("target/skep/count und mehr.bpf.o", "");
    place
}

#[test]
fn the_problem_matcher_finds_every_finding() {
    let place = place_with_files();
    let findings = findings::all(place.path());
    let output = findings::short(&findings, place.path());
    let result = markers(&place, "$skep", &output, false);
    let expected = as_vscode_has_it(findings::expected(&findings, place.path()), &place);
    findings::assert_same(all_seen(&result), &expected);
    let text = result["markers"].to_string();
    assert!(text.contains("a message of several     lines [clang-warning]"), "{text}");
    assert!(text.contains("with: colons:7:8: and error[E0999]: in it"), "{text}");
}

#[test]
fn the_lines_of_other_tools_are_left_alone() {
    let place = place_with_files();
    let output = "src/count.bpf.c:3:4: error: use of undeclared identifier\n\
                  src/count.bpf.c:3: error[x]: no code of ours\n\
                  error[E0425]: cannot find value `x` in this scope\n  --> src/main.rs:3:4\n";
    let result = markers(&place, "$skep", output, false);
    assert_eq!(result["markers"], json!([]));
}

#[test]
fn watching_replaces_the_findings_of_the_run_before() {
    let place = place_with_files();
    let first = "skep watch: run 1 begins\n\
                 src/count.bpf.c:3:4: error[E0201]: first [clang-error]\n\
                 Skep.toml:1:1: warning[W0201]: stays [clang-warning]\n\
                 skep watch: run 1 ended: 1 error, 1 warning\n";
    let second = "skep watch: run 2 begins\n\
                  Skep.toml:1:1: warning[W0201]: stays [clang-warning]\n\
                  skep watch: run 2 ended: 1 warning\n";
    let before = markers(&place, "$skep-watch", first, true);
    assert_eq!(all_seen(&before).len(), 2, "{before}");
    let after = markers(&place, "$skep-watch", &format!("{first}{second}"), true);
    let files: Vec<String> = all_seen(&after).into_iter().map(|one| one.file).collect();
    assert_eq!(files, ["Skep.toml"]);
    let (begins, ends) = ("backgroundProcessingBegins", "backgroundProcessingEnds");
    assert_eq!(after["states"], json!([begins, ends, begins, ends]));
}

#[test]
fn the_extension_offers_tasks_for_each_project() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("größere Teile/zwei/Skep.toml", "");
    let offered = node(
        "extension.mjs",
        &json!({ "extension": repository("editors/vscode"), "workspace": place.path() }),
    );
    let task = |name: &str, command: &str, cwd: &std::path::Path, group: Value| {
        json!({
            "name": name, "type": "skep", "process": "skep",
            "args": [command, "--message-format", "short"],
            "cwd": cwd, "group": group, "matchers": ["$skep"],
        })
    };
    let inner = place.path().join("größere Teile/zwei");
    let expected = json!([
        task("build", "build", place.path(), json!("build")),
        task("check", "check", place.path(), json!(null)),
        task("verify", "verify", place.path(), json!(null)),
        task("build (zwei)", "build", &inner, json!("build")),
        task("check (zwei)", "check", &inner, json!(null)),
        task("verify (zwei)", "verify", &inner, json!(null)),
    ]);
    assert_eq!(offered["tasks"], expected);
    assert_eq!(offered["resolved"], expected, "a task that is known by its definition only");
    assert_eq!(offered["commands"], json!(["skep.explain"]));
}

#[test]
fn a_task_shows_all_that_is_wrong_with_a_project() {
    let place = project::write();
    // VS Code shows one finding where several have place and code in common.
    let mut expected = project::expected(&place);
    expected.dedup();
    assert!(expected.len() >= 30);
    let offered = node(
        "extension.mjs",
        &json!({ "extension": repository("editors/vscode"), "workspace": place.path() }),
    );
    let task = &offered["tasks"][0];
    assert_eq!(task["name"], "build");
    let result = markers(&place, "$skep", &output_of(task), false);
    findings::assert_same(all_seen(&result), &expected);
}

#[test]
fn the_tasks_that_skep_ide_writes_need_no_extension() {
    let place = project::write();
    let mut expected = project::expected(&place);
    expected.dedup();
    place.skep(&["ide", "vscode"]).expect(0);
    let run = |output: &str| {
        node(
            "problems.mjs",
            &json!({
                "workspace": place.path(),
                "tasks": place.path().join(".vscode/tasks.json"),
                "output": output,
                "matcher": "skep: build",
            }),
        )
    };
    let parsed = run("");
    assert_eq!(parsed["complaints"], json!([]), "VS Code finds fault with tasks.json");
    let labels: Vec<&Value> =
        parsed["tasks"].as_array().unwrap().iter().map(|task| &task["label"]).collect();
    assert_eq!(labels, ["skep: build", "skep: check", "skep: verify"]);
    let result = run(&output_of(&parsed["tasks"][0]));
    findings::assert_same(all_seen(&result), &expected);
}

#[test]
fn a_task_shows_what_check_finds() {
    let place = project::write_checked();
    let expected = project::expected_of_check(&place);
    let offered = node(
        "extension.mjs",
        &json!({ "extension": repository("editors/vscode"), "workspace": place.path() }),
    );
    let task = &offered["tasks"][1];
    assert_eq!(task["name"], "check");
    let result = markers(&place, "$skep", &output_of(task), false);
    findings::assert_same(all_seen(&result), &expected);
}

/// Runs a task as it says.
fn output_of(task: &Value) -> String {
    let args: Vec<&str> =
        task["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let mut command = Command::new("sh");
    command
        // Both streams in one, as in a terminal.
        .args(["-c", "exec \"$0\" \"$@\" 2>&1", task["process"].as_str().unwrap()])
        .args(args)
        .current_dir(task["cwd"].as_str().unwrap());
    let output = with_skep(&mut command).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_guide_has_the_extensions_pattern() {
    let read = |path| std::fs::read_to_string(repository(path)).unwrap();
    let manifest: Value = serde_json::from_str(&read("editors/vscode/package.json")).unwrap();
    let pattern = manifest["contributes"]["problemPatterns"][0]["regexp"].as_str().unwrap();
    assert!(read("docs/guide/editors.md").contains(pattern));
}

#[test]
fn the_extension_shows_what_the_language_server_says() {
    let place = Place::new();
    place.file("Skep.toml", "");
    let right = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\n\
                 SEC(\"xdp\")\nint f(void *ctx)\n{\n\
                 \t/* größer: 漢字 😀 */ return bpf_get_smp_processor_id();\n}\n";
    place.file("src/größer.bpf.c", right.replace("_id();", "_id()"));
    let result = node(
        "extension.mjs",
        &json!({
            "extension": repository("editors/vscode"),
            "workspace": place.path(),
            "server": {
                "skep": env!("CARGO_BIN_EXE_skep"),
                "file": "src/größer.bpf.c",
                "hover": [6, 35],
                "complete": [3, 5],
                "fixed": right,
            },
        }),
    );
    assert_eq!(result["log"], json!([]));
    let server = &result["server"];
    assert_eq!(
        server["diagnostics"],
        json!([{
            "file": "src/größer.bpf.c", "line": 6, "character": 54, "severity": 0,
            "code": "E0201", "source": "skep", "related": 0,
        }])
    );
    let hover = server["hover"][0].as_str().unwrap();
    assert!(hover.contains("bpf_get_smp_processor_id"), "{hover}");
    assert!(server["completion"].as_array().unwrap().contains(&json!("kprobe/")));
    assert_eq!(server["actions"].as_array().unwrap().len(), 1, "{server}");
    assert_eq!(server["actions"][0]["edits"], json!([["größer.bpf.c", 1]]));
}
