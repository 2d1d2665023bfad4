//! No guest at all: a child process of skep that loads programs into the
//! kernel of the machine itself, for its verdicts. Unlike a guest it has no
//! kernel to itself, so it attaches nothing, not even to find out whether that
//! could be done, and leaves nothing behind.

use super::child::Workers;
use super::{kernel_btf, load, probe, warm};
use crate::wire::{Reply, Request, frame};
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd as _, RawFd};

/// Serves requests that come over this descriptor, until it is closed.
///
/// # Errors
/// A message that is none, or one that asks for more than to load.
pub fn serve(channel: RawFd) -> io::Result<()> {
    // SAFETY: a plain system call; then whoever started this process gave it
    // the descriptor for this alone.
    let mut channel = unsafe {
        if libc::fcntl(channel, libc::F_GETFD) < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(channel)
    };
    warm::up();
    kernel_btf::prepare();
    let mut workers = Workers::new(load::work, load::LOG);
    loop {
        let (request, blob) = match frame::read::<Request>(&mut channel) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            request => request?,
        };
        match request {
            Request::Wake => frame::write(&mut channel, &Reply::Hello(load::hello()), &[])?,
            Request::Probe(probes) => {
                let answers = probes.iter().map(probe::ask).collect();
                frame::write(&mut channel, &Reply::Probed(answers), &[])?;
                frame::write(&mut channel, &Reply::Done, &[])?;
            }
            Request::Load(mut request) => {
                // To try one is to set a probe into the kernel.
                request.kprobes.clear();
                // To run one is more than to ask for its verdict.
                request.trials.clear();
                load::object(&request, &blob, &mut workers, &mut channel)?;
                frame::write(&mut channel, &Reply::Done, &[])?;
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no guest")),
        }
    }
}
