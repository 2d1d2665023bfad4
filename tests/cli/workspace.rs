//! Several packages below one `Skep.toml`.

use crate::support::{Place, Run};
use serde_json::Value;

const SOURCE: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\n\
    SEC(\"tp/syscalls/sys_enter_write\") int one(void *ctx) { return VALUE; }\n";

/// Two packages whose sources have the same name.
fn workspace() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "[workspace]\nmembers = [\"packages/*\"]\n");
    for (name, value) in [("ant", 1), ("bee", 2)] {
        let manifest = format!("[bpf]\ndefines = [\"VALUE={value}\"]\n");
        place.file(&format!("packages/{name}/Skep.toml"), manifest);
        place.file(&format!("packages/{name}/src/main.bpf.c"), SOURCE);
    }
    place
}

fn rows(run: &Run, reason: &str) -> Vec<Value> {
    let rows = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["reason"] == reason).collect()
}

/// The packages whose objects a build made.
#[track_caller]
fn built(place: &Place, args: &[&str]) -> Vec<String> {
    let run = place.skep(&[&["build", "--message-format", "json"], args].concat()).expect(0);
    let made = rows(&run, "artifact").into_iter().filter(|row| row["fresh"] == false);
    made.map(|row| row["package"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn all_or_one_or_where_one_stands() {
    let place = workspace();
    assert_eq!(built(&place, &["-p", "bee"]), ["bee"]);
    assert_eq!(built(&place, &[]), ["ant"], "the workspace's own directory means all");
    let object = |name: &str| place.path().join(format!("target/skep/{name}/dev/main.bpf.o"));
    assert_ne!(std::fs::read(object("ant")).unwrap(), std::fs::read(object("bee")).unwrap());
    place.skep(&["clean"]).expect(0);
    assert!(!place.path().join("target").exists());
    assert_eq!(built(&place, &["-C", "packages/ant/src"]), ["ant"]);
    assert_eq!(built(&place, &["-C", "packages/ant", "-p", "bee"]), ["bee"]);
    assert_eq!(built(&place, &["-C", "packages/ant", "--workspace"]), [""; 0]);
    place.skep(&["clean", "-p", "ant"]).expect(0);
    assert!(!object("ant").exists() && object("bee").exists());
    assert_eq!(built(&place, &["packages/bee", "packages/ant"]), ["ant"]);
    let run = place.skep(&["check", "--message-format", "json"]).expect(0);
    assert_eq!(rows(&run, "object-check").len(), 2);
    let run = place.skep(&["check", "-p", "ant", "--message-format", "json"]).expect(0);
    assert_eq!(rows(&run, "object-check").len(), 1);
}

#[test]
fn what_all_packages_share_is_written_once() {
    let place = workspace();
    let shared = "[workspace]\nmembers = [\"packages/*\"]\n[workspace.bpf]\n\
                  include = [\"common\"]\ndefines = [\"VALUE=SHARED\"]\n";
    place.file("Skep.toml", shared);
    place.file("common/shared.h", "#define SHARED 7\n");
    place.file("packages/ant/Skep.toml", "");
    let source = format!("#include <shared.h>\n{SOURCE}");
    place.file("packages/ant/src/main.bpf.c", &source);
    place.file("packages/bee/src/main.bpf.c", source);
    assert_eq!(built(&place, &[]), ["ant", "bee"]);
    let returned = |name: &str| {
        let object = format!("target/skep/{name}/dev/main.bpf.o");
        place.skep(&["disasm", &object]).expect(0).stdout
    };
    assert!(returned("ant").contains("w0 = 7") && returned("bee").contains("w0 = 2"));
    // A header of the workspace's wakes those who read it.
    place.file("common/shared.h", "#define SHARED 8\n");
    assert_eq!(built(&place, &["-C", "packages/ant"]), ["ant"]);
    place.file("Skep.toml", shared.replace("common", "nowhere"));
    let run = place.skep(&["build", "-p", "ant"]).expect(2);
    let said = "Skep.toml:4:12";
    assert!(run.stdout.contains(said) && run.stdout.contains("`nowhere` is not there"), "{run}");
    place.file("Skep.toml", format!("{shared}[workspace.package]\nname = \"x\"\n"));
    let run = place.skep(&["build"]).expect(2);
    assert!(run.stdout.contains("`name` cannot be shared"), "{run}");
}

#[test]
fn what_a_former_package_left_goes_with_the_last() {
    let place = workspace();
    place.skep(&["build"]).expect(0);
    std::fs::remove_dir_all(place.path().join("packages/bee")).unwrap();
    place.skep(&["clean"]).expect(0);
    assert!(!place.path().join("target").exists());
}

#[test]
fn metadata_lists_the_packages() {
    let place = workspace();
    let list = |args: &[&str]| {
        let run = place.skep(&[&["metadata"], args].concat()).expect(0);
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(document["workspace_root"].as_str(), place.path().to_str());
        let packages = document["packages"].as_array().unwrap().clone();
        packages.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]), ["ant", "bee"]);
    assert_eq!(list(&["-C", "packages/bee"]), ["ant", "bee"]);
    assert_eq!(list(&["-p", "bee"]), ["bee"]);
}

#[test]
fn mistakes_name_the_way_out() {
    let place = workspace();
    let said = |args: &[&str]| {
        let run = place.skep(&[args, &["--message-format", "short"]].concat()).expect(2);
        format!("{}{}", run.stdout, run.stderr)
    };
    let text = said(&["build", "-p", "be"]);
    assert!(text.contains("there is no package `be`"), "{text}");
    let run = place.skep(&["build", "-p", "be"]).expect(2);
    assert!(run.stdout.contains("did you mean `bee`?"), "{run}");
    let run = place.skep(&["build", "-p", "wasps-nest"]).expect(2);
    assert!(run.stdout.contains("there are: ant, bee"), "{run}");
    assert!(said(&["build", "-p", "bee", "packages/ant"]).contains("cannot be used with"));
    // A project that stands alone has one package.
    place.file("alone/Skep.toml", "");
    place.file("alone/src/main.bpf.c", SOURCE.replace("VALUE", "0"));
    assert_eq!(built(&place, &["-C", "alone", "-p", "alone"]), ["alone"]);
    assert!(said(&["-C", "alone", "build", "-p", "bee"]).contains("there is no package `bee`"));
    place.file("Skep.toml", "[workspace]\nmembers = [\"packages/*\", \"nix\"]\n[bpf]\n");
    let text = said(&["build"]);
    assert!(text.contains("Skep.toml:3:2: error[E0103]: `bpf` belongs to a package"), "{text}");
    place.file("Skep.toml", "[workspace]\nmembers = [\"packages/*\", \"nix\"]\n");
    let text = said(&["build"]);
    assert!(text.contains("Skep.toml:2:26: error[E0104]: there is no directory nix"), "{text}");
    place.file("Skep.toml", "[workspace]\nmember = [\"packages/*\"]\n");
    let text = said(&["build"]);
    assert!(text.contains("unknown key `member` in [workspace]"), "{text}");
    assert!(text.contains("`members` is missing"), "{text}");
}

#[test]
fn the_packages_of_a_cargo_workspace() {
    let place = Place::new();
    place.file(
        "Cargo.toml",
        "[workspace]\nmembers = [\"ant\", \"bee\", \"plain\"]\nresolver = \"3\"\n",
    );
    for name in ["ant", "bee", "plain"] {
        let skep = match name {
            "plain" => "",
            _ => "[package.metadata.skep.bpf]\ndefines = [\"VALUE=1\"]\n",
        };
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n{skep}");
        place.file(&format!("{name}/Cargo.toml"), manifest);
        place.file(&format!("{name}/src/main.rs"), "fn main() {}\n");
        place.file(&format!("{name}/src/main.bpf.c"), SOURCE);
    }
    assert_eq!(built(&place, &["-p", "bee"]), ["bee"]);
    assert_eq!(built(&place, &[]), ["ant"]);
    assert!(place.path().join("target/skep/ant/dev/main.bpf.o").exists());
    let run = place.skep(&["build", "-p", "plain"]).expect(2);
    assert!(run.stdout.contains("there is no package `plain`"), "{run}");
}
