// SPDX-License-Identifier: @{license}
//! Reports TCP connections over IPv4, and the host names that are looked up.

use anyhow::{Context as _, Result};
use clap::Parser;
use libbpf_rs::skel::{OpenSkel as _, Skel as _, SkelBuilder as _};
use libbpf_rs::{OpenObject, RingBufferBuilder, UprobeOpts};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What `skep build --cargo` makes of the BPF object.
#[allow(dead_code, clippy::all, missing_docs)]
mod skel {
    include!(concat!(env!("OUT_DIR"), "/@{identifier}.skel.rs"));
}

/// Reports TCP connections over IPv4, and the host names that are looked up
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Only the process PID
    #[arg(short, long, value_name = "PID")]
    pid: Option<i32>,
}

/// An event, as src/@{identifier}.h describes it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Event {
    kind: u32,
    pid: i32,
    comm: [u8; 16],
    address: [u8; 4],
    port: [u8; 2],
    unused: u16,
    result: i32,
    host: [u8; 128],
}

/// Where getaddrinfo(3) is.
const LIBRARY: &str = "libc.so.6";

/// `kind` of a host name that is looked up; else it is a connection.
const LOOKUP: u32 = 0;

fn main() -> Result<()> {
    let args = Args::parse();

    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let mut open = skel::@{type_name}SkelBuilder::default().open(&mut storage)?;
    // Constants are set between open and load; later they are read-only.
    let constants = open.maps.rodata_data.as_deref_mut().context("there are no constants")?;
    constants.target_pid = args.pid.unwrap_or(0);
    let mut skel = open.load().context("cannot load the BPF programs; this needs root")?;

    // This sets all links anew, so others come after it.
    skel.attach().context("cannot attach the BPF programs")?;

    // libbpf looks for a library on the usual paths. A process that has a C
    // library of its own, in a container, does not use this one.
    let function = |retprobe| UprobeOpts {
        func_name: Some("getaddrinfo".to_owned()),
        retprobe,
        ..Default::default()
    };
    let progs = &skel.progs;
    let calls = progs.on_lookup.attach_uprobe_with_opts(-1, LIBRARY, 0, function(false));
    let returns = progs.on_looked_up.attach_uprobe_with_opts(-1, LIBRARY, 0, function(true));
    match (calls, returns) {
        (Ok(calls), Ok(returns)) => {
            skel.links.on_lookup = Some(calls);
            skel.links.on_looked_up = Some(returns);
        }
        (Err(error), _) | (_, Err(error)) => eprintln!("host names are not seen: {error}"),
    }
    let mut builder = RingBufferBuilder::new();
    builder.add(&skel.maps.events, |bytes| {
        if let Some(event) = read(bytes) {
            print_event(&event);
        }
        0
    })?;
    let events = builder.build()?;

    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed))?;

    println!("{:<8} {:<16} EVENT", "PID", "PROCESS");
    while !stopped.load(Ordering::Relaxed) {
        match events.poll(Duration::from_millis(100)) {
            // A signal ends the wait, and Ctrl-C is one.
            Err(error) if error.kind() == libbpf_rs::ErrorKind::Interrupted => {}
            result => result.context("cannot read the ring buffer")?,
        }
    }
    Ok(())
}

/// The event that these bytes are.
fn read(bytes: &[u8]) -> Option<Event> {
    // SAFETY: there are enough bytes, and any make an event.
    (bytes.len() >= size_of::<Event>())
        .then(|| unsafe { bytes.as_ptr().cast::<Event>().read_unaligned() })
}

fn print_event(event: &Event) {
    let (pid, process) = (event.pid, text(&event.comm));
    if event.kind == LOOKUP {
        let ending = if event.result == 0 { "" } else { ", in vain" };
        println!("{pid:<8} {process:<16} looks up    {}{ending}", text(&event.host));
    } else {
        // Both came as they go over the wire.
        let (address, port) = (Ipv4Addr::from(event.address), u16::from_be_bytes(event.port));
        println!("{pid:<8} {process:<16} connects to {address}:{port}");
    }
}

/// The text in front of the zero that ends it.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}
