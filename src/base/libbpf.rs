//! What libbpf says: it writes its warnings to a callback of the process, and
//! whoever made the call wants to know them.

use libbpf_sys as sys;
use std::cell::RefCell;
use std::ffi::{c_char, c_int};

/// What is kept between two questions, in bytes.
const LIMIT: usize = 64 << 10;

thread_local! {
    /// What was said on this thread.
    static SAID: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what libbpf says from now on, on every thread apart; what it says
/// for its own developers is left out.
pub fn listen() {
    // SAFETY: the callback is a plain function, and libbpf calls it with a
    // valid format and arguments.
    unsafe { sys::libbpf_set_print(Some(print)) };
}

/// What libbpf said on this thread since this was last asked, a line each.
pub fn said() -> Vec<String> {
    let said = SAID.take();
    let lines = String::from_utf8_lossy(&said);
    lines.lines().map(|line| plain(line).to_owned()).collect()
}

fn plain(line: &str) -> &str {
    line.strip_prefix("libbpf: ").unwrap_or(line).trim_end()
}

unsafe extern "C" {
    fn vsnprintf(
        buffer: *mut c_char,
        size: usize,
        format: *const c_char,
        arguments: *mut sys::__va_list_tag,
    ) -> c_int;
}

unsafe extern "C" fn print(
    level: sys::libbpf_print_level,
    format: *const c_char,
    arguments: *mut sys::__va_list_tag,
) -> c_int {
    if level == sys::LIBBPF_DEBUG {
        return 0;
    }
    let mut buffer = [0_u8; 8192];
    // SAFETY: the buffer has the size that is said, and libbpf vouches for
    // the format and its arguments.
    let length = unsafe { vsnprintf(buffer.as_mut_ptr().cast(), buffer.len(), format, arguments) };
    let length = usize::try_from(length).unwrap_or(0).min(buffer.len() - 1);
    SAID.with_borrow_mut(|said| {
        if said.len() + length <= LIMIT {
            said.extend_from_slice(&buffer[..length]);
        }
    });
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_object_is_kept_for_its_thread() {
        listen();
        let bytes = b"no object";
        // SAFETY: the bytes live through the call, and options may be absent.
        let object = unsafe {
            sys::bpf_object__open_mem(bytes.as_ptr().cast(), bytes.len() as u64, std::ptr::null())
        };
        assert!(object.is_null());
        assert!(std::thread::spawn(said).join().unwrap().is_empty());
        let lines = said();
        assert!(lines.iter().any(|line| line.contains("ELF")), "{lines:?}");
        assert!(lines.iter().all(|line| !line.starts_with("libbpf:")), "{lines:?}");
        assert!(said().is_empty());
    }
}
