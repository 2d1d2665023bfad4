//! Modules: loaded into the kernel because an object needs what they have.

use std::io;

/// Loads modules one after the other. One that is there is there.
///
/// # Errors
/// With the first that the kernel refuses.
pub fn load(modules: &[(String, u64)], mut bytes: &[u8]) -> Result<(), String> {
    for (name, size) in modules {
        let size = usize::try_from(*size).unwrap_or(usize::MAX);
        let Some((module, rest)) = bytes.split_at_checked(size) else {
            return Err(format!("the module {name} is cut off"));
        };
        bytes = rest;
        // SAFETY: the kernel copies the bytes, and the parameters, an empty
        // string.
        let result = unsafe {
            libc::syscall(libc::SYS_init_module, module.as_ptr(), module.len(), c"".as_ptr())
        };
        if result != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EEXIST) {
                return Err(format!("the kernel refuses the module {name}: {error}"));
            }
        }
    }
    Ok(())
}
