//! `make demo`, as far as it is not set-up and compiling.

use crate::support::{Place, shared_cache};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_demo_runs_and_shows_the_rejection() {
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo");
    let output = Command::new(script)
        .current_dir(place.path())
        .env("SKEP", env!("CARGO_BIN_EXE_skep"))
        .env("SKEP_CACHE_DIR", shared_cache())
        .env("TMPDIR", place.path())
        .env("LC_ALL", "C.UTF-8")
        .env_remove("SKEP_CLANG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n--- stderr\n{said}");
    // The script itself looks at the rejection; what it shows before it, and
    // that it shows something, is looked at here.
    for part in ["$ skep new packets", "accepted", "rejected", "error[E0301]", "counter->packets"] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    assert!(place.path().read_dir().unwrap().next().is_none(), "the demo left something behind");
}
