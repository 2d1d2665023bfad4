//! Is every code met? A page about the verifier has a wrong program and a
//! right one, which the kernels judge with all other cases; where no program
//! can bring a kernel of ours to say it, the words of a kernel that did are
//! explained. What is not about the verifier is met by other tests.

use crate::cases::{self, Case};
use crate::support::Place;
use skep::diagnostics::{Code, codes};
use std::collections::BTreeMap;
use std::path::Path;

/// Codes that no program of a page can be rejected with here: why, and what a
/// loader shows when it happens.
const SAID_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "E0300",
        "stands for what has no name yet",
        "0: (95) exit\nthe frobnicator is out of gear\nprocessed 1 insns (limit 1000000) \
         max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
    ),
    (
        "E0313",
        "these kernels let root read such bytes, and programs are loaded by root",
        "0: (bf) r2 = r10\n1: (07) r2 += -16\n2: (18) r1 = 0xffff888005d7e000\n\
         4: (85) call bpf_map_lookup_elem#1\ninvalid indirect read from stack R2 off -16+9 size 16\n\
         processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 \
         mark_read 0\n",
    ),
    (
        "E0339",
        "libbpf loads no object that needs BTF and has none, and all kernels here have theirs",
        "libbpf: kernel BTF is missing at '/sys/kernel/btf/vmlinux', was CONFIG_DEBUG_INFO_BTF \
         enabled?\nlibbpf: failed to find valid kernel BTF\nlibbpf: Error loading vmlinux BTF: -ESRCH\n\
         libbpf: failed to load object 'opens'\n",
    ),
    (
        "E0347",
        "programs are loaded by root",
        "libbpf: prog 'count': BPF program load failed: Operation not permitted\n\
         libbpf: prog 'count': failed to load: -1\n",
    ),
    (
        "E0348",
        "these kernels have all of it, and a JIT compiler that cannot be switched off",
        "JIT does not support calling kernel function\nprocessed 0 insns (limit 1000000) \
         max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
    ),
    (
        "E0356",
        "is a fault of the kernel's, and such faults get mended",
        "0: (bf) r2 = r10\nverifier bug: REG INVARIANTS VIOLATION (true_reg1): range bounds \
         violation\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 \
         peak_states 0 mark_read 0\n",
    ),
    (
        "E0360",
        "libbpf leaves BTF out that the kernel would refuse, where it can",
        "Invalid line_info[2].insn_off\nprocessed 0 insns (limit 1000000) max_states_per_insn 0 \
         total_states 0 peak_states 0 mark_read 0\n",
    ),
    (
        "E0361",
        "takes a signal at the right moment",
        "libbpf: prog 'count': BPF program load failed: Resource temporarily unavailable\n\
         libbpf: prog 'count': failed to load: -11\n",
    ),
    (
        "E0366",
        "these kernels' BTF does not say which pointers are the user's: gcc built them",
        "0: (79) r1 = *(u64 *)(r1 +0)\n1: (61) r2 = *(u32 *)(r1 +4)\n\
         R1 is ptr_bpf_testmod_btf_type_tag_1 access user memory: off=4\n\
         processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 \
         mark_read 0\n",
    ),
];

/// Codes outside of the verifier that no test brings about, and why not.
const NOT_MET: &[(&str, &str)] = &[
    ("E0207", "no compiler writes an object whose BTF and symbols contradict each other"),
    ("E0710", "the guest of a kernel that lacks what skep's first process needs is not at hand"),
];

fn is_of_the_verifier(code: &Code) -> bool {
    code.id().starts_with("E03")
}

#[test]
fn every_page_about_the_verifier_has_both_programs() {
    let mut pages: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases::all() {
        pages.entry(case.page().to_owned()).or_default().push(case);
    }
    let mut wrong = Vec::new();
    for code in codes::ALL.iter().filter(|code| is_of_the_verifier(code)) {
        let listed = SAID_ELSEWHERE.iter().any(|(id, ..)| *id == code.id());
        let cases = pages.get(code.id()).map(Vec::as_slice).unwrap_or_default();
        let expects = |case: &Case| {
            let all = ["5.10", "6.1", "6.12", "7"].map(|kernel| case.expected(kernel));
            all.iter().flatten().any(|(_, expected)| expected == code.id())
        };
        let has_wrong = cases.iter().any(expects);
        let has_right = cases.iter().any(|case| !expects(case));
        if listed == (has_wrong && has_right) {
            wrong.push(format!("{code}: wrong program {has_wrong}, right program {has_right}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_no_kernel_here_says_is_explained_too() {
    let place = Place::new();
    for (code, _, log) in SAID_ELSEWHERE {
        place.file("load.log", log);
        let run = place.skep(&["diagnose", "--message-format", "short", "load.log"]).expect(1);
        assert!(run.stdout.contains(&format!("error[{code}]")), "{code}: {run}");
    }
}

#[test]
fn every_other_code_is_met_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    for dir in ["tests", "src"] {
        gather(&root.join(dir), &mut tests);
    }
    let mut wrong = Vec::new();
    for code in codes::ALL.iter().filter(|code| !is_of_the_verifier(code)) {
        let listed = NOT_MET.iter().any(|(id, _)| *id == code.id());
        let constant = format!("codes::{}", constant(code));
        if listed == (tests.contains(code.id()) || tests.contains(&constant)) {
            wrong.push(code.to_string());
        }
    }
    assert!(wrong.is_empty(), "met by no test, or listed and met: {wrong:#?}");
}

/// Appends what a directory has of tests.
fn gather(dir: &Path, tests: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, tests);
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        if !name.ends_with(".rs") || name == "codes.rs" {
            continue;
        }
        if name == "pages.rs" && is_test {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let from = if is_test || name == "tests.rs" { Some(0) } else { text.find("#[cfg(test)]") };
        if let Some(from) = from {
            tests.push_str(&text[from..]);
        }
    }
}

/// `MAP_VALUE_MAYBE_NULL` of `map-value-maybe-null`, as the table names it
/// where the names agree.
fn constant(code: &Code) -> String {
    code.slug().replace('-', "_").to_uppercase()
}
