//! What needs a real kernel: boots Debian's kernels in QEMU. Slow, and its
//! own test group.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod attach;
mod baseline;
mod bench;
mod bisect;
mod callbacks;
mod contexts;
mod demo;
mod endurance;
mod extensions;
mod externs;
mod faults;
mod features;
mod headers;
mod kernels;
mod loaders;
mod lock;
mod minimum;
mod network;
mod objects;
mod options;
mod own;
mod run;
mod selftests;
mod sides;
mod symbols;
mod templates;
mod tests;
mod tools;
mod trace;
mod user;
mod verdicts;
mod veristat;
mod warm;
mod whole;
