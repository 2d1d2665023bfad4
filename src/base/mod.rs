//! Floor 0: the machine. Files, child processes, installed programs, content
//! hashes and cancellation, each behind one door so that the rest of skep
//! never touches the operating system directly.
//!
//! Nothing here knows BPF, prints, or reads the environment: what a function
//! needs of the environment is handed to it.

pub mod cancel;
pub mod digest;
pub mod fs;
pub mod process;
pub mod programs;

pub use cancel::Cancel;
pub use digest::Digest;
