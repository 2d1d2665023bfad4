// SPDX-License-Identifier: @{license}
//! Builds the BPF side, and the skeletons in `OUT_DIR`.

fn main() {
    let skep = std::process::Command::new("skep").args(["build", "--cargo"]).status();
    assert!(skep.expect("skep is on the search path").success(), "the BPF side was not built");
}
