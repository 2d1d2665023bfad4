//! `skep expand`: a source as the compiler proper sees it.

use super::Session;
use super::build::{self, Request};
use crate::diagnostics::{Diagnostic, Failure};
use std::path::PathBuf;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The preprocessed text.
    pub text: Vec<u8>,
    /// What clang says.
    pub diagnostics: Vec<Diagnostic>,
}

/// Preprocesses one source with the flags it is built with.
pub fn run(session: &Session, source: PathBuf, request: Request) -> Result<Outcome, Failure> {
    build::preprocess(session, &Request { paths: vec![source], ..request })
}
