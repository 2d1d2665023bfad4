//! `skep run` of projects with a program of the user's own: it runs in the
//! guest as it would on any machine, and skep is only the wire.

use crate::support::{Place, Run};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const BPF: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

const volatile int step = 1;
long opens;

SEC("tracepoint/syscalls/sys_enter_openat")
int on_open(void *ctx)
{
	__sync_fetch_and_add(&opens, step);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

/// Does what its first argument says.
const LOADER: &str = r#"
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "opens.skel.h"

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	stopped = 1;
}

/* Every byte of standard input, until it ends. */
static int copy(void)
{
	char bytes[4096];
	ssize_t size;

	while ((size = read(0, bytes, sizeof(bytes))) > 0)
		if (write(1, bytes, size) != size)
			return 1;
	fprintf(stderr, "copied\n");
	return 7;
}

/* Answers line by line, as in a conversation. */
static int answer(void)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		printf("you said %s", line);
		fflush(stdout);
	}
	return 0;
}

static int tell(int argc, char **argv)
{
	char cwd[PATH_MAX], word[64] = "";
	FILE *file = fopen("note", "r");
	int i;

	for (i = 0; i < argc; i++)
		printf("%s;", argv[i]);
	if (file && fgets(word, sizeof(word), file))
		printf("%s;", word);
	printf("%s;%s;%s;%d%d%d\n", getcwd(cwd, sizeof(cwd)), getenv("MINE"), getenv("TERM"),
	       isatty(0), isatty(1), isatty(2));
	return access("/sys/kernel/debug/tracing/events", F_OK) || access("/sys/fs/bpf", F_OK) ||
	       access("/proc/self/ns/net", F_OK) || access("/tmp", W_OK);
}

/* Attaches, and waits for the end; for Ctrl-C, if it is `polite`. */
static int watch(bool polite)
{
	struct opens_bpf *skel = opens_bpf__open_and_load();
	long opens;

	if (!skel || opens_bpf__attach(skel))
		return 1;
	if (polite)
		signal(SIGINT, stop);
	printf("watching\n");
	fflush(stdout);
	while (!stopped)
		usleep(10000);
	opens = skel->bss->opens;
	printf("%s\n", opens >= 5 ? "many" : "few");
	opens_bpf__destroy(skel);
	return 3;
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[1], "copy"))
		return copy();
	if (!strcmp(argv[1], "answer"))
		return answer();
	if (!strcmp(argv[1], "tell"))
		return tell(argc - 1, argv + 1);
	if (!strcmp(argv[1], "watch"))
		return watch(true);
	if (!strcmp(argv[1], "hold"))
		return watch(false);
	if (!strcmp(argv[1], "crash"))
		abort();
	if (!strcmp(argv[1], "flood"))
		for (;;)
			puts("more");
	if (!strcmp(argv[1], "deaf"))
		signal(SIGINT, SIG_IGN);
	printf("waiting\n");
	fflush(stdout);
	for (;;)
		pause();
}
"#;

fn project() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "[package]\nname = \"opens\"\n[user]\nkind = \"c\"\n");
    place.file("src/opens.bpf.c", BPF);
    place.file("src/opens.c", LOADER);
    place
}

const KERNEL: &str = "debian/bookworm";

fn command(place: &Place, args: &[&str]) -> Command {
    place.command(&[&["run", "-k", KERNEL], args].concat())
}

fn run(place: &Place, args: &[&str]) -> Run {
    Run::from(command(place, args).output().unwrap())
}

/// Starts it with pipes and waits until it has written a line.
#[track_caller]
fn started(place: &Place, args: &[&str], line: &str) -> Child {
    let mut child = command(place, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&mut child, line);
    child
}

#[track_caller]
fn wait_for(child: &mut Child, line: &str) {
    let mut heard = Vec::new();
    while !heard.ends_with(line.as_bytes()) {
        let mut byte = [0];
        let count = child.stdout.as_mut().unwrap().read(&mut byte).unwrap();
        assert_eq!(count, 1, "it ended: {}", String::from_utf8_lossy(&heard));
        heard.push(byte[0]);
    }
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

#[test]
fn its_streams_are_passed_through_byte_by_byte() {
    let place = project();
    // More than any pipe or window holds, with every byte.
    let input: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut child = command(&place, &["--", "copy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = input.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert!(output.stdout == input, "{} bytes of {}", output.stdout.len(), input.len());
    assert!(
        stderr.contains("\ncopied\n") && stderr.contains("Running on debian/bookworm"),
        "{stderr}"
    );

    // While it runs, and not when it has ended.
    let mut child = command(&place, &["--", "answer"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for word in ["one", "two"] {
        child.stdin.as_mut().unwrap().write_all(format!("{word}\n").as_bytes()).unwrap();
        wait_for(&mut child, &format!("you said {word}\n"));
    }
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_finds_what_a_program_counts_on() {
    let place = project();
    place.file("note", "a word");
    let args = ["--bring", "note", "--env", "MINE=a b", "--", "tell", "-x", "ü"];
    let told = run(&place, &args).expect(0);
    assert_eq!(told.stdout, "tell;-x;ü;a word;/bring;a b;dumb;000\n", "{told}");
    // In JSON, too, standard output is the program's alone.
    let told = run(&place, &[&["--message-format", "json", "-q"], &args[..]].concat()).expect(0);
    assert_eq!(
        (told.stdout.as_str(), told.stderr.as_str()),
        ("tell;-x;ü;a word;/bring;a b;dumb;000\n", "")
    );
    // On a terminal it writes to one; what is typed still comes by a pipe.
    let mut session = place.on_terminal(&["run", "-k", KERNEL, "-q", "--", "tell"]);
    assert_eq!(session.finish(), 0, "{}", session.shown);
    assert!(session.shown.contains("tell;/bring;(null);xterm;011\r\n"), "{}", session.shown);
    let crashed = run(&place, &["--", "crash"]).expect(134);
    assert!(crashed.stderr.contains("Exited with 134"), "{crashed}");
}

#[test]
fn it_is_asked_to_end_and_killed_if_it_does_not_listen() {
    let place = project();
    let child = started(&place, &["--", "watch"], "watching\n");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"few\n"[..]));

    let child = started(&place, &["--", "wait"], "waiting\n");
    interrupt(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));

    let child = started(&place, &["--", "deaf"], "waiting\n");
    interrupt(&child);
    std::thread::sleep(std::time::Duration::from_millis(500));
    interrupt(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(137));

    // A reader that has seen enough ends it.
    let mut child = started(&place, &["--", "flood"], "more\n");
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(130));

    // That its time is over is no failure of its own.
    run(&place, &["--for", "200ms", "--", "wait"]).expect(0);
    run(&place, &["--for", "8s", "--", "watch"]).expect(3);
}

#[test]
fn a_workload_runs_beside_it_when_it_has_attached() {
    let place = project();
    let worked = run(&place, &["-e", "repeat 10 cat /proc/uptime", "--", "watch"]).expect(3);
    assert!(
        worked.stdout.starts_with("watching\n") && worked.stdout.ends_with("\nmany\n"),
        "{worked}"
    );
    run(&place, &["-e", "exit 9", "--", "hold"]).expect(9);
}

#[test]
fn the_programs_are_attached_without_it_if_asked_to() {
    let place = project();
    let line = "repeat 10 cat /proc/uptime";
    let attached = run(&place, &["--no-user", "--set", "step=100", "-e", line]).expect(0);
    assert!(attached.stderr.contains("Attached on_open"), "{attached}");
    assert!(attached.stdout.contains("opens = 1"), "{attached}");
    // A source that is named is meant by itself.
    let attached = run(&place, &["src/opens.bpf.c", "-e", "cat /proc/uptime"]).expect(0);
    assert!(attached.stderr.contains("Attached on_open"), "{attached}");
}

fn cc(dir: &Path, args: &[&str]) {
    let status = Command::new("cc").args(args).current_dir(dir).status().unwrap();
    assert!(status.success());
}

#[test]
fn brought_programs_come_with_their_libraries() {
    let place = Place::new();
    place.file("deep.c", "int deep(void) { return 42; }\n");
    place.file("far.c", "int deep(void); int far(void) { return deep(); }\n");
    place.file(
        "main.c",
        "#include <stdio.h>\n#include <math.h>\nint far(void);\nint main(int argc, char **argv) { \
        printf(\"%s %d %.0f\\n\", argv[1], far(), floor(argc + 0.5)); return 5; }\n",
    );
    std::fs::create_dir_all(place.path().join("lib/more")).unwrap();
    // One finds the other beside itself; the program finds the first by where
    // it lies itself.
    cc(place.path(), &["-shared", "-fPIC", "-o", "lib/more/libdeep.so", "deep.c"]);
    cc(
        place.path(),
        &[
            "-shared",
            "-fPIC",
            "-o",
            "lib/libfar.so",
            "far.c",
            "-Llib/more",
            "-ldeep",
            "-Wl,-rpath,$ORIGIN/more",
            "-Wl,--enable-new-dtags",
        ],
    );
    cc(
        place.path(),
        &[
            "-o",
            "hello",
            "main.c",
            "-Llib",
            "-lfar",
            "-lm",
            "-Wl,-rpath,$ORIGIN/lib",
            "-Wl,-rpath-link,lib/more",
        ],
    );
    let run = |args: &[&str]| {
        place.skep(&[&["kernel", "run", KERNEL], args, &["--", "hello", "there"]].concat())
    };
    let ran = run(&["--bring", "hello"]).expect(5);
    assert_eq!(ran.stdout, "there 42 2\n", "{ran}");
    std::fs::remove_file(place.path().join("lib/more/libdeep.so")).unwrap();
    let ran = run(&["--bring", "hello"]).expect(3);
    assert!(
        ran.stderr.contains("error[E0608]") && ran.stderr.contains("hello needs libdeep.so"),
        "{ran}"
    );
    // In a directory it may be there for nobody.
    std::fs::create_dir(place.path().join("all")).unwrap();
    std::fs::rename(place.path().join("hello"), place.path().join("all/hello")).unwrap();
    place.file("all/sh", "#!/bin/hello\n");
    let ran = place
        .skep(&["kernel", "run", KERNEL, "--bring", "all", "--", "cat", "/bring/all/sh"])
        .expect(0);
    assert!(
        ran.stderr.contains("all/hello needs libfar.so, which is not on this machine"),
        "{ran}"
    );
}

#[test]
fn what_makes_no_sense_is_said_before_anything_boots() {
    let place = project();
    for (args, said) in [
        (
            &["--count", "3"][..],
            "`--count` is for programs that skep attaches, and here `opens` does that",
        ),
        (&["--set", "step=2"], "`--set` is for programs that skep attaches"),
        (&["--bin", "other"], "there is no user program called `other`"),
        (&["--no-user", "--", "x"], "cannot be used with"),
        (&["--env", "MINE"], "write VAR=VALUE"),
        (&["src/opens.bpf.c", "--", "x"], "there is no user program that would take arguments"),
    ] {
        let wrong = run(&place, args).expect(2);
        assert!(wrong.stderr.contains(said), "no {said:?} in {wrong}");
        assert!(!wrong.stderr.contains("Booting"), "{wrong}");
    }
    // Two programs, and none is called like the project.
    std::fs::rename(place.path().join("src/opens.c"), place.path().join("src/one.c")).unwrap();
    place.file("src/two.c", "#include <stdio.h>\nint main(void) { puts(\"two\"); return 0; }\n");
    let wrong = run(&place, &[]).expect(2);
    assert!(wrong.stderr.contains("name one with `--bin`: one, two"), "{wrong}");
    let right = run(&place, &["--bin", "two"]).expect(0);
    assert_eq!(right.stdout, "two\n");
    // What does not compile is a finding, as in a build.
    place.file("src/two.c", "int main(void) { return nothing; }\n");
    let wrong = run(&place, &["--bin", "two"]).expect(1);
    assert!(wrong.stdout.contains("error[E0208]"), "{wrong}");
    // A warning does not get between the program's own lines.
    place.file(
        "src/two.c",
        "#include <stdio.h>\nint main(void) { int x; puts(\"two\"); return 0; }\n",
    );
    let right = run(&place, &["--bin", "two"]).expect(0);
    assert_eq!(right.stdout, "two\n");
    assert!(right.stderr.contains("warning[W0208]"), "{right}");
}
