//! What programs print (`bpf_printk`): the kernel's trace.
#![expect(clippy::disallowed_methods, reason = "files of the kernel, and not of a directory tree")]

use super::super::Owner;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the kernel's tracing is.
const TRACING: &str = "/sys/kernel/tracing";
/// Where it may be besides, on a machine that somebody else has set up.
const DEBUG_TRACING: &str = "/sys/kernel/debug/tracing";
/// What a buffer of our own is called, before the number of the process.
const INSTANCE: &str = "skep-";
/// Its size, for each processor, in KiB.
const BUFFER: &str = "256";
/// More is left for the next time, in bytes.
const AT_ONCE: usize = 256 << 10;

/// The trace, if the kernel has one.
pub struct Trace {
    pipe: io::Result<File>,
    /// A buffer of our own, which goes with us.
    instance: Option<PathBuf>,
    /// How lines begin that are of no interest.
    own: String,
    /// Whether what children of the first process made programs print counts,
    /// as long as these are called as it is.
    pub hears_children: bool,
}

impl Trace {
    /// Opens it, and makes sure that it is on.
    pub fn open(owner: Owner) -> Self {
        match owner {
            Owner::Skep => {
                // What cannot be switched on shows nothing; then there is nothing.
                drop(fs::write(format!("{TRACING}/tracing_on"), "1"));
                let own = "init-".to_owned();
                let pipe = pipe(Path::new(TRACING));
                Self { pipe, instance: None, own, hears_children: false }
            }
            Owner::User => Self::beside_others(),
        }
    }

    /// Opens a buffer of its own: who reads the machine's trace takes it away
    /// from everybody else.
    fn beside_others() -> Self {
        let pid = std::process::id();
        let name = fs::read_to_string("/proc/self/comm").unwrap_or_default();
        let tracing = [TRACING, DEBUG_TRACING].into_iter().map(Path::new);
        let mut tracing = tracing.map(|dir| dir.join("instances"));
        let instances = tracing.find(|dir| dir.exists()).unwrap_or_default();
        clear_away(&instances);
        let instance = instances.join(format!("{INSTANCE}{pid}"));
        let made = fs::create_dir(&instance);
        let is_made = made.is_ok();
        let open = || {
            made?;
            // It is only smaller then.
            drop(fs::write(instance.join("buffer_size_kb"), BUFFER));
            fs::write(instance.join("events/bpf_trace/bpf_trace_printk/enable"), "1")?;
            pipe(&instance)
        };
        Self {
            pipe: open(),
            instance: is_made.then_some(instance),
            own: format!("{}-{pid} ", name.trim_end()),
            hears_children: false,
        }
    }

    /// Why there is no trace, if there is none.
    pub fn failed(&self) -> Option<&io::Error> {
        self.pipe.as_ref().err()
    }

    /// What to poll.
    pub fn fd(&self) -> Option<RawFd> {
        self.pipe.as_ref().ok().map(|file| file.as_raw_fd())
    }

    /// What was printed since the last time, but for what this process (and in a
    /// guest its children, if they are not heard) made programs print: reading
    /// the trace may be what they trace.
    pub fn take(&mut self) -> Vec<u8> {
        let text = self.read();
        let lines = text.split_inclusive(|&byte| byte == b'\n');
        let own = if self.hears_children { "init-1 " } else { &self.own };
        let is_own = |line: &[u8]| line.trim_ascii_start().starts_with(own.as_bytes());
        lines.filter(|line| !is_own(line)).flatten().copied().collect()
    }

    fn read(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let Ok(file) = &mut self.pipe else { return text };
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

impl Drop for Trace {
    fn drop(&mut self) {
        // A buffer that somebody reads stays.
        self.pipe = Err(io::ErrorKind::NotFound.into());
        if let Some(instance) = &self.instance {
            drop(fs::remove_dir(instance));
        }
    }
}

/// Removes buffers of processes that were killed.
fn clear_away(instances: &Path) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(INSTANCE)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            drop(fs::remove_dir(entry.path()));
        }
    }
}

/// What is read is gone; who comes when nothing is there does not wait.
fn pipe(dir: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(dir.join("trace_pipe"))
}
