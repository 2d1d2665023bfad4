//! Someone's own templates: `--git`.

use super::new::tree;
use crate::support::Place;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = "summary = \"counts bees\"\nkernel = \"6.1\"\nlangs = [\"c\"]\n\
                        [[question]]\nname = \"hive\"\nprompt = \"Which hive\"\n\
                        default = \"a\"\nrule = \"identifier\"\n";

/// A directory with two templates in it.
fn own(place: &Place) {
    place.file("own/templates/bees/template.toml", MANIFEST);
    place.file("own/templates/bees/Skep.toml", "[package]\nname = \"@{name}\"\n");
    place.file("own/templates/bees/src/@{identifier}.bpf.c", "int @{hive}; /* @{name} */\n");
    place.file("own/templates/bees/@c/src/@{identifier}.c", "c\n");
    place.file("own/templates/bees/logo.png", b"\x89PNG\xff@{x}");
    let script = place.file("own/templates/bees/run.sh", "#!/bin/sh\n@[none]none\n@[c]c\n");
    std::fs::set_permissions(script, Permissions::from_mode(0o755)).unwrap();
    place.file("own/templates/wasps/template.toml", "summary = \"x\"\nkernel = \"5.10\"\n");
}

fn git(dir: &Path, args: &[&str]) {
    let run = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn from_a_directory() {
    let place = Place::new();
    own(&place);
    let args = ["new", "my-hive", "--git", "own", "-t", "bees", "--var", "hive=b"];
    place.skep(&args).expect(0);
    let files = ["Skep.toml", "logo.png", "run.sh", "src/my_hive.bpf.c", "src/my_hive.c"];
    let project = place.path().join("my-hive");
    assert_eq!(tree(&project), files);
    assert_eq!(place.read("my-hive/src/my_hive.bpf.c"), "int b; /* my-hive */\n");
    assert_eq!(std::fs::read(project.join("logo.png")).unwrap(), b"\x89PNG\xff@{x}");
    assert_eq!(place.read("my-hive/run.sh"), "#!/bin/sh\nc\n");
    let mode = std::fs::metadata(project.join("run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    place.skep(&[&args[..], &["--lang", "none"]].concat()).expect(2);
    place.skep(&["new", "n", "--git", "own#templates/bees", "--lang", "none"]).expect(0);
    assert_eq!(place.read("n/run.sh"), "#!/bin/sh\nnone\n");
    assert!(!place.path().join("n/src/n.c").exists());
    let run = place.skep(&["-C", "n", "add", "--git", "../own#templates/bees"]).expect(0);
    assert!(place.path().join("n/src/bees.bpf.c").exists(), "{run}");
}

#[test]
fn from_a_git_repository() {
    let place = Place::new();
    own(&place);
    let dir = place.path().join("own");
    for args in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "one"]] {
        git(&dir, args);
    }
    git(place.path(), &["clone", "-q", "--bare", "own", "bare"]);
    place.file("own/templates/bees/Skep.toml", "not committed");
    let cache = place.path().join("cache");
    let place = place.env("SKEP_CACHE_DIR", &cache);
    let url = format!("file://{}", dir.display());
    for (name, place_of_it) in [("a", url.as_str()), ("b", "bare")] {
        let run = place.skep(&["new", name, "--git", place_of_it, "-t", "bees"]).expect(0);
        assert!(run.stderr.contains("Fetching"), "{run}");
        assert_eq!(
            place.read(&format!("{name}/Skep.toml")),
            format!("[package]\nname = \"{name}\"\n")
        );
    }
    let folder = format!("{url}#templates/bees");
    place.skep(&["--offline", "new", "c", "--git", &folder]).expect(0);
    assert_eq!(tree(&cache), Vec::<String>::new(), "no copy is left behind");
    let run = place.skep(&["new", "--list", "--git", &url]).expect(0);
    assert!(run.stdout.contains("bees") && run.stdout.contains("wasps"), "{run}");
}

#[test]
fn mistakes() {
    let place = Place::new();
    own(&place);
    place.file("odd/template.toml", "summary = \"x\"\nkernel = \"new\"\n");
    place.file("fresh/README.md", "");
    let secret = "https://me:secret@localhost:1/x.git";
    for (args, exit, code, words) in [
        (&["--git", "own", "-t", "bee"][..], 2, "E0109", "did you mean `bees`?"),
        (&["--git", "own"], 2, "E0109", "it has: bees, wasps"),
        (&["--git", "fresh"], 2, "E0109", "there is no template in fresh"),
        (&["--git", "own#../odd"], 2, "E0109", "there is no template in own"),
        (&["--git", "odd"], 2, "E0117", "odd/template.toml:2:10"),
        (&["--git", "own#templates/bees", "--lang", "rust"], 2, "E0110", "it has: c, none"),
        (&["--git", secret], 3, "E0606", "https://me@localhost:1/x.git cannot be copied"),
        (&["--git", secret, "--offline"], 3, "E0606", "--offline forbids"),
        (&["--git", "--upload-pack=x"], 2, "E0601", "no directory --upload-pack=x"),
    ] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        // What begins with a dash must be tied to its flag.
        let args: Vec<String> = match args.as_slice() {
            [flag, value] if value.starts_with("--") => vec![format!("{flag}={value}")],
            _ => args,
        };
        let args: Vec<&str> = ["new", "a"].into_iter().chain(args.iter().map(|a| &**a)).collect();
        let run = place.skep(&args).expect(exit);
        assert!(run.stderr.contains(code) && run.stderr.contains(words), "{args:?}: {run}");
        assert!(!run.to_string().contains("secret"), "{run}");
        assert!(!place.path().join("a").exists(), "{args:?}");
    }
}

#[test]
fn without_git_and_with_one_that_hangs() {
    let place = Place::new();
    let cache = place.path().join("cache");
    std::fs::create_dir(place.path().join("bin")).unwrap();
    let bin = place.path().join("bin");
    let place = place.env("PATH", bin).env("SKEP_CACHE_DIR", &cache);
    let run = place.skep(&["new", "a", "--git", "https://localhost/x"]).expect(3);
    assert!(run.stderr.contains("E0604") && run.stderr.contains("there is no git"), "{run}");
    // The directory is made before git is started.
    let script = "#!/bin/sh\nprintf x > started\nexec /bin/sleep 600\n";
    let git = place.file("bin/git", script);
    std::fs::set_permissions(git, Permissions::from_mode(0o755)).unwrap();
    let mut child = place.command(&["new", "a", "--git", "https://localhost/x"]).spawn().unwrap();
    let started = place.path().join("started");
    while !started.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // SAFETY: the process is ours and not waited for.
    unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGINT) };
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(tree(&cache), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0, "no copy is left behind");
    assert!(!place.path().join("a").exists());
}
