//! veristat, the tool that people know: what it measures is what we measure.
//! It is built from the kernel's source with the libbpf that skep has, and runs
//! in a guest.

use crate::objects::{BAD, GOOD, object};
use crate::options::{LOOP, rows};
use crate::support::{Place, debian};
use skep::elf::Object;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// `BPF_MAP_TYPE_STACK_TRACE`.
const STACK_TRACE: u32 = 7;

/// What veristat is asked for, and what we call it.
const FIGURES: [(&str, &str); 5] = [
    ("insns", "instructions"),
    ("states", "states"),
    ("peak_states", "peak_states"),
    ("max_states_per_insn", "max_states_per_instruction"),
    ("mark_read", "mark_read"),
];

/// Builds it.
fn veristat(program: &Path) {
    let source = debian::kernel_source("6.12", "trixie");
    let libbpf = Path::new(env!("SKEP_LIBBPF_INCLUDE"));
    let include = |dir: &Path| format!("-I{}", dir.display());
    let status = Command::new("cc")
        .args(["-O1", "-w", "-D_GNU_SOURCE"])
        .args([include(&source.join("tools/include/uapi")), include(libbpf)])
        .arg(source.join("tools/testing/selftests/bpf/veristat.c"))
        .arg(libbpf.with_file_name("libbpf.a"))
        .args(["-lelf", "-lz", "-o"])
        .arg(program)
        .status();
    assert!(status.unwrap().success());
}

/// Programs by object and name: whether they were accepted, and the figures.
type Measured = BTreeMap<(String, String), (bool, Vec<u64>)>;

#[test]
fn veristats_figures_are_ours() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("all")).unwrap();
    for (name, c) in [("bad", BAD), ("good", GOOD), ("loop", LOOP)] {
        let path = object(&place, name, c);
        std::fs::rename(path, place.path().join(format!("all/{name}.bpf.o"))).unwrap();
    }
    for (name, bytes) in debian::libbpf_tools() {
        // One of its maps does not fit into a guest's memory beside veristat.
        if name == "klockstat" {
            continue;
        }
        place.file(&format!("all/{name}.bpf.o"), bytes);
    }
    let names: Vec<String> = std::fs::read_dir(place.path().join("all"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();

    veristat(&place.path().join("veristat"));
    let figures: Vec<&str> = FIGURES.iter().map(|(theirs, _)| *theirs).collect();
    let emit = format!("file,prog,verdict,{}", figures.join(","));
    let mut command = vec!["kernel", "run", "debian/trixie", "--bring", "veristat"];
    // mdflush attaches to a function of that module.
    command.extend(["--module", "md_mod", "--bring", "all"]);
    command.extend(["--", "veristat", "-o", "csv", "-e", &emit]);
    let paths: Vec<String> = names.iter().map(|name| format!("/bring/all/{name}")).collect();
    command.extend(paths.iter().map(String::as_str));
    // It exits with 0 whatever the verdicts are.
    let run = place.skep(&command).expect(0);
    let mut theirs = Measured::new();
    for line in run.stdout.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let figures = cells[3..].iter().map(|cell| cell.parse().unwrap()).collect();
        let program = (cells[0].to_owned(), cells[1].to_owned());
        theirs.insert(program, (cells[2] == "success", figures));
    }

    let paths: Vec<String> = names.iter().map(|name| format!("all/{name}")).collect();
    let mut command = vec!["verify", "--kernel", "debian/trixie", "--message-format", "json"];
    command.extend(paths.iter().map(String::as_str));
    let run = place.skep(&command).expect(1);
    let mut ours = Measured::new();
    for row in rows(&run, "program-verdict") {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        // What did not come to the verifier has no figures; veristat shows 0.
        let figures = FIGURES.iter().map(|(_, ours)| row[*ours].as_u64().unwrap_or(0)).collect();
        let program = (text("object").trim_start_matches("all/").to_owned(), text("program"));
        ours.insert(program, (text("verdict") == "accepted", figures));
    }
    assert!(ours.len() > 200, "{} programs", ours.len());
    let accepted = ours.values().filter(|(is_accepted, _)| *is_accepted).count();
    assert!(accepted > 150, "{accepted} of {}", ours.len());
    // How long stacks are, user programs say before the load. skep chooses a
    // length, veristat has none, and no map then.
    let has_stacks = |name: &str| {
        let bytes = std::fs::read(place.path().join("all").join(name)).unwrap();
        let object = Object::parse(&bytes).unwrap();
        object.maps.iter().any(|map| map.def.map_type == STACK_TRACE && map.def.value_size == 0)
    };
    let stacks: BTreeSet<String> = names.iter().filter(|name| has_stacks(name)).cloned().collect();
    assert!(stacks.len() < names.len() / 4, "{stacks:?}");
    let without = theirs.iter().filter(|((name, _), _)| stacks.contains(name));
    assert!(without.clone().count() > 0 && without.into_iter().all(|(_, (is, _))| !is));
    let differ: Vec<_> = ours
        .iter()
        .filter(|(key, of)| !stacks.contains(&key.0) && theirs.get(key) != Some(of))
        .collect();
    assert!(differ.is_empty() && ours.len() == theirs.len(), "{differ:#?}\n{theirs:?}");
}
