//! The templates' user programs, run where their BPF programs work: in the
//! machine of a kernel, with something going on (`loaders/stage.c`). Each
//! attaches, says what it is there to say, and ends when Ctrl-C is pressed.

use crate::support::Place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A template, what its program is to print (an extended regular expression)
/// and its arguments. `ENDS` are those that do so by themselves.
type Case = (&'static str, &'static str, &'static str);

const STAYS: &[Case] = &[
    ("arena", "^ *[0-9.]+ +[0-9]+ caller$", ""),
    ("bootstrap", " caller .*exit code 3 after", ""),
    ("bootstrap_legacy", "ENDED +caller .*after", ""),
    ("cgroup_skb", "^ +[1-9][0-9]* +[1-9][0-9]* ", "-c /sys/fs/cgroup 127.0.0.0/8"),
    (
        "cgroup_sock_addr",
        "192.0.2.1:80 -> 127.0.0.1:7006",
        "-c /sys/fs/cgroup 192.0.2.1:80=127.0.0.1:7006",
    ),
    ("dynptr", "caller.*caller --once", ""),
    ("fentry", "stage +[0-9.]+ +opened +stirred", ""),
    ("freplace", "by the replacement [1-9]", "-i lo -t 1"),
    ("kfunc", "stage +-> +[0-9]+ caller +signal 9", ""),
    ("kprobe", "stage +/tmp/stirred", ""),
    ("kprobe_multi", "^ +[1-9][0-9]* vfs_unlink", "vfs_un*"),
    ("ksyscall", "stage .*Killed +sent", ""),
    ("lsm", "stage +11 +seen", ""),
    ("minimal", "^[1-9][0-9]* calls", ""),
    ("minimal_legacy", "^[1-9][0-9]* calls", ""),
    ("minimal_ns", "^[1-9][0-9]* calls", ""),
    ("netfilter", "port 9: [1-9][0-9]* dropped", "--hook input 9"),
    ("netkit", "^ +[1-9][0-9]* +[0-9]+ +[0-9]+$", "-i front 10.0.0.2"),
    ("perf_event", "^ +[0-9]+ stage +[1-9]", "--event page-faults"),
    ("profile", "^stage .*on CPU", ""),
    ("raw_tp", "^ +[0-9]+ +[1-9][0-9]*$", ""),
    // There is one CPU, and so none to choose.
    ("sched_ext", "^ +[0-9]+ +[1-9][0-9]*$", ""),
    ("sk_lookup", "127.0.0.1 chose port 7500", ""),
    ("sockfilter", "127.0.0.1:9 .* bytes", "lo"),
    ("sockmap", "^ +[1-9][0-9]* +[1-9][0-9]* +[1-9][0-9]*$", "-c /sys/fs/cgroup"),
    ("struct_ops", "^ +[1-9][0-9]* +[0-9]+$", "--backoff 80"),
    ("tc", "^ +[1-9][0-9]* +[1-9][0-9]* +[1-9][0-9]* +[1-9][0-9]*$", "lo --limit 1"),
    ("tcx", "127.0.0.1 +[1-9]", "-i lo"),
    ("timer", "caller +has been running for 1 s", "--seconds 1"),
    ("tp_btf", "^ +[0-9]+ - +[0-9]+ +[1-9]", ""),
    ("tracecon", "caller +looks up +localhost", ""),
    ("uprobe", "uprobe +.*= 0x", ""),
    ("uprobe_multi", "^ +[1-9][0-9]* +[0-9]+ caller +malloc", "libc.so.6 malloc free"),
    ("usdt", "usdt +own:tick 1", ""),
    ("xdp", "^17 +[1-9]", "lo"),
];

const ENDS: &[Case] = &[
    ("iter_map", "^[1-9][0-9]* maps", ""),
    ("iter_prog", "show_program", ""),
    ("iter_task", " stage$", ""),
    ("syscall", "^ +9 +81$", "--entries 10"),
    ("task_iter", " stage$", ""),
    ("user_ringbuf", "^sum 42$", ""),
];

/// The templates that have a program in C.
fn templates(place: &Place) -> BTreeSet<String> {
    let list = place.skep(&["new", "--list", "--message-format", "json"]).expect(0);
    let rows = list.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["langs"].as_array().is_some_and(|langs| langs.contains(&"c".into())))
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

fn cc(source: &str, program: &Path, arguments: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/loaders").join(source);
    let mut command = Command::new("cc");
    command.args(["-Wall", "-Werror", "-Wno-unused-result", "-O1"]).args(arguments);
    assert!(command.arg("-o").arg(program).arg(source).status().unwrap().success());
}

/// Puts the programs of these templates on the stage.
fn they_do_what_they_say(stays: &[Case], ends: &[Case]) {
    let place = Place::new();
    let names: Vec<&str> = [stays, ends].concat().iter().map(|(name, ..)| *name).collect();
    for name in &names {
        place.skep(&["new", "--template", name, "--lang", "c", name]).expect(0);
    }
    place.skep(&[&["build"], &names[..]].concat()).expect(0);

    let stage = place.path().join("stage");
    std::fs::create_dir(&stage).unwrap();
    for name in &names {
        let program = place.path().join(format!("{name}/target/skep/dev/{name}"));
        std::fs::rename(program, stage.join(name)).unwrap();
    }
    cc("stage.c", &stage.join("stage"), &["-static"]);
    cc("caller.c", &stage.join("caller"), &[]);

    let mut commands = String::new();
    for (word, cases) in [("stays", stays), ("ends", ends)] {
        for (name, pattern, arguments) in cases {
            commands +=
                &format!("/bring/stage/stage {word} '{pattern}' /bring/stage/{name} {arguments}\n");
        }
    }
    // Nothing is to be left behind. The kernel takes maps away some time after
    // the last process that had them.
    commands += "sleep 2; echo --- left; bpf prog list; bpf map list\n";
    let args = ["kernel", "run", "debian/sid", "--bring", "stage"];
    let modules = ["--module", "sch_ingress", "--module", "cls_bpf"];
    let run = place.fed(&[&args[..], &modules].concat(), &commands).expect(0);

    let mut parts = run.stdout.split("--- ").skip(1);
    let mut wrong = Vec::new();
    for name in &names {
        let part = parts.next().unwrap_or_default();
        let last = part.lines().last().unwrap_or_default();
        if !part.starts_with(&format!("/bring/stage/{name}\n"))
            || !last.starts_with("=== seen, ")
            || !last.ends_with(", exit code 0")
        {
            wrong.push(format!("{name}: {part}"));
        }
    }
    let text = wrong.join("\n");
    assert!(wrong.is_empty(), "{text}\n{}\n{} of {}", run.stderr, wrong.len(), names.len());
    assert_eq!(parts.next().unwrap_or_default().trim_end(), "left", "{}", run.stdout);
}

/// One part of those that stay, of three.
fn third(part: usize) -> &'static [Case] {
    STAYS.chunks(STAYS.len().div_ceil(3)).nth(part).unwrap()
}

#[test]
fn each_template_has_a_case() {
    let names = STAYS.iter().chain(ENDS).map(|(name, ..)| (*name).to_owned());
    assert_eq!(names.collect::<BTreeSet<_>>(), templates(&Place::new()));
}

#[test]
fn the_templates_programs_do_what_they_say_1() {
    they_do_what_they_say(third(0), &[]);
}

#[test]
fn the_templates_programs_do_what_they_say_2() {
    they_do_what_they_say(third(1), &[]);
}

#[test]
fn the_templates_programs_do_what_they_say_3() {
    they_do_what_they_say(third(2), &[]);
}

#[test]
fn the_templates_programs_end_when_they_are_done() {
    they_do_what_they_say(&[], ENDS);
}

/// What `skep run` says of a template's program on a kernel: arguments, a
/// workload, and what is to be printed of it.
type Run = (&'static str, &'static [&'static str], &'static str, &'static str);

const RUNS: &[Run] = &[
    ("minimal", &[], "repeat 20 cat /proc/uptime; sleep 1.5", "^[1-9][0-9]* calls"),
    ("bootstrap", &[], "run a; run b", "BEGAN exe .*/proc/self/exe"),
    ("kprobe", &[], "touch /tmp/there; rm /tmp/there", "sh +/tmp/there"),
    ("uprobe", &[], "sleep 1.5", r"uprobe +watched_function\(0x1, 0x3\) = 0x3"),
    ("xdp", &["lo"], "udp 127.0.0.1:9 x; ping 127.0.0.1; sleep 1.5", "^17 +[1-9]"),
];

/// Runs a project; what it wrote.
fn run(place: &Place, project: &str, kernel: &str, run: &Run) -> crate::support::Run {
    let (_, arguments, workload, _) = run;
    let args =
        [&["run", project, "-k", kernel, "--bring", "caller", "-e", workload, "--"], *arguments];
    place.skep(&args.concat())
}

fn matches(pattern: &str, text: &str) -> bool {
    let pattern = regex_automata::meta::Regex::new(&format!("(?m){pattern}")).unwrap();
    pattern.is_match(text)
}

#[test]
fn templates_run_on_older_kernels_too() {
    let place = Place::new();
    for (name, ..) in RUNS {
        place.skep(&["new", "--template", name, "--lang", "c", name]).expect(0);
    }
    cc("caller.c", &place.path().join("caller"), &[]);
    for kernel in ["debian/bookworm", "debian/trixie"] {
        for case in RUNS {
            let ran = run(&place, case.0, kernel, case);
            assert!(ran.code == 0 && matches(case.3, &ran.stdout), "{} on {kernel}: {ran}", case.0);
        }
    }
}

const IN_RUST: &[Run] = &[
    ("xdp", &["lo"], "udp 127.0.0.1:9 x; ping 127.0.0.1; sleep 1.5", "^udp +[1-9]"),
    ("profile", &["--frequency", "5"], "sleep 5", r"^\S+ \(process [0-9]+\) on CPU"),
    (
        "tracecon",
        &[],
        "caller --once; tcp 127.0.0.1:80 x",
        "(?s)caller +looks up +localhost.*sh +connects to 127.0.0.1:80",
    ),
];

#[test]
fn templates_in_rust_run() {
    // The dependencies are compiled once for all of them, and for later runs.
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loader");
    let own = Path::new(env!("CARGO_BIN_EXE_skep")).parent().unwrap();
    let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap());
    let place = Place::new().env("PATH", path).env("CARGO_TARGET_DIR", &shared);
    cc("caller.c", &place.path().join("caller"), &[]);
    for case in IN_RUST {
        let name = format!("my-{}", case.0);
        place.skep(&["new", &name, "--template", case.0, "--lang", "rust"]).expect(0);
        let ran = run(&place, &name, "debian/trixie", case).expect(0);
        assert!(matches(case.3, &ran.stdout), "{}: {ran}", case.0);
    }
}
