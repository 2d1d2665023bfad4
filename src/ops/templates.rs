//! Templates by their names: skep's own, or someone's, from a directory or a
//! git repository.

use super::Session;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::events::{Ending, Step};
use crate::scaffold::{self, folder, git};

pub use crate::scaffold::{Lang, Template, license};

/// The templates there are: skep's own, or those at `place`, which is a
/// directory, or what git takes for a repository, with the folder to look in
/// behind a `#`.
///
/// # Errors
/// The place cannot be read or copied, or has no template.
pub fn list(session: &Session, place: Option<&str>) -> Result<Vec<Template>, Failure> {
    let Some(place) = place else { return Ok(scaffold::templates().to_vec()) };
    // A directory may have a `#` in its name.
    let (repository, below) = match place.rsplit_once('#') {
        Some((repository, below)) if !fs::is_dir(&session.absolute(place)) => {
            (repository, Some(below))
        }
        _ => (place, None),
    };
    let shown = git::without_password(repository);
    let dir = session.absolute(repository);
    if fs::is_dir(&dir) && !is_bare(&dir) {
        return Ok(folder::read(&dir, &shown, below)?);
    }
    let local = !repository.contains(':');
    if local && !fs::exists(&dir) {
        let message = format!("there is no directory {shown}");
        return Err(Diagnostic::new(codes::FILE_NOT_FOUND, Origin::Command, message)
            .help("write a directory, or an address that git understands")
            .into());
    }
    if session.offline && !local && !repository.starts_with("file:") {
        let message = format!("{shown} is not on this machine, and --offline forbids to fetch it");
        return Err(Diagnostic::new(codes::TEMPLATE_NOT_FETCHED, Origin::Command, message).into());
    }
    let address = if local { dir.to_string_lossy() } else { repository.into() };
    let step = Step::start(&*session.sink, "Fetching", shown.clone());
    let copy = git::fetch(&address, &session.cache, &session.programs, &session.cancel)?;
    step.finish(Ending::Done);
    Ok(folder::read(copy.path(), &shown, below)?)
}

/// The template of this name among [those there are](list); of those at a
/// place the only one, if no name is given, and else `minimal`.
///
/// # Errors
/// As for [`list`]; there is none of this name.
pub fn find(
    session: &Session,
    place: Option<&str>,
    name: Option<&str>,
) -> Result<Template, Failure> {
    match place {
        None => Ok(scaffold::find(name.unwrap_or(DEFAULT))?.clone()),
        Some(at) => Ok(folder::choose(list(session, place)?, &git::without_password(at), name)?),
    }
}

/// The template that is taken where none is named.
pub const DEFAULT: &str = "minimal";

/// Whether a directory is a git repository without files of its own.
fn is_bare(dir: &std::path::Path) -> bool {
    fs::is_file(&dir.join("HEAD")) && fs::is_dir(&dir.join("objects"))
}
