//! Vim's and Neovim's quickfix list, filled by our compiler plugin.

use crate::findings::{self, Seen};
use crate::project;
use crate::support::Place;
use crate::tools::{repository, run, with_skep};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The editors, with the flags that keep them from a terminal and from the
/// user's own settings.
const EDITORS: &[(&str, &[&str])] = &[
    ("vim", &["-u", "NONE", "-i", "NONE", "-n", "-es"]),
    ("nvim", &["-u", "NONE", "-i", "NONE", "-n", "--headless"]),
];

/// The quickfix list after `fill`, a command of Vim's.
fn quickfix(editor: &str, flags: &[&str], plugin: &Path, place: &Place, fill: &str) -> Vec<Value> {
    let list = place.path().join("list.json");
    let script = format!(
        "set nocompatible encoding=utf-8\n\
         let &runtimepath = {plugin:?} . ',' . &runtimepath\n\
         compiler skep\n\
         {fill}\n\
         let list = map(getqflist(), {{_, e -> extend(e, {{'name': e.bufnr ? bufname(e.bufnr) : ''}})}})\n\
         call writefile([json_encode(list)], {list:?})\n\
         qall!\n"
    );
    let script = place.file("script.vim", script);
    let mut command = Command::new(editor);
    command.args(flags).arg("-S").arg(&script).current_dir(place.path());
    run(with_skep(&mut command));
    serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap()
}

/// An entry as a finding; nothing if it names no file.
fn seen(entry: &Value) -> Option<Seen> {
    let name = entry["name"].as_str().unwrap();
    if name.is_empty() {
        return None;
    }
    let severity = match entry["type"].as_str().unwrap() {
        "e" => "error",
        "w" => "warning",
        "n" => "note",
        other => panic!("type {other}"),
    };
    let text = entry["text"].as_str().unwrap();
    Some(Seen {
        file: name.to_owned(),
        line: entry["lnum"].as_u64().unwrap(),
        column: entry["col"].as_u64().unwrap(),
        severity: severity.to_owned(),
        code: text[1..].split(']').next().unwrap().to_owned(),
    })
}

#[test]
fn the_quickfix_list_has_every_finding() {
    for (editor, flags) in EDITORS {
        let place = Place::new();
        let findings = findings::all(place.path());
        place.file("output", findings::short(&findings, place.path()));
        let plugin = repository("editors/vim");
        let list = quickfix(editor, flags, &plugin, &place, "cgetfile output");
        let expected = findings::expected(&findings, place.path());
        findings::assert_same(list.iter().filter_map(seen).collect(), &expected);
        let text = |entry: &Value| entry["text"].as_str().unwrap().to_owned();
        let unplaced: Vec<String> =
            list.iter().filter(|entry| seen(entry).is_none()).map(text).collect();
        assert_eq!(
            unplaced,
            [
                "skep: error[E0701]: QEMU is not installed; see a/b.c [qemu-missing]",
                "skep: error[E0105]: there is no project in /tmp/x [no-project]",
            ],
            "{editor}"
        );
        assert!(list.iter().any(|entry| text(entry).contains("a message of several")), "{list:?}");
    }
}

#[test]
fn make_runs_skep_and_lists_all_that_is_wrong_with_a_project() {
    let place = project::write();
    let expected = project::expected(&place);
    for (editor, flags) in EDITORS {
        let plugin = repository("editors/vim");
        let list = quickfix(editor, flags, &plugin, &place, "silent make! build");
        findings::assert_same(list.iter().filter_map(seen).collect(), &expected);
    }
    let place = project::write_checked();
    let expected = project::expected_of_check(&place);
    for (editor, flags) in EDITORS {
        let plugin = repository("editors/vim");
        let list = quickfix(editor, flags, &plugin, &place, "silent make! check");
        findings::assert_same(list.iter().filter_map(seen).collect(), &expected);
    }
}

#[test]
fn the_files_that_skep_ide_writes_set_the_editor_up() {
    let place = project::write();
    let expected = project::expected(&place);
    // A home of its own, with a user who lets projects have settings.
    let home = Place::new();
    home.file(".vimrc", "set nocompatible exrc encoding=utf-8\nfiletype on\n");
    for editor in ["vim", "neovim"] {
        place.skep(&["ide", editor]).expect(0);
        let list = place.path().join("list.json");
        // Neovim reads .nvim.lua by itself from 0.9 on.
        let first = if editor == "neovim" { "luafile .nvim.lua\n" } else { "" };
        let script = place.file(
            "script.vim",
            format!(
                "{first}edit src/count.bpf.c\n\
                 silent make! build\n\
                 let list = map(getqflist(), {{_, e -> extend(e, {{'name': bufname(e.bufnr)}})}})\n\
                 call writefile([json_encode(list)], {list:?})\n\
                 qall!\n"
            ),
        );
        let mut command = if editor == "neovim" {
            let mut nvim = Command::new("nvim");
            nvim.args(["-u", "NORC", "--headless"]);
            nvim
        } else {
            let mut vim = Command::new("vim");
            vim.args(["-T", "dumb", "--not-a-term"]);
            vim
        };
        command.args(["-i", "NONE", "-n", "-S"]).arg(&script).env("HOME", home.path());
        run(with_skep(command.current_dir(place.path())));
        let list: Vec<Value> = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
        findings::assert_same(list.iter().filter_map(seen).collect(), &expected);
    }
}

#[test]
fn neovims_own_client_shows_what_the_language_server_finds() {
    let place = project::write();
    let expected = project::expected(&place);
    place.skep(&["ide", "neovim"]).expect(0);
    let written = place.path().join("seen.json");
    let mut command = Command::new("nvim");
    command
        .args(["-u", "NORC", "-i", "NONE", "-n", "--headless", "-S"])
        .arg(repository("tests/editors/neovim.lua"))
        .env("SKEP_SEEN", &written)
        .env("HOME", place.path())
        .current_dir(place.path());
    run(with_skep(&mut command));
    let result: Value = serde_json::from_slice(&std::fs::read(&written).unwrap()).unwrap();
    assert_eq!(result["error"], Value::Null, "{result}");
    let root = format!("{}/", place.path().display());
    let seen = result["findings"].as_array().unwrap().iter().map(|finding| {
        assert_eq!(finding["source"], "skep");
        let severity = usize::try_from(finding["severity"].as_u64().unwrap()).unwrap();
        Seen {
            file: finding["file"].as_str().unwrap().trim_start_matches(&root).to_owned(),
            line: finding["line"].as_u64().unwrap(),
            column: finding["column"].as_u64().unwrap(),
            severity: ["error", "warning", "note"][severity - 1].to_owned(),
            code: finding["code"].as_str().unwrap().to_owned(),
        }
    });
    findings::assert_same(seen.collect(), &expected);
    assert!(result["hover"].as_str().unwrap().contains("program type `xdp`"), "{result}");
    assert!(result["completion"].as_u64().unwrap() > 50, "{result}");
}
