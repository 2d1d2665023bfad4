//! The rules of caution: each page of theirs has programs that say themselves
//! on which lines `skep check` must warn, and programs with nothing to warn of.
//! Templates and libbpf-tools show that they do not cry wolf.

use crate::support::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The codes whose pages are asked.
const CODES: &[&str] =
    &["W0414", "W0415", "W0416", "W0417", "W0418", "W0419", "W0420", "W0421", "W0422", "W0510"];

/// The programs of a page: its blocks of C with a `SEC(`.
fn programs(page: &str) -> Vec<String> {
    let blocks = page.split("```c\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.filter(|block| block.contains("SEC(")).map(str::to_owned).collect()
}

/// `warning[CODE]` at the ends of lines, with their numbers.
fn expected(program: &str) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (at, line) in program.lines().enumerate() {
        if let Some((_, rest)) = line.split_once("// warning[") {
            found.insert((at + 1, rest.split(']').next().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn pages_say_where_to_warn() {
    let place = Place::new();
    let mut wanted = BTreeMap::new();
    for code in CODES {
        let page =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/diagnostics/{code}.md"));
        let programs = programs(&std::fs::read_to_string(page).unwrap());
        let lines: Vec<_> = programs.iter().map(|program| expected(program)).collect();
        assert!(lines.iter().flatten().any(|(_, known)| known == code), "{code} is not expected");
        assert!(lines.iter().any(BTreeSet::is_empty), "{code} has no right program");
        for (number, (program, lines)) in programs.iter().zip(lines).enumerate() {
            let name = format!("{code}_{number}.bpf.c");
            place.file(&name, program);
            wanted.insert(name, lines);
        }
    }
    let mut args = vec!["check", "--message-format", "short"];
    args.extend(wanted.keys().map(String::as_str));
    let run = place.skep(&args).expect(0);
    let mut found: BTreeMap<String, BTreeSet<(usize, String)>> =
        wanted.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
    for line in run.stdout.lines().filter(|line| line.contains(".bpf.c:")) {
        let mut parts = line.splitn(4, ':');
        let (name, number) = (parts.next().unwrap(), parts.next().unwrap());
        let code = line.split('[').nth(1).unwrap().split(']').next().unwrap();
        found.get_mut(name).unwrap().insert((number.parse().unwrap(), code.to_owned()));
    }
    assert_eq!(found, wanted, "{run}");
}

#[test]
fn a_comment_or_the_manifest_allows() {
    let place = Place::new();
    let page = include_str!("../../docs/diagnostics/W0414.md");
    let source = programs(page).remove(0).replace("warning[W0414]", "skep: allow(W0414)");
    place.file("a.bpf.c", source);
    let run = place.skep(&["check", "a.bpf.c"]).expect(0);
    assert!(run.stderr.contains("1 allowed") && !run.stdout.contains("W0414"), "{run}");
}

/// Of templates nothing is to be said at all.
#[test]
fn templates_have_no_findings() {
    let place = Place::new();
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut names: Vec<String> = std::fs::read_dir(templates)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 30, "{names:?}");
    for name in &names {
        place.skep(&["new", name, "-t", name, "--lang", "none"]).expect(0);
        let run = place.skep(&["-C", name, "check", "--message-format", "short"]).expect(0);
        let findings: Vec<_> =
            run.stdout.lines().filter(|line| line.contains("[W") || line.contains("[E")).collect();
        assert!(findings.is_empty(), "{name}: {findings:#?}");
    }
}
