//! The command line, end to end: the real binary on real files, a file a
//! command.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod add;
mod arch;
mod build;
mod build_faults;
mod cargo;
mod check;
mod diagnose;
mod disasm;
mod docs;
mod doctor;
mod drift;
mod explain;
mod generate;
mod header;
mod ide;
mod init;
mod inspect;
mod levels;
mod lints;
mod man;
mod manifest;
mod metadata;
mod min_core;
mod new;
mod output;
mod own_kernel;
mod record;
mod templates;
mod tests;
mod tools;
mod usage;
mod user;
mod vmlinux;
mod watch;
mod workspace;
