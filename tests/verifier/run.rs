//! Asks real kernels, all cases in one run for each.

use crate::cases::Case;
use crate::support::Place;
use std::collections::{BTreeMap, BTreeSet};

/// What a kernel said of a case.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The lines and codes of the findings.
    pub found: BTreeSet<(u32, String)>,
    /// The findings as people see them, without what differs from boot to
    /// boot.
    pub shown: String,
}

/// Builds and verifies all cases that are for a kernel, with `skep` itself;
/// by the name of the case.
pub fn verify(
    place: &Place,
    cases: &[Case],
    kernel: &str,
    reference: &str,
) -> BTreeMap<String, Said> {
    let mut args = vec!["verify", "--message-format", "json", "--kernel", reference];
    let cases: Vec<&Case> = cases.iter().filter(|case| case.runs_on(kernel)).collect();
    let files: Vec<String> = cases.iter().map(|case| format!("{}.bpf.c", case.name)).collect();
    for (case, file) in cases.iter().zip(&files) {
        // What is expected is not for people who read the output.
        let source = case.source.lines().map(|line| line.split(" // error[").next().unwrap());
        place.file(file, source.map(|line| format!("{line}\n")).collect::<String>());
        args.push(file);
    }
    let run = place.skep(&args);
    assert!(matches!(run.code, 0 | 1), "{run}");
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    let mut judged: BTreeSet<String> = BTreeSet::new();
    for line in run.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        match row["reason"].as_str() {
            Some("program-verdict") => {
                judged.insert(stem(&text(&row["object"])));
            }
            Some("compiler-message") => {
                let message = &row["message"];
                if message["level"] != "error" {
                    continue;
                }
                let spans = message["spans"].as_array().cloned().unwrap_or_default();
                let primary = spans.iter().find(|span| span["is_primary"] == true);
                let line = primary.and_then(|span| span["line_start"].as_u64()).unwrap_or(0);
                let case = match primary {
                    Some(span) => stem(&text(&span["file_name"])),
                    None => stem(&text(&row["skep"]["object"]["path"])),
                };
                let said = said.entry(case).or_default();
                let code = text(&message["code"]["code"]);
                said.found.insert((u32::try_from(line).unwrap(), code));
                said.shown.push_str(&redact(&place.redact(&text(&message["rendered"]))));
            }
            _ => {}
        }
    }
    for case in cases {
        let lines: Vec<&str> = run.stdout.lines().filter(|l| l.contains(&case.name)).collect();
        assert!(
            judged.contains(&case.name),
            "no verdict for {} on {kernel}; {lines:#?}\n{}",
            case.name,
            run.stderr
        );
    }
    said
}

/// `dir/case_1.bpf.o` → `case_1`
fn stem(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap();
    file.split('.').next().unwrap().to_owned()
}

/// Replaces what differs from boot to boot and kernel to kernel: addresses,
/// the numbers of BTF types, where logs are, the kernel's name.
pub fn redact(text: &str) -> String {
    let mut redacted = String::new();
    for line in text.lines() {
        if line.starts_with("  log: ") || line.starts_with("  kernels: ") {
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
