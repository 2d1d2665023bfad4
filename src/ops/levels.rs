//! The levels of findings, as a project and the command line set them.

use super::Session;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Levels};
use crate::project::Project;
use std::path::Path;

/// Findings at their levels, and how many were allowed. Files are read
/// relative to `root`.
pub(super) fn apply(
    session: &Session,
    project: Option<&Project>,
    root: &Path,
    findings: Vec<Diagnostic>,
) -> (Vec<Diagnostic>, usize) {
    let levels = Levels {
        named: project.map(|project| &project.manifest.lints),
        deny_warnings: session.deny_warnings,
    };
    let text = |file: &Path| {
        let bytes = fs::read(&root.join(file)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    levels.apply(findings, &text)
}
