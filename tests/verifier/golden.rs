//! What people see: the whole human output of every rejection, on every
//! kernel, beside the cases in `golden/`. A file holds the cases of one page,
//! and of each case what kernels say, those together that say the same.
//!
//! `SKEP_BLESS=1` takes what the kernels say now.

use crate::cases::{self, Case};
use crate::run::{Said, redact};
use crate::support::Place;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The kernels as goldens name them, in their order.
const ORDER: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

/// Pages whose cases are not shown the same every time: a log of E0307 may be
/// too large to be kept, and then the story has less to tell from.
const UNSTEADY: [&str; 1] = ["E0307"];

/// What is shown on some kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    kernels: Vec<String>,
    text: String,
}

/// Compares what a kernel said with the goldens; what differs, in words.
pub fn differences(cases: &[Case], kernel: &str, said: &BTreeMap<String, Said>) -> String {
    let bless = std::env::var_os("SKEP_BLESS").is_some();
    let mut differences = String::new();
    let mut pages: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases.iter().filter(|case| !UNSTEADY.contains(&case.page())) {
        pages.entry(case.page()).or_default().push(case);
    }
    for (page, cases) in pages {
        // Tests of two kernels may bless at once.
        let lock = bless.then(|| {
            let lock = std::fs::File::create(std::env::temp_dir().join("skep-golden.lock"));
            let lock = lock.unwrap();
            lock.lock().unwrap();
            lock
        });
        let path = file(page);
        let mut golden = read(&std::fs::read_to_string(&path).unwrap_or_default());
        for case in &cases {
            let shown = said.get(&case.name).filter(|_| case.runs_on(kernel));
            let shown = shown.map(|said| said.shown.trim().to_owned()).unwrap_or_default();
            let groups = golden.entry(case.name.clone()).or_default();
            let known = groups.iter().find(|group| group.kernels.iter().any(|one| one == kernel));
            let known = known.map(|group| group.text.clone()).unwrap_or_default();
            if known != shown {
                let _ = write!(
                    differences,
                    "{} ({}) on {kernel}:\n--- wanted\n{known}\n--- shown\n{shown}\n",
                    case.title, case.name
                );
                put(groups, kernel, shown);
            }
        }
        if bless {
            golden.retain(|name, groups| {
                !groups.is_empty() && cases.iter().any(|case| case.name == *name)
            });
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if golden.is_empty() {
                drop(std::fs::remove_file(&path));
            } else {
                std::fs::write(&path, write(&cases, &golden)).unwrap();
            }
        }
        drop(lock);
    }
    if bless { String::new() } else { differences }
}

fn file(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/golden").join(format!("{page}.txt"))
}

/// Takes a kernel out of the group it is in, and puts it where its text is.
fn put(groups: &mut Vec<Group>, kernel: &str, text: String) {
    for group in groups.iter_mut() {
        group.kernels.retain(|known| known != kernel);
    }
    groups.retain(|group| !group.kernels.is_empty());
    if text.is_empty() {
        return;
    }
    match groups.iter_mut().find(|group| group.text == text) {
        Some(group) => group.kernels.push(kernel.to_owned()),
        None => groups.push(Group { kernels: vec![kernel.to_owned()], text }),
    }
    let place = |kernel: &String| ORDER.iter().position(|known| known == kernel);
    for group in groups.iter_mut() {
        group.kernels.sort_by_key(place);
    }
    groups.sort_by_key(|group| place(&group.kernels[0]));
}

/// `## name: title`, `### on 5.10, 6.1`, then the text.
fn read(text: &str) -> BTreeMap<String, Vec<Group>> {
    let mut cases: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.split(':').next().unwrap().clone_into(&mut name);
        } else if let Some(kernels) = line.strip_prefix("### on ") {
            let kernels = kernels.split(", ").map(str::to_owned).collect();
            cases.entry(name.clone()).or_default().push(Group { kernels, text: String::new() });
        } else if let Some(group) = cases.get_mut(&name).and_then(|groups| groups.last_mut()) {
            group.text.push_str(line);
            group.text.push('\n');
        }
    }
    for group in cases.values_mut().flatten() {
        group.text = group.text.trim().to_owned();
    }
    cases
}

fn write(cases: &[&Case], golden: &BTreeMap<String, Vec<Group>>) -> String {
    let mut text = String::new();
    for case in cases {
        let Some(groups) = golden.get(&case.name) else { continue };
        let _ = writeln!(text, "## {}: {}\n", case.name, case.title);
        for group in groups {
            let _ = writeln!(text, "### on {}\n\n{}\n", group.kernels.join(", "), group.text);
        }
    }
    text.trim_end().to_owned() + "\n"
}

#[test]
fn there_are_at_least_120_rejected_programs() {
    let dir = file("x").parent().unwrap().to_owned();
    let mut programs = 0;
    let mut rejections = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let golden = read(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
        programs += golden.len();
        rejections += golden.values().flatten().map(|group| group.kernels.len()).sum::<usize>();
    }
    assert!(programs >= 120, "only {programs} programs");
    assert!(rejections >= 480, "only {rejections} rejections");
}

#[test]
fn a_kernel_is_in_the_group_of_its_text() {
    let mut groups = Vec::new();
    for (kernel, text) in [("7", "a"), ("5.10", "b"), ("6.1", "a"), ("5.10", "a"), ("7", "")] {
        put(&mut groups, kernel, text.to_owned());
    }
    let all = Group { kernels: vec!["5.10".to_owned(), "6.1".to_owned()], text: "a".to_owned() };
    assert_eq!(groups, [all]);
}

#[test]
fn the_classics_as_people_see_them() {
    let place = Place::new().env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
    let text = include_str!("classics.md");
    let mut args =
        vec!["verify".to_owned(), "-v".into(), "--kernel".into(), "debian/trixie".into()];
    for case in cases::read("classics", "tests/verifier/classics.md", text) {
        let file = format!("{}.bpf.c", case.name);
        // What is expected is not for people who read the output.
        let source: String = case
            .source
            .lines()
            .map(|line| format!("{}\n", line.split(" // error[").next().unwrap()))
            .collect();
        place.file(&file, source);
        args.push(file);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let run = place.skep(&args).expect(1);
    let findings = &run.stdout[run.stdout.find("error[").unwrap()..];
    insta::assert_snapshot!(redact(&place.redact(findings)));
}

#[test]
fn an_edit_that_is_offered_makes_the_program_good() {
    let place = Place::new();
    let wrong: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| case.expected("6.12").iter().any(|(_, code)| code == "E0301"))
        .collect();
    let files: Vec<String> = wrong.iter().map(|case| format!("{}.bpf.c", case.name)).collect();
    let mut args = vec!["verify", "--message-format", "json", "--kernel", "debian/trixie"];
    for (case, file) in wrong.iter().zip(&files) {
        place.file(file, &case.source);
        args.push(file);
    }
    let run = place.skep(&args).expect(1);
    let mut edited = Vec::new();
    for line in run.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        for child in row["message"]["children"].as_array().into_iter().flatten() {
            for span in child["spans"].as_array().into_iter().flatten() {
                let Some(replacement) = span["suggested_replacement"].as_str() else { continue };
                let file = span["file_name"].as_str().unwrap();
                let offset = |key: &str| usize::try_from(span[key].as_u64().unwrap()).unwrap();
                let mut source = place.read(file);
                source.replace_range(offset("byte_start")..offset("byte_end"), replacement);
                place.file(file, source);
                edited.push(file.to_owned());
            }
        }
    }
    assert!(edited.len() >= 2, "few edits are offered: {run}");
    let args = ["verify", "--kernel", "debian/trixie"].into_iter();
    let args: Vec<&str> = args.chain(edited.iter().map(String::as_str)).collect();
    place.skep(&args).expect(0);
}
