//! Floor 4: one operation a command. An operation takes a request and the
//! [`Session`], uses the engines below, and returns an outcome as data; the
//! front ends above parse the request and render the outcome.

pub mod add;
pub mod bisect;
mod brought;
pub mod build;
pub mod cargo;
pub mod check;
pub mod clean;
pub mod contents;
pub mod diagnose;
pub mod disasm;
pub mod doctor;
pub mod drift;
pub mod editing;
pub mod expand;
pub mod explain;
pub mod features;
pub mod generate;
mod header;
pub mod ide;
pub mod init;
pub mod inspect;
pub mod kernel;
pub mod kernel_run;
mod levels;
mod machines;
pub mod metadata;
pub mod min_core;
pub mod needs;
pub mod new;
mod packages;
mod pins;
mod places;
pub mod references;
pub mod run;
mod session;
pub mod templates;
pub mod test;
mod user;
pub mod verify;
pub mod vmlinux;
pub mod watch;

pub use packages::Packages;
pub use session::Session;
