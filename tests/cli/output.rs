//! What every command's output has in common: streams, formats, colour,
//! readers that go away and disks that are full.

use crate::support::{Place, Run};
use std::fs::File;

/// A command that fails before it does anything.
const NOWHERE: [&str; 4] = ["-C", "nowhere", "completions", "bash"];

fn fail(args: &[&str]) -> Run {
    Place::new().env("LC_ALL", "C").skep(&[args, &NOWHERE].concat()).expect(2)
}

#[test]
fn for_people_what_keeps_a_command_from_its_work_goes_to_standard_error() {
    for format in ["human", "short"] {
        let run = fail(&["--message-format", format]);
        assert_eq!(run.stdout, "", "{run}");
        assert!(run.stderr.contains("error[E0601]: ") && run.stderr.contains("nowhere"), "{run}");
        assert!(!run.stderr.contains('\x1b'), "{run}");
    }
}

#[test]
fn for_machines_it_goes_to_standard_output() {
    let run = fail(&["--message-format", "json"]);
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["skep", "compiler-message", "build-finished"]);
    assert_eq!(lines[0]["format_version"], 1);
    assert_eq!(lines[1]["message"]["code"]["code"], "E0601");
    assert_eq!(lines[2]["success"], false);
    assert_eq!(run.stderr, "");

    let run = fail(&["--message-format", "sarif"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["runs"][0]["results"][0]["ruleId"], "E0601");

    let run = fail(&["--message-format", "github"]);
    assert!(run.stdout.starts_with("::error title=E0601"), "{run}");
}

#[test]
fn colour_follows_the_flag_then_the_environment() {
    let colours = |args: &[&str], env: &[(&str, &str)]| {
        let place = env.iter().fold(Place::new(), |place, (name, value)| place.env(name, value));
        let args = [args, &NOWHERE].concat();
        place.skep(&args).expect(2).stderr.contains("\x1b[1;31merror")
    };
    assert!(!colours(&[], &[]), "a pipe is not coloured");
    assert!(colours(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(colours(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colours(&[], &[("CLICOLOR_FORCE", "0")]));
    assert!(!colours(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!colours(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    for args in [["completions", "bash"], ["completions", "--help"], ["--help", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Place::new().command(&args).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = Place::new().command(&["completions", "bash"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("error[E0603]: cannot write to standard output: No space"), "{stderr}");
}

#[test]
fn results_with_a_format_of_their_own_stand_alone() {
    for format in ["human", "json", "sarif", "github"] {
        let run = Place::new().skep(&["--message-format", format, "completions", "bash"]).expect(0);
        assert!(run.stdout.starts_with("_skep()"), "{format}: {run}");
        assert!(!run.stdout.contains("build-finished") && !run.stdout.contains("sarif-schema"));
    }
}
