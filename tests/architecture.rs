//! The fences of the house: reads `src/` and fails on an import that goes up
//! or sideways, on a door passed by another file, on a module that does not
//! say what it is for, and on a path named in the docs that does not exist.
//!
//! The floors are described in `src/lib.rs` and `docs/architecture.md`; the
//! tables below are what counts.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms with their floors. On floors 1 and 2 a room may also import what
/// stands above it on its own floor in this list; on floor 3 never.
const ROOMS: &[(&str, u8)] = &[
    ("base", 0),
    ("diagnostics", 1),
    ("bpf", 1),
    ("btf", 2),
    ("values", 2),
    ("packets", 2),
    ("elf", 2),
    ("relocate", 2),
    ("verdict", 2),
    ("wire", 2),
    ("events", 2),
    ("baseline", 3),
    ("project", 3),
    ("scaffold", 3),
    ("build", 3),
    ("vmlinux", 3),
    ("kernels", 3),
    ("vm", 3),
    ("guest", 3),
    ("analysis", 3),
    ("verifier_log", 3),
    ("ops", 4),
    ("report", 5),
    ("lsp", 5),
    ("ide", 5),
];

/// On these floors neighbours never import each other.
const NO_NEIGHBOURS: &[u8] = &[3, 5];

/// Rooms that may import less than their floor lets them, and what.
const NARROW: &[(&str, &[&str])] = &[
    // The other side of the machine: it loads and reports, and knows nothing
    // of the host.
    ("guest", &["base", "wire"]),
    ("wire", &["base"]),
];

/// Rooms that compute and touch nothing: no file, no process, no clock of
/// their own.
const PURE: &[&str] = &[
    "baseline",
    "bpf",
    "diagnostics",
    "packets",
    "relocate",
    "values",
    "verdict",
    "analysis",
    "verifier_log",
    "report",
    "ide",
];

/// What a pure room has no business with.
const IMPURE: &[&str] =
    &["std::fs", "std::process", "std::env", "std::net", "crate::base::process"];

/// Crates with one door: only files below these paths may use them.
const DOORS: &[(&str, &[&str])] = &[
    ("cargo_metadata", &["project/"]),
    ("clap", &["bin/skep/cli.rs", "bin/skep/commands/"]),
    ("clap_complete", &["bin/skep/commands/"]),
    ("clap_mangen", &["bin/skep/commands/"]),
    ("dialoguer", &["bin/skep/shell/"]),
    ("indicatif", &["bin/skep/shell/"]),
    ("inotify", &["base/watch.rs"]),
    ("libbpf_cargo", &["build/skeleton/rust.rs"]),
    ("libbpf_sys", &["base/libbpf.rs", "guest/", "build/"]),
    ("lsp_server", &["lsp/"]),
    ("lsp_types", &["lsp/"]),
    ("miette", &["report/human.rs"]),
    ("object", &["elf/"]),
    (
        "serde_json",
        &["baseline/", "report/", "ide/", "lsp/", "wire/", "project/", "build/", "kernels/", "vm/"],
    ),
    ("pcap_parser", &["packets/capture.rs"]),
    ("signal_hook", &["bin/skep/shell/"]),
    ("which", &["base/programs.rs"]),
];

/// Files that may use what `clippy.toml` disallows.
const RAW_DOORS: &[&str] = &["base/", "guest/", "bin/skep/cli.rs"];

/// Files that may write to standard output or standard error, or hand them to
/// a child.
const PRINTERS: &[&str] = &["bin/skep/shell/", "guest/", "base/process.rs"];

/// Documents whose paths must exist.
const MAPS: [&str; 2] = ["src/lib.rs", "docs/architecture.md"];

#[test]
fn the_source_keeps_to_the_floors_and_doors() {
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 20, "the source was not found");
    let broken: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap();
            violations(name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_room_is_on_the_map() {
    let src = root().join("src");
    let maps = MAPS.map(|map| (map, fs::read_to_string(root().join(map)).unwrap()));
    for entry in fs::read_dir(&src).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let room = name.strip_suffix(".rs").unwrap_or(&name);
        if room == "lib" || room == "bin" {
            continue;
        }
        assert!(ROOMS.iter().any(|(known, _)| *known == room), "src/{name} has no floor");
        for (name, text) in &maps {
            assert!(text.contains(&format!("`{room}`")), "{name} does not name `{room}`");
        }
    }
}

#[test]
fn paths_named_in_the_maps_exist() {
    for map in MAPS {
        let text = fs::read_to_string(root().join(map)).unwrap_or_default();
        assert!(!text.is_empty(), "{map} is missing");
        for path in paths_named_in(&text) {
            let found = [root().join(&path), root().join("src").join(&path)];
            assert!(found.iter().any(|path| path.exists()), "{map} names `{path}`");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The words in backquotes that are paths: with a slash, or a file's ending.
fn paths_named_in(text: &str) -> BTreeSet<String> {
    let is_path = |word: &&str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
            && (word[1..].contains('/')
                || [".rs", ".md", ".toml"].iter().any(|ending| word.ends_with(ending)))
            && !word.starts_with('/')
            // The user's files, not ours.
            && !word.starts_with("Skep.") && !word.starts_with("target/")
    };
    text.split('`').skip(1).step_by(2).filter(is_path).map(str::to_owned).collect()
}

/// What is wrong with one file; `name` is its path below `src/`.
fn violations(name: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut say = |line: usize, what: String| broken.push(format!("src/{name}:{line}: {what}"));
    if !text.starts_with("//!") {
        say(1, "the module does not say what it is for (`//!`)".into());
    }
    let tokens = tokenize(text);
    let place = Place::of(name);
    for import in paths(&tokens, &place) {
        if let Some(what) = forbidden_import(&place, &import) {
            say(import.line, what);
        }
    }
    let below = |doors: &[&str]| doors.iter().any(|door| name.starts_with(door));
    for (krate, doors) in DOORS {
        if !below(doors) {
            for line in uses_of_crate(&tokens, krate) {
                say(line, format!("`{krate}` is used only in {}", doors.join(", ")));
            }
        }
    }
    for window in tokens.windows(3) {
        let [a, b, c] = window else { unreachable!("windows of three") };
        if b.text == "!"
            && ["print", "println", "eprint", "eprintln", "dbg"].contains(&a.text.as_str())
            && !below(PRINTERS)
        {
            say(a.line, format!("`{}!` outside the shell", a.text));
        }
        if ["stdout", "stderr"].contains(&a.text.as_str())
            && (b.text.as_str(), c.text.as_str()) == ("(", ")")
            && !below(PRINTERS)
            && !a.in_test
            && !a.is_method
        {
            say(a.line, format!("`{}()` outside the shell", a.text));
        }
        let opens = a.text == "clippy" && b.text == "::" && c.text.starts_with("disallowed_");
        if opens && !below(RAW_DOORS) && !a.in_test {
            say(a.line, format!("only {} are doors to the system", RAW_DOORS.join(", ")));
        }
    }
    broken
}

/// Where a file stands: in the library or the binary, and its module's path.
struct Place {
    binary: bool,
    module: Vec<String>,
}

impl Place {
    fn of(name: &str) -> Self {
        let (binary, rest) = match name.strip_prefix("bin/skep/") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let mut module: Vec<String> =
            rest.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        Self { binary, module }
    }

    fn room(&self) -> Option<&str> {
        if self.binary { None } else { self.module.first().map(String::as_str) }
    }
}

/// A path that starts at a crate's root, made absolute.
#[derive(Debug)]
struct Import {
    line: usize,
    in_test: bool,
    /// `crate`, `skep` or the name of another crate, then the modules.
    path: Vec<String>,
}

fn forbidden_import(place: &Place, import: &Import) -> Option<String> {
    let whole = import.path.join("::");
    let room = place.room()?;
    if PURE.contains(&room) && !import.in_test {
        let prefix =
            |impure: &&&str| whole == **impure || whole.starts_with(&format!("{impure}::"));
        if let Some(impure) = IMPURE.iter().find(prefix) {
            return Some(format!("`{room}` is pure and must not use {impure}"));
        }
    }
    if import.path.first().map(String::as_str) != Some("crate") {
        return None;
    }
    let target = import.path.get(1).map(String::as_str)?;
    if target == room {
        return None;
    }
    let index = |name: &str| ROOMS.iter().position(|(known, _)| *known == name);
    let Some(from) = index(room) else { return Some(format!("`{room}` has no floor")) };
    let Some(to) = index(target) else {
        return Some(format!("`{whole}` does not begin with a room's name"));
    };
    let (from_floor, to_floor) = (ROOMS[from].1, ROOMS[to].1);
    if let Some((_, allowed)) = NARROW.iter().find(|(name, _)| *name == room) {
        return (!allowed.contains(&target))
            .then(|| format!("`{room}` may import only {}", allowed.join(", ")));
    }
    if to_floor > from_floor {
        return Some(format!(
            "`{room}` (floor {from_floor}) imports `{target}` (floor {to_floor})"
        ));
    }
    if to_floor == from_floor && NO_NEIGHBOURS.contains(&from_floor) {
        return Some(format!("`{room}` imports its neighbour `{target}`; `ops` hands things over"));
    }
    if to_floor == from_floor && to > from {
        return Some(format!("`{room}` imports `{target}`, which stands below it in the list"));
    }
    None
}

/// All paths that name a crate's root, in `use` trees and in code.
fn paths(tokens: &[Token], place: &Place) -> Vec<Import> {
    let mut found = Vec::new();
    // Inline modules that are open: the depth of braces they began at.
    let mut inline: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text.as_str());
        match text(0) {
            "mod" if text(2) == "{" => {
                inline.push((depth, text(1).to_owned()));
                depth += 1;
                at += 3;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inline.last().is_some_and(|(began, _)| *began == depth) {
                    inline.pop();
                }
            }
            "crate" | "self" | "super" | "std" | "skep"
                if text(1) == "::" && (at == 0 || tokens[at - 1].text != "::") =>
            {
                let here: Vec<String> = std::iter::once("crate".to_owned())
                    .chain(place.module.iter().cloned())
                    .chain(inline.iter().map(|(_, name)| name.clone()))
                    .collect();
                let mut tree = Vec::new();
                at = path_tree(tokens, at, &mut Vec::new(), &mut tree);
                for (line, in_test, path) in tree {
                    found.push(Import { line, in_test, path: absolute(&here, path) });
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads a path or `use` tree from `at`; returns where it ends.
fn path_tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<(usize, bool, Vec<String>)>,
) -> usize {
    let length = prefix.len();
    let Some(first) = tokens.get(at) else { return at };
    loop {
        match tokens.get(at).map(|token| token.text.as_str()) {
            Some("{") => {
                at += 1;
                while let Some(token) = tokens.get(at) {
                    match token.text.as_str() {
                        "}" => break,
                        "," => at += 1,
                        _ => {
                            let next = path_tree(tokens, at, prefix, found);
                            at = next.max(at + 1);
                        }
                    }
                }
                prefix.truncate(length);
                return at + 1;
            }
            Some(word) if word == "*" || is_word(word) => {
                prefix.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
        match tokens.get(at).map(|token| token.text.as_str()) {
            Some("::") => at += 1,
            Some("as") => {
                at += 2;
                break;
            }
            _ => break,
        }
    }
    found.push((first.line, first.in_test, prefix.clone()));
    prefix.truncate(length);
    at
}

/// A path with `self` and `super` resolved.
fn absolute(here: &[String], path: Vec<String>) -> Vec<String> {
    let mut words = path.into_iter().peekable();
    let mut whole = match words.peek().map(String::as_str) {
        Some("self" | "super") => here.to_vec(),
        _ => Vec::new(),
    };
    for word in words {
        match word.as_str() {
            "self" => {}
            "super" => drop(whole.pop()),
            _ => whole.push(word),
        }
    }
    whole
}

/// The lines on which a crate is used, outside tests.
fn uses_of_crate(tokens: &[Token], krate: &str) -> Vec<usize> {
    let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |t| t.text.as_str());
    // A module of this file's own hides a crate of the same name.
    let hidden = (0..tokens.len()).any(|at| text(Some(at)) == "mod" && text(Some(at + 1)) == krate);
    if hidden {
        return Vec::new();
    }
    (0..tokens.len())
        .filter(|&at| {
            let before = text(at.checked_sub(1));
            let outer = before == "::" && !is_word(text(at.checked_sub(2)));
            let is_root = before != "::" || outer;
            let is_use = text(Some(at + 1)) == "::" || before == "use";
            // In a `use` tree the name belongs to the tree's root.
            tokens[at].text == krate && is_root && is_use && !tokens[at].in_tree
        })
        .filter(|&at| !tokens[at].in_test)
        .map(|at| tokens[at].line)
        .collect()
}

/// A word or a sign of Rust, without comments and literals.
#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
    /// Inside an item marked `#[cfg(test)]`.
    in_test: bool,
    /// Behind a dot: a field or method.
    is_method: bool,
    /// Inside the braces of a `use` tree.
    in_tree: bool,
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn tokenize(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '/' if next == Some('/') => at = find(&chars, at, |c| c == '\n'),
            '/' if next == Some('*') => at = skip_block_comment(&chars, at),
            '"' => at = skip_string(&chars, at),
            '\'' => at = skip_quote(&chars, at),
            c if c.is_alphanumeric() || c == '_' => {
                at = find(&chars, at, |c| !(c.is_alphanumeric() || c == '_'));
                let word: String = chars[start..at].iter().collect();
                match (word.as_str(), chars.get(at)) {
                    ("r" | "br" | "cr", Some('"' | '#')) => {
                        let quote = find(&chars, at, |c| c != '#');
                        if chars.get(quote) == Some(&'"') {
                            at = skip_raw_string(&chars, at, quote);
                        } else {
                            // A raw identifier: the word follows.
                            at = quote;
                        }
                    }
                    ("b" | "c", Some('"')) => at = skip_string(&chars, at),
                    ("b", Some('\'')) => at = skip_quote(&chars, at),
                    _ => tokens.push((word, line)),
                }
            }
            ':' if next == Some(':') => {
                tokens.push(("::".to_owned(), line));
                at += 2;
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push((c.to_string(), line));
                }
                at += 1;
            }
        }
        line += chars[start..at.min(chars.len())].iter().filter(|&&c| c == '\n').count();
    }
    mark(tokens)
}

/// Finds what lies in tests, behind dots and in `use` trees.
fn mark(raw: Vec<(String, usize)>) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(raw.len());
    let (mut depth, mut test_until, mut tree_from) = (0usize, None, None);
    let mut test_begins = false;
    for at in 0..raw.len() {
        let (text, line) = &raw[at];
        let ahead = |offset: usize| raw.get(at + offset).map_or("", |(text, _)| text.as_str());
        let behind = |offset: usize| {
            at.checked_sub(offset).and_then(|at| raw.get(at)).map_or("", |(text, _)| text.as_str())
        };
        if text == "cfg" && ahead(1) == "(" && ahead(2) == "test" && test_until.is_none() {
            test_begins = true;
        }
        match text.as_str() {
            "use" => tree_from = Some(depth),
            "{" => {
                if test_begins {
                    (test_begins, test_until) = (false, Some(depth));
                }
                depth += 1;
            }
            "}" => {
                depth = depth.saturating_sub(1);
                if test_until == Some(depth) {
                    test_until = None;
                }
            }
            ";" => {
                test_begins = false;
                tree_from = None;
            }
            _ => {}
        }
        tokens.push(Token {
            text: text.clone(),
            line: *line,
            in_test: test_until.is_some() || test_begins,
            is_method: behind(1) == ".",
            // `use {a, b}` names crates; `use a::{b}` does not.
            in_tree: tree_from.is_some_and(|from| depth > from),
        });
    }
    tokens
}

fn find(chars: &[char], from: usize, is: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|&c| is(c)).map_or(chars.len(), |offset| from + offset)
}

fn skip_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn skip_string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn skip_raw_string(chars: &[char], hashes: usize, quote: usize) -> usize {
    let count = quote - hashes;
    let mut at = quote + 1;
    while at < chars.len() {
        if chars[at] == '"'
            && chars[at + 1..].iter().take(count).filter(|&&c| c == '#').count() == count
        {
            return at + 1 + count;
        }
        at += 1;
    }
    at
}

/// A character literal, or only the quote of a lifetime.
fn skip_quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => find(chars, from + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}

mod fences {
    //! The fences themselves: each must stop what it is there for.

    use super::{paths_named_in, violations};

    #[track_caller]
    fn stops(name: &str, code: &str, what: &str) {
        let broken = violations(name, &format!("//! Doc.\n{code}\n"));
        assert!(broken.len() == 1 && broken[0].contains(what), "{broken:?}");
    }

    #[track_caller]
    fn lets_pass(name: &str, code: &str) {
        let broken = violations(name, &format!("//! Doc.\n{code}\n"));
        assert!(broken.is_empty(), "{broken:?}");
    }

    #[test]
    fn an_import_that_goes_up() {
        stops("base/fs.rs", "use crate::diagnostics::Code;", "floor 0");
        stops("btf/mod.rs", "use crate::{base::fs, vm::Vm};", "src/btf/mod.rs:2: `btf` (floor 2)");
        stops("build/mod.rs", "fn f() { crate::ops::session() }", "floor 4");
        stops("btf/a/b.rs", "use super::super::super::ops::Session;", "floor 4");
        stops("btf/mod.rs", "mod tests { use super::super::ops::Session; }", "floor 4");
        lets_pass("btf/mod.rs", "mod tests { use super::ops::Session; }");
        lets_pass("vm/mod.rs", "use crate::{base::{fs, process}, wire};\npub(crate) fn f() {}");
    }

    #[test]
    fn an_import_that_goes_sideways() {
        stops("build/clang.rs", "use crate::project::Manifest;", "neighbour");
        stops("btf/mod.rs", "use crate::elf;", "below it");
        lets_pass("elf/mod.rs", "use crate::btf;");
        stops("guest/mod.rs", "use crate::elf;", "only base, wire");
        stops("ops/x.rs", "use crate::Thing;", "room's name");
    }

    #[test]
    fn a_door_passed_by_another() {
        stops("btf/mod.rs", "use object::Object as _;", "elf/");
        stops("btf/mod.rs", "fn f(_: ::object::File) {}", "elf/");
        stops("ops/new.rs", "#[derive(clap::Args)]\nstruct A;", "src/ops/new.rs:2");
        lets_pass("ops/check.rs", "use crate::elf::{object::Object, Map};");
        lets_pass("build/mod.rs", "mod object;\nuse object::Step;");
        lets_pass("btf/mod.rs", "#[cfg(test)]\nmod tests { use object::Object; }");
    }

    #[test]
    fn a_pure_room_that_touches_the_machine() {
        stops("analysis/mod.rs", "use std::{fs, fmt};", "pure");
        stops("verifier_log/mod.rs", "use crate::base::process::Command;", "pure");
        lets_pass("analysis/mod.rs", "#[cfg(test)] mod tests { use std::fs; }");
    }

    #[test]
    fn printing_outside_the_shell() {
        stops("vm/mod.rs", "fn f() { println!(\"x\"); }", "println!");
        stops("vm/mod.rs", "fn f() { std::io::stderr().flush(); }", "stderr()");
        lets_pass("vm/mod.rs", "fn f(o: &Output) -> &[u8] { o.stdout() ; ; }");
    }

    #[test]
    fn a_raw_door() {
        stops("vm/mod.rs", "#![allow(clippy::disallowed_methods, reason = \"\")]", "doors");
        lets_pass("base/fs.rs", "#![expect(clippy::disallowed_methods, reason = \"\")]");
    }

    #[test]
    fn a_module_without_its_purpose() {
        assert_eq!(violations("vm/mod.rs", "use std::fmt;\n").len(), 1);
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        lets_pass("btf/mod.rs", "// crate::ops::X\n/* /* */ crate::ops */ const A: char = '\"';");
        lets_pass("btf/mod.rs", "const A: &str = r#\"crate::ops::X \"# ; fn f<'a>() {}");
        lets_pass("btf/mod.rs", "const A: &str = \"\\\" println!() crate::ops::X\";");
        stops("btf/mod.rs", "const A: u8 = b'\\''; use crate::ops::X;", "floor 4");
    }

    #[test]
    fn paths_in_prose_are_found() {
        let text = "see `src/lib.rs`, `base`, `a b/c`, `Skep.toml` and `fs.rs`";
        assert_eq!(paths_named_in(text).into_iter().collect::<Vec<_>>(), ["fs.rs", "src/lib.rs"]);
    }
}
