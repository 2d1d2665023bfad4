//! `skep watch`: a real process, told of changes by the kernel.

use crate::build::signal;
use crate::support::Place;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const GOOD: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\n\
    SEC(\"tp/syscalls/sys_enter_write\") int one(void *ctx) { return 0; }\n";

/// A `skep watch` that runs, and the lines it prints.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = place.command(&[&["watch"], args].concat());
        // One pipe for both, so that lines come in their order.
        let (output, input) = std::io::pipe().unwrap();
        command.stdout(input.try_clone().unwrap()).stderr(input);
        let child = command.spawn().unwrap();
        drop(command);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines();
            lines.for_each(|line| drop(sender.send(line.unwrap())));
        });
        Self { child, lines }
    }

    /// The lines up to one that contains `end`.
    #[track_caller]
    fn until(&self, end: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) else {
                panic!("no {end:?} after {lines:#?}");
            };
            lines.push(line);
            if lines[lines.len() - 1].contains(end) {
                return lines;
            }
        }
    }

    /// Presses Ctrl-C; returns the exit code.
    fn end(mut self) -> Option<i32> {
        signal(self.child.id(), libc::SIGINT);
        self.child.wait().unwrap().code()
    }
}

fn project() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/one.bpf.c", GOOD);
    place
}

#[test]
fn people_are_told_what_is_new() {
    let place = project();
    place.file("src/two.bpf.c", GOOD.replace("return 0", "int x; return 0"));
    let watching = Watching::start(&place, &["build"]);
    let first = watching.until("Watching for changes");
    let has = |lines: &[String], text: &str| lines.iter().any(|line| line.contains(text));
    assert!(has(&first, "unused variable 'x'") && has(&first, "one.bpf.o"), "{first:#?}");
    // What was said before is not said again.
    place.file("src/one.bpf.c", GOOD.replace("return 0", "return nothing"));
    let second = watching.until("Watching for changes");
    assert!(has(&second, "Changed src/one.bpf.c"), "{second:#?}");
    assert!(has(&second, "undeclared identifier 'nothing'"), "{second:#?}");
    assert!(has(&second, "Still 1 error, 1 warning"), "{second:#?}");
    assert!(!has(&second, "unused variable") && !has(&second, "bpf.o"), "{second:#?}");
    place.file("src/one.bpf.c", GOOD);
    let third = watching.until("Watching for changes");
    assert!(has(&third, "Gone src/one.bpf.c:4: use of undeclared identifier"), "{third:#?}");
    // A new header in a new directory, a manifest with a mistake and its end.
    place.file("src/lib/new.h", "#define NEW 1\n");
    watching.until("Watching for changes");
    place.file("Skep.toml", "[bpf]\nmcpu = \"v9\"\n");
    let broken = watching.until("Watching for changes");
    assert!(has(&broken, "`mcpu` cannot be `v9`"), "{broken:#?}");
    place.file("Skep.toml", "[bpf]\nmcpu = \"v2\"\n");
    let mended = watching.until("Watching for changes");
    assert!(has(&mended, "Gone Skep.toml:2: `mcpu` cannot be `v9`"), "{mended:#?}");
    assert_eq!(watching.end(), Some(130));
}

#[test]
fn programs_get_each_run_whole_between_two_lines() {
    let place = project();
    let source = GOOD.replace("return 0", "int x; return 0");
    place.file("src/one.bpf.c", &source);
    let watching = Watching::start(&place, &["build", "--message-format", "short"]);
    let warning = |lines: &[String]| lines.iter().filter(|line| line.contains("W0201")).count();
    let first = watching.until("skep watch: run 1 ended: 1 warning");
    assert!(first.iter().any(|line| line == "skep watch: run 1 begins"), "{first:#?}");
    assert_eq!(warning(&first), 1, "{first:#?}");
    place.file("src/one.bpf.c", format!("{source}// more\n"));
    let second = watching.until("skep watch: run 2 ended: 1 warning");
    assert_eq!(warning(&second), 1, "{second:#?}");
    // What builds and editors write is no reason to run.
    place.file("src/one.bpf.c~", "");
    place.file("src/.one.bpf.c.swp", "");
    place.file("target/skep/dev/one.bpf.o", "damage");
    place.file("src/one.bpf.c", GOOD);
    let third = watching.until("skep watch: run 3 ended: nothing found");
    assert_eq!(third.iter().filter(|line| line.contains("begins")).count(), 1, "{third:#?}");
    watching.end();
    let run = place.skep(&["watch", "check", "--message-format", "sarif"]).expect(2);
    assert!(run.stdout.contains("a SARIF or JUnit document has an end"), "{run}");
    Place::new().skep(&["watch"]).expect(2);
}

#[test]
fn a_single_source_and_an_object_are_watched() {
    let place = Place::new();
    place.file("a dir/hello.bpf.c", GOOD);
    let watching = Watching::start(&place, &["check", "a dir/hello.bpf.c"]);
    let first = watching.until("Watching for changes");
    assert!(first.iter().any(|line| line.contains("hello")), "{first:#?}");
    place.file("a dir/hello.bpf.c", GOOD.replace("return 0", "return nothing"));
    watching.until("undeclared identifier");
    watching.end();
    place.file("a dir/hello.bpf.c", GOOD);
    place.skep(&["build", "a dir/hello.bpf.c"]).expect(0);
    let object = "a dir/hello.bpf.o";
    let good = std::fs::read(place.path().join(object)).unwrap();
    let watching = Watching::start(&place, &["check", object]);
    watching.until("Watching for changes");
    place.file(object, "damage");
    watching.until("E0401");
    place.file(object, good);
    watching.until("Gone");
    assert_eq!(watching.end(), Some(130));
}
