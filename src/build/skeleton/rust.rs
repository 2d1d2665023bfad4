//! Skeletons in Rust, written by libbpf-cargo: what its users' `build.rs` call
//! too, so that the code looks as it does everywhere.

use libbpf_cargo::SkeletonBuilder;
use std::path::Path;

/// Writes the skeleton of the object in a file to the file `output`.
/// `by_name` makes the skeleton take the object's bytes from its file when it
/// is compiled; else it carries them itself.
///
/// # Errors
/// What libbpf-cargo says, if it cannot.
pub fn write(object: &Path, output: &Path, by_name: bool) -> Result<(), String> {
    let mut builder = SkeletonBuilder::new();
    builder.obj(object).reference_obj(by_name);
    builder.generate(output).map_err(|error| format!("{error:#}"))
}
