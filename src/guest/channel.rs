//! The guest's end of the channel: memory behind the kernel's own, mapped
//! from `/dev/mem`, and a doorbell for the host's ears. Where a kernel does
//! not let anyone map that memory (lockdown, CONFIG_DEVMEM), a serial line
//! takes its place, a hundred times slower. Where there is no guest, the two
//! sides are processes of one machine, and pipes will do.

use crate::base::fs;
use crate::wire::ring::{End, Ring};
use crate::wire::{CHANNEL_AT, CHANNEL_SIZE, SERIAL_READY};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the guest looks whether the host wrote something.
const PAUSE: Duration = Duration::from_micros(300);
/// How long it looks all the time before it sleeps in between: to sleep and
/// to wake up costs an emulated kernel a millisecond or more.
const ATTENTION: Duration = Duration::from_millis(3);
/// The same for a guest that is about to be saved. What it does then is what
/// a restored one begins with, and that is to have an answer soon.
const LONG_ATTENTION: Duration = Duration::from_secs(20);
/// The machine's second serial line.
const SERIAL: &str = "/dev/ttyS1";

/// The guest's end.
pub enum Channel {
    /// Through memory.
    Memory {
        /// The streams.
        ring: Ring,
        /// How long to look for the next message all the time.
        attention: Duration,
    },
    /// Through a serial line or pipes.
    Stream {
        /// What the host writes.
        incoming: File,
        /// What it reads.
        outgoing: File,
    },
}

impl Channel {
    /// Opens what works here.
    ///
    /// # Errors
    /// If neither does; with what kept the memory from being used.
    pub fn open() -> io::Result<Self> {
        memory().map(|ring| Self::Memory { ring, attention: ATTENTION }).or_else(|error| {
            eprintln!("skep: {error}; using the serial line");
            serial().map_err(|_| error)
        })
    }

    /// Whether the host has said something.
    pub fn is_waiting(&self) -> io::Result<bool> {
        match self {
            Self::Memory { ring, .. } => Ok(!ring.is_empty()?),
            // The stream's end is something, too.
            Self::Stream { incoming, .. } => {
                let mut entry =
                    libc::pollfd { fd: incoming.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: one valid entry.
                Ok(unsafe { libc::poll(&mut entry, 1, 0) } > 0)
            }
        }
    }

    /// Looks for the next message all the time.
    pub fn stay_awake(&mut self) {
        if let Self::Memory { attention, .. } = self {
            *attention = LONG_ATTENTION;
        }
    }
}

/// Maps the memory and gets the right to ring the doorbell.
fn memory() -> io::Result<Ring> {
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
    Ok(unsafe { Ring::new(base.cast(), size, End::Guest) })
}

/// Opens the serial line as a plain stream of bytes, and says so.
fn serial() -> io::Result<Channel> {
    let mut file = fs::open_rw(Path::new(SERIAL)).map_err(|error| error.source)?;
    // SAFETY: an open terminal, and a struct that the call fills.
    unsafe {
        let mut settings = std::mem::zeroed::<libc::termios>();
        if libc::tcgetattr(file.as_raw_fd(), &mut settings) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::cfmakeraw(&mut settings);
        if libc::tcsetattr(file.as_raw_fd(), libc::TCSANOW, &settings) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    file.write_all(&[SERIAL_READY])?;
    Ok(Channel::Stream { incoming: file.try_clone()?, outgoing: file })
}

impl Read for Channel {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (ring, attention) = match self {
            Self::Memory { ring, attention } => (ring, attention),
            Self::Stream { incoming, .. } => return incoming.read(bytes),
        };
        let mut count = ring.read(bytes)?;
        if count == 0 && !bytes.is_empty() {
            attend(ring, *attention)?;
            count = ring.read(bytes)?;
        }
        while count == 0 && !bytes.is_empty() {
            std::thread::sleep(PAUSE);
            count = ring.read(bytes)?;
        }
        *attention = ATTENTION;
        Ok(count)
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ring = match self {
            Self::Memory { ring, .. } => ring,
            Self::Stream { outgoing, .. } => return outgoing.write(bytes),
        };
        loop {
            match ring.write(bytes)? {
                0 if !bytes.is_empty() => {
                    doorbell::ring();
                    std::thread::sleep(PAUSE);
                }
                count => return Ok(count),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Self::Memory { .. } = self {
            doorbell::ring();
        }
        Ok(())
    }
}

/// Waits without sleeping until there is something to read, or for so long.
fn attend(ring: &Ring, attention: Duration) -> io::Result<()> {
    /// Looks between two looks at the clock.
    const LOOKS: u32 = 1000;
    let started = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if !ring.is_empty()? {
                return Ok(());
            }
        }
        if started.elapsed() > attention {
            return Ok(());
        }
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
