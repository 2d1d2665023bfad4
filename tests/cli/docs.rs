//! The book: what is made from the binary is as the binary has it, links lead
//! somewhere, and nothing is left out. `SKEP_BLESS=1` writes what is made.

use crate::support::Place;
use skep::diagnostics::{Class, codes};
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- made by tests/cli/docs.rs: SKEP_BLESS=1 makes it anew -->\n";
const END: &str = "<!-- end -->\n";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Compares the part of a page that is made with what it should be.
fn made(page: &str, expected: &str) {
    let path = docs().join(page);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let block = format!("{BEGIN}\n{}\n{END}", expected.trim_end());
    let new = match (text.find(BEGIN), text.find(END)) {
        (Some(begin), Some(end)) => {
            format!("{}{block}{}", &text[..begin], &text[end + END.len()..])
        }
        _ => format!("{text}{block}"),
    };
    same(page, &text, &new);
}

fn same(page: &str, old: &str, new: &str) {
    if is_blessed() {
        fs::write(docs().join(page), new).unwrap();
    } else {
        assert!(new == old, "docs/{page} is stale; run the tests with SKEP_BLESS=1");
    }
}

fn is_blessed() -> bool {
    std::env::var_os("SKEP_BLESS").is_some()
}

/// The names and one-line descriptions in `skep --help`.
fn commands() -> Vec<(String, String)> {
    let help = Place::new().skep(&["--help"]).expect(0).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(name, about)| (name.to_owned(), about.trim().to_owned()))
        .filter(|(name, _)| name != "help")
        .collect()
}

/// A command's help without the flags that all commands have.
fn help(command: &[&str]) -> String {
    let help = Place::new().skep(&[command, &["--help"]].concat()).expect(0).stdout;
    let own = help.split("\nGlobal options:").next().unwrap();
    block(own)
}

fn block(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    format!("```text\n{}\n```\n", lines.join("\n"))
}

#[test]
fn each_command_has_its_page() {
    let commands = commands();
    assert!(commands.len() >= 3, "{commands:?}");
    let mut index = String::from("| command | what it does |\n|---|---|\n");
    for (name, about) in &commands {
        index += &format!("| [`skep {name}`](commands/{name}.md) | {about} |\n");
        let page = format!("commands/{name}.md");
        if !docs().join(&page).exists() && is_blessed() {
            fs::write(docs().join(&page), format!("# skep {name}\n\n{about}.\n\n")).unwrap();
        }
        let mut text = help(&[name]);
        for subcommand in subcommands(&text) {
            text += &format!("\n## skep {name} {subcommand}\n\n{}", help(&[name, &subcommand]));
        }
        made(&page, &text);
        let text = fs::read_to_string(docs().join(&page)).unwrap();
        assert!(text.starts_with(&format!("# skep {name}\n")), "docs/{page} has another title");
    }
    let help = Place::new().skep(&["--help"]).expect(0).stdout;
    let global = help.split("\nGlobal options:\n").nth(1).unwrap();
    index += &format!("\n## Global options\n\n{}", block(global));
    made("commands.md", &index);
    for entry in fs::read_dir(docs().join("commands")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let command = name.trim_end_matches(".md");
        assert!(commands.iter().any(|(known, _)| known == command), "no command for {name}");
    }
}

#[test]
fn the_guide_lists_every_template() {
    let list = Place::new().skep(&["new", "--list", "--message-format", "json"]).expect(0);
    let mut table = String::from(
        "| topic | template | kernel | languages | what it does |\n|---|---|---|---|---|\n",
    );
    for line in list.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        if row["reason"] != "template" {
            continue;
        }
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let words = |key: &str| {
            let words = row[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
            words.collect::<Vec<_>>().join(", ")
        };
        let config = match words("config") {
            none if none.is_empty() => none,
            options => format!("; needs {options}"),
        };
        table += &format!(
            "| {} | `{}` | {} | {} | {}{config} |\n",
            text("topic"),
            text("name"),
            text("kernel"),
            words("langs"),
            text("summary")
        );
    }
    made("guide/templates.md", &table);
}

fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_index_of_diagnostics_has_every_code() {
    let mut index =
        String::from("| code | name | exit code | what it means |\n|---|---|---|---|\n");
    for code in codes::ALL {
        let exit = match code.class() {
            Class::Finding => 1,
            Class::Usage => 2,
            Class::Environment => 3,
            Class::Interrupted => 130,
        };
        let (id, slug, summary) = (code.id(), code.slug(), code.summary());
        let page = format!("diagnostics/{id}.md");
        let link =
            if docs().join(&page).exists() { format!("[{id}]({page})") } else { id.to_owned() };
        index += &format!("| {link} | `{slug}` | {exit} | {summary} |\n");
    }
    made("diagnostics.md", &index);
}

/// mdBook shows only what SUMMARY.md names.
#[test]
fn the_summary_leads_to_every_page() {
    let mut commands: Vec<String> = commands().into_iter().map(|(name, _)| name).collect();
    commands.sort();
    let mut summary = String::from("# Summary\n\n[Introduction](introduction.md)\n\n# Guide\n\n");
    for (title, page) in guide() {
        summary += &format!("- [{title}]({page})\n");
    }
    summary += "\n# Reference\n\n- [Commands](commands.md)\n";
    for name in commands {
        summary += &format!("  - [skep {name}](commands/{name}.md)\n");
    }
    summary += "- [Diagnostics](diagnostics.md)\n";
    for code in codes::ALL {
        let page = format!("diagnostics/{}.md", code.id());
        if docs().join(&page).exists() {
            summary += &format!("  - [{code}]({page})\n");
        }
    }
    summary += "- [Machine-readable output](json.md)\n\n# Inside\n\n\
                - [Architecture](architecture.md)\n- [Benchmarks](benchmarks.md)\n- [Fuzzing](fuzzing.md)\n";
    same("SUMMARY.md", &fs::read_to_string(docs().join("SUMMARY.md")).unwrap(), &summary);

    let mut pages = Vec::new();
    list(&docs(), &mut pages);
    let named = links(&docs().join("SUMMARY.md"));
    for page in pages {
        if page.file_name().is_some_and(|name| name != "SUMMARY.md") {
            assert!(named.contains(&page), "nothing leads to {}", page.display());
        }
    }
}

/// The pages of the guide with their titles: the first ones in the order they
/// are to be read in, then the others.
fn guide() -> Vec<(String, String)> {
    let first = ["quickstart", "manifest", "templates", "kernels"];
    let mut pages: Vec<String> = fs::read_dir(docs().join("guide"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort_by_key(|page| {
        let rank = first.iter().position(|name| *name == page.trim_end_matches(".md"));
        (rank.unwrap_or(first.len()), page.clone())
    });
    let titled = |page: String| {
        let page = format!("guide/{page}");
        let text = fs::read_to_string(docs().join(&page)).unwrap();
        let title = text.lines().next().and_then(|line| line.strip_prefix("# "));
        (title.unwrap_or_else(|| panic!("docs/{page} has no title")).to_owned(), page)
    };
    pages.into_iter().map(titled).collect()
}

#[test]
fn links_lead_somewhere() {
    if is_blessed() {
        // The pages are being written at this moment.
        return;
    }
    let mut pages = vec![docs().join("../README.md")];
    list(&docs(), &mut pages);
    for page in pages {
        for link in links(&page) {
            assert!(link.exists(), "{} links to {}", page.display(), link.display());
        }
    }
}

fn list(dir: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// The files that a page links to.
fn links(page: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(page).unwrap();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .map(|target| page.parent().unwrap().join(target))
        .collect()
}

/// Every kind of row that a command prints is described.
#[test]
fn json_rows_are_documented() {
    let text = fs::read_to_string(docs().join("json.md")).unwrap();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut todo = vec![src.join("bin/skep/commands"), src.join("report/listing.rs")];
    let mut rows = 0;
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        for call in source.split("Table::new(").skip(1) {
            let row = call.split('"').nth(1).unwrap();
            assert!(text.contains(&format!("`{row}`")), "docs/json.md does not name {row}");
            rows += 1;
        }
    }
    let live = fs::read_to_string(src.join("report/live/machine.rs")).unwrap();
    for line in live.split("begin(\"").skip(1) {
        let row = line.split('"').next().unwrap();
        assert!(text.contains(&format!("`{row}`")), "docs/json.md does not name {row}");
        rows += 1;
    }
    assert!(rows >= 15, "{rows}");
}
