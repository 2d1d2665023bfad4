//! Floor 3: everything that can be known of an object without a kernel. Pure:
//! an object goes in, findings come out.
//!
//! [`check`] prepares a [`Context`] once (which functions each program
//! reaches, their instructions decoded) and runs one rule after the other,
//! each a file below `rules`. A rule says only what is certain: where
//! something depends on the kernel, on the loader or on values at run time, it
//! warns or is silent. An error means that libbpf or every kernel refuses.

mod blocks;
mod certainty;
mod code;
mod context;
mod extensions;
pub mod kernel;
mod new_fields;
mod rules;
mod values;

pub use blocks::{Block, blocks};
pub use certainty::Certainty;
pub use code::{Code, Slot};
pub use context::{Context, FunctionView, ProgramView};
pub use extensions::{check_extensions, extends};
pub use kernel::check_on;
pub use values::{Registers, Step, Value};

use crate::diagnostics::Diagnostic;
use crate::elf::Object;
use std::path::Path;

/// Gives the text of a source file that line info names, if it can be had.
pub type Sources<'s> = &'s dyn Fn(&Path) -> Option<String>;

/// All findings about an object, in the order: the object as a whole, its
/// maps, its programs. `path` is the object's name in findings.
pub fn check(object: &Object, path: &Path, sources: Sources<'_>) -> Vec<Diagnostic> {
    let context = Context::new(object, path, sources);
    let mut findings = Vec::new();
    for rule in rules::ALL {
        rule(&context, &mut findings);
    }
    findings
}

#[cfg(test)]
mod tests;
