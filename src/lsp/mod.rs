//! Floor 5: the language server. A front end like the command line: it turns
//! what an editor says into requests for `ops`, and what they find into what
//! an editor shows.
//!
//! It stands beside clangd, which knows C; skep knows BPF. Findings of build
//! and check are published when a file is opened or saved, with related
//! places and quick fixes; hovering over a helper, a map type or a section's
//! name says what it is and since which kernel; section names are completed.
//!
//! The main loop answers at once and never waits: work runs on one thread of
//! its own, and what it found last stays until there is something new. A save
//! cancels the work that it makes useless.

mod about;
mod complete;
mod convert;
mod server;
mod text;
mod uri;
mod worker;

pub use server::serve;
