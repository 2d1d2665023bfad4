//! A diagnostic as an error value.

use super::Diagnostic;
use std::{error, fmt};

/// What kept an operation from doing its work at all: one diagnostic, boxed
/// so that results stay small.
///
/// Every room's own error type converts into a [`Diagnostic`], and so, with
/// `?`, into this.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure(Box<Diagnostic>);

impl Failure {
    /// The diagnostic.
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.0
    }

    /// The diagnostic, by value.
    pub fn into_diagnostic(self) -> Diagnostic {
        *self.0
    }
}

// `Failure` itself must never convert into `Diagnostic` by `From`: this
// blanket conversion would then overlap with `From<T> for T`.
impl<E: Into<Diagnostic>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl error::Error for Failure {}
