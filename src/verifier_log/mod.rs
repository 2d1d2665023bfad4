//! Floor 3: the verifier's log, from the kernel's text to the cause.
//!
//! [`Log`] reads the text of any kernel since 5.10, leniently: lines that a
//! new kernel prints and that nobody knows yet are text, never an error, and
//! the raw text is never lost. [`Path`] finds the failing path through it and
//! follows values back to where they were made. [`explain`] tells the story:
//! what was refused on which C line, where the proof was made or lost, and
//! what to write instead.

mod cost;
mod dialect;
mod disasm;
mod framing;
mod line;
mod log;
mod path;
mod source;
mod state;
mod story;
mod summary;
mod walk;

pub use cost::by_line as cost_by_line;
pub use dialect::Dialect;
pub use dialect::structured::Statement;
pub use disasm::{Callee, Operand, Operation, Register};
pub use framing::{Framed, extract};
pub use log::{Instruction, Log};
pub use path::{At, Origin, Path};
pub use source::Source;
pub use state::{Bounds, Value};
pub use story::{NoPlaces, Places, Rejection, explain};
pub use summary::Summary;
pub use walk::{Moment, Moments, Walk};
