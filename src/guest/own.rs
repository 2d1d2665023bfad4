//! No guest at all: a child process of skep that loads programs into the
//! kernel of the machine itself, for its verdicts, or has them at work there.
//! Unlike a guest it has no kernel to itself, so it attaches only what it is
//! asked to attach, not even to find out whether that could be done, and leaves
//! nothing behind: it detaches when it is told so, when somebody wants it to
//! end, and when whoever started it is gone.

use super::channel::Channel;
use super::child::Workers;
use super::{Owner, kernel_btf, live, load, probe, warm};
use crate::base::fs;
use crate::wire::{Reply, Request, frame};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A signal has asked for the end.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Whether a signal has asked for the end of what is at work.
pub fn is_over() -> bool {
    IS_OVER.load(Ordering::Relaxed)
}

/// Serves requests until they end: those that come over one descriptor, with
/// replies over the other, which may be the same.
///
/// # Errors
/// A message that is none, or one that asks for something else.
pub fn serve(requests: RawFd, replies: RawFd) -> io::Result<()> {
    let (incoming, outgoing) = (take(requests)?, take(replies)?);
    // What is printed by accident must be no message.
    let nothing = fs::open_rw(Path::new("/dev/null")).map_err(|error| error.source)?;
    for fd in [requests, replies] {
        // SAFETY: whoever started this process gave it the descriptors for
        // this alone.
        unsafe { libc::dup2(nothing.as_raw_fd(), fd) };
    }
    match answer(Channel::Stream { incoming, outgoing }) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        result => result,
    }
}

/// A descriptor that child processes do not get, for what is open here.
fn take(fd: RawFd) -> io::Result<File> {
    // SAFETY: a plain system call; the new descriptor is ours.
    unsafe {
        match libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) {
            ..0 => Err(io::Error::last_os_error()),
            copy => Ok(File::from_raw_fd(copy)),
        }
    }
}

fn answer(mut channel: Channel) -> io::Result<()> {
    warm::up();
    kernel_btf::prepare();
    let mut workers = Workers::new(load::work, load::LOG);
    loop {
        let (request, blob) = frame::read::<Request>(&mut channel)?;
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
            Request::Attach(mut request) => {
                // Both are a guest's.
                (request.network, request.workload) = (false, None);
                hear_signals();
                live::run(&request, &blob, &mut channel, Owner::User)?;
            }
            // They crossed the news that everything had ended by itself.
            Request::Stop | Request::Resolve(_) | Request::Leave => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no guest")),
        }
    }
}

/// Has signals that ask for the end be heard instead of obeyed. On a terminal
/// Ctrl-C may reach this process and nobody else: sudo can put it on one of its
/// own.
fn hear_signals() {
    extern "C" fn hear(_: libc::c_int) {
        IS_OVER.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only sets a flag.
        unsafe { libc::signal(signal, hear as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    }
}
