//! Objects through machines: one machine after the other where objects are
//! the end of them.

use super::machine::Machine;
use super::{Error, Initramfs, Settings};
use crate::base::Cancel;
use crate::wire::{Entry, Hello, Load, Opened, Program, Reply, Request};
use std::time::{Duration, SystemTime};

/// What became of one program.
#[derive(Debug)]
pub enum Loaded {
    /// The guest reported.
    Reported {
        /// The report.
        program: Box<Program>,
        /// The verifier's log, as the kernel wrote it.
        log: Vec<u8>,
    },
    /// The machine was lost while it loaded the program: no verdict.
    Lost {
        /// The program's place in the object's list.
        index: u32,
        /// The program.
        entry: Entry,
        /// What happened to the machine.
        error: Error,
    },
}

/// How objects are to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The verifier's log level, 1 or 2, for accepted programs too; 0 for
    /// their statistics only.
    pub level: u32,
    /// Load rejected programs again at level 2.
    pub explain: bool,
    /// Longer logs lose their middle, in bytes.
    pub log_limit: u64,
}

/// One kernel, and a machine that runs it when one is needed.
pub struct Runner<'r> {
    settings: &'r Settings,
    kernel: &'r [u8],
    initramfs: &'r Initramfs,
    cancel: &'r Cancel,
    machine: Option<Machine>,
}

impl<'r> Runner<'r> {
    /// A runner without a machine yet. `kernel` is an image that QEMU's
    /// `-kernel` takes.
    pub fn new(
        settings: &'r Settings,
        kernel: &'r [u8],
        initramfs: &'r Initramfs,
        cancel: &'r Cancel,
    ) -> Self {
        Self { settings, kernel, initramfs, cancel, machine: None }
    }

    /// Boots a machine unless one is up; what it says of itself.
    pub fn start(&mut self) -> Result<&Hello, Error> {
        self.machine().map(|machine| &machine.hello)
    }

    fn machine(&mut self) -> Result<&mut Machine, Error> {
        let machine = match self.machine.take() {
            Some(machine) => machine,
            None => Machine::boot(self.settings, self.kernel, self.initramfs, self.cancel)?,
        };
        Ok(self.machine.insert(machine))
    }

    /// Loads the programs of an object that `wanted` chooses, each on its
    /// own, and hands every result to `each` as it comes.
    ///
    /// # Errors
    /// [`Error::Lost`] if the machine was lost before it could list the
    /// object's programs; a machine lost to one program is that program's
    /// result, and the rest is loaded in a new one.
    pub fn load(
        &mut self,
        name: &str,
        object: &[u8],
        options: Options,
        wanted: &dyn Fn(&Entry) -> bool,
        each: &mut dyn FnMut(Loaded),
    ) -> Result<Opened, Error> {
        // First the list alone, so that nothing unwanted is loaded.
        let mut opened = None;
        self.converse(name, object, options, Some(Vec::new()), &mut |reply| {
            if let Reply::Opened(list) = reply.0 {
                opened = Some(list);
            }
        })?;
        let opened = opened.ok_or_else(|| Error::Guest("it did not open the object".into()))?;
        let mut left: Vec<u32> = (0..)
            .zip(&opened.programs)
            .filter(|(_, entry)| wanted(entry))
            .map(|(index, _)| index)
            .collect();
        while !left.is_empty() {
            let mut current = None;
            let only = Some(left.clone());
            let result =
                self.converse(name, object, options, only, &mut |(reply, log)| match reply {
                    Reply::Loading { index } => current = Some(index),
                    Reply::Program(program) => {
                        left.retain(|&index| index != program.index);
                        current = None;
                        each(Loaded::Reported { program, log });
                    }
                    _ => {}
                });
            match (result, current) {
                (Ok(()), _) => break,
                (Err(error @ Error::Lost { .. }), Some(culprit)) => {
                    left.retain(|&index| index != culprit);
                    if let Some(entry) = opened.programs.get(culprit as usize) {
                        each(Loaded::Lost { index: culprit, entry: entry.clone(), error });
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(opened)
    }

    /// One request and its replies. After an error there is no machine.
    fn converse(
        &mut self,
        name: &str,
        object: &[u8],
        options: Options,
        only: Option<Vec<u32>>,
        each: &mut dyn FnMut((Reply, Vec<u8>)),
    ) -> Result<(), Error> {
        let (limit, cancel) = (self.settings.program_limit, self.cancel);
        let machine = self.machine()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let request = Request::Load(Load {
            name: name.to_owned(),
            level: options.level,
            explain: options.explain,
            log_limit: options.log_limit,
            limit_ms: limit.as_millis() as u64,
            only,
            now_ns: now.as_nanos() as u64,
        });
        // The guest keeps the time of each program; beyond it, and what it
        // takes to hand over a log, the guest itself is in trouble.
        let patience = limit * 2 + Duration::from_secs(20);
        let mut talk = || -> Result<(), Error> {
            machine.send(&request, object, patience, cancel)?;
            loop {
                match machine.receive(patience, cancel)? {
                    (Reply::Done, _) => return Ok(()),
                    (Reply::Failed { reason }, _) => return Err(Error::Guest(reason)),
                    reply => each(reply),
                }
            }
        };
        let result = talk();
        if result.is_err() {
            self.machine = None;
        }
        result
    }
}
