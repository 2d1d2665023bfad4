//! The editors themselves: where they are, and how they are run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What is in the repository, by its path from the root.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program, by its name or its name with a version, as Debian has them.
pub fn find(name: &str) -> PathBuf {
    let programs = skep::base::programs::Programs::new(
        std::env::var_os("PATH").unwrap(),
        std::env::current_dir().unwrap(),
    );
    let found = programs.find_versioned(name).into_iter().next();
    found.unwrap_or_else(|| panic!("{name} is not installed; run scripts/setup test"))
}

/// Lets a command find the `skep` under test before any other.
pub fn with_skep(command: &mut Command) -> &mut Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_skep")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(ours).chain(std::env::split_paths(&path)));
    command
        .env("PATH", path.unwrap())
        .env("SKEP_CACHE_DIR", crate::support::shared_cache())
        .env_remove("SKEP_CLANG")
}

/// Runs a program to its end and fails with all it printed unless it exits
/// with 0.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; run scripts/setup test"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs one of the scripts in `tests/editors/node` beside the packages it
/// needs, which npm installs once.
#[track_caller]
pub fn node(script: &str, request: &serde_json::Value) -> serde_json::Value {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("request.json");
    std::fs::write(&file, request.to_string()).unwrap();
    let output = run(Command::new("node").arg(packages().join(script)).arg(&file));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// Those of the TOML files that taplo, the engine of editors' TOML extensions,
/// refuses by a JSON schema.
#[track_caller]
pub fn taplo_refuses(schema: &Path, dir: &Path, files: &[String]) -> Vec<String> {
    let output = Command::new("node")
        .arg(packages().join("node_modules/@taplo/cli/dist/cli.js"))
        .args(["check", "--colors", "never", "--schema"])
        .arg(format!("file://{}", schema.to_str().unwrap().replace(' ', "%20")))
        .args(files)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let refused: Vec<String> = files
        .iter()
        .filter(|file| {
            let path = dir.join(file);
            said.contains(&format!("validation failed path={:?}", path.to_str().unwrap()))
        })
        .cloned()
        .collect();
    assert_eq!(output.status.success(), refused.is_empty(), "{said}");
    refused
}

/// A directory below cargo's target with our scripts and what npm installed
/// for them: exactly what `package-lock.json` says.
fn packages() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("editors-node");
    let _lock = skep::base::fs::Lock::acquire(&dir.join(".lock"), |_| {}).unwrap();
    let stamp = dir.join("installed");
    let wanted = std::fs::read_to_string(repository("tests/editors/node/package-lock.json"));
    let wanted = wanted.unwrap();
    for entry in std::fs::read_dir(repository("tests/editors/node")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let copy = dir.join(path.file_name().unwrap());
            skep::base::fs::write_if_changed(&copy, &bytes).unwrap();
        }
    }
    if std::fs::read_to_string(&stamp).ok().as_deref() != Some(&*wanted) {
        let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run(Command::new("npm").args(options).current_dir(&dir));
        std::fs::write(&stamp, wanted).unwrap();
    }
    dir
}
