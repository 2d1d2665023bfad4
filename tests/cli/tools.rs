//! The programs of libbpf-tools, BPF side and user side, built by skep as they
//! are: none of them was written with our skeletons in mind.

use super::generate::{bpftool, functions, members};
use crate::support::{Place, debian};
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = "[package]\nname = \"libbpf-tools\"\n[bpf]\nsources = [\"*.bpf.c\"]\n\
    btf = \"debian/sid\"\n[user]\nkind = \"c\"\nsources = [\"*.c\"]\nlibbpf = \"bundled\"\n";

/// Copies what is compiled; gives the names of the programs.
fn copy(from: &Path, to: &Place) -> Vec<String> {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".c") || name.ends_with(".h") {
            to.file(&name, std::fs::read(from.join(&name)).unwrap());
        }
        programs.extend(name.strip_suffix(".bpf.c").map(str::to_owned));
    }
    programs.sort();
    programs
}

#[test]
fn libbpf_tools_are_built_unchanged() {
    let place = Place::new();
    let programs = copy(&debian::source("bpfcc").join("libbpf-tools"), &place);
    assert!(programs.len() > 50, "only {programs:?}");
    place.file("Skep.toml", MANIFEST);
    let run = place.skep(&["build", "--message-format", "short"]).expect(0);
    assert!(!run.stdout.contains("error"), "{run}");
    let dir = place.path().join("target/skep/dev");
    for program in programs {
        // The loader is linked, and starts.
        let ran = Command::new(dir.join(&program)).arg("--help").output().unwrap();
        let text = [&*ran.stdout, &ran.stderr].concat();
        let text = String::from_utf8_lossy(&text).to_lowercase();
        assert!(ran.status.success() && text.contains("usage:"), "{program}: {ran:?}");
        // The reference has the same to offer.
        let theirs = bpftool("skeleton", &dir.join(format!("{program}.bpf.o")));
        let ours = place.read(&format!("target/skep/dev/gen/{program}.skel.h"));
        let name = format!("{}_bpf", program.replace('-', "_"));
        assert_eq!(members(&ours, &name), members(&theirs, &name), "{program}");
        assert_eq!(functions(&ours, &name), functions(&theirs, &name), "{program}");
    }
}
