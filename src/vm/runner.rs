//! Objects through machines: one machine after the other where objects are
//! the end of them.

use super::loader::{Each, Loader, Peer as _, converse};
use super::machine::{Machine, Start};
use super::qemu::MEMORY_MIB;
use super::snapshot::Place;
use super::visit::{Brought, bring};
use super::{Error, Initramfs, Settings};
use crate::base::Cancel;
use crate::base::digest::Digest;
use crate::diagnostics::Failure;
use crate::events::{Ending, Event, Sink, Step};
use crate::wire::{Hello, Reply, Request};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What machines of one kernel are made of.
pub struct Blueprint<'b> {
    /// How they are made.
    pub settings: &'b Settings,
    /// The guest's root.
    pub initramfs: &'b Initramfs,
    /// The kernel's name and release, for people.
    pub name: String,
    /// What stands for the kernel's bytes.
    pub key: String,
    /// Gets an image that QEMU's `-kernel` takes. Called only for a boot.
    pub image: Box<dyn Fn() -> Result<Vec<u8>, Failure> + 'b>,
    /// Where snapshots are; none to boot every time.
    pub snapshots: Option<&'b Path>,
    /// Who listens.
    pub sink: &'b dyn Sink,
}

/// One kernel, and a machine that runs it when one is needed.
pub struct Runner<'r> {
    blueprint: &'r Blueprint<'r>,
    cancel: &'r Cancel,
    machine: Option<Machine>,
    /// What the kernel is to have, in the order it is to be loaded.
    modules: Vec<Module>,
    /// How many of them the machine has.
    provided: usize,
    /// The files that it is to have.
    brought: Arc<[Brought]>,
    /// It has them.
    is_laid: bool,
}

/// A module of the kernel: its name and its ELF file.
pub type Module = (String, Vec<u8>);

impl Blueprint<'_> {
    /// Boots a machine; its memory goes into a file if it is to be saved.
    fn boot(&self, memory: Option<&File>, cancel: &Cancel) -> Result<Machine, Error> {
        let step = Step::start(self.sink, "Booting", &self.name);
        let kernel = (self.image)().map_err(Error::Kernel)?;
        let initramfs = self.initramfs.archive()?;
        let start = Start::Boot { kernel: &kernel, initramfs: &initramfs, memory };
        let machine = Machine::start(self.settings, &start, cancel)?;
        step.finish(Ending::Done);
        Ok(machine)
    }

    /// A machine that goes on where an earlier one came up, or that boots.
    pub(super) fn machine(&self, cancel: &Cancel) -> Result<Machine, Error> {
        let Some(root) = self.snapshots else { return self.boot(None, cancel) };
        let digests = [self.settings.digest(), self.initramfs.identity()?];
        let parts = digests.map(|digest| digest.to_string());
        let key = Digest::of_parts(parts.iter().map(|part| part.as_bytes()));
        let place = Place::new(root, &self.key, key, &self.made_with());
        for _ in 0..2 {
            if let Some(snapshot) = place.open() {
                match Machine::start(self.settings, &Start::Restore(&snapshot), cancel) {
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => self.detail(format!("the snapshot is of no use: {error}")),
                    machine => return machine,
                }
            }
            match self.snapshot(&place, cancel) {
                Ok(()) => {}
                // What concerns the cache or QEMU's monitor concerns only
                // snapshots; a machine that does not come up is an answer.
                Err(error @ (Error::File(_) | Error::Snapshot(_) | Error::System(_))) => {
                    self.detail(format!("no snapshot is taken: {error}"));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.boot(None, cancel)
    }

    /// The programs that a snapshot is made with.
    fn made_with(&self) -> [&Path; 2] {
        [self.initramfs.executable(), self.settings.qemu.path()]
    }

    /// Boots a machine only to save it.
    fn snapshot(&self, place: &Place, cancel: &Cancel) -> Result<(), Error> {
        let name = &self.name;
        let on_wait = || self.detail(format!("another process boots {name}; waiting for it"));
        let Some(draft) = place.draft(MEMORY_MIB << 20, on_wait)? else { return Ok(()) };
        let serial = self.boot(Some(&draft.ram), cancel)?.save(&draft.state)?;
        place.publish(&draft, serial)
    }

    pub(super) fn detail(&self, text: String) {
        self.sink.emit(Event::Detail(text));
    }
}

impl<'r> Runner<'r> {
    /// A runner without a machine yet.
    pub fn new(blueprint: &'r Blueprint<'r>, cancel: &'r Cancel) -> Self {
        Self {
            blueprint,
            cancel,
            machine: None,
            modules: Vec::new(),
            provided: 0,
            brought: Arc::default(),
            is_laid: true,
        }
    }

    /// Has these files in the machine from now on, and no others: nobody is to
    /// find what was laid there for somebody else.
    pub fn bring(&mut self, files: &Arc<[Brought]>) {
        if self.brought == *files {
            return;
        }
        if !self.brought.is_empty() {
            self.machine = None;
        }
        self.brought = Arc::clone(files);
        self.is_laid = false;
    }

    /// Has the kernel load modules before the next object, in this machine
    /// and in every later one.
    pub fn provide(&mut self, modules: impl IntoIterator<Item = Module>) {
        for module in modules {
            if self.modules.iter().all(|known| known.0 != module.0) {
                self.modules.push(module);
            }
        }
    }

    /// Has a machine up, if there is none yet; what it says of itself.
    pub fn start(&mut self) -> Result<&Hello, Error> {
        self.machine().map(|machine| &machine.hello)
    }

    fn machine(&mut self) -> Result<&mut Machine, Error> {
        let machine = match self.machine.take() {
            Some(machine) => machine,
            None => {
                self.provided = 0;
                self.is_laid = false;
                self.blueprint.machine(self.cancel)?
            }
        };
        let machine = self.machine.insert(machine);
        if self.provided < self.modules.len() {
            let new = &self.modules[self.provided..];
            self.provided = self.modules.len();
            let names: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).collect();
            self.blueprint.detail(format!("loading modules: {}", names.join(", ")));
            // The verdict is then the kernel's without.
            if let Err(error) = load_modules(machine, new, self.cancel)? {
                self.blueprint.detail(error);
            }
        }
        if !self.is_laid {
            bring(machine, &self.brought, self.cancel)?;
            self.is_laid = true;
        }
        Ok(machine)
    }
}

impl Loader for Runner<'_> {
    fn program_limit(&self) -> Duration {
        self.blueprint.settings.program_limit
    }

    /// After an error there is no machine.
    fn talk(&mut self, request: &Request, blob: &[u8], each: &mut Each<'_>) -> Result<(), Error> {
        let (limit, cancel) = (self.blueprint.settings.program_limit, self.cancel);
        let result = converse(self.machine()?, limit, cancel, (request, blob), each);
        if result.is_err() {
            self.machine = None;
        }
        result
    }
}

/// Loads modules; what the kernel says against one is no error of ours.
pub(super) fn load_modules(
    machine: &mut Machine,
    modules: &[Module],
    cancel: &Cancel,
) -> Result<Result<(), String>, Error> {
    /// Larger ones start threads and look for devices that are not there.
    const PATIENCE: Duration = Duration::from_secs(60);
    let list = modules.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
    let bytes: Vec<u8> = modules.iter().flat_map(|(_, bytes)| bytes).copied().collect();
    machine.send(&Request::Modules(list), &bytes, PATIENCE, cancel)?;
    match machine.receive(PATIENCE, cancel)? {
        (Reply::Failed(reason), _) => Ok(Err(reason)),
        _ => Ok(Ok(())),
    }
}
