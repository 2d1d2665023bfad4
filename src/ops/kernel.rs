//! `skep kernel`: the kernels at hand, and getting more.

use super::{Session, pins, vmlinux};
use crate::base::fs;
use crate::build::Removed;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::kernels::{Apt, Available, Distribution, Kernel, Reference, Store, Stored};
use crate::project::lock::Lock;
use crate::project::{self, Project};
use std::path::PathBuf;

/// A kernel in the store, as a list shows it. Sizes are bytes on the disk.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is called.
    pub reference: String,
    /// As `uname -r` prints it.
    pub release: String,
    /// Its package; empty if it came in none.
    pub package: String,
    /// The package's version; likewise.
    pub version: String,
    /// Image and configuration.
    pub image: u64,
    /// Its modules.
    pub modules: u64,
    /// Its BTF, once it was asked for.
    pub btf: u64,
    /// Snapshots of machines that booted it.
    pub snapshots: u64,
}

impl Listed {
    /// All it takes.
    pub fn size(&self) -> u64 {
        self.image + self.modules + self.btf + self.snapshots
    }
}

/// What became of a reference that was to be updated.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The reference.
    pub reference: String,
    /// The release it meant before, if it meant one.
    pub before: Option<String>,
    /// The release it means now.
    pub release: String,
    /// Whether it is another kernel than before.
    pub changed: bool,
}

/// The store of this session's cache.
pub(super) fn store(session: &Session) -> Store {
    let apt = Apt::new(session.programs.clone()).with_mirrors(session.mirrors.clone());
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

/// The kernel that a user names: as the project here pins it, if it does.
pub(super) fn named(session: &Session, text: &str) -> Result<Kernel, Failure> {
    let reference = reference(session, text)?;
    let pin = match project_here(session)? {
        Some(project) => pins::pin(&Lock::read(&project)?, &project, &reference),
        None => None,
    };
    pins::kernel(session, &reference, pin.as_ref())
}

/// The kernels in the store.
pub fn list(session: &Session) -> Result<Vec<Listed>, Failure> {
    Ok(store(session).list()?.iter().map(|kernel| listed(session, kernel)).collect())
}

/// The newest kernels that could be fetched, of each distribution that can be
/// asked.
///
/// # Errors
/// If none can be asked: why the first cannot.
pub fn available(session: &Session) -> Result<Vec<Available>, Failure> {
    let mut all = Vec::new();
    let mut first = None;
    for distribution in [Distribution::Debian, Distribution::Ubuntu] {
        match store(session).available(distribution, &session.cancel, &*session.sink) {
            Ok(available) => all.extend(available),
            Err(error) => {
                session.detail(error.to_string());
                first = first.or(Some(error));
            }
        }
    }
    match first {
        Some(error) if all.is_empty() => Err(error.into()),
        _ => Ok(all),
    }
}

/// Fetches kernels, or stores those that lie in files.
pub fn add(session: &Session, references: &[String]) -> Result<Vec<Listed>, Failure> {
    let mut added = Vec::new();
    for text in references {
        let reference = reference(session, text)?;
        let kernel = store(session).update(&reference, &session.cancel, &*session.sink)?;
        added.push(listed(session, &kernel));
    }
    Ok(added)
}

/// Forgets kernels; says of which there was none.
pub fn remove(session: &Session, references: &[String]) -> Result<(), Failure> {
    for text in references {
        let reference = reference(session, text)?;
        let (store, name) = (store(session), reference.to_string());
        let kernels = store.list()?;
        let key = kernels.iter().find(|kernel| kernel.reference == name).map(Kernel::key);
        if !store.remove(&reference)? {
            session.note(format!("{reference} is not stored"));
        }
        // What was made of it goes when the last name does.
        if let Some(key) = key
            && kernels.iter().filter(|kernel| kernel.key() == key).count() == 1
        {
            fs::remove_file(&btf_path(session, key))?;
            for snapshot in snapshots(session, key) {
                remove_any(&snapshot)?;
            }
        }
    }
    Ok(())
}

/// Forgets all kernels and what was made of them.
pub fn clean(session: &Session) -> Result<Removed, Failure> {
    let mut removed = Removed::default();
    for name in ["kernels", "btf", "snapshots"] {
        let dir = session.cache.join(name);
        removed.files += fs::files_below(&dir).len() as u64;
        removed.bytes += fs::disk_usage(&dir);
        fs::remove_dir_all(&dir)?;
    }
    Ok(removed)
}

/// Moves references to their newest kernels: those that are named, else the
/// matrix of the project here, else all that are stored under a name. A
/// project's lock follows.
pub fn update(session: &Session, references: &[String]) -> Result<Vec<Updated>, Failure> {
    let project = project_here(session)?;
    let store = store(session);
    let matrix = match &project {
        Some(project) => pins::matrix(session, project)?,
        None => Vec::new(),
    };
    let wanted = match (references, matrix.as_slice()) {
        ([], []) => store
            .list()?
            .iter()
            .filter_map(|kernel| Reference::parse(&kernel.reference, |_| false).ok())
            .filter(|reference| matches!(reference, Reference::Packaged { .. }))
            .collect(),
        ([], matrix) => matrix.to_vec(),
        (references, _) => {
            references.iter().map(|text| reference(session, text)).collect::<Result<Vec<_>, _>>()?
        }
    };
    let lock = project.as_ref().map(Lock::read).transpose()?;
    let mut updated = Vec::new();
    let mut found: Vec<(Reference, Stored)> = Vec::new();
    for reference in wanted {
        let pinned = match (&lock, &project) {
            (Some(lock), Some(project)) => pins::pin(lock, project, &reference),
            _ => None,
        };
        let name = reference.to_string();
        let before = match pinned {
            Some(pin) => Some(pin),
            None => store
                .list()?
                .into_iter()
                .find(|kernel| kernel.reference == name)
                .map(|kernel| kernel.stored),
        };
        let kernel = store.update(&reference, &session.cancel, &*session.sink)?;
        updated.push(Updated {
            reference: session.display(name.as_ref()).display().to_string(),
            release: kernel.stored.release.clone(),
            changed: before.as_ref().is_none_or(|before| before.sha256 != kernel.stored.sha256),
            before: before.map(|before| before.release),
        });
        found.push((reference, kernel.stored));
    }
    if let Some(project) = &project
        && !matrix.is_empty()
    {
        pins::keep(session, project, &found)?;
    }
    Ok(updated)
}

/// The image of a kernel, fetched if need be.
pub fn path(session: &Session, text: &str) -> Result<PathBuf, Failure> {
    Ok(named(session, text)?.image().to_owned())
}

/// A file with the BTF of a kernel, as /sys/kernel/btf/vmlinux has it there.
pub fn btf(session: &Session, text: &str) -> Result<PathBuf, Failure> {
    let kernel = named(session, text)?;
    vmlinux::stored(session, &kernel)?;
    Ok(btf_path(session, kernel.key()))
}

/// The configuration of a kernel, or of it the lines of some options.
///
/// # Errors
/// If the kernel came without, and has none inside.
pub fn config(session: &Session, text: &str, options: &[String]) -> Result<Vec<u8>, Failure> {
    let kernel = named(session, text)?;
    let config = kernel.configuration()?.ok_or_else(|| {
        let message = format!("the configuration of {} is not known", kernel.reference);
        Failure::from(
            Diagnostic::new(codes::KERNEL_NOT_FOUND, Origin::Vm, message)
                .note("it came without one, and has none inside (CONFIG_IKCONFIG)"),
        )
    })?;
    if options.is_empty() {
        return Ok(config);
    }
    let config = String::from_utf8_lossy(&config);
    let mut lines = String::new();
    for option in options {
        let option = option.strip_prefix("CONFIG_").unwrap_or(option);
        let (set, unset) = (format!("CONFIG_{option}="), format!("# CONFIG_{option} is not set"));
        let line = config.lines().find(|line| line.starts_with(&set) || *line == unset);
        lines.push_str(line.unwrap_or(&unset));
        lines.push('\n');
    }
    Ok(lines.into_bytes())
}

/// The project that somebody stands in, if they do.
fn project_here(session: &Session) -> Result<Option<Project>, Failure> {
    match Project::find(&session.cwd) {
        Ok(project) => Ok(Some(project)),
        Err(project::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn btf_path(session: &Session, key: &str) -> PathBuf {
    session.cache.join("btf").join(format!("{key}.btf"))
}

/// What there is of a kernel's snapshots.
fn snapshots(session: &Session, key: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(&session.cache.join("snapshots")).unwrap_or_default();
    let is_its = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(key).is_some_and(|rest| rest.starts_with('-'))
    };
    all.into_iter().filter(is_its).collect()
}

fn remove_any(path: &std::path::Path) -> Result<(), Failure> {
    match fs::is_dir(path) {
        true => fs::remove_dir_all(path)?,
        false => fs::remove_file(path)?,
    }
    Ok(())
}

fn listed(session: &Session, kernel: &Kernel) -> Listed {
    let stored = &kernel.stored;
    Listed {
        reference: kernel.reference.clone(),
        release: stored.release.clone(),
        package: stored.package.clone(),
        version: stored.version.clone(),
        image: kernel.size(),
        modules: kernel.modules_size(),
        btf: fs::disk_usage(&btf_path(session, kernel.key())),
        snapshots: snapshots(session, kernel.key()).iter().map(|path| fs::disk_usage(path)).sum(),
    }
}
