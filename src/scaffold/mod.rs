//! New projects: templates, their questions, and rendering.
//!
//! A template is a folder: `template.toml` describes it, everything else is
//! copied, with [placeholders](render) replaced in contents and names. skep's
//! own lie below `templates/` of its source and are embedded in the binary;
//! others come from a [directory](folder) or a [git repository](git).
//! Rendering is pure: it gives files, and writing them is [`write_new`]'s and
//! [`write_into`]'s affair, which leave all of them or none.

mod answers;
mod error;
pub mod folder;
pub mod git;
mod lang;
pub mod license;
mod render;
mod shipped;
mod template;
mod write;

pub use answers::{Answers, Question};
pub use error::Error;
pub use lang::Lang;
pub use render::File;
pub use shipped::{find, templates};
pub use template::Template;
pub use write::{write_into, write_new};
