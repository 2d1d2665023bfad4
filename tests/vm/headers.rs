//! Programs that people have written, built with the part of `vmlinux.h` that
//! each uses and with the whole of it: kernels say the same of them.
//!
//! That all of libbpf-tools come to the same instructions on these kernels is
//! shown without one, in `tests/vmlinux/tools.rs`. Here are a few whose
//! programs are of all the kinds that read the kernel's types.

use crate::support::{Place, debian};
use std::fs;

const TOOLS: [&str; 4] = ["filelife", "opensnoop", "runqlat", "tcpconnect"];

/// Builds the tools and asks the kernels; the table without its times.
fn verdicts(place: &Place, header: &str) -> Vec<Vec<String>> {
    let tools = debian::source("bpfcc").join("libbpf-tools");
    for path in fs::read_dir(tools).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_one = TOOLS.iter().any(|tool| name == format!("{tool}.bpf.c"));
        if is_one || name.ends_with(".h") {
            place.file(&format!("{header}/src/{name}"), fs::read(&path).unwrap());
        }
    }
    let manifest = format!("[bpf]\nbtf = \"debian/sid\"\nvmlinux = \"{header}\"\n");
    place.file(&format!("{header}/Skep.toml"), manifest);
    let run = place.skep(&[
        "-C",
        header,
        "verify",
        "--message-format",
        "short",
        "--kernel",
        "debian/bookworm",
        "--kernel",
        "debian/trixie",
    ]);
    let mut rows = run.stdout.lines().filter(|line| line.contains('\t'));
    let names: Vec<&str> = rows.next().unwrap_or_else(|| panic!("{run}")).split('\t').collect();
    let lasting = |row: &str| -> Vec<String> {
        let cells = row.split('\t').zip(&names).filter(|(_, name)| !name.ends_with("micros"));
        cells.map(|(cell, _)| cell.to_owned()).collect()
    };
    let rows: Vec<_> = rows.map(lasting).collect();
    let accepted = rows.iter().filter(|row| row.iter().any(|cell| cell == "accepted")).count();
    assert!(accepted > 30, "only {accepted} are accepted: {run}");
    rows
}

#[test]
fn kernels_say_the_same_with_the_pruned_header_and_the_whole_one() {
    let place = Place::new();
    assert_eq!(verdicts(&place, "pruned"), verdicts(&place, "full"));
    let pruned = "pruned/target/skep/dev/vmlinux/src/opensnoop.bpf.c/vmlinux.h";
    assert!(place.read(pruned).lines().count() < 2000);
}
