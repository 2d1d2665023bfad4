//! `skep ide`: writes what editors want and never what the user wrote.

use crate::support::Place;
use serde_json::Value;

fn project() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place
}

#[test]
fn every_editor_gets_its_files_and_a_second_run_keeps_them() {
    for (editor, files) in [
        ("vscode", &[".vscode/tasks.json", ".vscode/extensions.json", ".clangd"][..]),
        ("vim", &[".vim/compiler/skep.vim", ".exrc", ".clangd"]),
        ("neovim", &[".vim/compiler/skep.vim", ".nvim.lua", ".clangd"]),
        ("emacs", &[".dir-locals.el", ".clangd"]),
        ("helix", &[".helix/languages.toml", ".clangd"]),
        ("zed", &[".zed/tasks.json", ".clangd"]),
    ] {
        let place = project();
        place.file("src/deep/x.bpf.c", "");
        let run = place.skep(&["-C", "src/deep", "ide", editor]).expect(0);
        let texts: Vec<String> = files.iter().map(|file| place.read(file)).collect();
        assert_eq!(run.stdout.matches("written").count(), files.len(), "{run}");
        let run = place.skep(&["ide", editor]).expect(0);
        assert_eq!(run.stdout.matches("kept").count(), files.len(), "{run}");
        let again: Vec<String> = files.iter().map(|file| place.read(file)).collect();
        assert_eq!(texts, again);
        let printed = place.skep(&["ide", editor, "--print"]).expect(0).stdout;
        for (file, text) in files.iter().zip(&texts) {
            assert!(printed.contains(&format!("==> {file} <==\n{text}")), "{printed}");
        }
    }
}

#[test]
fn a_file_of_the_users_stays_and_is_named() {
    let place = project();
    place.file(".clangd", "InlayHints:\n  Enabled: No\n");
    let run = place.skep(&["ide", "zed", "--message-format", "short"]).expect(2);
    let expected = ".clangd: error[E0112]: .clangd is there already and has other content";
    assert!(run.stdout.contains(expected), "{run}");
    assert_eq!(place.read(".clangd"), "InlayHints:\n  Enabled: No\n");
    assert!(place.read(".zed/tasks.json").contains("skep: verify"), "the others are written");
    // Once our lines are in it, it is left in peace.
    let printed = place.skep(&["ide", "zed", "--print"]).expect(0).stdout;
    let ours = printed.split("==> .clangd <==\n").nth(1).unwrap();
    place.file(".clangd", format!("InlayHints:\n  Enabled: No\n---\n{ours}"));
    place.skep(&["ide", "zed"]).expect(0);
}

#[test]
fn tasks_are_added_to_the_users() {
    let place = project();
    let mine = "{\n    // mine\n    \"tasks\": [{ \"label\": \"mine\", \"command\": \"x\" }],\n}\n";
    place.file(".vscode/tasks.json", mine);
    let run = place.skep(&["ide", "vscode"]).expect(2);
    assert!(run.stdout.contains("has comments"), "{run}");
    assert_eq!(place.read(".vscode/tasks.json"), mine);

    place.file(
        ".vscode/tasks.json",
        "{\n    \"tasks\": [{ \"label\": \"skep: check\", \"args\": [\"mine\"] }],\n    \"inputs\": []\n}\n",
    );
    place.skep(&["ide", "vscode"]).expect(0);
    let text = place.read(".vscode/tasks.json");
    assert!(text.starts_with("{\n    \"tasks\": [\n        {\n"), "indented as before: {text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    let labels: Vec<&Value> =
        value["tasks"].as_array().unwrap().iter().map(|task| &task["label"]).collect();
    assert_eq!(labels, ["skep: check", "skep: build", "skep: verify"]);
    assert_eq!(value["tasks"][0]["args"], serde_json::json!(["mine"]));

    for broken in ["{", "[]", "{\"tasks\": 1}"] {
        place.file(".vscode/tasks.json", broken);
        place.skep(&["ide", "vscode"]).expect(2);
        assert_eq!(place.read(".vscode/tasks.json"), broken);
    }
}

#[test]
fn outside_of_a_project_nothing_is_written() {
    let place = Place::new();
    let run = place.skep(&["ide", "vscode", "--message-format", "short"]).expect(2);
    assert!(run.stderr.contains("E0105"), "{run}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    let run = place.skep(&["ide", "notepad"]).expect(2);
    assert!(run.stderr.contains("vscode"), "the editors are listed: {run}");
}
