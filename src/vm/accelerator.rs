//! What runs the guest's instructions: the processor itself (KVM), or QEMU's
//! emulation of one (TCG).
//!
//! That /dev/kvm opens says little: inside some virtual machines it even
//! makes guests, and then they hang. Only a guest that runs and says so
//! proves anything, so a guest of a few bytes is asked once, and the answer
//! is remembered until the machine is booted anew or QEMU changes.

use super::qemu::Qemu;
use crate::base::{Cancel, fs, process};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the guest of a few bytes may take.
const PATIENCE: Duration = Duration::from_millis(2500);
/// What it says.
const SIGN: u8 = b'K';

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor, through Linux's KVM.
    Kvm,
    /// QEMU's own emulation.
    Tcg,
}

impl Accelerator {
    /// The best one that works here. What was found out is kept in `memory`,
    /// a file of the cache; `said` gets the sentence that tells of it, once.
    pub fn choose(qemu: &Qemu, memory: &Path, cancel: &Cancel, said: &dyn Fn(String)) -> Self {
        let kvm = Path::new("/dev/kvm");
        if !fs::exists(kvm) || fs::open_rw(kvm).is_err() {
            return Self::Tcg;
        }
        let key = key(qemu);
        let remembered = fs::read_to_string(memory).unwrap_or_default();
        if let Some((known, answer)) = remembered.trim().rsplit_once(' ')
            && known == key
        {
            return if answer == "kvm" { Self::Kvm } else { Self::Tcg };
        }
        let works = probe(qemu, cancel).unwrap_or(false);
        if cancel.is_cancelled() {
            return Self::Tcg;
        }
        let answer = if works { "kvm" } else { "tcg" };
        // A cache that cannot be written means to ask again, nothing worse.
        drop(fs::write_atomic(memory, format!("{key} {answer}\n").as_bytes()));
        if works {
            Self::Kvm
        } else {
            said(
                "KVM does not run guests here although /dev/kvm is there; using emulation (TCG)"
                    .into(),
            );
            Self::Tcg
        }
    }

    /// What to use after a guest did not come up under KVM: the next runs will
    /// not try again.
    pub fn give_up_kvm(qemu: &Qemu, memory: &Path, said: &dyn Fn(String)) -> Self {
        drop(fs::write_atomic(memory, format!("{} tcg\n", key(qemu)).as_bytes()));
        said("the guest did not come up under KVM; using emulation (TCG) from now on".into());
        Self::Tcg
    }

    /// The name people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        }
    }

    /// How long a machine may take to come up: a second or two where the
    /// processor runs it; emulation on a busy machine takes its time.
    pub fn boot_limit(self) -> Duration {
        match self {
            Self::Kvm => Duration::from_secs(20),
            Self::Tcg => Duration::from_secs(120),
        }
    }

    /// The value of QEMU's `-accel`. One thread is what one processor needs.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=single",
        }
    }

    /// The value of QEMU's `-cpu`. A source of random numbers saves the guest
    /// a second of waiting for entropy.
    pub(super) fn cpu(self) -> &'static str {
        match self {
            Self::Kvm => "host",
            Self::Tcg => "qemu64,+rdrand",
        }
    }
}

/// An answer holds for this boot of the machine and this QEMU.
fn key(qemu: &Qemu) -> String {
    let boot = fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id"));
    format!("{} {}", boot.unwrap_or_default().trim(), qemu.digest())
}

/// Whether a guest really runs under KVM: one whose firmware is 64 KiB of
/// nothing, with a few instructions where a processor starts.
fn probe(qemu: &Qemu, cancel: &Cancel) -> Result<bool, super::Error> {
    let mut firmware = vec![0xf4_u8; 64 << 10];
    // At FFFF:FFF0, in 16-bit mode: mov al, SIGN; out 0xe9, al; hlt; jmp -3.
    firmware[0xfff0..0xfff7].copy_from_slice(&[0xb0, SIGN, 0xe6, 0xe9, 0xf4, 0xeb, 0xfd]);
    let file = super::machine::memory_file(&firmware)?;
    let (mut ours, theirs) = UnixStream::pair().map_err(super::Error::System)?;
    let (_output, sink) = UnixStream::pair().map_err(super::Error::System)?;
    let theirs = OwnedFd::from(theirs);
    let command = process::Command::new(qemu.path()).args([
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-machine",
        "pc,accel=kvm,usb=off",
        "-cpu",
        "host",
        "-m",
        "16M",
        "-display",
        "none",
        "-nic",
        "none",
        "-bios",
        &format!("/proc/self/fd/{}", file.as_raw_fd()),
        "-chardev",
        &format!("socket,id=doorbell,fd={}", theirs.as_raw_fd()),
        "-device",
        "isa-debugcon,iobase=0xe9,chardev=doorbell",
    ]);
    let running = command.start(vec![theirs, file], sink.into(), None)?;
    let mut waited = Duration::ZERO;
    let step = Duration::from_millis(50);
    ours.set_read_timeout(Some(step)).map_err(super::Error::System)?;
    let mut byte = [0];
    while waited < PATIENCE && running.status().is_none() && !cancel.is_cancelled() {
        match ours.read(&mut byte) {
            Ok(1) => return Ok(byte[0] == SIGN),
            Ok(_) => return Ok(false),
            Err(_) => waited += step,
        }
    }
    Ok(false)
}
