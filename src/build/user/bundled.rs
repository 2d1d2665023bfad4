//! The libbpf that skep brings along: the one it was built with itself,
//! headers and library, for machines that have none or an old one.

use super::Libbpf;
use crate::base::fs;
use std::path::Path;

/// Headers and library, packed by `build.rs`.
const BUNDLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libbpf.tar.gz"));

/// What identifies their bytes.
const HASH: &str = env!("SKEP_LIBBPF_BUNDLE_HASH");

/// Gives the bundled libbpf, unpacked into the cache when that has not been
/// done yet.
///
/// # Errors
/// The cache cannot be written.
pub fn libbpf(cache: &Path) -> Result<Libbpf, fs::Error> {
    let dir = cache.join("libbpf").join(HASH);
    if !fs::is_dir(&dir) {
        unpack(&dir)?;
    }
    let library = dir.join("libbpf.a");
    Ok(Libbpf {
        identity: format!("bundled {HASH}"),
        cflags: vec!["-isystem".into(), dir.join("include").into()],
        link: vec![library.clone().into()],
        requires: vec!["-lelf".into(), "-lz".into()],
        files: vec![library],
    })
}

/// Unpacks beside the place and renames: whoever finds the directory finds it
/// whole.
fn unpack(dir: &Path) -> Result<(), fs::Error> {
    let parent = fs::parent_of(dir);
    fs::create_dir_all(parent)?;
    let scratch = fs::temporary_dir(parent)?;
    let failed = |source| fs::Error {
        action: "unpack libbpf into",
        path: scratch.path().to_owned(),
        source,
    };
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(BUNDLE));
    archive.unpack(scratch.path()).map_err(failed)?;
    match fs::rename(scratch.path(), dir) {
        // Another skep was faster.
        Err(_) if fs::is_dir(dir) => Ok(()),
        result => result,
    }
}
