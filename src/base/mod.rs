//! Floor 0: the machine. Files and their changes, child processes, installed
//! programs, content hashes, libbpf's messages, work side by side and
//! cancellation, each behind one door so that the rest of skep never touches
//! the operating system directly.
//!
//! Nothing here knows BPF, prints, or reads the environment: what a function
//! needs of the environment is handed to it.

pub mod cancel;
pub mod digest;
pub mod fs;
pub mod jobs;
pub mod libbpf;
pub mod process;
pub mod programs;
pub mod watch;

pub use cancel::Cancel;
pub use digest::Digest;
pub use jobs::Jobs;
