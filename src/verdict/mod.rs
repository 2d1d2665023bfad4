//! Floor 2: verdicts. One [`Reason`] names why a program is refused, whether
//! a real kernel said so or an analysis predicts it, so that the two can be
//! compared and never drift apart. [`Reason`] gives the code; [`messages`]
//! maps the kernel's own words to it, [`errno`] what there is when the kernel
//! gave no words.

pub mod errno;
pub mod messages;
mod reason;

pub use reason::Reason;
