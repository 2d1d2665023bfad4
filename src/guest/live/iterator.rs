//! Iterators: programs that are read like files.

use super::attach::Links;
use libbpf_sys as sys;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{FromRawFd as _, RawFd};

/// More of one reading is left out, in bytes.
const MOST: u64 = 8 << 20;

/// The iterators that are attached.
pub struct Iterators(Vec<(String, RawFd)>);

impl Iterators {
    /// Those among some links.
    pub fn new(links: &Links) -> Self {
        Self(links.iterators())
    }

    /// Reads each once.
    pub fn each(&self, tell: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>) -> io::Result<()> {
        for (program, link) in &self.0 {
            // SAFETY: the link is open as long as the iterators are read; what
            // the call gives is ours.
            let file = unsafe {
                match sys::bpf_iter_create(*link) {
                    fd @ 0.. => File::from_raw_fd(fd),
                    _ => continue,
                }
            };
            let mut text = Vec::new();
            // What was read up to an error is worth showing.
            drop(file.take(MOST).read_to_end(&mut text));
            tell(program, &text)?;
        }
        Ok(())
    }
}
