//! `skep init`: a project in a directory that is there.

use super::Session;
use super::new::{self, Outcome, Request};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::{self, name};
use crate::scaffold;

/// The name that the current directory gives a project: its own, or the
/// nearest one that can be used.
pub fn default_name(session: &Session) -> String {
    let dir = fs::canonicalize(&session.cwd).unwrap_or_else(|_| session.cwd.clone());
    let own = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name::check(&own) {
        Ok(()) => own,
        Err(bad) => bad.suggestion.unwrap_or_else(|| "my-bpf".to_owned()),
    }
}

/// Makes the current directory a project. No file that is there is
/// overwritten: if one is in the way, nothing is written at all.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    new::check_name(&request.name)?;
    if project::is_project_dir(&session.cwd) {
        let message = "this directory is a project already";
        return Err(Diagnostic::new(codes::NOT_EMPTY, Origin::Command, message)
            .help("`skep new NAME` makes another one in a directory of its own")
            .into());
    }
    let (lang, files) = new::rendered(session, request)?;
    let kept = scaffold::write_into(&session.cwd, &files)?;
    Ok(Outcome::of(request, lang, session.cwd.clone(), kept))
}
