//! A command of the user's beside programs at work on the machine's own kernel:
//! it begins when they are attached, and they end with it. What it writes comes
//! among the replies, as a guest's workload does.

use super::Error;
use super::loader::Peer;
use super::own::{Process, poll};
use crate::base::Cancel;
use crate::base::process::{self, Command, Running};
use crate::wire::{Reply, Request};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The longest wait for a sign of either.
const TICK: Duration = Duration::from_millis(20);
/// What programs still say after the command's end.
const AFTERMATH: Duration = Duration::from_millis(50);
/// The command's output is handed on in pieces of so many bytes.
const CHUNK: usize = 64 << 10;

/// A process that has programs at work, and the command beside them.
#[derive(Debug)]
pub(super) struct Accompanied {
    process: Process,
    /// It has not begun yet.
    command: Option<Command>,
    beside: Option<Beside>,
    /// Who was listened to last, so that neither drowns the other.
    was_beside: bool,
}

/// A command under way.
#[derive(Debug)]
struct Beside {
    running: Running,
    /// Standard output and standard error, with whether it is the latter; none
    /// that was closed.
    outputs: [(Option<File>, bool); 2],
    ended: Option<Instant>,
}

impl Accompanied {
    /// Before anything is attached.
    pub fn new(process: Process, command: Option<Command>) -> Self {
        Self { process, command, beside: None, was_beside: false }
    }

    /// What the command has to say.
    fn hear_beside(
        &mut self,
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<Option<(Reply, Vec<u8>)>, Error> {
        let said = self.beside.as_mut().and_then(Beside::said);
        if let Some((Reply::Exited { .. }, _)) = said {
            self.send(&Request::Stop, &[], limit, cancel)?;
        }
        Ok(said)
    }
}

impl Peer for Accompanied {
    fn send(
        &mut self,
        request: &Request,
        blob: &[u8],
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        if *request == Request::Stop {
            // What is left of it is ended.
            self.beside = None;
        }
        self.process.send(request, blob, limit, cancel)
    }

    fn receive(&mut self, limit: Duration, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Error> {
        let mut left = limit;
        while let Some(beside) = &self.beside {
            let mut files = vec![(self.process.replies(), libc::POLLIN)];
            files.extend(beside.files().map(|file| (file, libc::POLLIN)));
            let happened = poll(&files, TICK);
            let is_reply = poll(&files[..1], Duration::ZERO);
            self.was_beside = !(self.was_beside && is_reply);
            if self.was_beside
                && let Some(said) = self.hear_beside(left, cancel)?
            {
                return Ok(said);
            }
            if is_reply || left.is_zero() || cancel.is_cancelled() {
                break;
            }
            if !happened {
                left = left.saturating_sub(TICK);
            }
        }
        let reply = self.process.receive(left, cancel)?;
        if let (Reply::Attached { .. }, Some(command)) = (&reply.0, self.command.take()) {
            self.beside = Some(Beside::start(&command)?);
        }
        Ok(reply)
    }
}

impl Beside {
    fn start(command: &Command) -> Result<Self, Error> {
        let (out, out_there) = io::pipe().map_err(Error::System)?;
        let (error, error_there) = io::pipe().map_err(Error::System)?;
        let running = command.start(Vec::new(), out_there.into(), Some(error_there.into()))?;
        let [out, error] = [out, error].map(|pipe| Some(File::from(OwnedFd::from(pipe))));
        Ok(Self { running, outputs: [(out, false), (error, true)], ended: None })
    }

    fn files(&self) -> impl Iterator<Item = &File> {
        self.outputs.iter().filter_map(|(output, _)| output.as_ref())
    }

    /// What it wrote, or that it has ended.
    fn said(&mut self) -> Option<(Reply, Vec<u8>)> {
        for (output, error) in &mut self.outputs {
            let Some(file) = output else { continue };
            if !poll(&[(file, libc::POLLIN)], Duration::ZERO) {
                continue;
            }
            let mut bytes = vec![0; CHUNK];
            match file.read(&mut bytes) {
                Ok(0) | Err(_) => *output = None,
                Ok(count) => {
                    bytes.truncate(count);
                    return Some((Reply::Output { error: *error }, bytes));
                }
            }
        }
        // What it has left running may hold its streams open.
        let status = self.running.status()?;
        let ended = *self.ended.get_or_insert_with(Instant::now);
        let code = process::exit_code(status);
        (ended.elapsed() >= AFTERMATH).then(|| (Reply::Exited { code }, Vec::new()))
    }
}
