//! Asks real kernels, all cases in one run.

use crate::cases::Case;
use crate::support::Place;
use std::collections::{BTreeMap, BTreeSet};

/// Findings: by case and kernel reference, the lines and codes.
pub type Findings = BTreeMap<(String, String), BTreeSet<(u32, String)>>;

/// Builds and verifies all cases on the kernels, each with `skep` itself.
pub fn verify(cases: &[Case], kernels: &[(&str, &str)]) -> Findings {
    let place = Place::new();
    let mut args = vec!["verify", "--message-format", "json"];
    for (_, reference) in kernels {
        args.extend(["--kernel", reference]);
    }
    let files: Vec<String> = cases.iter().map(|case| format!("{}.bpf.c", case.name)).collect();
    for (case, file) in cases.iter().zip(&files) {
        place.file(file, &case.source);
        args.push(file);
    }
    let run = place.skep(&args);
    assert!(matches!(run.code, 0 | 1), "{run}");
    let mut findings = Findings::new();
    let mut judged: BTreeSet<(String, String)> = BTreeSet::new();
    for line in run.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        match row["reason"].as_str() {
            Some("program-verdict") => {
                judged.insert((stem(&text(&row["object"])), text(&row["kernel"])));
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
                let found = (u32::try_from(line).unwrap(), text(&message["code"]["code"]));
                for kernel in row["skep"]["kernels"].as_array().unwrap() {
                    findings.entry((case.clone(), text(kernel))).or_default().insert(found.clone());
                }
            }
            _ => {}
        }
    }
    for case in cases {
        for (_, reference) in kernels {
            let key = (case.name.clone(), (*reference).to_owned());
            let said: Vec<&str> = run.stdout.lines().filter(|l| l.contains(&case.name)).collect();
            assert!(judged.contains(&key), "no verdict for {key:?}; {said:#?}\n{}", run.stderr);
        }
    }
    findings
}

/// `dir/case_1.bpf.o` → `case_1`
fn stem(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap();
    file.split('.').next().unwrap().to_owned()
}
