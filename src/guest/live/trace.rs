//! What programs print (`bpf_printk`): the kernel's trace.
#![expect(clippy::disallowed_methods, reason = "the guest is alone in its machine")]

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;

/// Where the kernel's tracing is.
const TRACING: &str = "/sys/kernel/tracing";
/// More is left for the next time, in bytes.
const AT_ONCE: usize = 256 << 10;

/// The trace, if the kernel has one.
pub struct Trace {
    pipe: Option<File>,
    /// Whether what children of the first process made programs print counts,
    /// as long as these are called as it is.
    pub hears_children: bool,
}

impl Trace {
    /// Opens it, and makes sure that it is on.
    pub fn open() -> Self {
        // What cannot be switched on shows nothing; then there is nothing.
        drop(fs::write(format!("{TRACING}/tracing_on"), "1"));
        let pipe = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(format!("{TRACING}/trace_pipe"));
        Self { pipe: pipe.ok(), hears_children: false }
    }

    /// What to poll.
    pub fn fd(&self) -> Option<RawFd> {
        self.pipe.as_ref().map(|file| file.as_raw_fd())
    }

    /// What was printed since the last time, but for what the first process (and
    /// its children, if they are not heard) made programs print: reading the
    /// trace may be what they trace.
    pub fn take(&mut self) -> Vec<u8> {
        let text = self.read();
        let lines = text.split_inclusive(|&byte| byte == b'\n');
        let own: &[u8] = if self.hears_children { b"init-1 " } else { b"init-" };
        let is_own = |line: &[u8]| line.trim_ascii_start().starts_with(own);
        lines.filter(|line| !is_own(line)).flatten().copied().collect()
    }

    fn read(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let Some(file) = &mut self.pipe else { return text };
        let mut buffer = [0; 8 << 10];
        while text.len() < AT_ONCE {
            match file.read(&mut buffer) {
                Ok(count @ 1..) => text.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        text
    }
}
