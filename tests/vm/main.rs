//! What needs a real kernel: boots Debian's kernels in QEMU. Slow, and its
//! own test group.

#[path = "../support/mod.rs"]
mod support;
