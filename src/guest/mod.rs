//! The other side: skep as `/init` of the virtual machine it verifies in.
//!
//! The guest mounts what libbpf needs, waits for objects, loads each program
//! of each object on its own in a child process with a time limit, and
//! reports what happened; or it has an object's programs attached and passes
//! on what comes out; or it runs a command for somebody who wants to look
//! around, or the user's own program with its streams. It draws no
//! conclusions: whatever can be computed on the host is computed there. It knows [`wire`] and nothing else of the
//! host; it is the trust boundary, so an object from anywhere may be loaded.
//!
//! What loads programs, and has them at work, also serves where there is no
//! guest: see [`mod@own`].
#![expect(clippy::print_stderr, reason = "the guest's standard error is its console")]

mod actor;
mod calls;
mod channel;
mod child;
mod deeds;
mod extension;
mod init;
mod kernel_btf;
mod live;
mod load;
mod modules;
mod network;
mod own;
mod probe;
mod program;
mod run;
mod shell;
mod target;
mod test;
mod unprivileged;
mod warm;

use crate::base::fs;
use crate::wire::{self, Reply, Request, frame};
use channel::Channel;
use child::Workers;
use std::io;
use std::os::fd::RawFd;
use std::path::Path;

pub use kernel_btf::{Btf, Free, frees_with};

/// Whose machine this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Owner {
    /// Ours: a guest with nothing else in it.
    #[default]
    Skep,
    /// The user's, who goes on working with it: nothing is changed there but
    /// what they ask for, and that is undone.
    User,
}

/// Whether this process is `/init` of a guest that skep made.
pub fn is_guest() -> bool {
    std::process::id() == 1 && fs::exists(Path::new(wire::MARK))
}

/// Serves requests until the machine is switched off.
pub fn run() -> ! {
    if let Err(error) = serve() {
        eprintln!("skep: the guest gives up: {error}");
    }
    init::power_off()
}

/// Loads programs into the kernel of the machine itself, and attaches them
/// there, as the process behind these descriptors asks for; whether it went well
/// to the end.
pub fn run_on_own_kernel(requests: RawFd, replies: RawFd) -> bool {
    let result = own::serve(requests, replies);
    result.inspect_err(|error| eprintln!("skep: cannot load: {error}")).is_ok()
}

fn serve() -> io::Result<()> {
    init::prepare()?;
    warm::up();
    kernel_btf::prepare();
    let mut workers = Workers::new(load::work, load::LOG);
    workers.rehearse(warm::up)?;
    let is_to_be_saved = init::is_to_be_saved();
    if is_to_be_saved {
        init::clear_free_memory();
    }
    let mut channel = Channel::open()?;
    loop {
        let (request, blob) = frame::read::<Request>(&mut channel)?;
        match request {
            Request::Wake => {
                frame::write(&mut channel, &Reply::Hello(load::hello()), &[])?;
                if is_to_be_saved {
                    channel.stay_awake();
                }
            }
            Request::Refresh { now_ns, seed } => {
                init::set_clock(now_ns);
                init::stir_random(&seed);
                frame::write(&mut channel, &Reply::Done, &[])?;
            }
            Request::Load(request) => {
                load::object(&request, &blob, &mut workers, &mut channel)?;
                frame::write(&mut channel, &Reply::Done, &[])?;
                workers.prepare()?;
            }
            // It belongs to an object that was opened just before.
            Request::Choose(_) => return Err(io::ErrorKind::InvalidData.into()),
            Request::Probe(probes) => {
                let answers = probes.iter().map(probe::ask).collect();
                frame::write(&mut channel, &Reply::Probed(answers), &[])?;
                frame::write(&mut channel, &Reply::Done, &[])?;
            }
            Request::Modules(modules) => {
                let reply = answer(modules::load(&modules, &blob));
                frame::write(&mut channel, &reply, &[])?;
            }
            Request::Bring { path, executable } => {
                let reply = answer(run::bring(&path, executable, &blob));
                frame::write(&mut channel, &reply, &[])?;
            }
            Request::Run(request) => {
                let code = run::run(&request, &blob, &mut channel)?;
                frame::write(&mut channel, &Reply::Exited { code }, &[])?;
            }
            Request::Attach(request) => {
                live::run(&request, &blob, &mut channel, Owner::Skep)?;
            }
            Request::Test(request) => test::run(&request, &blob, &mut channel)?,
            Request::Start(request) => program::run(&request, &mut channel)?,
            // It crossed the news that everything had ended by itself.
            Request::Stop
            | Request::Resolve(_)
            | Request::Leave
            | Request::Input
            | Request::Signal(_) => {}
        }
    }
}

/// What is said of something that may fail without the guest giving up.
fn answer(result: Result<(), String>) -> Reply {
    match result {
        Ok(()) => Reply::Done,
        Err(reason) => Reply::Failed(reason),
    }
}
