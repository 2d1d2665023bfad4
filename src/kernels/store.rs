//! The store: every kernel that was fetched or came in a package file, once.
//! Images in the user's own files are used where they are.
//!
//! ```text
//! kernels/
//!   REF.json            what a reference means: the entry's key, when fetched
//!   REF.lock            held while the reference is being fetched
//!   KEY/vmlinuz         the image, as it was packed
//!   KEY/config          its configuration, if the package had it
//!   KEY/modules/        its modules, packed, if they came with it
//!   KEY/kernel.json     what it is
//!   KEY.names           which module has which types and functions
//! ```
//! KEY is the start of the image's SHA-256. Entries are made in a temporary
//! directory and renamed into place, so that an entry is whole or not there.
//! `vmlinux` is not kept: unpacking it takes 50 to 150 ms and is needed only
//! for a cold boot, while it is three times as large as the image.

use super::apt::Fetched;
use super::{Apt, Available, Distribution, Error, Reference, configuration, dnf};
use super::{image, modules, package};
use crate::base::digest::Digest;
use crate::base::{Cancel, fs};
use crate::events::{Ending, Sink, Step};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The release of a kernel that does not tell.
const UNKNOWN: &str = "unknown";

/// The store below a directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    apt: Apt,
    offline: bool,
}

/// The form of an entry; those of another form are made anew.
const LAYOUT: u32 = 2;

/// A kernel at hand.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What the user called it.
    pub reference: String,
    /// What it is.
    pub stored: Stored,
    /// The image.
    image: PathBuf,
    /// Where its modules are, if they came with it.
    pub(super) module_dir: Option<PathBuf>,
    /// The index of what they have.
    pub(super) index: PathBuf,
}

/// What is known of a stored kernel; `kernel.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// As `uname -r` prints it.
    pub release: String,
    /// The package it came in; empty if it came in none.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The SHA-256 of the image.
    pub sha256: String,
    /// The SHA-256 of the package; empty if it came in none.
    pub package_sha256: String,
    /// [`LAYOUT`] of the entry.
    layout: u32,
}

impl Stored {
    /// What a project's lock says of a kernel.
    pub fn pinned(
        release: String,
        package: String,
        version: String,
        sha256: String,
        package_sha256: String,
    ) -> Self {
        Self { release, package, version, sha256, package_sha256, layout: LAYOUT }
    }
}

/// What a reference means; `REF.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meaning {
    reference: String,
    key: String,
    /// Seconds since 1970.
    fetched: u64,
}

/// A kernel before it is stored.
#[derive(Default)]
struct Incoming {
    image: Option<Vec<u8>>,
    config: Option<Vec<u8>>,
    modules: Vec<(String, Vec<u8>)>,
    package: String,
    version: String,
    package_sha256: String,
}

impl Store {
    /// The store below `root`, which need not exist. With `offline`, what is
    /// not stored cannot be had.
    pub fn new(root: impl Into<PathBuf>, apt: Apt, offline: bool) -> Self {
        Self { root: root.into(), apt, offline }
    }

    /// The kernel a reference names, fetched if it is not stored.
    pub fn get(
        &self,
        reference: &Reference,
        cancel: &Cancel,
        sink: &dyn Sink,
    ) -> Result<Kernel, Error> {
        match reference {
            Reference::Host => self.host(),
            Reference::File(path) => self.file(path, &reference.to_string()),
            Reference::Packaged { .. } => match self.stored(reference)? {
                Some(kernel) => Ok(kernel),
                None => self.fetch(reference, None, cancel, sink),
            },
            Reference::Version(version) => self.version(version, cancel, sink),
        }
    }

    /// The kernel that a reference is pinned to, fetched if it is not stored.
    ///
    /// # Errors
    /// [`Error::Gone`] or [`Error::Drift`] if it cannot be had any more.
    pub fn get_pinned(
        &self,
        reference: &Reference,
        pin: &Stored,
        cancel: &Cancel,
        sink: &dyn Sink,
    ) -> Result<Kernel, Error> {
        let name = reference.to_string();
        let key = pin.sha256.get(..16).unwrap_or_default();
        // A file is asked itself: it may have changed.
        if !matches!(reference, Reference::File(_))
            && let Some(kernel) = self.entry(key, &name)?
            && kernel.stored.sha256 == pin.sha256
        {
            return Ok(kernel);
        }
        let kernel = match reference {
            Reference::Packaged { .. } => {
                self.fetch(reference, Some((&pin.package, &pin.version)), cancel, sink)?
            }
            // Whatever suite had it at the time.
            Reference::Version(version) => {
                let mut last = Error::Gone {
                    reference: name.clone(),
                    package: pin.package.clone(),
                    version: pin.version.clone(),
                };
                let mut found = None;
                for suite in Reference::suites_of(version) {
                    match self.fetch(&suite, Some((&pin.package, &pin.version)), cancel, sink) {
                        Ok(kernel) => found = Some(Kernel { reference: name.clone(), ..kernel }),
                        Err(error) => last = error,
                    }
                    if found.is_some() {
                        break;
                    }
                }
                found.ok_or(last)?
            }
            Reference::Host | Reference::File(_) => self.get(reference, cancel, sink)?,
        };
        if kernel.stored.sha256 == pin.sha256 {
            return Ok(kernel);
        }
        let say = |stored: &Stored| match stored.version.as_str() {
            "" => format!("{} ({})", stored.release, &stored.sha256[..12.min(stored.sha256.len())]),
            version => format!("{} {version}", stored.package),
        };
        Err(Error::Drift { reference: name, pinned: say(pin), found: say(&kernel.stored) })
    }

    /// The newest kernels that could be fetched of a distribution's suites.
    pub fn available(
        &self,
        distribution: Distribution,
        cancel: &Cancel,
        sink: &dyn Sink,
    ) -> Result<Vec<Available>, Error> {
        if self.offline {
            return Err(Error::Offline { reference: format!("{}/…", distribution.as_str()) });
        }
        let scratch = fs::temporary_dir(&self.root)?;
        let step = Step::start(sink, "Asking", format!("for {}'s kernels", distribution.title()));
        let said = |text| sink.emit(crate::events::Event::Detail(format!("fetching {text}")));
        let available = self.apt.available(distribution, scratch.path(), cancel, &said)?;
        step.finish(Ending::Done);
        Ok(available)
    }

    /// Fetches a reference even if it is stored: its newest kernel.
    pub fn update(
        &self,
        reference: &Reference,
        cancel: &Cancel,
        sink: &dyn Sink,
    ) -> Result<Kernel, Error> {
        match reference {
            Reference::Packaged { .. } => self.fetch(reference, None, cancel, sink),
            Reference::Version(version) => match self.newest_of(version, cancel, sink) {
                // A series that no suite ships is at least as new as stored.
                Err(Error::NotFound { .. }) => self.get(reference, cancel, sink),
                result => result,
            },
            _ => self.get(reference, cancel, sink),
        }
    }

    /// Every kernel in the store: named ones by name, then those that came
    /// from package files, under their release.
    pub fn list(&self) -> Result<Vec<Kernel>, Error> {
        if !fs::is_dir(&self.root) {
            return Ok(Vec::new());
        }
        let mut kernels = Vec::new();
        let paths = fs::read_dir(&self.root)?;
        for path in paths.iter().filter(|path| path.extension().is_some_and(|ext| ext == "json")) {
            if let Some(meaning) = read_json::<Meaning>(path)?
                && let Some(kernel) = self.entry(&meaning.key, &meaning.reference)?
            {
                kernels.push(kernel);
            }
        }
        for path in &paths {
            let key = path.file_name().unwrap_or_default().to_string_lossy();
            if kernels.iter().any(|kernel| kernel.key() == key) {
                continue;
            }
            if let Some(mut kernel) = self.entry(&key, "")? {
                kernel.reference.clone_from(&kernel.stored.release);
                kernels.push(kernel);
            }
        }
        Ok(kernels)
    }

    /// Forgets a reference as [`Store::list`] gives it, and its kernel if no
    /// other reference means it. Says whether there was one.
    pub fn remove(&self, reference: &Reference) -> Result<bool, Error> {
        let name = reference.to_string();
        let kernels = self.list()?;
        let Some(kernel) = kernels.iter().find(|kernel| kernel.reference == name) else {
            return Ok(false);
        };
        let meaning = self.meaning_path(reference);
        fs::remove_file(&meaning)?;
        fs::remove_file(&meaning.with_extension("lock"))?;
        let means = |other: &&Kernel| other.key() == kernel.key();
        if kernels.iter().filter(means).count() == 1 {
            fs::remove_dir_all(&self.root.join(kernel.key()))?;
            fs::remove_file(&kernel.index)?;
        }
        Ok(true)
    }

    /// What a reference means without fetching anything.
    fn stored(&self, reference: &Reference) -> Result<Option<Kernel>, Error> {
        match read_json::<Meaning>(&self.meaning_path(reference))? {
            Some(meaning) => self.entry(&meaning.key, &reference.to_string()),
            None => Ok(None),
        }
    }

    fn entry(&self, key: &str, reference: &str) -> Result<Option<Kernel>, Error> {
        if !is_key(key) {
            return Ok(None);
        }
        let dir = self.root.join(key);
        let image = dir.join("vmlinuz");
        match read_json::<Stored>(&dir.join("kernel.json"))? {
            Some(stored) if stored.layout == LAYOUT && fs::is_file(&image) => {
                let module_dir = Some(dir.join("modules")).filter(|dir| fs::is_dir(dir));
                let index = self.index(key);
                Ok(Some(Kernel {
                    reference: reference.to_owned(),
                    stored,
                    image,
                    module_dir,
                    index,
                }))
            }
            _ => Ok(None),
        }
    }

    fn index(&self, key: &str) -> PathBuf {
        self.root.join(format!("{key}.names"))
    }

    fn meaning_path(&self, reference: &Reference) -> PathBuf {
        let name = reference
            .to_string()
            .replace(|c: char| !c.is_ascii_alphanumeric() && !".+-_".contains(c), "-");
        self.root.join(format!("{name}.json"))
    }

    /// Fetches the newest kernel of a suite, which its reference means from
    /// then on, or an exact one (its image's package and version).
    fn fetch(
        &self,
        reference: &Reference,
        exact: Option<(&str, &str)>,
        cancel: &Cancel,
        sink: &dyn Sink,
    ) -> Result<Kernel, Error> {
        let Reference::Packaged { distribution, suite, flavour } = reference else {
            return self.get(reference, cancel, sink);
        };
        let name = reference.to_string();
        if self.offline {
            return Err(Error::Offline { reference: name });
        }
        let path = self.meaning_path(reference);
        let before = read_json::<Meaning>(&path)?;
        let step = Step::start(sink, "Fetching", format!("kernel {name}"));
        let _lock = fs::Lock::acquire(&path.with_extension("lock"), |_| {
            sink.emit(crate::events::Event::Detail(format!(
                "another process is fetching the kernel {name}; waiting for it"
            )));
        })?;
        // Whoever held the lock may have done the work.
        if exact.is_none()
            && read_json::<Meaning>(&path)? != before
            && let Some(kernel) = self.stored(reference)?
        {
            step.finish(Ending::Fresh);
            return Ok(kernel);
        }
        let scratch = fs::temporary_dir(&self.root)?;
        let said = |text| sink.emit(crate::events::Event::Detail(format!("fetching {text}")));
        let (dir, cancelled) = (scratch.path(), cancel);
        let Fetched { packages } = match distribution {
            Distribution::Debian | Distribution::Ubuntu => {
                self.apt.fetch((*distribution, suite, flavour), exact, dir, cancelled, &said)?
            }
            Distribution::Fedora => {
                let version = exact.map(|(_, version)| version);
                dnf::fetch(self.apt.programs(), suite, version, dir, cancelled, &said)?
            }
        };
        let kernel = self.add(Incoming::of(&packages)?, &packages[0], &name)?;
        if exact.is_none() {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let fetched = now.unwrap_or_default().as_secs();
            let key = kernel.key().to_owned();
            write_json(&path, &Meaning { reference: name, key, fetched })?;
        }
        step.finish(Ending::Done);
        Ok(kernel)
    }

    /// The newest stored kernel of a version, else the one that a suite has.
    fn version(&self, version: &str, cancel: &Cancel, sink: &dyn Sink) -> Result<Kernel, Error> {
        let is_it = |kernel: &Kernel| is_of_version(&kernel.stored.release, version);
        let mut stored: Vec<Kernel> = self.list()?.into_iter().filter(is_it).collect();
        stored.sort_by_key(|kernel| release_key(&kernel.stored.release));
        if let Some(mut kernel) = stored.pop() {
            kernel.reference = version.to_owned();
            return Ok(kernel);
        }
        self.newest_of(version, cancel, sink)
    }

    /// The newest kernel of a version that a suite has.
    fn newest_of(&self, version: &str, cancel: &Cancel, sink: &dyn Sink) -> Result<Kernel, Error> {
        let not_found = |reason: String| Error::NotFound {
            reference: version.to_owned(),
            reason,
            help: Some(format!(
                "fetch one by its suite ({}), or name an image by its path",
                Reference::known().collect::<Vec<_>>().join(", ")
            )),
        };
        let mut last = None;
        for suite in Reference::suites_of(version) {
            match self.fetch(&suite, None, cancel, sink) {
                Ok(mut kernel) if is_of_version(&kernel.stored.release, version) => {
                    kernel.reference = version.to_owned();
                    return Ok(kernel);
                }
                Ok(kernel) => {
                    last = Some(not_found(format!("{suite} ships {}", kernel.stored.release)));
                }
                Err(Error::Offline { .. }) => {
                    return Err(Error::Offline { reference: version.to_owned() });
                }
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| not_found("none is stored, and no suite ships it".into())))
    }

    /// The image of the running kernel, where distributions keep it.
    fn host(&self) -> Result<Kernel, Error> {
        let release = fs::read_to_string(Path::new("/proc/sys/kernel/osrelease"))?;
        let release = release.trim();
        let candidates = [
            format!("/boot/vmlinuz-{release}"),
            format!("/usr/lib/modules/{release}/vmlinuz"),
            format!("/lib/modules/{release}/vmlinuz"),
            format!("/boot/vmlinux-{release}"),
            format!("/usr/lib/debug/boot/vmlinux-{release}"),
        ];
        match candidates.iter().map(Path::new).find(|path| fs::is_file(path)) {
            Some(path) => {
                let kernel = self.file(path, "host")?;
                let dirs =
                    [format!("/usr/lib/modules/{release}"), format!("/lib/modules/{release}")];
                let dir = dirs.into_iter().map(PathBuf::from).find(|dir| fs::is_dir(dir));
                Ok(Kernel { module_dir: kernel.module_dir.or(dir), ..kernel })
            }
            None => Err(Error::NotFound {
                reference: "host".into(),
                reason: format!(
                    "no image of the running kernel {release} is below /boot or /usr/lib/modules"
                ),
                help: Some("name another kernel, for example `--kernel debian/bookworm`".into()),
            }),
        }
    }

    /// A kernel that lies in the user's own files. An image is used where it
    /// is; what a package holds is stored.
    fn file(&self, path: &Path, reference: &str) -> Result<Kernel, Error> {
        let (path, module_dir) = match fs::is_dir(path) {
            true => find_in(path)?,
            false => (path.to_owned(), None),
        };
        let bytes = fs::read(&path)?;
        if package::looks_like_package(&bytes) {
            let sha256 = Digest::of(&bytes).to_string();
            let is_it = |kernel: &Kernel| kernel.stored.package_sha256 == sha256;
            return match self.list()?.into_iter().find(is_it) {
                Some(kernel) => Ok(Kernel { reference: reference.to_owned(), ..kernel }),
                None => self.add(Incoming::of(std::slice::from_ref(&path))?, &path, reference),
            };
        }
        if path.extension().is_some_and(|ext| ext == "deb" || ext == "rpm") {
            let source = package::PackageError::not_a_package();
            return Err(Error::Package { path, source });
        }
        if !image::looks_like_image(&bytes) {
            // Says what it is instead.
            image::vmlinux(&bytes).map_err(|source| Error::Image { path: path.clone(), source })?;
        }
        let stored = Stored {
            release: image::release(&bytes).unwrap_or_else(|| UNKNOWN.into()),
            package: String::new(),
            version: String::new(),
            sha256: Digest::of(&bytes).to_string(),
            package_sha256: String::new(),
            layout: LAYOUT,
        };
        let index = self.index(&stored.sha256[..16]);
        Ok(Kernel { reference: reference.to_owned(), stored, image: path, module_dir, index })
    }

    /// Stores a kernel unless it is stored.
    fn add(&self, incoming: Incoming, from: &Path, reference: &str) -> Result<Kernel, Error> {
        let Some(image) = incoming.image else {
            return Err(Error::NoKernel { path: from.to_owned(), package: incoming.package });
        };
        let digest = Digest::of(&image);
        let key = digest.short();
        if let Some(kernel) = self.entry(&key, reference)? {
            return Ok(kernel);
        }
        // An image that cannot be unpacked is refused now, not at boot.
        let vmlinux = image::vmlinux(&image)
            .map_err(|source| Error::Image { path: from.to_owned(), source })?;
        let stored = Stored {
            release: image::release(&image)
                .or_else(|| image::release(&vmlinux))
                .unwrap_or_else(|| UNKNOWN.into()),
            package: incoming.package,
            version: incoming.version,
            sha256: digest.to_string(),
            package_sha256: incoming.package_sha256,
            layout: LAYOUT,
        };
        let scratch = fs::temporary_dir(&self.root)?;
        fs::write_atomic(&scratch.path().join("vmlinuz"), &image)?;
        if !incoming.modules.is_empty() {
            let dir = scratch.path().join("modules");
            fs::create_dir_all(&dir)?;
            for (file, bytes) in incoming.modules {
                let damaged = |error: std::io::Error| Error::Package {
                    path: from.to_owned(),
                    source: package::damaged(&error),
                };
                let (file, bytes) = modules::pack(file, bytes).map_err(damaged)?;
                fs::write_new(&dir.join(file), &bytes)?;
            }
        }
        if let Some(config) = &incoming.config {
            fs::write_atomic(&scratch.path().join("config"), config)?;
        }
        write_json(&scratch.path().join("kernel.json"), &stored)?;
        let place = self.root.join(&key);
        if let Err(error) = fs::rename(scratch.path(), &place) {
            // Another process may have been faster; a damaged entry makes way.
            if let Some(kernel) = self.entry(&key, reference)? {
                return Ok(kernel);
            }
            fs::remove_dir_all(&place)?;
            fs::rename(scratch.path(), &place).map_err(|_| error)?;
        }
        self.entry(&key, reference)?.ok_or(Error::Hash { path: place })
    }
}

impl Kernel {
    /// The entry's name in the store, which stands for the image's bytes.
    pub fn key(&self) -> &str {
        &self.stored.sha256[..16]
    }

    /// The image's file.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The kernel's configuration file, if it came with one.
    pub fn config(&self) -> Option<PathBuf> {
        Some(self.image.with_file_name("config")).filter(|path| fs::is_file(path))
    }

    /// Its configuration: the file it came with, else what it has inside.
    pub fn configuration(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.config() {
            Some(path) => Ok(Some(fs::read(&path)?)),
            None => Ok(configuration::inside(&self.vmlinux()?)),
        }
    }

    /// The ELF file inside the image, whose hash is checked.
    pub fn vmlinux(&self) -> Result<Vec<u8>, Error> {
        let bytes = fs::read(&self.image)?;
        if Digest::of(&bytes).to_string() != self.stored.sha256 {
            return Err(Error::Hash { path: self.image.clone() });
        }
        let vmlinux = image::vmlinux(&bytes)
            .map_err(|source| Error::Image { path: self.image.clone(), source })?;
        Ok(vmlinux.into_owned())
    }

    /// What QEMU's `-kernel` boots fastest: the ELF file if it can be entered
    /// the PVH way, else the image.
    pub fn bootable(&self) -> Result<Vec<u8>, Error> {
        let vmlinux = self.vmlinux()?;
        if image::has_pvh_entry(&vmlinux) { Ok(vmlinux) } else { Ok(fs::read(&self.image)?) }
    }

    /// The bytes that its image and configuration take on the disk.
    pub fn size(&self) -> u64 {
        let config = self.config().map_or(0, |config| fs::disk_usage(&config));
        fs::disk_usage(&self.image) + config
    }

    /// The bytes that its modules take in the store; those of the machine's
    /// own kernel count for nothing.
    pub fn modules_size(&self) -> u64 {
        let stored = fs::parent_of(&self.image).join("modules");
        fs::disk_usage(&self.index)
            + match &self.module_dir {
                Some(dir) if *dir == stored => fs::disk_usage(dir),
                _ => 0,
            }
    }
}

impl Incoming {
    /// What these packages hold together.
    fn of(packages: &[PathBuf]) -> Result<Self, Error> {
        let mut all = Self::default();
        for path in packages {
            let bytes = fs::read(path)?;
            let package = package::read(&bytes)
                .map_err(|source| Error::Package { path: path.clone(), source })?;
            if package.image.is_some() || all.package.is_empty() {
                all.package = package.name;
                all.version = package.version;
                all.package_sha256 = Digest::of(&bytes).to_string();
            }
            all.image = all.image.or(package.image);
            all.config = all.config.or(package.config);
            all.modules.extend(package.modules);
        }
        Ok(all)
    }
}

/// The kernel in a directory (a build tree, an unpacked package, `/boot`) and
/// where its modules are, if they are there.
fn find_in(dir: &Path) -> Result<(PathBuf, Option<PathBuf>), Error> {
    let mut found: Vec<PathBuf> = Vec::new();
    for inside in ["", "boot", "arch/x86/boot", "arch/arm64/boot", "usr/lib/modules", "lib/modules"]
    {
        let place = dir.join(inside);
        if !fs::is_dir(&place) {
            continue;
        }
        for path in fs::read_dir(&place)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            let is_image = name.starts_with("vmlinuz")
                || name == "bzImage"
                || (name == "Image" && !inside.is_empty());
            if fs::is_file(&path) && is_image {
                found.push(path);
            } else if inside.ends_with("modules") && fs::is_file(&path.join("vmlinuz")) {
                found.push(path.join("vmlinuz"));
            }
        }
    }
    let newest = found.into_iter().max_by_key(|path| release_key(&path.to_string_lossy()));
    let image = match newest {
        Some(path) => path,
        None if fs::is_file(&dir.join("vmlinux")) => dir.join("vmlinux"),
        None => return Err(Error::NoKernel { path: dir.to_owned(), package: String::new() }),
    };
    // A build tree has modules all over, and says so; what was installed has
    // them below the release.
    if fs::is_file(&dir.join("modules.order")) {
        return Ok((image, Some(dir.to_owned())));
    }
    let mut modules = None;
    for inside in ["usr/lib/modules", "lib/modules"] {
        let place = dir.join(inside);
        if modules.is_none() && fs::is_dir(&place) {
            let dirs = fs::read_dir(&place)?;
            let newest = dirs.into_iter().max_by_key(|path| release_key(&path.to_string_lossy()));
            modules = newest.filter(|path| fs::is_dir(path));
        }
    }
    Ok((image, modules))
}

/// Whether a release is of a series or release: 6.1.9 is of 6.1, 6.12 is not.
fn is_of_version(release: &str, version: &str) -> bool {
    release
        .strip_prefix(version)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Orders releases by their numbers: 6.1.0-9 before 6.1.0-10.
fn release_key(release: &str) -> Vec<u64> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
        .collect()
}

fn is_key(key: &str) -> bool {
    key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A JSON file of the store; one that is missing or cannot be understood
/// counts as not there.
fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = fs::read_if_exists(path)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    // Plain structs of strings and numbers always serialise.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    Ok(fs::write_atomic(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_their_numbers() {
        let mut releases = ["6.1.0-10-cloud", "6.1.0-9-cloud", "5.10.0-30", "6.12.1"];
        releases.sort_by_key(|release| release_key(release));
        assert_eq!(releases, ["5.10.0-30", "6.1.0-9-cloud", "6.1.0-10-cloud", "6.12.1"]);
    }
}
