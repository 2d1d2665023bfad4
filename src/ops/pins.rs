//! The kernels that a project is pinned to: `Skep.lock` says which package and
//! which bytes each reference of its matrix means, until
//! `skep kernel update` moves it.

use super::Session;
use super::kernel::store;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::kernels::{self, Kernel, Reference, Stored};
use crate::project::Project;
use crate::project::lock::{LOCK, Lock, PinnedKernel};

/// The kernels of a project's matrix, paths made absolute.
///
/// # Errors
/// If one is not a kernel reference.
pub(super) fn matrix(session: &Session, project: &Project) -> Result<Vec<Reference>, Failure> {
    let mut references = Vec::new();
    for entry in &project.manifest.kernels.matrix {
        // Paths in a manifest start from the manifest.
        let parsed = Reference::parse(&entry.value, |path| fs::exists(&project.root.join(path)));
        let reference = match parsed {
            Ok(Reference::File(path)) => Reference::File(project.root.join(path)),
            Ok(other) => other,
            Err(error) => {
                let mut diagnostic = Diagnostic::from(error);
                if let Some(mut span) = project.span(entry) {
                    span.file = session.display(&span.file).to_owned();
                    diagnostic = diagnostic.at(span);
                }
                return Err(diagnostic.into());
            }
        };
        if !references.contains(&reference) {
            references.push(reference);
        }
    }
    Ok(references)
}

/// The name of a reference in a project's lock: paths start from the project.
fn name(project: &Project, reference: &Reference) -> String {
    match reference {
        Reference::File(path) => {
            path.strip_prefix(&project.root).unwrap_or(path).display().to_string()
        }
        other => other.to_string(),
    }
}

/// What a project's lock pins a reference to.
pub(super) fn pin(lock: &Lock, project: &Project, reference: &Reference) -> Option<Stored> {
    let pin = lock.kernel(&name(project, reference)).filter(|_| reference.is_portable())?;
    let package_sha256 = pin.package_sha256.map(|digest| digest.to_string()).unwrap_or_default();
    Some(Stored::pinned(
        pin.release,
        pin.package,
        pin.version,
        pin.sha256.to_string(),
        package_sha256,
    ))
}

/// What pins a reference to a kernel.
fn pinned(project: &Project, reference: &Reference, stored: &Stored) -> Option<PinnedKernel> {
    Some(PinnedKernel {
        reference: name(project, reference),
        release: stored.release.clone(),
        package: stored.package.clone(),
        version: stored.version.clone(),
        sha256: stored.sha256.parse().ok()?,
        package_sha256: stored.package_sha256.parse().ok(),
    })
}

/// Refuses a matrix that is not pinned, if nothing may be pinned now.
pub(super) fn refuse_unpinned(
    session: &Session,
    lock: &Lock,
    project: &Project,
    reference: &Reference,
) -> Result<(), Failure> {
    if !session.locked || !reference.is_portable() || pin(lock, project, reference).is_some() {
        return Ok(());
    }
    let message = format!("{LOCK} does not pin the kernel {reference}, and --locked forbids to");
    Err(Diagnostic::new(codes::LOCK, Origin::Manifest, message)
        .in_file(session.display(&Lock::path(project)))
        .help("run the command without --locked, and commit the file")
        .into())
}

/// The kernel that a reference names: the one it is pinned to, if it is.
/// Where that cannot be had any more the newest one takes its place, unless
/// the lock must not change.
pub(super) fn kernel(
    session: &Session,
    reference: &Reference,
    pin: Option<&Stored>,
) -> Result<Kernel, Failure> {
    let (store, sink) = (store(session), &*session.sink);
    let Some(pin) = pin else { return Ok(store.get(reference, &session.cancel, sink)?) };
    match store.get_pinned(reference, pin, &session.cancel, sink) {
        Err(error @ (kernels::Error::Gone { .. } | kernels::Error::Drift { .. }))
            if !session.locked =>
        {
            session.note(format!("{error}; taking the newest one"));
            Ok(store.update(reference, &session.cancel, sink)?)
        }
        result => Ok(result?),
    }
}

/// Pins a project's matrix to the kernels it came to. References that are not
/// among them keep their pin. Says whether the lock changed.
pub(super) fn keep(
    session: &Session,
    project: &Project,
    found: &[(Reference, Stored)],
) -> Result<bool, Failure> {
    let mut lock = Lock::read(project)?;
    let mut kernels = Vec::new();
    for reference in matrix(session, project)?.iter().filter(|known| known.is_portable()) {
        let now = found.iter().find(|(known, _)| known == reference).map(|(_, stored)| stored);
        let now = now.and_then(|stored| pinned(project, reference, stored));
        kernels.extend(now.or_else(|| lock.kernel(&name(project, reference))));
    }
    let before = lock.clone();
    lock.set_kernels(&kernels);
    match lock == before {
        true => Ok(false),
        false => lock.write(project, session.locked),
    }
}
