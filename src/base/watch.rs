//! Changes of files, as the kernel tells of them (inotify).

use super::Cancel;
use super::fs::{Error, Result};
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a wait looks at the cancellation flag, in case a signal came
/// just before it began.
const TICK: Duration = Duration::from_millis(250);

/// Watches directories.
pub struct Watch {
    inotify: Inotify,
    dirs: HashMap<WatchDescriptor, Dir>,
}

struct Dir {
    path: PathBuf,
    /// Directories that are made in it are watched too.
    deep: bool,
}

/// Whether a directory below a watched one is passed over.
pub type PassOver = dyn Fn(&Path) -> bool;

impl Watch {
    /// A watch of nothing yet.
    pub fn new() -> Result<Self> {
        let inotify = Inotify::init().map_err(|source| failed(Path::new("files"), source))?;
        Ok(Self { inotify, dirs: HashMap::new() })
    }

    /// Watches a directory, or also all below it; one that is watched already
    /// stays as deep as it was.
    pub fn add(&mut self, dir: &Path, deep: bool, pass_over: &PassOver) -> Result<()> {
        let walk = walkdir::WalkDir::new(dir)
            .max_depth(if deep { 64 } else { 0 })
            .into_iter()
            .filter_entry(|entry| {
                entry.file_type().is_dir() && (entry.depth() == 0 || !pass_over(entry.path()))
            });
        // What vanishes meanwhile is not there any more.
        for entry in walk.filter_map(std::result::Result::ok) {
            self.add_one(entry.path(), deep)?;
        }
        Ok(())
    }

    fn add_one(&mut self, dir: &Path, deep: bool) -> Result<()> {
        let mask = WatchMask::CLOSE_WRITE
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::ONLYDIR;
        match self.inotify.watches().add(dir, mask) {
            Ok(descriptor) => {
                let known = self.dirs.entry(descriptor);
                let known = known.or_insert_with(|| Dir { path: dir.to_owned(), deep });
                known.deep |= deep;
                // A directory may have moved.
                dir.clone_into(&mut known.path);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(dir, error)),
        }
    }

    /// Waits until something changes that is `wanted`, and then until nothing
    /// has for the time `quiet`; at most ten times as long. Returns the paths,
    /// none once `cancel` is set.
    pub fn wait(
        &mut self,
        quiet: Duration,
        cancel: &Cancel,
        pass_over: &PassOver,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<BTreeSet<PathBuf>> {
        let mut changed = BTreeSet::new();
        let mut deadline = None;
        loop {
            if cancel.is_cancelled() {
                return Ok(BTreeSet::new());
            }
            let time_is_up = deadline.is_some_and(|deadline| Instant::now() > deadline);
            let wait = if changed.is_empty() { TICK } else { quiet };
            let came = self.poll(if time_is_up { Duration::ZERO } else { wait })?;
            if came {
                self.read(&mut changed, pass_over, wanted)?;
            } else if !changed.is_empty() {
                return Ok(changed);
            }
            if time_is_up && !changed.is_empty() {
                return Ok(changed);
            }
            if !changed.is_empty() && deadline.is_none() {
                deadline = Some(Instant::now() + quiet * 10);
            }
        }
    }

    /// Whether there is something to read, at the latest after this time.
    fn poll(&self, limit: Duration) -> Result<bool> {
        let mut fd =
            libc::pollfd { fd: self.inotify.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one descriptor, which is open.
        match unsafe { libc::poll(&mut fd, 1, limit) } {
            ready if ready >= 0 => Ok(ready > 0),
            _ => match io::Error::last_os_error() {
                // A signal, perhaps Ctrl-C.
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                error => Err(failed(Path::new("files"), error)),
            },
        }
    }

    fn read(
        &mut self,
        changed: &mut BTreeSet<PathBuf>,
        pass_over: &PassOver,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        let mut new = Vec::new();
        let events = self.inotify.read_events(&mut buffer);
        for event in events.map_err(|source| failed(Path::new("files"), source))? {
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                // More happened than the kernel kept; anything may have.
                changed.extend(self.dirs.values().map(|dir| dir.path.clone()));
                continue;
            }
            if event.mask.contains(EventMask::IGNORED) {
                self.dirs.remove(&event.wd);
                continue;
            }
            let (Some(dir), Some(name)) = (self.dirs.get(&event.wd), event.name) else { continue };
            let path = dir.path.join(name);
            let is_dir = event.mask.contains(EventMask::ISDIR);
            let came = event.mask.intersects(EventMask::CREATE | EventMask::MOVED_TO);
            if is_dir && came && dir.deep && !pass_over(&path) {
                new.push(path.clone());
            }
            // A file that is made is told of again when it is written.
            let is_empty_yet = !is_dir && event.mask.contains(EventMask::CREATE);
            if !is_empty_yet && wanted(&path) && !(is_dir && pass_over(&path)) {
                changed.insert(path);
            }
        }
        for dir in new {
            self.add(&dir, true, pass_over)?;
        }
        Ok(())
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    // The kernel says "no space left on device" for what is no device.
    let source = match source.raw_os_error() {
        Some(libc::ENOSPC) => io::Error::other(
            "the limit of watched directories is reached (sysctl fs.inotify.max_user_watches)",
        ),
        Some(libc::EMFILE) => {
            io::Error::other("too many programs watch files (sysctl fs.inotify.max_user_instances)")
        }
        _ => source,
    };
    Error { action: "watch", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs;

    fn changes(watch: &mut Watch) -> Vec<PathBuf> {
        let quiet = Duration::from_millis(20);
        let pass_over = |path: &Path| path.ends_with("target");
        let wanted = |path: &Path| !path.ends_with("noise");
        let cancel = Cancel::new();
        watch.wait(quiet, &cancel, &pass_over, &wanted).unwrap().into_iter().collect()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "changes as other programs make them")]
    fn what_changes_below_is_told_of_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["a/b/one", "target/out"] {
            fs::write_atomic(&path(name), b"").unwrap();
        }
        let mut watch = Watch::new().unwrap();
        watch.add(dir.path(), true, &|path| path.ends_with("target")).unwrap();
        std::fs::write(path("target/out"), "x").unwrap();
        std::fs::write(path("noise"), "x").unwrap();
        std::fs::write(path("a/b/one"), "x").unwrap();
        std::fs::write(path("a/b/one"), "y").unwrap();
        assert_eq!(changes(&mut watch), [path("a/b/one")]);
        // Directories that come later are watched too.
        std::fs::create_dir_all(path("new/deep")).unwrap();
        assert!(changes(&mut watch).contains(&path("new")));
        std::fs::write(path("new/deep/two"), "x").unwrap();
        assert_eq!(changes(&mut watch), [path("new/deep/two")]);
        // Editors write beside and rename.
        fs::write_atomic(&path("a/b/one"), b"z").unwrap();
        assert!(changes(&mut watch).contains(&path("a/b/one")));
        std::fs::remove_file(path("a/b/one")).unwrap();
        assert_eq!(changes(&mut watch), [path("a/b/one")]);
    }

    #[test]
    fn ctrl_c_ends_the_wait() {
        let mut watch = Watch::new().unwrap();
        let cancel = Cancel::new();
        cancel.cancel();
        let quiet = Duration::from_secs(60);
        let changed = watch.wait(quiet, &cancel, &|_| false, &|_| true).unwrap();
        assert!(changed.is_empty());
    }
}
