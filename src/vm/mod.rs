//! Throw-away virtual machines: QEMU, what it boots, and how it is talked to.
//!
//! A [`Runner`] has one machine under way and loads objects in it; when a
//! machine is lost to an object, the next object gets a new one. [`Live`] is
//! programs at work in one. A [`Program`] is the user's own, at work in one. A
//! [`mod@visit`] is one command in a machine. [`Own`] is no machine: it loads
//! objects into the kernel that skep runs on, where they may also be at work.
//!
//! A machine has no network, no disk and no directory of the host, lives in
//! memory only, and dies with this process.

mod accelerator;
mod beside;
mod initramfs;
mod live;
mod loader;
mod machine;
mod monitor;
mod own;
mod program;
mod qemu;
mod runner;
mod snapshot;
mod visit;

pub use accelerator::Accelerator;
pub use initramfs::Initramfs;
pub use live::{Live, Plan};
pub use loader::{Each, Loaded, Loader, Options};
pub use machine::Follower;
pub use own::{Own, Rights};
pub use program::{Launch, Program};
pub use qemu::{Qemu, Settings};
pub use runner::{Blueprint, Module, Runner};
pub use visit::{Brought, Output, Stream, Visit, Visitor, visit};

use crate::base::{fs, process};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use std::fmt;
use std::path::PathBuf;

/// Why there is no machine, or not any more.
#[derive(Debug)]
pub enum Error {
    /// QEMU is not installed.
    NoQemu,
    /// QEMU could not be started.
    Start(process::Error),
    /// The machine did not come up.
    NotBooted {
        /// What happened instead.
        reason: String,
        /// The last lines of its console.
        console: String,
    },
    /// The machine ended or fell silent.
    Lost {
        /// What happened.
        reason: String,
        /// The last lines of its console.
        console: String,
    },
    /// The process that loads into the machine's own kernel ended or fell
    /// silent.
    Gone {
        /// What happened.
        reason: String,
        /// The last that it wrote.
        said: String,
    },
    /// The machine's own kernel lets this user load nothing.
    Denied {
        /// The error number with which it refuses, positive.
        errno: i32,
        /// Its release.
        release: String,
        /// Who loads is root.
        is_root: bool,
    },
    /// `sudo` has made nobody root.
    NoRoot {
        /// How it ended.
        reason: String,
    },
    /// The guest could not do what it was asked to.
    Guest(String),
    /// QEMU could not save or restore a machine.
    Snapshot(String),
    /// The kernel's image cannot be had.
    Kernel(Failure),
    /// What skep is made of cannot be packed for the guest.
    Pack {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    File(fs::Error),
    /// Memory or a socket could not be had.
    System(std::io::Error),
    /// The user asked to stop.
    Cancelled,
}

impl Error {
    /// Whether what ran the programs is gone, so that only a new one can go
    /// on.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Gone { .. })
    }
}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

impl From<process::Error> for Error {
    fn from(error: process::Error) -> Self {
        match error {
            process::Error::Cancelled => Self::Cancelled,
            other => Self::Start(other),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoQemu => {
                f.write_str("QEMU is not installed (qemu-system-x86_64 is not on PATH)")
            }
            Self::Start(error) => error.fmt(f),
            Self::NotBooted { reason, .. } => {
                write!(f, "the virtual machine did not come up: {reason}")
            }
            Self::Lost { reason, .. } => write!(f, "the virtual machine was lost: {reason}"),
            Self::Gone { reason, .. } => {
                write!(f, "the process that loads programs ended: {reason}")
            }
            Self::Denied { errno, release, .. } => {
                let said = fs::reason(&std::io::Error::from_raw_os_error(*errno));
                write!(f, "this machine's own kernel, Linux {release}, loads no program: {said}")
            }
            Self::NoRoot { reason } => write!(f, "sudo did not make skep root: {reason}"),
            Self::Snapshot(reason) => write!(f, "no snapshot: {reason}"),
            Self::Kernel(failure) => failure.fmt(f),
            Self::Guest(reason) => write!(f, "the guest failed: {reason}"),
            Self::Pack { path, reason } => {
                write!(f, "cannot pack {} for the guest: {reason}", path.display())
            }
            Self::File(error) => error.fmt(f),
            Self::System(error) => write!(f, "the system refuses what a machine needs: {error}"),
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let new = |code| Self::new(code, Origin::Vm, message);
        let with_console = |diagnostic: Self, console: String| match console.trim() {
            "" => diagnostic.note("its console stayed empty"),
            tail => diagnostic.note(format!("its console ended with:\n{tail}")),
        };
        match error {
            Error::NoQemu => new(codes::QEMU_MISSING).help(
                "install it: `sudo apt-get install qemu-system-x86`, or run `skep doctor --fix`",
            ),
            Error::Kernel(failure) => failure.into_diagnostic(),
            Error::Snapshot(_) | Error::Start(_) | Error::Pack { .. } | Error::System(_) => {
                new(codes::VM_DID_NOT_BOOT)
            }
            Error::NotBooted { console, .. } => with_console(new(codes::VM_DID_NOT_BOOT), console),
            Error::Lost { console, .. } => with_console(new(codes::VM_LOST), console),
            Error::Gone { said, .. } => match said.trim() {
                "" => new(codes::NO_VERDICT),
                said => new(codes::NO_VERDICT).note(format!("it wrote last:\n{said}")),
            },
            Error::Denied { errno, is_root, .. } => {
                denied(new(codes::OWN_KERNEL_DENIED), errno, is_root)
            }
            Error::NoRoot { .. } => new(codes::OWN_KERNEL_DENIED).help(IN_A_MACHINE),
            Error::Guest(_) => new(codes::GUEST_FAILED),
            Error::File(error) => error.into(),
            Error::Cancelled => new(codes::INTERRUPTED),
        }
    }
}

/// What needs no privileges.
const IN_A_MACHINE: &str = "without privileges `skep verify --kernel host` and `skep run --kernel \
     host` take the image of the same kernel, in a virtual machine";

/// What to do where the machine's own kernel loads nothing.
fn denied(diagnostic: Diagnostic, errno: i32, is_root: bool) -> Diagnostic {
    let diagnostic = match errno {
        libc::EPERM | libc::EACCES if is_root => diagnostic.note(
            "it was asked as root, so something else forbids it: a container without CAP_BPF and \
             CAP_PERFMON, or a security module",
        ),
        libc::EPERM | libc::EACCES => diagnostic.help(
            "build first and run it as root: `sudo skep verify --host OBJECT`; or give skep the \
             privileges alone: `sudo setcap cap_bpf,cap_perfmon,cap_net_admin+ep SKEP`",
        ),
        libc::ENOSYS => diagnostic.note("it was built without CONFIG_BPF_SYSCALL"),
        _ => diagnostic,
    };
    diagnostic.help(IN_A_MACHINE)
}
