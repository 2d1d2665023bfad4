//! `[user] kind = "c"`: real programs, built around real skeletons.

use crate::support::{Place, Run};
use serde_json::Value;
use std::process::Command;

const BPF: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n#include \"opens.h\"\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\n\
    const volatile int least = LEAST;\nstruct event last;\n\
    SEC(\"tp/syscalls/sys_enter_openat\") int handle(void *ctx) { last.pid = least; return 0; }\n";

/// Opens the object, which needs no privileges, and reads a global.
const LOADER: &str = "#include <stdio.h>\n#include \"opens.h\"\n#include \"opens.skel.h\"\n\
    int half(int);\nint main(void)\n{\n\tstruct opens_bpf *skel = opens_bpf__open();\n\n\
    \tif (!skel)\n\t\treturn 1;\n\tprintf(\"%d %zu\\n\", half(skel->rodata->least),\n\
    \t       sizeof(skel->bss->last));\n\topens_bpf__destroy(skel);\n\treturn 0;\n}\n";

const HELPER: &str = "int half(int number) { return number / 2; }\n";

fn project(user: &str) -> Place {
    let place = Place::new();
    place.file("Skep.toml", format!("[package]\nname = \"opens\"\n[user]\nkind = \"c\"\n{user}"));
    place.file("include/opens.h", "#define LEAST 8\nstruct event { int pid; char comm[16]; };\n");
    place.file("src/opens.bpf.c", BPF);
    place.file("src/opens.c", LOADER);
    place.file("src/half.c", HELPER);
    place
}

fn rows(run: &Run, reason: &str) -> Vec<Value> {
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|record| record["reason"] == reason).collect()
}

/// Builds; says what was made anew, objects first.
#[track_caller]
fn built(place: &Place) -> Vec<String> {
    let run = place.skep(&["build", "--message-format", "json"]).expect(0);
    let made = |reason: &str| {
        let rows = rows(&run, reason).into_iter().filter(|row| row["fresh"] == false);
        rows.map(|row| row["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    [made("artifact"), made("program")].concat()
}

#[track_caller]
fn output(place: &Place, program: &str) -> String {
    let ran = Command::new(place.path().join(program)).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

const OBJECT: &str = "target/skep/dev/opens.bpf.o";
const PROGRAM: &str = "target/skep/dev/opens";

#[test]
fn a_c_program_is_built_with_what_changed() {
    let place = project("");
    assert_eq!(built(&place), [OBJECT, PROGRAM]);
    assert_eq!(output(&place, PROGRAM), "4 20\n");
    assert!(built(&place).is_empty(), "nothing changed");
    place.file("src/half.c", HELPER.replace("/ 2", "/ 4"));
    assert_eq!(built(&place), [PROGRAM]);
    assert_eq!(output(&place, PROGRAM), "2 20\n");
    // The header reaches the program by both ways.
    place.file("include/opens.h", "#define LEAST 12\nstruct event { int pid; };\n");
    assert_eq!(built(&place), [OBJECT, PROGRAM]);
    assert_eq!(output(&place, PROGRAM), "3 4\n");
    // A comment changes nothing of what a loader sees: the skeleton is as it
    // was, and wakes nobody.
    place.file("src/opens.bpf.c", format!("{BPF}/* the end */\n"));
    assert_eq!(built(&place), [OBJECT]);
    std::fs::remove_file(place.path().join(PROGRAM)).unwrap();
    assert_eq!(built(&place), [PROGRAM]);
    std::fs::remove_file(place.path().join("target/skep/dev/gen/opens.skel.h")).unwrap();
    assert!(built(&place).is_empty(), "the skeleton came out as it was");
    assert!(place.path().join("target/skep/dev/gen/opens.skel.h").exists());
}

#[test]
fn editors_know_the_user_side_too() {
    let place = project("");
    place.skep(&["build"]).expect(0);
    // A command that does not build the user side leaves its entries alone.
    place.skep(&["check"]).expect(0);
    let commands: Value = serde_json::from_str(&place.read("compile_commands.json")).unwrap();
    let mut files: Vec<_> =
        commands.as_array().unwrap().iter().map(|entry| entry["file"].as_str().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(files, ["src/half.c", "src/opens.bpf.c", "src/opens.c"]);
    for entry in commands.as_array().unwrap() {
        let words: Vec<_> =
            entry["arguments"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["-o", "/dev/null"]).current_dir(place.path());
        assert!(command.status().unwrap().success(), "{words:?}");
    }
}

#[test]
fn every_main_is_a_program() {
    let place = project("");
    place.file("src/other.c", LOADER.replace("%d %zu", "other %d %zu"));
    let mut made = built(&place);
    made.sort();
    assert_eq!(made, [PROGRAM, OBJECT, "target/skep/dev/other"]);
    assert_eq!(output(&place, PROGRAM), "4 20\n");
    assert_eq!(output(&place, "target/skep/dev/other"), "other 4 20\n");
}

#[test]
fn profiles_and_static_programs() {
    let place = project("libbpf = \"bundled\"\nstatic = true\nlibs = [\"m\"]\n");
    place.skep(&["build", "--release"]).expect(0);
    assert_eq!(output(&place, "target/skep/release/opens"), "4 20\n");
    // Nothing that a loader would have to find: no interpreter is named.
    let bytes = std::fs::read(place.path().join("target/skep/release/opens")).unwrap();
    assert!(!bytes.windows(10).any(|part| part == b"/ld-linux-" || part == b"ld-musl-x8"));
    // Shared libraries make a program with one.
    let place = project("libbpf = \"bundled\"\n");
    place.skep(&["build"]).expect(0);
    let bytes = std::fs::read(place.path().join(PROGRAM)).unwrap();
    assert!(bytes.windows(9).any(|part| part == b"libelf.so"));
    assert!(!bytes.windows(9).any(|part| part == b"libbpf.so"));
}

#[test]
fn what_the_compiler_says_is_placed() {
    let place = project("");
    place.file("src/half.c", "int half(int number)\n{\n\tint unused;\n\treturn number / 2;\n}\n");
    for _ in 0..2 {
        let run = place.skep(&["build", "--message-format", "short"]).expect(0);
        assert!(run.stdout.contains("src/half.c:3:6: warning[W0208]: unused variable"), "{run}");
    }
    place.file("src/half.c", "int half(int number)\n{\n\treturn numbr / 2;\n}\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(1);
    assert!(run.stdout.contains("src/half.c:3:9: error[E0208]: 'numbr' undeclared"), "{run}");
    place.file("src/half.c", "int third(int number)\n{\n\treturn number / 3;\n}\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(1);
    let expected = "src/opens.c:11: error[E0209]: `half` is used in `opens`, and defined nowhere";
    assert!(run.stdout.contains(expected), "{run}");
    place.file(
        "Skep.toml",
        "[package]\nname = \"opens\"\n[user]\nkind = \"c\"\nlibs = [\"nosuch\"]",
    );
    place.file("src/half.c", HELPER);
    let run = place.skep(&["build", "--message-format", "short"]).expect(1);
    assert!(run.stdout.contains("the library `nosuch` was not found for `opens`"), "{run}");
}

#[test]
fn mistakes_of_the_user_side() {
    let place = project("sources = [\"user/*.c\"]\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert!(run.stdout.contains("error[E0106]: no file matches the user program's"), "{run}");
    let place = project("sources = [\"src/gen.c\", \"src/opens.c\"]\n");
    place.file("src/gen.c", LOADER);
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert!(run.stdout.contains("error[E0107]"), "{run}");
}

#[test]
fn the_machines_libbpf_is_taken_if_it_is_new_enough() {
    // A libbpf.pc that points to skep's own, under a name that shows.
    let fake = |version: &str| {
        let place = project("");
        place.skep(&["build"]).expect(0);
        let bundle = std::fs::read_dir(crate::support::shared_cache().join("libbpf")).unwrap();
        let bundle = bundle.map(|entry| entry.unwrap().path());
        let bundle = bundle
            .filter(|path| path.join("libbpf.a").exists())
            .max_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
        // pkg-config splits its answer at spaces, so no path may have one.
        let dir = tempfile::tempdir().unwrap();
        let (library, include) = (dir.path().join("libmy.a"), dir.path().join("include"));
        let bundle = bundle.unwrap();
        std::fs::copy(bundle.join("libbpf.a"), &library).unwrap();
        std::os::unix::fs::symlink(bundle.join("include"), &include).unwrap();
        let text = format!(
            "Name: libbpf\nDescription: libbpf\nVersion: {version}\nCflags: -I{} -DFROM_PC\nLibs: \
             -L{} -lmy\n",
            include.display(),
            dir.path().display()
        );
        std::fs::write(dir.path().join("libbpf.pc"), text).unwrap();
        let source = format!("#ifdef FROM_PC\n#warning from pkg-config\n#endif\n{HELPER}");
        place.file("src/half.c", source);
        let mut command = place.command(&["build", "--message-format", "short"]);
        let run = Run::from(command.env("PKG_CONFIG_PATH", dir.path()).output().unwrap());
        assert_eq!(output(&place, PROGRAM), "4 20\n");
        run.expect(0).stdout.contains("from pkg-config")
    };
    assert!(fake("1.9.0"));
    assert!(!fake("1.2.0"));
}

#[test]
fn the_systems_libbpf_is_linked_when_asked_for() {
    let place = project("libbpf = \"system\"\n");
    place.skep(&["build"]).expect(0);
    assert_eq!(output(&place, PROGRAM), "4 20\n");
    let bytes = std::fs::read(place.path().join(PROGRAM)).unwrap();
    assert!(bytes.windows(9).any(|part| part == b"libbpf.so"));
    // Where pkg-config knows of none, that is said.
    let empty = tempfile::tempdir().unwrap();
    let place = project("libbpf = \"system\"\n").env("PKG_CONFIG_LIBDIR", empty.path());
    let run = place.skep(&["build", "--message-format", "short"]).expect(3);
    assert!(run.stderr.contains("Skep.toml:5:10: error[E0210]"), "{run}");
}

#[test]
fn another_architecture_gets_its_skeletons() {
    let place = project("");
    let run = place.skep(&["build", "--target-arch", "arm64"]).expect(0);
    assert!(run.stderr.contains("the user program is not built for arm64"), "{run}");
    let dir = place.path().join("target/skep/arm64/dev");
    assert!(dir.join("gen/opens.skel.h").exists() && !dir.join("opens").exists());
}
