//! Virtual machines for whoever verifies, asks or looks around: what runs
//! them, and a second try where that turns out not to.
//!
//! That KVM runs a few instructions does not mean that it runs a kernel. A
//! machine that does not come up under KVM is tried again with emulation, and
//! later runs do not try KVM any more.

use super::Session;
use crate::diagnostics::Failure;
use crate::kernels::Kernel;
use crate::vm::{Accelerator, Blueprint, Initramfs, Qemu, Settings};
use std::path::PathBuf;
use std::time::Duration;

/// What all machines of one operation have in common.
pub(super) struct Machines<'s> {
    session: &'s Session,
    qemu: Qemu,
    initramfs: Initramfs,
    /// Where it is remembered what runs them.
    memory: PathBuf,
    snapshots: PathBuf,
}

/// How machines of one operation are to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// How long one program may take to load.
    pub program_limit: Duration,
    /// Words for the kernel's command line.
    pub append: Vec<String>,
    /// Boot instead of restoring a snapshot.
    pub cold: bool,
}

impl<'s> Machines<'s> {
    /// # Errors
    /// There is no QEMU.
    pub fn new(session: &'s Session) -> Result<Self, Failure> {
        Ok(Self {
            session,
            qemu: Qemu::find(&session.programs)?,
            initramfs: Initramfs::of_skep(&session.executable),
            memory: session.cache.join("accelerator"),
            snapshots: session.cache.join("snapshots"),
        })
    }

    /// Does something with machines, and once more with emulation if `failed`
    /// says of what came of it that a machine did not come up.
    pub fn with<T>(
        &self,
        wish: &Wish,
        mut work: impl FnMut(&Settings) -> T,
        failed: impl Fn(&T) -> bool,
    ) -> T {
        let note = |text| self.session.note(text);
        let cancel = &self.session.cancel;
        let mut accelerator = Accelerator::choose(&self.qemu, &self.memory, cancel, &note);
        loop {
            let settings = Settings {
                qemu: self.qemu.clone(),
                accelerator,
                boot_limit: accelerator.boot_limit(),
                program_limit: wish.program_limit,
                append: wish.append.clone(),
            };
            let result = work(&settings);
            if accelerator == Accelerator::Tcg || !failed(&result) {
                return result;
            }
            accelerator = Accelerator::give_up_kvm(&self.qemu, &self.memory, &note);
        }
    }

    /// What a kernel's machines are made of.
    pub fn blueprint<'b>(
        &'b self,
        wish: &Wish,
        settings: &'b Settings,
        kernel: &'b Kernel,
    ) -> Blueprint<'b> {
        Blueprint {
            settings,
            initramfs: &self.initramfs,
            name: format!("{} ({})", kernel.reference, kernel.stored.release),
            key: kernel.key().to_owned(),
            image: Box::new(move || Ok(kernel.bootable()?)),
            snapshots: (!wish.cold).then_some(self.snapshots.as_path()),
            sink: &*self.session.sink,
        }
    }
}
