//! The kernel's own verifier selftests, unmodified: the files `verifier_*.c`
//! of Linux 6.12's source as Debian packages it, built by skep and judged by
//! the annotations in them, in the kernel of the same version. What is not as
//! annotated is in a list, each with its reason; nothing else may be.

use crate::support::{Place, debian};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;

/// What Debian's kernel does not do as annotated, or what the kernel's runner
/// does besides loading: the file, the program or `*`, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("verifier_array_access", "a_read_only_array_1_1", FILLED),
    ("verifier_array_access", "a_read_only_array_2_1", FILLED),
    ("verifier_value_ptr_arith", "alu_with_different_scalars_1", FILLED),
    ("verifier_value_ptr_arith", "value_ptr_known_scalar_5", FILLED),
    ("verifier_value_ptr_arith", "value_ptr_known_scalar_6", FILLED),
    ("verifier_value_ptr_arith", "unknown_scalar_value_ptr_2", FILLED),
    ("verifier_value_ptr_arith", "unknown_scalar_value_ptr_3", FILLED),
    ("verifier_value_ptr_arith", "value_ptr_unknown_scalar_2_1", FILLED),
    ("verifier_bounds_deduction", "deducing_bounds_from_const_1", BEHIND),
    ("verifier_bounds_deduction", "deducing_bounds_from_const_3", BEHIND),
    ("verifier_bounds_deduction", "deducing_bounds_from_const_5", BEHIND),
    ("verifier_bounds_deduction", "deducing_bounds_from_const_6", BEHIND),
    ("verifier_bounds_deduction", "deducing_bounds_from_const_9", BEHIND),
    ("verifier_map_ptr", "_0_r_r_map_ptr", BEHIND),
    (
        "verifier_global_subprogs",
        "arg_tag_ctx_fmod_ret",
        "Debian's kernels are built without CONFIG_FUNCTION_ERROR_INJECTION",
    ),
    (
        "verifier_mtu",
        "tc_uninit_mtu",
        "its runner takes CAP_SYS_ADMIN and CAP_PERFMON away, and leaves CAP_BPF",
    ),
];

const FILLED: &str = "its runner fills a map first (prog_tests/verifier.c)";
const BEHIND: &str = "6.12's sanitize_err() was corrected in a stable release and names the other \
                      register; its selftest was not";

/// Those that are skipped, by file and program.
const SKIPPED: &[(&str, &str)] = &[
    // They want to be loaded with the BTF of another object.
    ("verifier_bitfield_write", "single_field_roundtrip"),
    ("verifier_bitfield_write", "multiple_field_roundtrip"),
    ("verifier_bitfield_write", "adjacent_field_roundtrip"),
    ("verifier_bitfield_write", "multibyte_field_roundtrip"),
    // For other machines.
    ("verifier_bpf_fastcall", "canary_arm64_riscv64"),
    // What they say of machine code is not looked at.
    ("verifier_jit_convergence", "btf_jit_convergence_je_jmp"),
    ("verifier_tailcall_jit", "main"),
];

const MANIFEST: &str = r#"
[package]
name = "verifier"
[bpf]
sources = ["tools/testing/selftests/bpf/progs/verifier_*.c"]
include = ["tools/testing/selftests/bpf", "tools/include", "tools/include/uapi"]
cflags = ["-Wno-compare-distinct-pointer-types", "-DENABLE_ATOMICS_TESTS"]
mcpu = "v3"
vmlinux = "full"
btf = "debian/trixie"
"#;

#[test]
fn every_annotated_program_is_as_the_kernel_says() {
    let place = Place::new();
    place.file("Skep.toml", MANIFEST);
    let source = debian::selftests("6.12", "trixie");
    // The files are shared; what is built is not.
    std::os::unix::fs::symlink(source.join("tools"), place.path().join("tools")).unwrap();
    let built = place.skep(&["build", "-q"]);
    assert_eq!(built.code, 0, "{built}");
    // Two machines side by side.
    let parts: Vec<_> = ["1/2", "2/2"]
        .iter()
        .map(|part| {
            let args = ["test", "-k", "debian/trixie", "--message-format", "json", "--partition"];
            // A million instructions take the emulated verifier half a minute on a quiet
            // machine.
            let patience = ["--time-limit", "900"];
            let mut command = place.command(&[&args[..], &[part], &patience].concat());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut rows: Vec<Value> = Vec::new();
    for part in parts {
        let output = part.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.extend(lines.filter(|row| row["reason"] == "test-result"));
    }
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut by_outcome: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong: Vec<String> = Vec::new();
    let mut used = vec![false; EXCEPTIONS.len()];
    let mut skipped: Vec<(String, String)> = Vec::new();
    for row in &rows {
        let (outcome, program) = (text(row, "outcome"), text(row, "program"));
        let test = text(row, "test");
        let file = test.split("::").next().unwrap().to_owned();
        *by_outcome.entry(outcome.clone()).or_default() += 1;
        match outcome.as_str() {
            "PASS" => {}
            "SKIP" => skipped.push((file, program)),
            _ => {
                let is_it = |known: &&(&str, &str, &str)| known.0 == file && known.1 == program;
                match EXCEPTIONS.iter().position(|known| is_it(&known)) {
                    Some(index) => used[index] = true,
                    None => wrong.push(format!("{test} ({program}): {}", row["differences"])),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let unused: Vec<_> = EXCEPTIONS.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(unused.is_empty(), "these are as annotated by now: {unused:?}");
    skipped.sort();
    let mut expected: Vec<(String, String)> =
        SKIPPED.iter().map(|(file, program)| ((*file).into(), (*program).into())).collect();
    expected.sort();
    assert_eq!(skipped, expected);
    // With privileges and without: 6.12.117 has 1835.
    assert!(by_outcome["PASS"] > 1750, "{by_outcome:?}");
}
