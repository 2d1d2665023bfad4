//! Two byte streams, one each way, in a stretch of memory that host and guest
//! both map.
//!
//! ```text
//! 0x00  to the guest: bytes written (by the host), bytes read (by the guest)
//! 0x10  to the host:  bytes written (by the guest), bytes read (by the host)
//! 4096  the first stream's bytes, then the second's
//! ```
//! The counters are 64-bit, only grow, and are never cached: the memory is
//! not part of a snapshot, so a restored guest finds it empty and goes on
//! from there. Each side believes nothing of what the other one wrote.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Where the bytes begin.
const DATA: usize = 4096;
/// A quarter of the memory leads to the guest: objects are smaller than logs.
const TO_GUEST: usize = 4;

/// One end of the memory: which of the streams it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The host's.
    Host,
    /// The guest's.
    Guest,
}

/// One end of the two streams. Neither reading nor writing ever waits.
#[derive(Debug)]
pub struct Ring {
    base: *mut u8,
    outgoing: Stream,
    incoming: Stream,
}

// SAFETY: the pointer stands for memory that lives as long as the ring and is
// shared between processes anyway; each stream has one reader and one writer.
unsafe impl Send for Ring {}

#[derive(Clone, Copy, Debug)]
struct Stream {
    counters: usize,
    data: usize,
    size: usize,
}

impl Ring {
    /// The ring in the `size` bytes at `base`.
    ///
    /// # Safety
    /// The memory must be readable and writable, aligned to eight bytes, and
    /// stay mapped as long as the ring lives; it must be larger than 64 KiB.
    /// Nobody in this process may hold a reference into it.
    pub unsafe fn new(base: *mut u8, size: usize, end: End) -> Self {
        let first = (size - DATA) / TO_GUEST / 64 * 64;
        let to_guest = Stream { counters: 0, data: DATA, size: first };
        let to_host = Stream { counters: 16, data: DATA + first, size: size - DATA - first };
        let (outgoing, incoming) = match end {
            End::Host => (to_guest, to_host),
            End::Guest => (to_host, to_guest),
        };
        Self { base, outgoing, incoming }
    }

    fn counter(&self, stream: Stream, which: usize) -> &AtomicU64 {
        // SAFETY: inside the memory that `new` was promised, aligned.
        unsafe { AtomicU64::from_ptr(self.base.add(stream.counters + which * 8).cast()) }
    }

    /// The bytes written and read, if they can be true.
    fn counters(&self, stream: Stream) -> io::Result<(u64, u64)> {
        let read = self.counter(stream, 1).load(Ordering::Acquire);
        let written = self.counter(stream, 0).load(Ordering::Acquire);
        if written.wrapping_sub(read) > stream.size as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the channel is damaged"));
        }
        Ok((written, read))
    }

    /// Copies as many bytes as there is room for and says how many.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.outgoing;
        let (written, read) = self.counters(stream)?;
        let free = stream.size - (written - read) as usize;
        let count = bytes.len().min(free);
        let at = (written % stream.size as u64) as usize;
        let first = count.min(stream.size - at);
        // SAFETY: both stretches lie in the stream's bytes; `bytes` is ours
        // and cannot overlap them.
        unsafe {
            let data = self.base.add(stream.data);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), data.add(at), first);
            std::ptr::copy_nonoverlapping(bytes.as_ptr().add(first), data, count - first);
        }
        fence(Ordering::Release);
        self.counter(stream, 0).store(written + count as u64, Ordering::Release);
        Ok(count)
    }

    /// Copies as many bytes as there are and fit, and says how many.
    pub fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let stream = self.incoming;
        let (written, read) = self.counters(stream)?;
        let count = bytes.len().min((written - read) as usize);
        let at = (read % stream.size as u64) as usize;
        let first = count.min(stream.size - at);
        // SAFETY: as in `write`.
        unsafe {
            let data = self.base.add(stream.data);
            std::ptr::copy_nonoverlapping(data.add(at), bytes.as_mut_ptr(), first);
            std::ptr::copy_nonoverlapping(data, bytes.as_mut_ptr().add(first), count - first);
        }
        self.counter(stream, 1).store(read + count as u64, Ordering::Release);
        Ok(count)
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> io::Result<bool> {
        self.counters(self.incoming).map(|(written, read)| written == read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(memory: &mut [u64]) -> (Ring, Ring) {
        let (base, size) = (memory.as_mut_ptr().cast::<u8>(), memory.len() * 8);
        // SAFETY: the test keeps the memory and does not touch it otherwise.
        unsafe { (Ring::new(base, size, End::Host), Ring::new(base, size, End::Guest)) }
    }

    #[test]
    fn more_than_the_ring_holds_goes_through_in_pieces() {
        let mut memory = vec![0_u64; 70_000 / 8];
        let (mut host, mut guest) = pair(&mut memory);
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for (writer, reader) in [(&mut host, &mut guest)] {
            let (mut at, mut received) = (0, Vec::new());
            while received.len() < sent.len() {
                at += writer.write(&sent[at..]).unwrap();
                let mut buffer = [0; 777];
                let count = reader.read(&mut buffer).unwrap();
                received.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(received, sent);
            assert!(reader.is_empty().unwrap());
        }
        assert!(guest.write(b"back").unwrap() == 4 && !host.is_empty().unwrap());
    }

    #[test]
    fn impossible_counters_are_an_error() {
        let mut memory = vec![0_u64; 70_000 / 8];
        memory[2] = u64::MAX / 2;
        let (mut host, _) = pair(&mut memory);
        let error = host.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
