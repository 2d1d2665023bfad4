//! The guest's end of the channel: memory behind the kernel's own, mapped
//! from `/dev/mem`, and a doorbell for the host's ears.

use crate::base::fs;
use crate::wire::ring::{End, Ring};
use crate::wire::{CHANNEL_AT, CHANNEL_SIZE};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::Duration;

/// How often the guest looks whether the host wrote something.
const PAUSE: Duration = Duration::from_micros(300);

/// The guest's end.
pub struct Channel {
    ring: Ring,
}

impl Channel {
    /// Maps the memory and gets the right to ring the doorbell.
    pub fn open() -> io::Result<Self> {
        let failed =
            |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
        let memory =
            fs::open_rw(Path::new("/dev/mem")).map_err(|error| failed("/dev/mem", error.source))?;
        let size = CHANNEL_SIZE as usize;
        // SAFETY: a fresh mapping at an address of the kernel's choosing.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                memory.as_raw_fd(),
                CHANNEL_AT.cast_signed(),
            )
        };
        if base == libc::MAP_FAILED {
            return Err(failed("cannot map the channel", io::Error::last_os_error()));
        }
        doorbell::allow().map_err(|error| failed("cannot use the doorbell", error))?;
        // SAFETY: page-aligned, mapped above, never unmapped.
        Ok(Self { ring: unsafe { Ring::new(base.cast(), size, End::Guest) } })
    }
}

impl Read for Channel {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.ring.read(bytes)? {
                0 if !bytes.is_empty() => std::thread::sleep(PAUSE),
                count => return Ok(count),
            }
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.ring.write(bytes)? {
                0 if !bytes.is_empty() => {
                    doorbell::ring();
                    std::thread::sleep(PAUSE);
                }
                count => return Ok(count),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        doorbell::ring();
        Ok(())
    }
}

/// An I/O port that QEMU passes on to the host.
#[cfg(target_arch = "x86_64")]
mod doorbell {
    use crate::wire::DOORBELL;
    use std::io;

    /// Asks the kernel for the right to use the port.
    pub fn allow() -> io::Result<()> {
        // SAFETY: a plain system call.
        match unsafe { libc::ioperm(libc::c_ulong::from(DOORBELL), 1, 1) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Says that there is something to read.
    pub fn ring() {
        // SAFETY: `allow` was granted the port; the device only takes bytes.
        unsafe {
            std::arch::asm!("out dx, al", in("dx") DOORBELL, in("al") b'!', options(nomem, nostack));
        }
    }
}

/// Other machines have no such port; skep boots x86-64 guests.
#[cfg(not(target_arch = "x86_64"))]
mod doorbell {
    use std::io;

    /// There is nothing to ask for.
    pub fn allow() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never reached: `allow` refuses.
    pub fn ring() {}
}
