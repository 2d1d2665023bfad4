//! A look around in a machine: one command in a guest, or a shell.

use super::Error;
use super::loader::Peer as _;
use super::machine::{Follower, Machine};
use super::runner::{Blueprint, Module, load_modules};
use crate::base::Cancel;
use crate::wire::{Reply, Request, Run, Terminal};
use std::io::Write as _;
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

/// How long the guest may take for anything but the command itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// The command may take as long as it likes.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A file that the user brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its place below the directory of brought files.
    pub path: String,
    /// Whether it may be run.
    pub executable: bool,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Where what a command writes goes.
pub type Output<'o> = &'o (dyn Fn(Stream, &[u8]) + Sync);

/// Which of its streams a command wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// Somebody at a terminal.
pub struct Visitor {
    /// What the terminal is like.
    pub terminal: Terminal,
    /// What they type.
    pub keys: Receiver<Vec<u8>>,
    /// What is shown on the console.
    pub show: Follower,
}

/// What is to be done in the guest.
pub struct Visit {
    /// The command's words; none for a shell.
    pub words: Vec<String>,
    /// Modules that the kernel is to have.
    pub modules: Vec<Module>,
    /// Files that it finds.
    pub brought: Vec<Brought>,
    /// Its standard input, if nobody is at a terminal.
    pub input: Vec<u8>,
}

/// Runs a command in a machine; its exit code. `visitor` is asked who is at
/// the terminal when the machine is up.
///
/// # Errors
/// Besides what keeps a machine from coming up, [`Error::Guest`] if the guest
/// refuses a module or a file.
pub fn visit(
    blueprint: &Blueprint<'_>,
    visit: Visit,
    visitor: &mut dyn FnMut() -> Option<Visitor>,
    output: Output<'_>,
    cancel: &Cancel,
) -> Result<i32, Error> {
    let mut machine = blueprint.machine(cancel)?;
    refresh(&mut machine, cancel)?;
    if !visit.modules.is_empty() {
        load_modules(&mut machine, &visit.modules, cancel)?.map_err(Error::Guest)?;
    }
    bring(&mut machine, &visit.brought, cancel)?;
    let visitor = visitor();
    let terminal = visitor.as_ref().map(|visitor| visitor.terminal.clone());
    if let Some(visitor) = visitor {
        take_in(&machine, visitor)?;
    }
    let request = Request::Run(Run { words: visit.words, terminal });
    machine.send(&request, &visit.input, PATIENCE, cancel)?;
    loop {
        match machine.receive(FOREVER, cancel)? {
            (Reply::Output { error: false }, bytes) => output(Stream::Out, &bytes),
            (Reply::Output { error: true }, bytes) => output(Stream::Error, &bytes),
            (Reply::Exited { code }, _) => {
                machine.settle();
                return Ok(code);
            }
            (Reply::Failed(reason), _) => return Err(Error::Guest(reason)),
            _ => {}
        }
    }
}

/// Lays files into the guest.
pub(super) fn bring(
    machine: &mut Machine,
    files: &[Brought],
    cancel: &Cancel,
) -> Result<(), Error> {
    for file in files {
        let request = Request::Bring { path: file.path.clone(), executable: file.executable };
        machine.send(&request, &file.bytes, PATIENCE, cancel)?;
        if let (Reply::Failed(reason), _) = machine.receive(PATIENCE, cancel)? {
            return Err(Error::Guest(reason));
        }
    }
    Ok(())
}

/// Gives a machine what a restored one lacks: the time, and random numbers of
/// its own.
pub(super) fn refresh(machine: &mut Machine, cancel: &Cancel) -> Result<(), Error> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut seed = [0; 32];
    // SAFETY: the buffer has this size. If there is no randomness to be had,
    // the guest does without.
    unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    let request = Request::Refresh { now_ns: now.as_nanos() as u64, seed };
    machine.send(&request, &[], PATIENCE, cancel)?;
    machine.receive(PATIENCE, cancel).map(drop)
}

/// Connects a terminal with the console.
fn take_in(machine: &Machine, visitor: Visitor) -> Result<(), Error> {
    machine.follow_console(visitor.show);
    let mut keyboard = machine.keyboard()?;
    // It ends when there are no more keys, or nobody to take them.
    std::thread::spawn(move || {
        for keys in visitor.keys {
            if keyboard.write_all(&keys).is_err() {
                break;
            }
        }
    });
    Ok(())
}
