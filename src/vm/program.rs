//! A user's program in a machine, and its streams.

use super::Error;
use super::loader::Peer as _;
use super::machine::Machine;
use super::runner::{Blueprint, Module, load_modules};
use super::visit::{Brought, bring, refresh};
use crate::base::Cancel;
use crate::wire::{Reply, Request, Start};
use std::time::{Duration, Instant};

/// How long the guest may be silent: it says several times a second that it
/// is there, but a machine that has much to do may not let it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of its input may be under way, in bytes: what the program does not
/// read fills nobody's memory.
const WINDOW: u64 = 1 << 20;

/// A program that is to run.
#[derive(Clone, Debug)]
pub struct Launch {
    /// How.
    pub start: Start,
    /// Modules that the kernel is to have.
    pub modules: Vec<Module>,
    /// The program, what it runs on, and files that it finds.
    pub brought: Vec<Brought>,
}

/// A machine with a program at work.
#[derive(Debug)]
pub struct Program {
    machine: Machine,
    /// What was sent and not taken yet, in bytes.
    under_way: u64,
    heard: Instant,
}

impl Program {
    /// Has a program started.
    ///
    /// # Errors
    /// What keeps a machine from coming up; [`Error::Guest`] if the program
    /// cannot be started.
    pub fn begin(
        blueprint: &Blueprint<'_>,
        launch: &Launch,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let mut machine = blueprint.machine(cancel)?;
        refresh(&mut machine, cancel)?;
        if !launch.modules.is_empty()
            && let Err(reason) = load_modules(&mut machine, &launch.modules, cancel)?
        {
            // What needs the module will say so.
            blueprint.detail(reason);
        }
        bring(&mut machine, &launch.brought, cancel)?;
        machine.send(&Request::Start(launch.start.clone()), &[], PATIENCE, cancel)?;
        match machine.receive(PATIENCE, cancel)?.0 {
            Reply::Done => Ok(Self { machine, under_way: 0, heard: Instant::now() }),
            Reply::Failed(reason) => Err(Error::Guest(reason)),
            other => Err(Error::Guest(format!("it answers something else: {other:?}"))),
        }
    }

    /// The next thing that happens, if anything does soon; [`Reply::Exited`]
    /// is the last.
    pub fn next(&mut self, cancel: &Cancel) -> Result<Option<(Reply, Vec<u8>)>, Error> {
        if !self.machine.listen()? && self.heard.elapsed() < PATIENCE / 10 {
            return Ok(None);
        }
        let (reply, blob) = self.machine.receive(PATIENCE, cancel)?;
        self.heard = Instant::now();
        if let Reply::Took { bytes } = reply {
            self.under_way = self.under_way.saturating_sub(bytes);
        }
        Ok(Some((reply, blob)))
    }

    /// Whether it may be given more input.
    pub fn wants_input(&self) -> bool {
        self.under_way < WINDOW
    }

    /// Gives it input; the end of it, if there are no bytes.
    pub fn feed(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), Error> {
        self.under_way += bytes.len() as u64;
        self.machine.send(&Request::Input, bytes, PATIENCE, cancel)
    }

    /// Sends it a signal.
    pub fn signal(&mut self, number: i32, cancel: &Cancel) -> Result<(), Error> {
        self.machine.send(&Request::Signal(number), &[], PATIENCE, cancel)
    }
}
