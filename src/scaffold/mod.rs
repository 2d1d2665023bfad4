//! New projects: templates, their questions, and rendering.
//!
//! A template is a folder below `templates/` of skep's source, embedded in
//! the binary: `template.toml` describes it, everything else is copied, with
//! [placeholders](render) replaced in contents and names. Rendering is pure:
//! it gives files, and writing them is [`write_new`]'s and [`write_into`]'s
//! affair, which leave all of them or none.

mod answers;
mod error;
pub mod license;
mod render;
mod template;
mod write;

pub use answers::{Answers, Question};
pub use error::Error;
pub use render::File;
pub use template::{Template, find, templates};
pub use write::{write_into, write_new};
