//! Floor 5: from data to text, one file a format. Rendering is pure: it takes
//! diagnostics and tables and returns a string; the shell prints it.

pub mod table;

pub use table::{Cell, Column, Table};

/// The formats that `--message-format` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: source excerpts, colour, aligned tables.
    #[default]
    Human,
    /// `file:line:col: error[CODE]: message`, one line each.
    Short,
    /// One JSON object a line.
    Json,
    /// SARIF 2.1.0, one document.
    Sarif,
    /// GitHub workflow annotations.
    Github,
}
