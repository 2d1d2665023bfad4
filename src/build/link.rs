//! Linking: objects of several sources into one, or one into itself, which
//! strips it. libbpf's linker does it (`bpf_linker__*`, what `bpftool gen
//! object` calls): it merges maps, programs, globals and BTF, and leaves out
//! DWARF.

use super::Error;
use crate::base::{fs, libbpf};
use libbpf_sys as sys;
use std::ffi::{CString, c_int};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

/// Links `inputs`, absolute paths, to one object; its bytes are returned. They
/// are put together in memory: what libbpf makes of a full disk nobody could
/// tell from objects that do not fit together.
///
/// # Errors
/// [`Error::Link`] with what libbpf says, if they do not.
pub fn link(inputs: &[impl AsRef<Path>]) -> Result<Vec<u8>, Error> {
    libbpf::listen();
    // What was said of other things is of no interest.
    drop(libbpf::said());
    let failed = |result: c_int| Error::Link {
        reason: std::io::Error::from_raw_os_error(-result).to_string(),
        said: libbpf::said().join("\n"),
    };
    let path =
        |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(-libc::EINVAL));
    let output = fs::in_memory("object")?;
    // SAFETY: a descriptor that lives longer than the linker, and options may
    // be absent.
    let linker = unsafe { sys::bpf_linker__new_fd(output.as_raw_fd(), ptr::null_mut()) };
    if linker.is_null() {
        let reason = std::io::Error::last_os_error();
        return Err(failed(-reason.raw_os_error().unwrap_or(libc::EIO)));
    }
    let linker = Linker(linker);
    for input in inputs {
        let name = path(input.as_ref())?;
        // SAFETY: the linker is alive, the string valid.
        let result = unsafe { sys::bpf_linker__add_file(linker.0, name.as_ptr(), ptr::null()) };
        if result != 0 {
            return Err(failed(result));
        }
    }
    // SAFETY: the linker is alive.
    match unsafe { sys::bpf_linker__finalize(linker.0) } {
        0 => Ok(fs::read_whole(output, Path::new("the linked object"))?),
        result => Err(failed(result)),
    }
}

/// The version of libbpf, whose linker this is.
pub fn version() -> String {
    let (major, minor) =
        // SAFETY: these return numbers.
        unsafe { (sys::libbpf_major_version(), sys::libbpf_minor_version()) };
    format!("libbpf {major}.{minor}")
}

struct Linker(*mut sys::bpf_linker);

impl Drop for Linker {
    fn drop(&mut self) {
        // SAFETY: made by `bpf_linker__new` and freed only here.
        unsafe { sys::bpf_linker__free(self.0) };
    }
}
