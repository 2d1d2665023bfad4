//! Kernels side by side, each in a machine of its own; or the one that skep
//! runs on.

use super::job::{Job, Place};
use super::select::Selection;
use super::{Found, Object, Request, Results, Task};
use crate::base::jobs::side_by_side;
use crate::diagnostics::{Failure, codes};
use crate::ops::Session;
use crate::ops::machines::{Machines, Wish};
use crate::vm::{self, Settings};
use crate::wire::Placed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// What the kernel that skep runs on is called. `host` is its image, in a
/// machine.
pub const OWN: &str = "own";

/// What every kernel's job is about.
#[derive(Clone, Copy)]
pub(super) struct Work<'w> {
    pub session: &'w Session,
    pub request: &'w Request,
    pub objects: &'w [Object],
    pub selection: &'w Selection,
    pub placed: &'w [Placed],
}

impl Work<'_> {
    /// Does the tasks in virtual machines; results in their order.
    pub fn on_machines(self, tasks: &[Task]) -> Result<Vec<Results>, Failure> {
        let session = self.session;
        let machines = Machines::new(session)?;
        let wish =
            Wish { program_limit: self.request.limit, cold: self.request.cold, ..Wish::default() };
        let verify = |settings: &Settings| {
            let not_booted = AtomicBool::new(false);
            let begun = SystemTime::now();
            let run = |task: &Task| {
                let mut part = Results::default();
                let job = Job { work: self, begun };
                let place = Place { machines: &machines, wish: &wish, settings };
                if let Err(failure) = job.in_machine(task, &place, &mut part) {
                    let diagnostic = failure.into_diagnostic();
                    if diagnostic.code == codes::VM_DID_NOT_BOOT {
                        not_booted.store(true, Ordering::Relaxed);
                    }
                    let diagnostic = diagnostic.kernel(task.reference.to_string());
                    part.findings.push(Found { diagnostic, set: String::new() });
                }
                part
            };
            let parts = side_by_side(tasks, session.jobs.get(), &run);
            (parts, not_booted.into_inner())
        };
        let (parts, _) = machines.with(&wish, verify, |(_, not_booted)| *not_booted);
        if session.cancel.is_cancelled() {
            return Err(vm::Error::Cancelled.into());
        }
        Ok(parts)
    }
}

impl Work<'_> {
    /// Does it all on the kernel that skep runs on.
    pub fn on_own_kernel(self) -> Result<Results, Failure> {
        let mut part = Results::default();
        let job = Job { work: self, begun: SystemTime::now() };
        match job.on_own_kernel(&mut part) {
            // What was learned before counts.
            Err(failure) if !part.verdicts.is_empty() && !self.session.cancel.is_cancelled() => {
                let diagnostic = failure.into_diagnostic().kernel(OWN);
                part.findings.push(Found { diagnostic, set: String::new() });
            }
            result => result?,
        }
        Ok(part)
    }
}
