//! Loaders in Rust: cargo driven by skep, and skep called by cargo's build
//! script.

use crate::support::{Place, Run};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const BPF: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n#include \"opens.h\"\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\nconst volatile int least = LEAST;\n\
    SEC(\"tp/syscalls/sys_enter_openat\") int handle(void *ctx) { return least; }\n";

/// The two lines of docs/guide/rust.md.
fn build_script() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/rust.md");
    let page = std::fs::read_to_string(page).unwrap();
    page.split("```rust\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// A package whose program needs no other crate.
fn package() -> Place {
    let place = Place::new();
    place.file(
        "Cargo.toml",
        "[package]\nname = \"opens\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
         [package.metadata.skep.user]\nkind = \"rust\"\n",
    );
    place.file("build.rs", build_script());
    place.file("include/opens.h", "#define LEAST 3\n");
    place.file("src/opens.bpf.c", BPF);
    place.file(
        "src/main.rs",
        "const SKELETON: &str = include_str!(concat!(env!(\"OUT_DIR\"), \"/opens.skel.rs\"));\n\
         fn main() {\n    println!(\"{}\", SKELETON.contains(\"OpensSkelBuilder\"));\n}\n",
    );
    place
}

/// A command with this skep on the search path.
fn with_skep(command: &mut Command) -> &mut Command {
    let own = Path::new(env!("CARGO_BIN_EXE_skep")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    command
        .env("PATH", format!("{}:{path}", own.display()))
        .env("CARGO_NET_OFFLINE", "true")
        .env("SKEP_CACHE_DIR", crate::support::shared_cache())
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
}

fn cargo(place: &Place, args: &[&str]) -> Run {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(place.path());
    Run::from(with_skep(&mut command).output().unwrap())
}

fn skep(place: &Place, args: &[&str]) -> Run {
    Run::from(with_skep(&mut place.command(args)).output().unwrap())
}

#[test]
fn cargo_build_alone_follows_every_header() {
    let place = package();
    let ran_script = |run: &Run| {
        let lines = run.stderr.lines().filter(|line| line.contains("Running `"));
        lines.filter(|line| line.contains("build-script-build")).count()
    };
    let run = cargo(&place, &["build", "-vv"]).expect(0);
    assert_eq!(ran_script(&run), 1, "{run}");
    for file in ["src/opens.bpf.c", "include/opens.h", "Cargo.toml", "src"] {
        let line = format!("cargo::rerun-if-changed={}\n", place.path().join(file).display());
        assert!(run.stdout.contains(&line), "{file}: {run}");
    }
    assert!(!run.stdout.contains("target/skep"), "what skep makes itself must not count: {run}");
    assert_eq!(ran_script(&cargo(&place, &["build", "-vv"]).expect(0)), 0, "nothing changed");
    let before = std::fs::read(place.path().join("target/skep/dev/opens.bpf.o")).unwrap();
    place.file("include/opens.h", "#define LEAST 4\n");
    assert_eq!(ran_script(&cargo(&place, &["build", "-vv"]).expect(0)), 1);
    assert_ne!(std::fs::read(place.path().join("target/skep/dev/opens.bpf.o")).unwrap(), before);
    assert_eq!(ran_script(&cargo(&place, &["build", "-vv"]).expect(0)), 0);
    // A source that is new.
    place.file("src/more.bpf.c", BPF);
    assert_eq!(ran_script(&cargo(&place, &["build", "-vv"]).expect(0)), 1);
    assert!(place.path().join("target/skep/dev/more.bpf.o").exists());
    // What clang says reaches who calls cargo.
    place.file("src/opens.bpf.c", BPF.replace("LEAST;", "LEAST; int f(void) { int x; return 0; }"));
    let run = cargo(&place, &["build"]).expect(0);
    assert!(run.stderr.contains("src/opens.bpf.c:5: unused variable 'x'"), "{run}");
    place.file("src/opens.bpf.c", BPF.replace("return least", "return last"));
    let run = cargo(&place, &["build"]);
    assert_ne!(run.code, 0);
    assert!(
        run.stderr.contains("error[E0201]") && run.stderr.contains("src/opens.bpf.c:6"),
        "{run}"
    );
}

#[test]
fn skep_build_drives_cargo() {
    let place = package();
    let run = skep(&place, &["build", "--message-format", "json"]).expect(0);
    let rows: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |reason: &str| rows.iter().filter(|row| row["reason"] == reason).collect::<Vec<_>>();
    assert_eq!(of("artifact").len(), 1);
    assert_eq!(of("program")[0]["name"], "opens");
    // Cargo's own messages, as they are; the end is told once.
    assert!(of("compiler-artifact").iter().any(|row| row["target"]["name"] == "opens"));
    assert_eq!(of("build-finished").len(), 1);
    let program = place.path().join(of("program")[0]["path"].as_str().unwrap());
    let ran = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "true\n");
    let run = skep(&place, &["build"]).expect(0);
    assert!(run.stdout.contains("opens    target/debug/opens  fresh"), "{run}");
    // A mistake in Rust.
    place.file("src/main.rs", "fn main() {\n    let ü = nothing;\n}\n");
    let run = skep(&place, &["build", "--message-format", "short"]).expect(1);
    let expected = "src/main.rs:2:14: error[E0208]: cannot find value `nothing` in this scope";
    assert!(run.stdout.contains(expected), "{run}");
    let run = skep(&place, &["build", "--message-format", "json"]).expect(1);
    assert!(run.stdout.contains("\"code\":\"E0425\""), "{run}");
    // A mistake in C is told once, by skep.
    place.file("src/opens.bpf.c", BPF.replace("return least", "return last"));
    let run = skep(&place, &["build", "--message-format", "short"]).expect(1);
    assert_eq!(run.stdout.matches("error[").count(), 1, "{run}");
    // One of cargo's own.
    place.file("src/opens.bpf.c", BPF);
    place.file("build.rs", "fn main() { std::process::exit(1) }\n");
    let run = skep(&place, &["build", "--message-format", "short"]).expect(1);
    assert!(run.stdout.contains("error[E0211]: cargo cannot build the user program"), "{run}");
}

#[test]
fn wrong_ways_to_use_cargo() {
    let place = Place::new();
    place.file("Skep.toml", "[user]\nkind = \"rust\"\n");
    place.file("src/a.bpf.c", BPF.replace("#include \"opens.h\"\n", "#define LEAST 1\n"));
    let run = skep(&place, &["build", "--message-format", "short"]).expect(2);
    assert!(run.stdout.contains("Skep.toml:2:8: error[E0104]: `kind = \"rust\"` needs"), "{run}");
    let mut command = place.command(&["build", "--cargo"]);
    let run = Run::from(command.env_remove("OUT_DIR").output().unwrap()).expect(2);
    assert!(run.stderr.contains("error[E0101]"), "{run}");
}

#[test]
fn a_loader_with_libbpf_rs() {
    let place = package();
    let manifest = place.read("Cargo.toml");
    place.file("Cargo.toml", format!("{manifest}[dependencies]\nlibbpf-rs = \"0.27\"\n"));
    place.file(
        "src/main.rs",
        "mod opens {\n    include!(concat!(env!(\"OUT_DIR\"), \"/opens.skel.rs\"));\n}\n\
         use libbpf_rs::skel::SkelBuilder as _;\nuse std::mem::MaybeUninit;\n\n\
         fn main() {\n    let mut object = MaybeUninit::uninit();\n    \
         let skel = opens::OpensSkelBuilder::default().open(&mut object).unwrap();\n    \
         println!(\"{}\", skel.maps.rodata_data.as_ref().unwrap().least);\n}\n",
    );
    // The dependencies are compiled once for all runs of this test.
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loader");
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet"]).current_dir(place.path());
    let run = with_skep(&mut command).env("CARGO_TARGET_DIR", shared).output().unwrap();
    assert_eq!(Run::from(run).expect(0).stdout, "3\n");
}

#[test]
fn templates_with_a_loader_in_rust_build() {
    let place = Place::new();
    let list = place.skep(&["new", "--list", "--message-format", "json"]).expect(0);
    let templates: Vec<String> = list
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row["langs"].as_array().is_some_and(|all| all.contains(&"rust".into())))
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(templates, ["xdp", "profile", "tracecon"]);
    // The dependencies are compiled once for all of them, and for later runs.
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loader");
    for template in templates {
        let name = format!("my-{template}");
        place.skep(&["new", &name, "--template", &template, "--lang", "rust"]).expect(0);
        let mut command = place.command(&["-C", &name, "build"]);
        with_skep(&mut command).env("CARGO_TARGET_DIR", &shared).env_remove("CARGO_NET_OFFLINE");
        Run::from(command.output().unwrap()).expect(0);
        let help = Command::new(shared.join("debug").join(&name)).arg("--help").output().unwrap();
        let help = Run::from(help).expect(0).stdout;
        assert!(help.contains(&format!("Usage: {name}")), "{help}");
    }
}
