//! `skep kernel`: the kernels at hand, and getting more.

use super::Session;
use crate::base::fs;
use crate::diagnostics::Failure;
use crate::kernels::{Apt, Kernel, Reference, Store};
use std::path::PathBuf;

/// A kernel in the store, as a list shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is called.
    pub reference: String,
    /// As `uname -r` prints it.
    pub release: String,
    /// Its package with the version; empty if it came in none.
    pub package: String,
    /// The bytes it takes.
    pub size: u64,
}

/// The store of this session's cache.
pub(super) fn store(session: &Session) -> Store {
    let apt = Apt::new(session.programs.clone());
    Store::new(session.cache.join("kernels"), apt, session.offline)
}

/// Reads a reference; paths are taken from where the user is.
pub(super) fn reference(session: &Session, text: &str) -> Result<Reference, Failure> {
    let reference = Reference::parse(text, |path| fs::exists(&session.absolute(path)))?;
    Ok(match reference {
        Reference::File(path) => Reference::File(session.absolute(path)),
        other => other,
    })
}

/// The kernels in the store.
pub fn list(session: &Session) -> Result<Vec<Listed>, Failure> {
    store(session).list()?.iter().map(listed).collect()
}

/// Fetches kernels, or stores those that lie in files.
pub fn add(session: &Session, references: &[String]) -> Result<Vec<Listed>, Failure> {
    let mut added = Vec::new();
    for text in references {
        let reference = reference(session, text)?;
        let kernel = store(session).update(&reference, &session.cancel, &*session.sink)?;
        added.push(listed(&kernel)?);
    }
    Ok(added)
}

/// Forgets kernels; says of which there was none.
pub fn remove(session: &Session, references: &[String]) -> Result<(), Failure> {
    for text in references {
        let reference = reference(session, text)?;
        if !store(session).remove(&reference)? {
            session.note(format!("{reference} is not stored"));
        }
    }
    Ok(())
}

/// The image of a kernel, fetched if need be.
pub fn path(session: &Session, text: &str) -> Result<PathBuf, Failure> {
    let kernel = store(session).get(&reference(session, text)?, &session.cancel, &*session.sink)?;
    Ok(kernel.image().to_owned())
}

fn listed(kernel: &Kernel) -> Result<Listed, Failure> {
    let stored = &kernel.stored;
    Ok(Listed {
        reference: kernel.reference.clone(),
        release: stored.release.clone(),
        package: format!("{} {}", stored.package, stored.version).trim().to_owned(),
        size: kernel.size()?,
    })
}
