//! CO-RE, held against libbpf itself: the functions that libbpf relocates
//! with are linked into this test and asked the same questions.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod clang;
mod hostile;
mod oracle;
mod questions;
mod random;
mod samples;
mod selftests;
mod tools;
