//! Floor 2: linking a program as libbpf does, without a kernel. Pure.
//!
//! The verifier counts the instructions of a program's *image*: the program
//! followed by the subprograms it reaches. [`image`](fn@image) makes it and keeps for
//! every instruction where it came from, so that instruction 17 of a
//! verifier's log has a C line.
//!
//! [`core`] is the other half: CO-RE relocations, resolved for a kernel.

pub mod core;
mod image;

pub use image::{Image, ImageError, Part, image};
