//! Floor 5: the language server. A front end like the command line: it turns
//! what an editor says into requests for `ops`, and what they find into what
//! an editor shows.
//!
//! It stands beside clangd, which knows C; skep knows BPF. Findings of build
//! and check are published when a file is opened or saved, with related
//! places and quick fixes; hovering over a helper, a map type or a section's
//! name says what it is and since which kernel; section names are completed.
//!
//! Where machines of the project's kernels were kept warm, programs are
//! verified after that: findings, a verdict above each program, and what the
//! verifier spent on each line. Attach targets are completed, and kernel
//! functions explained, by a kernel's own types.
//!
//! The main loop answers at once and never waits: work runs on one thread of
//! its own, and what it found last stays until there is something new. A save
//! cancels the work that it makes useless.

mod about;
mod complete;
mod convert;
mod lens;
mod server;
mod text;
mod uri;
mod worker;

pub use server::serve;
