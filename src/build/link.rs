//! Linking: objects of several sources into one, or one into itself, which
//! strips it. libbpf's linker does it (`bpf_linker__*`, what `bpftool gen
//! object` calls): it merges maps, programs, globals and BTF, and leaves out
//! DWARF.

use super::Error;
use libbpf_sys as sys;
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use std::sync::Once;

/// Links `inputs` to the file `output`. Paths relative to nothing: absolute.
///
/// # Errors
/// [`Error::Link`] with what libbpf says, if the objects do not fit together.
pub fn link(output: &Path, inputs: &[impl AsRef<Path>]) -> Result<(), Error> {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        // SAFETY: the callback lives as long as the process, and libbpf calls
        // it with a valid format and arguments.
        unsafe { sys::libbpf_set_print(Some(print)) };
    });
    SAID.take();
    let failed = |result: c_int| Error::Link {
        reason: std::io::Error::from_raw_os_error(-result).to_string(),
        said: SAID.take(),
    };
    let path =
        |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(-libc::EINVAL));
    let name = path(output)?;
    // SAFETY: a valid string, and options may be absent.
    let linker = unsafe { sys::bpf_linker__new(name.as_ptr(), ptr::null_mut()) };
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
        0 => Ok(()),
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

thread_local! {
    /// What libbpf has said on this thread.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

unsafe extern "C" {
    fn vsnprintf(
        buffer: *mut c_char,
        size: usize,
        format: *const c_char,
        arguments: *mut sys::__va_list_tag,
    ) -> c_int;
}

/// Keeps libbpf's warnings.
unsafe extern "C" fn print(
    level: sys::libbpf_print_level,
    format: *const c_char,
    arguments: *mut sys::__va_list_tag,
) -> c_int {
    if level != sys::LIBBPF_WARN {
        return 0;
    }
    let mut buffer = [0_u8; 1024];
    // SAFETY: the buffer has the size that is said, and libbpf vouches for
    // the format and its arguments.
    let written = unsafe { vsnprintf(buffer.as_mut_ptr().cast(), buffer.len(), format, arguments) };
    let end = usize::try_from(written).unwrap_or(0).min(buffer.len() - 1);
    let text = String::from_utf8_lossy(&buffer[..end]);
    SAID.with_borrow_mut(|said| said.push_str(text.trim_start_matches("libbpf: ")));
    0
}
