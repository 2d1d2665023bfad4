// SPDX-License-Identifier: @{license}
//! Counts the packets that an interface receives, by IP protocol.

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{MapCore, MapFlags, OpenObject};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What `skep build --cargo` makes of the BPF object.
#[allow(dead_code, clippy::all, missing_docs)]
mod skel {
    include!(concat!(env!("OUT_DIR"), "/@{identifier}.skel.rs"));
}

/// Slots are IP protocol numbers; one more is for all that is not IP.
const SLOTS: u32 = 257;

/// Counts the packets that an interface receives, by IP protocol
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The interface's name
    #[arg(value_name = "INTERFACE")]
    interface: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let index = index_of(&args.interface)?;

    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let open = skel::@{type_name}SkelBuilder::default().open(&mut storage)?;
    let skel = open.load().context("cannot load the BPF program; this needs root")?;
    // The link ends when it is dropped, and with this program in any case.
    let _link = skel
        .progs
        .count_packets
        .attach_xdp(index)
        .with_context(|| format!("cannot attach to {}", args.interface))?;

    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed))?;

    println!("{:<12} {:>12} {:>14}", "PROTOCOL", "PACKETS", "BYTES");
    while !stopped.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_secs(1));
        print_counters(&skel.maps.counters).context("cannot read the counters")?;
    }
    Ok(())
}

/// The interface's number.
fn index_of(interface: &str) -> Result<i32> {
    let name = CString::new(interface)?;
    // SAFETY: the name ends with a zero and lives longer than the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => bail!("there is no interface {interface}"),
        index => Ok(index.try_into()?),
    }
}

/// Prints the slots in which something is, summed up over the CPUs.
fn print_counters(counters: &impl MapCore) -> Result<()> {
    for slot in 0..SLOTS {
        let values = counters.lookup_percpu(&slot.to_ne_bytes(), MapFlags::ANY)?;
        let (mut packets, mut bytes) = (0, 0);
        // One value for each CPU; its parts are those of `struct counter`.
        for value in values.unwrap_or_default() {
            packets += u64::from_ne_bytes(value[..8].try_into()?);
            bytes += u64::from_ne_bytes(value[8..16].try_into()?);
        }
        if packets > 0 {
            println!("{:<12} {packets:>12} {bytes:>14}", name_of(slot));
        }
    }
    println!();
    Ok(())
}

/// What is in a slot.
fn name_of(slot: u32) -> String {
    match slot {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        256 => "not IP".to_owned(),
        other => other.to_string(),
    }
}
