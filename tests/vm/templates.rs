//! Every template goes the whole way, as a user would: new, build, check,
//! verify, on each of Debian's kernels. It is accepted on those from the one
//! that it says it needs, and on older ones it is not, for a reason that has
//! a name: so what it says can be neither too old nor, among these kernels,
//! too new. Where a program attaches leaves no trace in its code, and the
//! verifier of an older kernel takes it: there `check` has to know.
//!
//! Some need more of a kernel than its age, and `template.toml` says what.
//!
//! The user program that a template comes with is built along, and says what
//! its arguments are.
//!
//! A booted machine and a restored one say the same.
//!
//! All projects are built by one command and verified by one, so that each
//! kernel runs in one machine.

use crate::support::{Place, Run, debian};
use serde_json::Value;

/// Debian's kernels, oldest first, with the version each has at least.
const KERNELS: [(&str, &str); 4] = [
    ("debian/bullseye", "5.10"),
    ("debian/bookworm", "6.1"),
    ("debian/trixie", "6.12"),
    ("debian/sid", "7.0"),
];

fn version(text: &str) -> (u32, u32) {
    let (major, minor) = text.split_once('.').expect("a version has two numbers");
    (major.parse().unwrap(), minor.parse().unwrap())
}

/// The rows of one kind among a command's JSON messages.
fn rows(run: &Run, reason: &str) -> Vec<Value> {
    run.stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|message| message["reason"] == reason)
        .collect()
}

/// Verdicts without what differs from run to run: times, and how long the
/// machine code is, for an address that fits into 32 bits takes three bytes
/// less.
fn lasting(verdicts: &[Value]) -> Vec<Value> {
    let lasts = |verdict: &Value| {
        let mut verdict = verdict.clone();
        verdict
            .as_object_mut()
            .unwrap()
            .retain(|key, _| !key.ends_with("_micros") && key != "jited_bytes");
        verdict
    };
    verdicts.iter().map(lasts).collect()
}

/// Whether a verdict or finding is about the project's object.
fn is_of(text: &Value, project: &str) -> bool {
    text.as_str().is_some_and(|path| path.starts_with(&format!("{project}/")))
}

/// Whether the kernel was built without something that the template needs.
fn lacks_configuration(template: &str, kernel: &str) -> bool {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = root.join("templates").join(template).join("template.toml");
    let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    let Some(options) = manifest.get("config") else { return false };
    // Of the newest kernels the configuration is in another package: they are
    // taken to have everything.
    let Some(config) = debian::kernel_config(kernel) else { return false };
    options.as_array().unwrap().iter().any(|option| {
        let option = option.as_str().unwrap();
        !config
            .lines()
            .any(|line| [format!("{option}=y"), format!("{option}=m")].contains(&line.to_owned()))
    })
}

/// What the templates say of themselves holds on every kernel; what an older
/// one cannot run is skipped.
#[test]
fn templates_pass_their_own_tests() {
    let place = Place::new();
    let list = place.skep(&["new", "--list", "--message-format", "json"]).expect(0);
    let list = rows(&list, "template");
    let templates: Vec<&str> = list.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(templates.len() >= 40, "{templates:?}");
    let projects: Vec<String> = templates.iter().map(|name| format!("my-{name}")).collect();
    for (name, project) in templates.iter().zip(&projects) {
        place.skep(&["new", "--template", name, project]).expect(0);
        assert!(place.path().join(project).join("tests").is_dir(), "{name} has no tests");
    }
    let mut args = vec!["test", "--message-format", "json"];
    args.extend(KERNELS.iter().flat_map(|(kernel, _)| ["--kernel", *kernel]));
    args.extend(projects.iter().map(String::as_str));
    let run = place.skep(&args).expect(0);
    let results = rows(&run, "test-result");
    for (project, name) in projects.iter().zip(&templates) {
        let own: Vec<&Value> =
            results.iter().filter(|row| is_of(&row["object"], project)).collect();
        for (kernel, _) in KERNELS {
            let of_kernel = own.iter().filter(|row| row["kernel"] == kernel);
            let passed = of_kernel.filter(|row| row["outcome"] == "PASS").count();
            // The newest runs everything.
            assert!(passed >= 1 || kernel != "debian/sid", "{name} on {kernel}: {own:#?}");
        }
        assert!(own.iter().all(|row| row["outcome"] != "FAIL"), "{name}: {own:#?}");
    }
    let skipped = results.iter().filter(|row| row["outcome"] == "SKIP").count();
    assert!(skipped > 0, "5.10 runs no sk_lookup, syscall and netfilter programs");
}

#[test]
fn every_template_is_accepted_by_every_kernel_it_is_for_and_by_no_older_one() {
    let place = Place::new();
    let list = place.skep(&["new", "--list", "--message-format", "json"]).expect(0);
    let templates: Vec<(String, String, (u32, u32))> = rows(&list, "template")
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            let lang = row["langs"][0].as_str().unwrap();
            (text("name").to_owned(), lang.to_owned(), version(text("kernel")))
        })
        .collect();
    assert!(templates.len() >= 3, "{list}");
    let project = |name: &str| format!("my-{name}");
    for (name, lang, _) in &templates {
        place.skep(&["new", "--template", name, "--lang", lang, &project(name)]).expect(0);
    }
    let projects: Vec<String> = templates.iter().map(|(name, ..)| project(name)).collect();
    let all = |command: &[&str]| {
        let paths = projects.iter().map(String::as_str);
        let args: Vec<&str> = command.iter().copied().chain(paths).collect();
        place.skep(&args)
    };

    for command in ["build", "check"] {
        let run = all(&[command, "--message-format", "json"]).expect(0);
        assert_eq!(rows(&run, "compiler-message"), Vec::<Value>::new(), "{command}");
    }

    for (name, ..) in templates.iter().filter(|(_, lang, _)| lang == "c") {
        let project = project(name);
        let program = place.path().join(format!("{project}/target/skep/dev/{project}"));
        let run = std::process::Command::new(program).arg("--help").output().unwrap();
        let text = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && text.contains("Usage:"), "{name}: {run:?}");
    }

    let mut args = vec!["verify", "--message-format", "json"];
    args.extend(KERNELS.iter().flat_map(|(kernel, _)| ["--kernel", *kernel]));
    let verify = all(&args);
    args.push("--cold");
    let cold = all(&args);
    args.pop();
    args[0] = "check";
    let check = all(&args);
    let verdicts = rows(&verify, "program-verdict");
    let (warm, cold) = (lasting(&verdicts), lasting(&rows(&cold, "program-verdict")));
    assert_eq!(warm.len(), cold.len());
    let differ: Vec<_> = warm.iter().zip(&cold).filter(|(warm, cold)| warm != cold).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    let mut findings =
        [rows(&verify, "compiler-message"), rows(&check, "compiler-message")].concat();
    findings.retain(|found| found["message"]["level"] == "error");
    let mut wrong = Vec::new();
    for (name, _, min) in &templates {
        let project = project(name);
        for (kernel, release) in KERNELS {
            let of_kernel = verdicts.iter().filter(|row| row["kernel"] == kernel);
            let rows: Vec<_> = of_kernel.filter(|row| is_of(&row["object"], &project)).collect();
            if rows.is_empty() {
                wrong.push(format!("{name} has no verdict of {kernel}"));
            }
            let refused: Vec<_> = rows.iter().filter(|row| row["verdict"] != "accepted").collect();
            let said: Vec<_> = findings
                .iter()
                .filter(|found| is_of(&found["skep"]["object"]["path"], &project))
                .filter(|found| {
                    found["skep"]["kernels"].as_array().unwrap().iter().any(|k| k == kernel)
                })
                .map(|found| (&found["message"]["code"]["code"], &found["message"]["message"]))
                .collect();
            if version(release) >= *min {
                let is_wrong = !refused.is_empty() || !said.is_empty();
                if is_wrong && !lacks_configuration(name, kernel) {
                    wrong.push(format!("{name} on {kernel}: {refused:#?} {said:#?}"));
                }
            } else if refused.is_empty() && said.is_empty() {
                let needs = format!("{}.{}", min.0, min.1);
                wrong.push(format!("{name} says it needs {needs}, but {kernel} takes it"));
            } else if said.is_empty() || said.iter().any(|(code, _)| *code == "E0300") {
                wrong.push(format!("{name} on {kernel}: no name for the reason: {said:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), verify.stderr);
}
