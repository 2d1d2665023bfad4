//! What people see: the whole human output for the classics on Linux 6.12.

use crate::cases;
use crate::support::Place;

#[test]
fn the_classics_as_people_see_them() {
    let place = Place::new().env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
    let text = include_str!("classics.md");
    let mut args = vec!["verify".to_owned(), "--kernel".into(), "debian/trixie".into()];
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

/// Replaces what differs from boot to boot: addresses, and where logs are.
fn redact(text: &str) -> String {
    let mut redacted = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("log: ") {
            redacted.push_str("  log: [LOG]\n");
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find("0xffff") {
            let digits = rest[at + 2..].bytes().take_while(u8::is_ascii_hexdigit).count();
            let end = at + 2 + digits;
            redacted.push_str(&rest[..at]);
            redacted.push_str(if digits == 16 { "[ADDRESS]" } else { &rest[at..end] });
            rest = &rest[end..];
        }
        redacted.push_str(rest.trim_end());
        redacted.push('\n');
    }
    redacted
}
