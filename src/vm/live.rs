//! Programs at work, in a machine or on the kernel that skep itself runs on: an
//! object is attached there, and what comes out is heard reply by reply.

use super::Error;
use super::beside::Accompanied;
use super::loader::Peer;
use super::own::Own;
use super::runner::{Blueprint, Module, load_modules};
use super::visit::{Brought, bring, refresh};
use crate::base::Cancel;
use crate::base::process::Command;
use crate::wire::{Attach, Attached, Refusal, Reply, Request, Resolve};
use std::sync::Arc;
use std::time::Duration;

/// How long the guest may be silent: it says several times a second that it
/// is there, but a machine that has much to do may not let it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be attached.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How.
    pub attach: Attach,
    /// The object.
    pub object: Vec<u8>,
    /// Modules that the kernel is to have.
    pub modules: Vec<Module>,
    /// Files that the workload finds.
    pub brought: Arc<[Brought]>,
}

/// Programs at work.
#[derive(Debug)]
pub struct Live {
    peer: Box<dyn Peer>,
    /// The kernel's release.
    pub release: String,
    /// What is attached and what is not.
    pub programs: Vec<Attached>,
    /// The maps that records come from.
    pub streams: Vec<String>,
    /// What was changed so that the object could be loaded.
    pub fixups: Vec<String>,
}

impl Live {
    /// Has an object attached in a machine; or says why the kernel refuses it as a whole.
    ///
    /// # Errors
    /// What keeps a machine from coming up, and the end of one.
    pub fn begin(
        blueprint: &Blueprint<'_>,
        plan: &Plan,
        cancel: &Cancel,
    ) -> Result<Result<Self, Refusal>, Error> {
        let mut machine = blueprint.machine(cancel)?;
        refresh(&mut machine, cancel)?;
        if !plan.modules.is_empty()
            && let Err(reason) = load_modules(&mut machine, &plan.modules, cancel)?
        {
            // What needs the module will say so.
            blueprint.detail(reason);
        }
        bring(&mut machine, &plan.brought, cancel)?;
        let release = machine.hello.release.clone();
        Self::attach(Box::new(machine), release, plan, cancel)
    }

    /// The same on the machine's own kernel, where there is no need for modules
    /// and files to be brought. A workload is a command of the user's then, and
    /// no line of a plan.
    ///
    /// # Errors
    /// What keeps a process from coming up that may do so; and its end.
    pub fn begin_here(
        mut own: Own<'_>,
        workload: Option<&Command>,
        plan: &Plan,
        cancel: &Cancel,
    ) -> Result<Result<Self, Refusal>, Error> {
        let release = own.start()?.release;
        let peer = Accompanied::new(own.into_process()?, workload.cloned());
        Self::attach(Box::new(peer), release, plan, cancel)
    }

    fn attach(
        mut peer: Box<dyn Peer>,
        release: String,
        plan: &Plan,
        cancel: &Cancel,
    ) -> Result<Result<Self, Refusal>, Error> {
        peer.send(&Request::Attach(plan.attach.clone()), &plan.object, PATIENCE, cancel)?;
        match peer.receive(PATIENCE, cancel)?.0 {
            Reply::Attached { programs, streams, fixups } => {
                Ok(Ok(Self { peer, release, programs, streams, fixups }))
            }
            Reply::Refused(refusal) => Ok(Err(refusal)),
            other => Err(Error::Guest(format!("it answers something else: {other:?}"))),
        }
    }

    /// The next thing that happens; [`Reply::Done`] is the last.
    pub fn next(&mut self, cancel: &Cancel) -> Result<(Reply, Vec<u8>), Error> {
        self.peer.receive(PATIENCE, cancel)
    }

    /// Asks for the end: what still comes are the last records and what maps
    /// hold.
    pub fn stop(&mut self, cancel: &Cancel) -> Result<(), Error> {
        self.peer.send(&Request::Stop, &[], PATIENCE, cancel)
    }

    /// Asks for what is at some addresses and in some stacks; the answer, a
    /// [`Reply::Located`], comes among the other things that happen.
    pub fn ask(&mut self, asked: &Resolve, cancel: &Cancel) -> Result<(), Error> {
        self.peer.send(&Request::Resolve(asked.clone()), &[], PATIENCE, cancel)
    }

    /// Says that nothing more is asked, which [`Reply::Told`] waits for.
    pub fn leave(&mut self, cancel: &Cancel) -> Result<(), Error> {
        self.peer.send(&Request::Leave, &[], PATIENCE, cancel)
    }
}
