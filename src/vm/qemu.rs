//! QEMU's command line: the smallest machine that runs a verifier.

use super::{Accelerator, Error, initramfs};
use crate::base::digest::Digest;
use crate::base::fs;
use crate::base::programs::Programs;
use crate::wire::{CHANNEL_AT, CHANNEL_SIZE, DOORBELL, TO_BE_SAVED};
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The guest's memory in MiB; the channel lies behind it.
pub(super) const MEMORY_MIB: u64 = CHANNEL_AT >> 20;

/// The QEMU that is used.
#[derive(Clone, Debug)]
pub struct Qemu {
    path: PathBuf,
    /// What changes when another QEMU is installed there.
    identity: String,
}

/// How machines are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which QEMU.
    pub qemu: Qemu,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
    /// How long a machine may take to come up. Emulation on a busy machine
    /// takes its time.
    pub boot_limit: Duration,
    /// How long one program may take to load.
    pub program_limit: Duration,
    /// Words added to the kernel's command line.
    pub append: Vec<String>,
}

/// The descriptors that QEMU gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wires {
    pub console: RawFd,
    /// The serial line that stands for the channel where it has to.
    pub serial: RawFd,
    pub doorbell: RawFd,
    pub monitor: RawFd,
    pub channel: RawFd,
}

/// What the guest's memory is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Memory {
    /// QEMU's own, gone when it ends.
    Anonymous,
    /// This file, which keeps what the guest wrote.
    Kept(RawFd),
    /// This file's content at first; what the guest writes is QEMU's own.
    Copied(RawFd),
}

impl Qemu {
    /// The QEMU on the search path.
    pub fn find(programs: &Programs) -> Result<Self, Error> {
        let path = programs.find("qemu-system-x86_64").ok_or(Error::NoQemu)?;
        let metadata = fs::metadata(&path)?;
        let identity = format!("{} {} {}", path.display(), metadata.len(), metadata.mtime());
        Ok(Self { path, identity })
    }

    /// The executable.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands for this QEMU in keys of caches.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.identity.as_bytes())
    }
}

impl Settings {
    /// The arguments that every machine has.
    pub(super) fn machine(&self, wires: &Wires, memory: Memory, sandbox: bool) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["-nodefaults", "-no-user-config", "-no-reboot"].map(str::to_owned).into();
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        option("-machine", "pc,usb=off,graphics=off,vmport=off".into());
        option("-accel", self.accelerator.option().into());
        option("-cpu", self.accelerator.cpu().into());
        option("-smp", "1".into());
        option("-display", "none".into());
        option("-vga", "none".into());
        option("-nic", "none".into());
        option("-m", format!("{}M", MEMORY_MIB + (CHANNEL_SIZE >> 20)));
        let file = |share: &str, fd: RawFd| {
            format!(
                "memory-backend-file,id=ram,size={MEMORY_MIB}M,share={share},mem-path=/proc/self/fd/{fd}"
            )
        };
        option(
            "-object",
            match memory {
                Memory::Anonymous => format!("memory-backend-ram,id=ram,size={MEMORY_MIB}M"),
                Memory::Kept(fd) => file("on", fd),
                Memory::Copied(fd) => file("off", fd),
            },
        );
        option(
            "-object",
            format!(
                "memory-backend-file,id=channel,size={CHANNEL_SIZE},share=on,mem-path=/proc/self/fd/{}",
                wires.channel
            ),
        );
        option("-numa", "node,nodeid=0,memdev=ram".into());
        option("-numa", "node,nodeid=1,memdev=channel".into());
        option("-chardev", format!("socket,id=console,fd={}", wires.console));
        option("-serial", "chardev:console".into());
        option("-chardev", format!("socket,id=serial,fd={}", wires.serial));
        option("-serial", "chardev:serial".into());
        option("-chardev", format!("socket,id=doorbell,fd={}", wires.doorbell));
        option("-device", format!("isa-debugcon,iobase={DOORBELL:#x},chardev=doorbell"));
        option("-chardev", format!("socket,id=monitor,fd={}", wires.monitor));
        option("-mon", "chardev=monitor,mode=control".into());
        if sandbox {
            option(
                "-sandbox",
                "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".into(),
            );
        }
        arguments
    }

    /// What stands for a machine of these settings, and for what it boots
    /// with, in the key of a snapshot: another one could not be restored.
    pub(super) fn digest(&self) -> Digest {
        let wires = Wires { console: -1, serial: -1, doorbell: -1, monitor: -1, channel: -1 };
        let mut arguments = self.machine(&wires, Memory::Anonymous, true);
        arguments.push(self.kernel_command_line());
        arguments.push(self.qemu.identity.clone());
        Digest::of_parts(arguments.iter().map(|argument| argument.as_bytes()))
    }

    /// What a cold boot adds.
    pub(super) fn boot(&self, kernel: RawFd, initrd: RawFd, to_be_saved: bool) -> Vec<String> {
        vec![
            "-kernel".into(),
            format!("/proc/self/fd/{kernel}"),
            "-initrd".into(),
            format!("/proc/self/fd/{initrd}"),
            "-append".into(),
            match to_be_saved {
                true => format!("{} {TO_BE_SAVED}", self.kernel_command_line()),
                false => self.kernel_command_line(),
            },
        ]
    }

    /// Quiet and without what waits for hardware. What changes how the
    /// verifier judges (mitigations) stays as a distribution ships it.
    fn kernel_command_line(&self) -> String {
        format!(
            "console=ttyS0 quiet panic=-1 oops=panic nokaslr tsc=reliable no_timer_check \
             random.trust_cpu=on cryptomgr.notests psi=0 lsm=landlock,lockdown,yama,integrity,bpf \
             memmap={}M${}M LD_LIBRARY_PATH={}{}",
            CHANNEL_SIZE >> 20,
            CHANNEL_AT >> 20,
            initramfs::LIBRARIES,
            self.append.iter().map(|word| format!(" {word}")).collect::<String>(),
        )
    }
}
