//! Objects through whoever loads them: a machine, or the kernel that skep
//! itself runs on.

use super::Error;
use crate::base::Cancel;
use crate::wire::{
    Entry, Kprobe, Load, Opened, Patch, Placed, Probe, Probed, Program, Reply, Request, Test, Trial,
};
use std::fmt;
use std::time::Duration;

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
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'o> {
    /// The verifier's log level, 1 or 2, for accepted programs too; 0 for
    /// their statistics only.
    pub level: u32,
    /// Load rejected programs again at level 2.
    pub explain: bool,
    /// Longer logs lose their middle, in bytes.
    pub log_limit: u64,
    /// Global data that is changed before the load.
    pub globals: &'o [Patch],
    /// Programs that are loaded as if they stood in another section.
    pub placed: &'o [Placed],
    /// Programs that it is tried of whether they could be attached.
    pub kprobes: &'o [Kprobe],
    /// Programs that are loaded otherwise than all others.
    pub trials: &'o [Trial],
}

/// Who gets replies as they come, and may have an answer to one.
pub type Each<'e> = dyn FnMut((Reply, Vec<u8>)) -> Option<Request> + 'e;

/// The other side of a conversation.
pub(super) trait Peer: fmt::Debug {
    /// Sends a request, and gives up after `limit`.
    fn send(
        &mut self,
        request: &Request,
        blob: &[u8],
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(), Error>;

    /// Waits for the next reply, no longer than `limit`.
    fn receive(&mut self, limit: Duration, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Error>;
}

/// One request and its replies, up to the last. One program may take
/// `program_limit`.
pub(super) fn converse(
    peer: &mut impl Peer,
    program_limit: Duration,
    cancel: &Cancel,
    (request, blob): (&Request, &[u8]),
    each: &mut Each<'_>,
) -> Result<(), Error> {
    // The other side keeps the time of each program; beyond it, and what it
    // takes to hand over a log, it is in trouble itself.
    let patience = program_limit * 2 + Duration::from_secs(20);
    peer.send(request, blob, patience, cancel)?;
    loop {
        match peer.receive(patience, cancel)? {
            (Reply::Done, _) => return Ok(()),
            reply => {
                if let Some(answer) = each(reply) {
                    peer.send(&answer, &[], patience, cancel)?;
                }
            }
        }
    }
}

/// Who loads objects, and begins anew where one was the end of it.
pub trait Loader {
    /// How long one program may take.
    fn program_limit(&self) -> Duration;

    /// One request and its replies. After an error the next request meets a
    /// fresh kernel or process.
    ///
    /// # Errors
    /// What kept it from an answer.
    fn talk(&mut self, request: &Request, blob: &[u8], each: &mut Each<'_>) -> Result<(), Error>;

    /// Loads the programs of an object that `wanted` chooses, each on its
    /// own, and hands every result to `each` as it comes.
    ///
    /// # Errors
    /// A loss ([`Error::is_loss`]) before the object's programs could be
    /// listed; a machine lost to one program is that program's result, and the
    /// rest is loaded in a new one.
    fn load(
        &mut self,
        name: &str,
        object: &[u8],
        options: Options<'_>,
        wanted: &dyn Fn(&Entry) -> bool,
        each: &mut dyn FnMut(Loaded),
    ) -> Result<Opened, Error> {
        let request = Request::Load(Load {
            name: name.to_owned(),
            level: options.level,
            explain: options.explain,
            log_limit: options.log_limit,
            limit_ms: self.program_limit().as_millis() as u64,
            globals: options.globals.to_vec(),
            placed: options.placed.to_vec(),
            kprobes: options.kprobes.to_vec(),
            trials: options.trials.to_vec(),
        });
        let mut opened: Option<Opened> = None;
        let mut left: Vec<u32> = Vec::new();
        loop {
            let mut current = None;
            let result = self.talk(&request, object, &mut |(reply, log)| {
                match reply {
                    Reply::Opened(list) => {
                        let is_open = list.error.is_none();
                        if opened.is_none() {
                            let programs = (0..).zip(&list.programs);
                            left = programs
                                .filter(|(_, entry)| wanted(entry))
                                .map(|(index, _)| index)
                                .collect();
                            opened = Some(list);
                        }
                        return is_open.then(|| Request::Choose(left.clone()));
                    }
                    Reply::Loading { index } => current = Some(index),
                    Reply::Program(program) => {
                        left.retain(|&index| index != program.index);
                        current = None;
                        each(Loaded::Reported { program, log });
                    }
                    _ => {}
                }
                None
            });
            match (result, current, &opened) {
                (Ok(()), ..) => break,
                (Err(error), Some(culprit), Some(opened)) if error.is_loss() => {
                    left.retain(|&index| index != culprit);
                    if let Some(entry) = opened.programs.get(culprit as usize) {
                        each(Loaded::Lost { index: culprit, entry: entry.clone(), error });
                    }
                    if left.is_empty() {
                        break;
                    }
                }
                (Err(error), ..) => return Err(error),
            }
        }
        opened.ok_or_else(|| Error::Guest("it did not open the object".into()))
    }

    /// Has an object loaded as a whole and its programs run with given input;
    /// every reply is handed to `each` as it comes.
    ///
    /// # Errors
    /// A loss, if it comes to one on the way: the case that was not answered
    /// any more is to blame.
    fn test(
        &mut self,
        test: Test,
        object: &[u8],
        each: &mut dyn FnMut(Reply, Vec<u8>),
    ) -> Result<(), Error> {
        self.talk(&Request::Test(test), object, &mut |(reply, blob)| {
            each(reply, blob);
            None
        })
    }

    /// Asks the kernel about programs given as bare instructions; the answers
    /// come in their order.
    fn probe(&mut self, probes: Vec<Probe>) -> Result<Vec<Probed>, Error> {
        let mut answers = None;
        self.talk(&Request::Probe(probes), &[], &mut |(reply, _)| {
            if let Reply::Probed(probed) = reply {
                answers = Some(probed);
            }
            None
        })?;
        answers.ok_or_else(|| Error::Guest("it did not answer".into()))
    }
}
