//! `skep build`: real clang on real sources.

use crate::support::{Place, Run};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program that includes `shared.h` of the project's include directory.
const WITH_HEADER: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\
    #include \"shared.h\"\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n\
    SEC(\"tp/syscalls/sys_enter_write\") int one(void *ctx) { return SHARED; }\n";

/// One that includes nothing of the project's.
const ALONE: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\n\
    SEC(\"tp/syscalls/sys_enter_write\") int two(void *ctx) { return 0; }\n";

/// A project of two sources, one of which includes a header.
fn project() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("include/shared.h", "#define SHARED 0\n");
    place.file("src/one.bpf.c", WITH_HEADER);
    place.file("src/two.bpf.c", ALONE);
    place
}

/// The records of one kind that a run printed.
fn records(run: &Run, reason: &str) -> Vec<Value> {
    run.stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["reason"] == reason)
        .collect()
}

/// Builds, and says of each object whether it was compiled: `one two` if both
/// were.
#[track_caller]
fn compiled(place: &Place) -> String {
    compiled_with(place, &[])
}

#[track_caller]
fn compiled_with(place: &Place, args: &[&str]) -> String {
    let run = place.skep(&[&["build", "--message-format", "json"], args].concat()).expect(0);
    let built = records(&run, "artifact").into_iter().filter(|record| record["fresh"] == false);
    built.map(|record| record["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

/// A clang that does something else first: a shell script that ends by being
/// the real one.
fn clang_that(place: &Place, name: &str, script: &str) -> PathBuf {
    let real = real_clang();
    let text = format!("#!/bin/sh\n{script}\nexec '{}' \"$@\"\n", real.display());
    let path = place.file(name, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn real_clang() -> PathBuf {
    let cancel = skep::base::Cancel::new();
    let programs =
        skep::base::programs::Programs::new(std::env::var_os("PATH").unwrap(), "/".into());
    let answers = tempfile::tempdir().unwrap();
    let file = answers.path().join("clang.json");
    let clang = skep::build::clang::find(Default::default(), &programs, &file, &cancel);
    clang.expect("clang is installed").path
}

/// Whether a program is started to compile, and not to be asked what it is.
const COMPILES: &str = "case \" $* \" in *\" -MD \"*)";

#[test]
fn objects_lie_in_the_profiles_directory_and_editors_are_told() {
    let place = project();
    let run = place.skep(&["build", "--message-format", "json"]).expect(0);
    let artifacts = records(&run, "artifact");
    let paths: Vec<_> = artifacts.iter().map(|record| record["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["target/skep/dev/one.bpf.o", "target/skep/dev/two.bpf.o"]);
    for path in paths {
        let object = std::fs::read(place.path().join(path)).unwrap();
        // ELF, and e_machine is BPF.
        assert_eq!((&object[..4], object[18]), (&b"\x7fELF"[..], 247));
    }
    let commands: Value = serde_json::from_str(&place.read("compile_commands.json")).unwrap();
    assert_eq!(commands[0]["directory"].as_str(), place.path().to_str());
    assert_eq!(commands[0]["file"], "src/one.bpf.c");
    let arguments: Vec<_> =
        commands[0]["arguments"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    for wanted in ["-target", "-mcpu=v3", "-g", "-O2"] {
        assert!(arguments.contains(&wanted), "{arguments:?}");
    }
    // What editors are told compiles.
    let status = Command::new(arguments[0])
        .args(&arguments[1..])
        .current_dir(place.path())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn only_what_changed_is_compiled() {
    let place = project();
    assert_eq!(compiled(&place), "one two");
    assert_eq!(compiled(&place), "", "nothing changed");
    place.file("include/shared.h", "#define SHARED 1\n");
    assert_eq!(compiled(&place), "one", "only one includes the header");
    place.file("include/shared.h", "#define SHARED 1\n");
    assert_eq!(compiled(&place), "", "saved, but with the same bytes");
    place.file("src/two.bpf.c", format!("{ALONE}\n"));
    assert_eq!(compiled(&place), "two");
    place.file("Skep.toml", "[bpf]\ndefines = [\"A\"]\n");
    assert_eq!(compiled(&place), "one two", "the flags changed");
    place.file("Skep.toml", "[bpf]\ndefines = [\"A\"]\n# a comment\n");
    assert_eq!(compiled(&place), "");
    std::fs::remove_file(place.path().join("target/skep/dev/two.bpf.o")).unwrap();
    assert_eq!(compiled(&place), "two", "an object is gone");
    place.file("target/skep/dev/one.bpf.o", "damage");
    assert_eq!(compiled(&place), "one", "an object is damaged");
    place.file("target/skep/.state/dev/compile/src/one.bpf.c.json", "{\"format\": 1,");
    assert_eq!(compiled(&place), "one", "a record is damaged");
    assert_eq!(compiled_with(&place, &["--release"]), "one two");
    assert_eq!(compiled(&place), "", "profiles do not disturb each other");
}

#[test]
fn a_file_changed_right_after_the_build_is_noticed() {
    let place = project();
    for value in 0..10 {
        // Same size, written within the same few milliseconds as the build.
        place.file("include/shared.h", format!("#define SHARED {value}\n"));
        let built = compiled(&place);
        assert!(built.contains("one"), "{value}: {built}");
    }
}

#[test]
fn another_compiler_compiles_again_and_v_says_why() {
    let place = project();
    let (first, second) = (clang_that(&place, "bin/a", ""), clang_that(&place, "bin/b", ""));
    let place = place.env("SKEP_CLANG", &first);
    assert_eq!(compiled(&place), "one two");
    assert_eq!(compiled(&place), "");
    let place = place.env("SKEP_CLANG", &second);
    let run = place.skep(&["build", "-v"]).expect(0);
    let why = format!(
        "src/one.bpf.c: the compiler's place changed from {} to {}",
        first.display(),
        second.display()
    );
    assert!(run.stderr.contains(&why), "{run}");
}

#[test]
fn a_new_version_of_the_compiler_is_said_and_recorded() {
    let place = project();
    let clang = |version: &str| {
        let script = format!(
            "case \"$1\" in -v) '{}' \"$@\" 2>&1 | \
             sed 's/clang version [0-9.]*/clang version {version}/' >&2; exit 0;; esac",
            real_clang().display()
        );
        clang_that(&place, "bin/clang", &script)
    };
    let path = clang("18.1.8");
    let place = place.env("SKEP_CLANG", &path);
    assert_eq!(compiled(&place), "one two");
    let recorded = |place: &Place| {
        let run = place.skep(&["metadata"]).expect(0);
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let object = &document["packages"][0]["objects"][0];
        object["compiler"].as_str().unwrap().to_owned()
    };
    assert!(recorded(&place).contains("clang version 18.1.8"));
    std::fs::write(&path, place.read("bin/clang").replace("18.1.8", "19.9.9")).unwrap();
    let run = place.skep(&["build"]).expect(0);
    let said = run.stderr.lines().filter(|line| line.starts_with("note: the compiler changed"));
    assert_eq!(said.count(), 1, "said once for both sources: {run}");
    assert!(
        run.stderr.contains("version 18.1.8") && run.stderr.contains("version 19.9.9"),
        "{run}"
    );
    assert!(recorded(&place).contains("clang version 19.9.9"));
    let run = place.skep(&["build"]).expect(0);
    assert!(!run.stderr.contains("changed"), "{run}");
}

#[test]
fn a_moved_project_stays_fresh() {
    let place = Place::new();
    place.file("before/Skep.toml", "");
    place.file("before/src/two.bpf.c", ALONE);
    assert_eq!(compiled_with(&place, &["-C", "before"]), "two");
    std::fs::rename(place.path().join("before"), place.path().join("after")).unwrap();
    assert_eq!(compiled_with(&place, &["-C", "after"]), "");
}

#[test]
fn linked_and_stripped_objects_do_not_depend_on_the_place_either() {
    let made = ["a", "a much longer name/with directories in it"].map(|dir| {
        let outer = Place::new();
        let file = |path: &str, text: &str| outer.file(&format!("{dir}/{path}"), text);
        file("Skep.toml", "[package]\nname = \"both\"\n[bpf]\nlink = true\n");
        file("include/shared.h", "#define SHARED 0\n");
        file("src/one.bpf.c", WITH_HEADER);
        file(
            "src/deep/two.bpf.c",
            &ALONE.replace("char LICENSE[] SEC(\"license\") = \"GPL\";", ""),
        );
        [&["build", "-C", dir][..], &["build", "-C", dir, "--release"]].map(|args| {
            outer.skep(args).expect(0);
            let profile = if args.contains(&"--release") { "release" } else { "dev" };
            let object = format!("{dir}/target/skep/{profile}/both.bpf.o");
            std::fs::read(outer.path().join(object)).unwrap()
        })
    });
    assert!(made[0][1] == made[1][1], "release");
    assert!(made[0][0] == made[1][0], "dev");
}

#[test]
fn objects_do_not_depend_on_the_place() {
    let objects = [(); 2].map(|()| {
        let place = project();
        place.skep(&["build"]).expect(0);
        let object = std::fs::read(place.path().join("target/skep/dev/one.bpf.o")).unwrap();
        let text = String::from_utf8_lossy(&object).into_owned();
        assert!(!text.contains(place.path().to_str().unwrap()), "a path of the machine");
        assert!(text.contains("\0src/one.bpf.c\0"), "line information names the source");
        object
    });
    assert!(objects[0] == objects[1], "two places, two objects");
}

#[test]
fn warnings_are_shown_at_every_build() {
    let place = project();
    let source = ALONE.replace("return 0;", "int unused; return 0;");
    place.file("src/two.bpf.c", &source);
    let short = &["build", "--message-format", "short"];
    let first = place.skep(short).expect(0);
    let warning = "src/two.bpf.c:4:61: warning[W0201]: unused variable 'unused' [clang-warning]";
    assert_eq!(first.stdout.lines().next(), Some(warning), "{first}");
    let second = place.skep(short).expect(0);
    assert_eq!(second.stdout.lines().next(), Some(warning), "{second}");
    assert!(
        second.stderr.contains("1 warning") && !second.stderr.contains("Compiling"),
        "{second}"
    );
    // A warning of a header that two sources include is said once.
    place.file("include/shared.h", "#define SHARED 0\nstatic int f(void) { int x; return 0; }\n");
    place.file("src/two.bpf.c", format!("{ALONE}#include \"shared.h\"\n"));
    let run = place.skep(short).expect(0);
    assert_eq!(run.stdout.matches("unused variable 'x'").count(), 1, "{run}");
}

#[test]
fn what_clang_rejects_is_placed_and_the_rest_is_built() {
    let place = project();
    place.file("src/one.bpf.c", WITH_HEADER.replace("return SHARED", "return SHARED + nothing"));
    let run = place.skep(&["build", "--message-format", "json"]).expect(1);
    let messages = records(&run, "compiler-message");
    assert_eq!(messages.len(), 1, "{run}");
    let message = &messages[0]["message"];
    assert_eq!(message["code"]["code"], "E0201");
    assert_eq!(message["message"], "use of undeclared identifier 'nothing'");
    let span = &message["spans"][0];
    assert_eq!(span["file_name"], "src/one.bpf.c");
    assert_eq!((&span["line_start"], &span["column_start"]), (&5.into(), &73.into()));
    let built = records(&run, "artifact");
    assert_eq!(built.len(), 1);
    assert_eq!(built[0]["name"], "two");
    // The error is not forgotten.
    place.skep(&["build"]).expect(1);
    place.file("src/one.bpf.c", WITH_HEADER);
    assert_eq!(compiled(&place), "one");
}

#[test]
fn an_error_for_people() {
    let place = project().env("LC_ALL", "C.UTF-8");
    let header = "#define SHARED 0\nstatic int f(int a) { retrun a; }\n";
    place.file("include/shared.h", header);
    let run = place.skep(&["build"]).expect(1);
    assert!(run.stdout.contains("included from src/one.bpf.c:3"), "{run}");
    assert!(run.stdout.contains("[include/shared.h:2:23]"), "{run}");
    assert!(run.stderr.contains("the build failed: 1 error"), "{run}");
}

#[test]
fn a_fix_of_clangs_is_an_edit() {
    let place = project();
    place.file("src/two.bpf.c", ALONE.replace("return 0;", "return 0"));
    let run = place.skep(&["build", "--message-format", "json"]).expect(1);
    let help = &records(&run, "compiler-message")[0]["message"]["children"][0];
    assert_eq!(help["message"], "insert `;`");
    assert_eq!(help["spans"][0]["suggested_replacement"], ";");
}

#[test]
fn a_source_that_belongs_to_no_project() {
    let place = Place::new();
    place.file("a dir/hello.bpf.c", ALONE);
    let run = place.skep(&["build", "a dir/hello.bpf.c"]).expect(0);
    assert!(run.stdout.contains("a dir/hello.bpf.o"), "{run}");
    let left: Vec<_> = std::fs::read_dir(place.path().join("a dir")).unwrap().collect();
    assert_eq!(left.len(), 2, "the source, the object and nothing else: {left:?}");
    assert_eq!(compiled_with(&place, &["a dir/hello.bpf.c"]), "");
    assert_eq!(compiled_with(&place, &["./a dir/hello.bpf.c"]), "");
}

#[test]
fn a_part_of_a_project() {
    let place = project();
    assert_eq!(compiled_with(&place, &["src/two.bpf.c"]), "two");
    assert!(!place.path().join("compile_commands.json").exists(), "only the whole tells editors");
    assert_eq!(compiled_with(&place, &["src"]), "one");
    assert_eq!(compiled_with(&place, &["-C", "src"]), "");
    let place = Place::new();
    place.file("p/Skep.toml", "");
    place.file("p/src/two.bpf.c", ALONE);
    place.file("q/Skep.toml", "");
    place.file("q/src/two.bpf.c", ALONE);
    assert_eq!(compiled_with(&place, &["p", "q/Skep.toml"]), "two two");
}

#[test]
fn directories_below_the_patterns_make_names() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/net/two.bpf.c", ALONE);
    place.file("src/fs/two.bpf.c", ALONE);
    assert_eq!(compiled(&place), "fs/two net/two");
    assert!(place.path().join("target/skep/dev/net/two.bpf.o").exists());
}

#[test]
fn what_cannot_be_built_is_said() {
    let place = Place::new();
    place.file("empty.bpf.o", "");
    place.file("notes.txt", "");
    for (args, code, words) in [
        (&["build"][..], "E0105", "no project in"),
        (&["build", "nix.bpf.c"], "E0601", "nix.bpf.c is not there"),
        (&["build", "empty.bpf.o"], "E0111", "is an object already"),
        (&["build", "notes.txt"], "E0111", "notes.txt is no project"),
    ] {
        let run = place.skep(args).expect(2);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains(code) && said.contains(words), "{args:?}: {run}");
    }
    place.file("Skep.toml", "");
    let run = place.skep(&["build"]).expect(2);
    assert!(run.stdout.contains("E0106"), "{run}");
}

#[test]
fn without_clang_it_says_how_to_get_one() {
    let place = project();
    let empty = place.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let place = place.env("PATH", &empty);
    let run = place.skep(&["build"]).expect(3);
    assert!(run.stderr.contains("E0203") && run.stderr.contains("apt-get install clang"), "{run}");
    let place = place.env("SKEP_CLANG", "clang-99");
    let run = place.skep(&["build"]).expect(3);
    assert!(run.stderr.contains("no clang `clang-99`, which SKEP_CLANG names"), "{run}");
    place.file("Skep.toml", "[bpf]\nclang = \"clang-98\"\n");
    let run = place.env("SKEP_CLANG", "").skep(&["build"]).expect(3);
    assert!(run.stderr.contains("no clang `clang-98`, which the manifest names"), "{run}");
}

#[test]
fn a_clang_that_is_too_old_or_cannot_compile_bpf() {
    let place = project();
    let old = clang_that(&place, "old", "echo 'Debian clang version 9.0.1-16' >&2; exit 0");
    let run = project().env("SKEP_CLANG", &old).skep(&["build"]).expect(3);
    assert!(run.stderr.contains("E0204") && run.stderr.contains("is clang 9.0.1"), "{run}");
    let small = clang_that(
        &place,
        "small",
        "case \"$*\" in *bpf*) echo 'error: unable to create target' >&2; exit 1;; esac",
    );
    let run = project().env("SKEP_CLANG", &small).skep(&["build"]).expect(3);
    assert!(run.stderr.contains("small cannot compile for BPF"), "{run}");
    let other = clang_that(&place, "other", "echo 'gcc version 12.2.0' >&2; exit 0");
    let run = project().env("SKEP_CLANG", &other).skep(&["build"]).expect(3);
    assert!(run.stderr.contains("it calls itself: gcc version 12.2.0"), "{run}");
}

#[test]
fn the_newest_clang_is_taken_whatever_it_is_called() {
    let place = project();
    let bin = place.path().join("bin");
    for (name, version) in [("clang", "15.0.7"), ("clang-13", "13.0.1"), ("clang-18", "18.1.8")] {
        let script = format!(
            "case \"$1\" in -v) '{}' \"$@\" 2>&1 | \
             /bin/sed 's/clang version [0-9.]*/clang version {version}/' >&2; exit 0;; esac",
            real_clang().display()
        );
        clang_that(&place, &format!("bin/{name}"), &script);
    }
    let place = place.env("PATH", &bin);
    let version = |place: &Place| {
        let run = place.skep(&["build", "-v"]).expect(0);
        let line = run.stderr.lines().find(|line| line.contains("/bin/clang")).unwrap().to_owned();
        line.split(" -target").next().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(version(&place), "clang-18");
    std::fs::remove_file(bin.join("clang-18")).unwrap();
    assert_eq!(version(&place), "clang");
}

#[test]
fn a_clang_that_breaks_down_is_no_fault_of_the_source() {
    let place = project();
    let script = format!("{COMPILES} echo 'Stack dump: …' >&2; kill -9 $$;; esac");
    let broken = clang_that(&place, "broken", &script);
    let run = place.env("SKEP_CLANG", &broken).skep(&["build"]).expect(3);
    assert!(run.stderr.contains("E0202") && run.stderr.contains("signal 9"), "{run}");
    assert!(run.stderr.contains("Stack dump"), "{run}");
}

#[test]
fn a_second_build_waits_and_says_for_whom() {
    let place = project();
    let slow = clang_that(&place, "slow", &format!("{COMPILES} touch begun; sleep 1;; esac"));
    let place = place.env("SKEP_CLANG", &slow);
    let first = place.command(&["build"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&place.path().join("begun"));
    let second = place.skep(&["build"]).expect(0);
    let holder = format!("waiting for skep build (process {})", first.id());
    assert!(second.stderr.contains(&holder), "{second}");
    assert!(!second.stderr.contains("Compiling"), "the first one did it: {second}");
    assert!(first.wait_with_output().unwrap().status.success());
}

#[track_caller]
fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_ends_clang_and_leaves_nothing_half_written() {
    let place = project();
    let script = format!("{COMPILES} echo $$ > pid.new; mv pid.new pid; sleep 60;; esac");
    let hung = clang_that(&place, "hung", &script);
    let place = place.env("SKEP_CLANG", &hung);
    let mut build = place.command(&["build", "-j1", "--message-format", "json"]);
    let build = build.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&place.path().join("pid"));
    signal(build.id(), libc::SIGINT);
    let run = Run::from(build.wait_with_output().unwrap()).expect(130);
    assert!(run.stdout.contains("\"E0130\""), "{run}");
    let clang = place.read("pid");
    assert!(!Path::new("/proc").join(clang.trim()).exists(), "clang lives");
    assert!(!place.path().join("target/skep/dev").exists());
}

pub fn signal(process: u32, signal: i32) {
    // SAFETY: a process that this test started and has not waited for.
    unsafe { libc::kill(process.try_into().unwrap(), signal) };
}

/// Every object, by its path.
pub fn objects(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = place.path().join("target/skep/dev");
    let mut objects: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.strip_prefix(&dir).unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    objects.sort();
    objects
}

/// Runs `skep` in a mount namespace of its own with a file system of a few
/// kilobytes, or a read-only one, at `at`.
fn with_tmpfs(place: &Place, options: &str, at: &str, args: &[&str]) -> Run {
    let at = place.path().join(at);
    std::fs::create_dir_all(&at).unwrap();
    let script = "mount -t tmpfs -o \"$1\" none \"$2\" && shift 2 && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh", options])
        .arg(&at)
        .arg(env!("CARGO_BIN_EXE_skep"))
        .args(args)
        .current_dir(place.path())
        .env("SKEP_CACHE_DIR", place.path().join("cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run::from(output)
}

#[test]
fn a_read_only_cache_matters_only_outside_of_projects() {
    let place = project();
    with_tmpfs(&place, "ro", "cache", &["build"]).expect(0);
    place.file("hello.bpf.c", ALONE);
    let run = with_tmpfs(&place, "ro", "cache", &["build", "hello.bpf.c"]).expect(3);
    assert!(run.stderr.contains("E0602") && run.stderr.contains("ead-only file system"), "{run}");
}

#[test]
fn a_cargo_package_is_a_project() {
    let place = Place::new();
    place.file("Cargo.toml", "[package]\nname = \"plain\"\n");
    place.file("src/main.rs", "fn main() {}\n");
    let run = place.skep(&["build"]).expect(2);
    assert!(run.stdout.contains("E0105"), "it does not speak of skep: {run}");
    place.file(
        "Cargo.toml",
        "[package]\nname = \"loader\"\nversion = \"0.2.0\"\nedition = \"2024\"\n\
         [package.metadata.skep.bpf]\nsources = [\"bpf/*.bpf.c\"]\ndefines = [\"X=1\"]\n",
    );
    place.file("bpf/two.bpf.c", ALONE.replace("return 0", "return X"));
    let run = place.skep(&["build", "--message-format", "json"]).expect(0);
    assert_eq!(records(&run, "artifact")[0]["path"], "target/skep/dev/two.bpf.o");
    let run = place.env("CARGO_TARGET_DIR", "elsewhere").skep(&["build"]).expect(0);
    assert!(run.stdout.contains("elsewhere/skep/dev/two.bpf.o"), "{run}");
}

/// A program that uses a kernel's types.
const WITH_VMLINUX: &str = "#include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\nstruct task_struct *task;\n\
    SEC(\"tp/syscalls/sys_enter_write\") int two(void *ctx) { return task ? task->pid : 0; }\n";

#[test]
fn vmlinux_h_comes_from_where_the_manifest_says() {
    let place = Place::new();
    place.file("src/two.bpf.c", WITH_VMLINUX);
    place.file("Skep.toml", "[bpf]\nvmlinux = \"btf/small.h\"\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert!(run.stderr.contains("`vmlinux` names btf/small.h, which is no file"), "{run}");
    assert!(run.stderr.contains("Skep.toml:2:11:"), "{run}");
    place.file("btf/small.h", "struct task_struct { int pid; };\ntypedef unsigned u;\n");
    // libbpf's headers want the kernel's integer types.
    let types = "typedef unsigned char __u8; typedef unsigned short __u16;\n\
        typedef unsigned __u32; typedef unsigned long long __u64; typedef int __s32;\n\
        typedef long long __s64; typedef __u16 __be16; typedef __u32 __be32;\n\
        typedef __u32 __wsum; enum { BPF_MAP_TYPE_X };\n";
    place.file("btf/small.h", format!("{types}struct task_struct {{ int pid; }};\n"));
    assert_eq!(compiled(&place), "two");
    assert_eq!(compiled(&place), "");
    place.file("btf/small.h", format!("{types}struct task_struct {{ long x; int pid; }};\n"));
    assert_eq!(compiled(&place), "two");
    // An object has BTF too, of the types it uses.
    std::fs::copy("/sys/kernel/btf/vmlinux", place.path().join("btf/full.btf")).unwrap();
    place.file("Skep.toml", "[bpf]\nvmlinux = \"btf/full.btf\"\n");
    let run = place.skep(&["build", "-v"]).expect(0);
    assert!(run.stderr.contains("reading the BTF of btf/full.btf"), "{run}");
    assert_eq!(compiled(&place), "");
}

#[test]
fn a_vmlinux_h_of_the_projects_own_wins() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/two.bpf.c", "#include \"vmlinux.h\"\nint x = MINE;\n");
    place.file("include/vmlinux.h", "#define MINE 1\n");
    let run = place.skep(&["build"]).expect(0);
    assert!(!run.stderr.contains("Generating"), "{run}");
}

#[test]
fn without_btf_it_says_where_else_to_get_some() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/two.bpf.c", WITH_VMLINUX);
    let run = with_tmpfs(&place, "ro", "/sys/kernel/btf", &["build"]).expect(3);
    assert!(
        run.stderr.contains("E0205") && run.stderr.contains("vmlinux = \"debian/trixie\""),
        "{run}"
    );
    place.file("src/two.bpf.c", ALONE);
    with_tmpfs(&place, "ro", "/sys/kernel/btf", &["build"]).expect(0);
    place.file("src/two.bpf.c", WITH_VMLINUX);
    place.file("Skep.toml", "[bpf]\nvmlinux = \"none\"\n");
    let run = place.skep(&["build"]).expect(1);
    assert!(run.stdout.contains("'vmlinux.h' file not found"), "{run}");
}

/// The names of an object's sections are in its bytes.
fn has_section(place: &Place, object: &str, section: &str) -> bool {
    let bytes = std::fs::read(place.path().join(object)).unwrap();
    // `.debug_info` may be the end of `.rel.debug_info`.
    let name = [section.as_bytes(), b"\0"].concat();
    bytes.windows(name.len()).any(|window| window == name)
}

#[test]
fn release_objects_have_no_dwarf_but_btf() {
    let place = project();
    place.skep(&["build"]).expect(0);
    place.skep(&["build", "--release"]).expect(0);
    for (profile, dwarf) in [("dev", true), ("release", false)] {
        let object = format!("target/skep/{profile}/one.bpf.o");
        assert_eq!(has_section(&place, &object, ".debug_info"), dwarf, "{profile}");
        assert!(has_section(&place, &object, ".BTF.ext"), "{profile}");
    }
    assert_eq!(compiled_with(&place, &["--release"]), "");
    // What the header says does not change the object's code: DWARF would.
    place.file("Skep.toml", "[profile.dev]\nstrip = true\ncflags = [\"-DA\"]\n");
    assert_eq!(compiled(&place), "one two");
    assert!(!has_section(&place, "target/skep/dev/one.bpf.o", ".debug_info"));
    assert_eq!(compiled_with(&place, &["--release"]), "", "the other profile is as it was");
}

#[test]
fn an_object_that_comes_out_the_same_is_left_alone() {
    let place = project();
    place.file("Skep.toml", "[profile.dev]\nstrip = true\n");
    place.skep(&["build"]).expect(0);
    let object = place.path().join("target/skep/dev/one.bpf.o");
    let before = std::fs::metadata(&object).unwrap().modified().unwrap();
    // A comment behind the code changes nothing but DWARF.
    place.file("src/one.bpf.c", format!("{WITH_HEADER}// new\n"));
    assert_eq!(compiled(&place), "one");
    assert_eq!(std::fs::metadata(&object).unwrap().modified().unwrap(), before);
}

#[test]
fn sources_are_linked_into_one_object() {
    let place = project();
    place.file("Skep.toml", "[package]\nname = \"both\"\n[bpf]\nlink = true\n");
    place.file("src/two.bpf.c", ALONE.replace("char LICENSE[] SEC(\"license\") = \"GPL\";", ""));
    let run = place.skep(&["build", "--message-format", "json"]).expect(0);
    let artifacts = records(&run, "artifact");
    assert_eq!(artifacts.len(), 1, "{run}");
    assert_eq!(artifacts[0]["path"], "target/skep/dev/both.bpf.o");
    let bytes = std::fs::read(place.path().join("target/skep/dev/both.bpf.o")).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("\0one\0") && text.contains("\0two\0"), "both programs are in it");
    assert_eq!(compiled(&place), "");
    // A part of it is all of it.
    place.file("src/one.bpf.c", WITH_HEADER.replace("return SHARED", "return 7 + SHARED"));
    assert_eq!(compiled_with(&place, &["src/two.bpf.c"]), "both");
    // What does not fit together.
    place.file("src/two.bpf.c", ALONE.replace("int two(", "int one("));
    let run = place.skep(&["build"]).expect(1);
    assert!(run.stdout.contains("E0206") && run.stdout.contains("one"), "{run}");
    let run = place.skep(&["build", "--message-format", "short"]).expect(1);
    let places: Vec<_> = run.stdout.lines().filter(|line| line.contains("E0206")).collect();
    assert!(places.len() == 1 && places[0].starts_with("src/two.bpf.c:"), "{run}");
}

#[test]
fn options_for_some_sources_and_for_a_profile() {
    let place = project();
    place.file("src/one.bpf.c", WITH_HEADER.replace("return SHARED", "return SHARED + A + B"));
    place.file(
        "Skep.toml",
        "[[bpf.override]]\nsources = [\"src/o*.bpf.c\"]\ndefines = [\"A=1\"]\nmcpu = \"v2\"\n\
         [profile.dev]\ndefines = [\"B=2\"]\n",
    );
    let run = place.skep(&["build", "-v"]).expect(0);
    let line = |source: &str| {
        let ends = format!("-c {source} ");
        run.stderr.lines().find(|line| line.contains(&ends)).unwrap_or_default().to_owned()
    };
    assert!(
        line("src/one.bpf.c").contains("-mcpu=v2") && line("src/two.bpf.c").contains("-mcpu=v3")
    );
    assert!(line("src/one.bpf.c").contains("-DA=1") && !line("src/two.bpf.c").contains("-DA=1"));
    place.file("Skep.toml", "[[bpf.override]]\nsources = [\"src/x*.bpf.c\"]\n");
    let run = place.skep(&["build", "--message-format", "short"]).expect(2);
    assert!(run.stdout.contains("Skep.toml:2:12: error[E0104]: no source matches"), "{run}");
}

#[test]
fn a_launcher_starts_clang() {
    let place = project();
    let launcher =
        place.file("bin/cache it", "#!/bin/sh\necho \"$1 $2\" >> log\nshift\nexec \"$@\"\n");
    std::fs::set_permissions(&launcher, std::fs::Permissions::from_mode(0o755)).unwrap();
    place.file("Skep.toml", "");
    assert_eq!(compiled(&place), "one two");
    let manifest = format!("[bpf]\nlauncher = [\"{}\", \"--mine\"]\n", launcher.display());
    place.file("Skep.toml", manifest);
    assert_eq!(compiled(&place), "", "the launcher changes nothing about the objects");
    std::fs::remove_dir_all(place.path().join("target")).unwrap();
    assert_eq!(compiled(&place), "one two");
    let log = place.read("log");
    assert_eq!(log.lines().count(), 2);
    assert!(log.starts_with("--mine /"), "{log}");
    place.file("Skep.toml", "[bpf]\nlauncher = \"sscache\"\n");
    let run = place.skep(&["build"]).expect(3);
    assert!(run.stderr.contains("`launcher` names sscache, which was not found"), "{run}");
}

#[test]
fn other_architectures_have_objects_of_their_own() {
    let place = project();
    assert_eq!(compiled(&place), "one two");
    for arch in ["arm64", "s390"] {
        assert_eq!(compiled_with(&place, &["--target-arch", arch]), "one two");
        let path = format!("target/skep/{arch}/dev/one.bpf.o");
        let object = std::fs::read(place.path().join(path)).unwrap();
        let big_endian = object[5] == 2;
        assert_eq!(big_endian, arch == "s390", "{arch}");
    }
    assert_eq!(compiled(&place), "");
    place.skep(&["build", "--target-arch", "vax"]).expect(2);
    place.file("src/two.bpf.c", WITH_VMLINUX);
    let run = place.skep(&["build", "--target-arch", "arm64"]).expect(3);
    assert!(run.stderr.contains("for arm64 it cannot be made from this machine's kernel"), "{run}");
}

#[test]
fn a_source_is_expanded_with_its_own_flags() {
    let place = project();
    place.file(
        "Skep.toml",
        "[[bpf.override]]\nsources = [\"src/one.bpf.c\"]\ndefines = [\"LEFT\"]\n",
    );
    place.file("include/shared.h", "#ifdef LEFT\n#define SHARED 41 + 1\n#endif\n");
    let run = place.skep(&["expand", "src/one.bpf.c"]).expect(0);
    assert!(run.stdout.contains("return 41 + 1;") && run.stdout.contains("int one(void"), "{run}");
    assert!(!place.path().join("target/skep/dev").exists(), "nothing is compiled");
    place.file("include/shared.h", "#include \"nothing.h\"\n");
    let run = place.skep(&["expand", "src/one.bpf.c"]).expect(1);
    assert!(run.stdout.contains("'nothing.h' file not found"), "{run}");
    place.skep(&["expand", "."]).expect(2);
}

#[test]
fn clean_removes_what_was_built_and_nothing_else() {
    let place = project();
    place.skep(&["build"]).expect(0);
    place.skep(&["build", "--release"]).expect(0);
    place.file("target/mine", "mine");
    let run = place.skep(&["clean", "--release"]).expect(0);
    assert!(run.stderr.contains("Removed 8 files"), "{run}");
    assert!(!place.path().join("target/skep/release").exists());
    assert_eq!(compiled(&place), "", "the other profile is there");
    place.skep(&["clean"]).expect(0);
    assert!(!place.path().join("target/skep").exists());
    assert_eq!(place.read("target/mine"), "mine");
    assert_eq!(compiled(&place), "one two");
    std::fs::remove_file(place.path().join("target/mine")).unwrap();
    place.skep(&["clean", "src"]).expect(0);
    assert!(!place.path().join("target").exists());
    let run = place.skep(&["clean", "--message-format", "json"]).expect(0);
    assert_eq!(records(&run, "removed")[0]["files"], 0);
}

#[test]
fn a_clang_that_outlives_a_killed_build_does_no_harm() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/two.bpf.c", ALONE);
    // A launcher's clang is no child of skep's own. This one writes late, while
    // the second build is at it: its object is there and not yet taken.
    let real = real_clang();
    let script = format!(
        "{COMPILES} for last; do :; done\n\
         if [ ! -e begun ]; then (sleep 1; sh -c 'echo late > \"$1\"' sh \"$last\" 2> /dev/null; \
         touch wrote) & touch begun; wait; exit 0; fi\n\
         '{}' \"$@\" || exit 1\n\
         for i in 1 2 3 4 5 6 7 8 9; do [ -e wrote ] || sleep 1; done; exit 0;; esac",
        real.display()
    );
    let clang = clang_that(&place, "bin/clang", &script);
    let place = place.env("SKEP_CLANG", &clang);
    let mut first = place.command(&["build"]).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&place.path().join("begun"));
    signal(first.id(), libc::SIGKILL);
    first.wait().unwrap();
    place.skep(&["build"]).expect(0);
    assert!(place.path().join("wrote").exists(), "the first clang did try");
    let object = std::fs::read(place.path().join("target/skep/dev/two.bpf.o")).unwrap();
    assert!(object.starts_with(b"\x7fELF"), "the late one's");
}
