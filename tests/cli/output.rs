//! What every command's output has in common: streams, formats, colour,
//! readers that go away and disks that are full.

use crate::support::{Place, Run};
use std::fs::File;
use std::time::{Duration, Instant};

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

const PROGRAM: &str = "\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC(\"xdp\")
int ignore(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC(\"license\") = \"MIT\";
";

#[test]
fn progress_is_plain_lines_off_a_terminal_and_none_where_quiet() {
    let place = Place::new();
    place.file("a.bpf.c", PROGRAM);
    let run = place.skep(&["build", "a.bpf.c"]).expect(0);
    assert!(run.stderr.starts_with("   Compiling a.bpf.c\n"), "{run}");
    assert!(!run.stderr.contains('\r') && !run.stdout.contains("Compiling"), "{run}");

    place.file("b.bpf.c", PROGRAM);
    let run = place.skep(&["-q", "build", "b.bpf.c"]).expect(0);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.contains("b.bpf.o"), "{run}");
}

#[test]
fn on_a_terminal_moving_lines_leave_nothing_behind() {
    let place = Place::new().env("LC_ALL", "C.UTF-8");
    place.file("a.bpf.c", PROGRAM);
    place.file("b.bpf.c", PROGRAM.replace("return", "int unused; return"));
    let mut session = place.on_terminal(&["build", "a.bpf.c", "b.bpf.c"]);
    assert_eq!(session.finish(), 0, "{}", session.shown);
    let screen = screen(&session.shown);
    let shown = screen.join("\n");
    for line in ["   Compiling a.bpf.c", "   Compiling b.bpf.c"] {
        assert_eq!(screen.iter().filter(|shown| *shown == line).count(), 1, "{shown}");
    }
    assert!(shown.contains("warning[W0201]: unused variable 'unused'"), "{shown}");
    assert!(shown.contains("OBJECT"), "{shown}");
    assert!(!shown.contains(['⠋', '⠙', '⠹', '⠸']), "{shown}");
}

/// What a terminal shows in the end: as much of one as our output needs.
fn screen(text: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::<char>::new()], 0_usize, 0_usize);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => row += 1,
            '\r' => column = 0,
            '\x1b' => {
                assert_eq!(chars.next(), Some('['));
                let mut number = String::new();
                let end = loop {
                    match chars.next() {
                        Some(c) if c.is_ascii_digit() || c == ';' || c == '?' => number.push(c),
                        Some(c) => break c,
                        None => panic!("an open escape sequence"),
                    }
                };
                let count = number.parse::<usize>().unwrap_or(1);
                match end {
                    'A' => row = row.saturating_sub(count),
                    'B' => row += count,
                    'K' if number == "2" => lines[row].clear(),
                    'K' => lines[row].truncate(column),
                    'm' | 'h' | 'l' => {}
                    other => panic!("what is ESC [ {number} {other}?"),
                }
            }
            c => {
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        while lines.len() <= row {
            lines.push(Vec::new());
        }
    }
    lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().into()).collect()
}

/// A build that takes its time: a clang that says its number and waits.
fn slow_build() -> (Place, crate::support::Session, String) {
    let place = Place::new();
    let clang = place.file(
        "slow",
        "#!/bin/sh\n\
         case \"$*\" in *slow.bpf.c*) echo $$ > pid; exec sleep 600;; esac\n\
         exec clang-19 \"$@\"\n",
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&clang, mode).unwrap();
    place.file("slow.bpf.c", PROGRAM);
    let place = place.env("SKEP_CLANG", &clang);
    let mut session = place.on_terminal(&["build", "slow.bpf.c"]);
    session.wait_for("slow.bpf.c");
    let pid = loop {
        match std::fs::read_to_string(place.path().join("pid")) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    (place, session, pid)
}

/// Whether a process is there and no zombie.
fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

#[test]
fn ctrl_c_leaves_no_child_and_no_half_file() {
    let (place, mut session, pid) = slow_build();
    assert!(runs(&pid));
    session.type_in("\x03");
    assert_eq!(session.finish(), 130, "{}", session.shown);
    assert!(!runs(&pid), "clang still runs");
    let left = walk(&place.path().join("target"));
    let is_half = |name: &String| name.ends_with(".o") || name.starts_with(".skep-");
    assert!(!left.iter().any(is_half), "{left:?}");
}

#[test]
fn even_a_kill_leaves_no_child() {
    let (_place, mut session, pid) = slow_build();
    assert!(runs(&pid));
    session.kill();
    session.finish();
    let deadline = Instant::now() + Duration::from_secs(20);
    while runs(&pid) {
        assert!(Instant::now() < deadline, "clang still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        names.extend(walk(&entry.path()));
    }
    names
}

#[test]
fn junit_is_one_document() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/x.bpf.c", "int x = y;\n");
    let run = place.skep(&["build", "--message-format", "junit"]).expect(1);
    assert!(run.stdout.starts_with("<?xml version=\"1.0\""), "{run}");
    assert!(run.stdout.trim_end().ends_with("</testsuites>"), "{run}");
    assert!(run.stdout.contains("<testsuite name=\"skep\" tests=\"1\" failures=\"1\""), "{run}");
    assert!(run.stdout.contains("<failure message=\"src/x.bpf.c:1:9: error[E0201]"), "{run}");
    let run = place.skep(&["watch", "--message-format", "junit"]).expect(2);
    assert!(run.stdout.contains("watching has none"), "{run}");
}
