//! Floor 5: the files with which an editor knows a project: tasks, problem
//! matchers, compiler plugins, clangd's configuration.
//!
//! Pure: [`wanted`] says which files an editor wants, [`plan`](fn@plan) what to do
//! about one in view of what stands there already. What the user wrote is
//! never replaced. The files' texts are those below `editors/`, where the
//! editors' own engines test them.

mod editor;
mod json;
mod plan;

pub use editor::{Editor, File, wanted};
pub use plan::{Plan, difference, plan};
