//! Skeletons: a header that carries an object and gives a user program its
//! maps, programs, links and global variables as members of a struct.
//!
//! The API is that of `bpftool gen skeleton`, name by name, so that programs
//! written for one compile with the other: [`c`] writes `NAME.skel.h`,
//! [`subskeleton`] the form for objects that are linked into others. What
//! libbpf makes of an object (which maps in which order, which variables can
//! be reached) is read in [`model`], declarations in C are written in
//! [`declare`], and the object's bytes become text in [`literal`]. [`rust`]
//! has the skeletons of Rust programs, [`types`] the types alone.

mod declare;
mod header;
mod literal;
mod model;
pub mod rust;
mod sub;
pub mod types;

use crate::elf::Object;
use model::Model;
use std::fmt;
use std::path::Path;

/// The longest name that bpftool takes, in bytes.
const MAX_NAME: usize = 63;

/// Why there is no skeleton for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// BTF and symbols contradict each other about a variable.
    Variable {
        /// The section it lies in.
        section: String,
        /// Its name.
        variable: String,
        /// What is wrong with it, to stand behind its name.
        what: &'static str,
    },
    /// A subskeleton finds variables by their BTF.
    NoBtf,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { section, variable, what } => {
                write!(f, "the variable `{variable}` in section {section} {what}")
            }
            Self::NoBtf => f.write_str("the object has no BTF, which a subskeleton needs"),
        }
    }
}

impl std::error::Error for Error {}

/// The name that bpftool gives the skeleton of an object file: `opens_bpf`
/// for `target/skep/dev/opens.bpf.o`.
pub fn name_of(object: &Path) -> String {
    let file = object.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let mut end = file.len().min(MAX_NAME);
    while !file.is_char_boundary(end) {
        end -= 1;
    }
    let name = &file[..end];
    identifier(name.strip_suffix(".o").unwrap_or(name))
}

/// A text as a C identifier: every other character becomes `_`.
pub fn identifier(text: &str) -> String {
    // Byte by byte, as bpftool does it.
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '_' };
    text.bytes().map(plain).collect()
}

/// Writes the skeleton of an object.
///
/// # Errors
/// [`Error::Variable`], for objects that no compiler made.
pub fn c(object: &Object, bytes: &[u8], name: &str) -> Result<String, Error> {
    Ok(header::write(&Model::of(object, name)?, bytes))
}

/// Writes the subskeleton of an object: for a library that is linked into
/// other objects, and finds its own maps, programs and variables in whatever
/// they have become.
///
/// # Errors
/// As [`c`], and [`Error::NoBtf`].
pub fn subskeleton(object: &Object, name: &str) -> Result<String, Error> {
    if object.btf.is_none() {
        return Err(Error::NoBtf);
    }
    Ok(sub::write(&Model::of(object, name)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bpftools() {
        let name = |path: &str| name_of(Path::new(path));
        assert_eq!(name("a/b/opens.bpf.o"), "opens_bpf");
        assert_eq!(name("my-probe.bpf.o"), "my_probe_bpf");
        assert_eq!(name("x"), "x");
        assert_eq!(name(&format!("{}.bpf.o", "n".repeat(80))), "n".repeat(63));
    }
}
