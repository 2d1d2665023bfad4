//! What the header says is what clang understands: every type of a kernel, or
//! of a BTF made up, keeps the layout it has in BTF.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod asserts;
mod differential;
mod excerpt;
mod layout;
mod pruned;
mod roundtrip;
mod tools;

#[path = "../support/mod.rs"]
mod support;
