//! The command line, end to end: the real binary on real files, a file a
//! command.

#[path = "../support/mod.rs"]
mod support;

mod usage;
