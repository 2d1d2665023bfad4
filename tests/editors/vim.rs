//! Vim's and Neovim's quickfix list, filled by our compiler plugin.

use crate::findings::{self, Seen};
use crate::project;
use crate::support::{Place, shared_cache};
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

/// What Neovim's own client saw in a scene of `neovim.lua`.
fn client(place: &Place, scene: &str) -> Value {
    place.skep(&["ide", "neovim"]).expect(0);
    let written = place.path().join("seen.json");
    let mut command = Command::new("nvim");
    command
        .args(["-u", "NORC", "-i", "NONE", "-n", "--headless", "-S"])
        .arg(repository("tests/editors/neovim.lua"))
        .env("SKEP_SEEN", &written)
        .env("SKEP_SCENE", scene)
        .env("SKEP_CACHE_DIR", shared_cache())
        .env("HOME", place.path())
        .current_dir(place.path());
    run(with_skep(&mut command));
    let result: Value = serde_json::from_slice(&std::fs::read(&written).unwrap()).unwrap();
    assert_eq!(result["error"], Value::Null, "{result}");
    result
}

/// The findings that Neovim's client showed.
fn shown(place: &Place, result: &Value) -> Vec<Seen> {
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
    seen.collect()
}

#[test]
fn neovims_own_client_shows_what_the_language_server_finds() {
    let place = project::write();
    // The client mends one of them.
    let expected = project::expected(&place);
    let result = client(&place, "check");
    findings::assert_same(shown(&place, &result), &expected);
    assert!(result["hover"].as_str().unwrap().contains("program type `xdp`"), "{result}");
    assert!(result["completion"].as_u64().unwrap() > 50, "{result}");
}

#[test]
fn neovims_own_client_shows_what_a_warm_kernel_says() {
    let place = Place::new();
    place.file("Skep.toml", "[kernels]\nmatrix = [\"debian/trixie\"]\n");
    place.file("src/count.bpf.c", COUNT);
    // The machine of the kernel is kept by the first run.
    place.skep(&["verify"]).expect(1);
    let result = client(&place, "verify");
    let text = |key: &str| result[key].as_str().unwrap_or_else(|| panic!("{key}: {result}"));
    let found = shown(&place, &result);
    assert_eq!(found.len(), 1);
    let found = &found[0];
    let what = (found.file.as_str(), found.line, found.code.as_str(), found.severity.as_str());
    assert_eq!(what, ("src/count.bpf.c", 17, "E0301", "error"));
    // Where the value comes from.
    assert_eq!(result["related"], 1, "{result}");
    let before = text("lens_before");
    assert!(before.starts_with("Linux 6.12.") && before.ends_with(": rejected"), "{before}");
    assert!(text("fix").contains("if (!seen)"), "{result}");
    let after = text("lens_after");
    assert!(after.contains(": accepted, ") && after.ends_with(" insns verified"), "{after}");
    assert!(place.read("src/count.bpf.c").contains("if (!seen)"));
    let hints = result["hints"].as_array().unwrap();
    let of_lookup = hints.iter().find(|hint| hint["position"]["line"] == 14);
    let of_lookup = of_lookup.unwrap_or_else(|| panic!("{result}"));
    assert!(of_lookup["label"].as_str().unwrap().ends_with(" insns"), "{result}");
    assert!(text("hover").contains("bpf_map_lookup_elem"), "{result}");
}

/// A value that is not compared with NULL.
const COUNT: &str = "#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(\".maps\");

SEC(\"xdp\")
int count(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 *seen = bpf_map_lookup_elem(&counts, &key);

	*seen += 1;
	return XDP_PASS;
}

char LICENSE[] SEC(\"license\") = \"GPL\";
";
