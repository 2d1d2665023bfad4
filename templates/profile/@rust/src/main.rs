// SPDX-License-Identifier: @{license}
//! Samples where the CPUs spend their time.

use anyhow::{Context as _, Result};
use clap::Parser;
use libbpf_rs::libbpf_sys::perf_event_attr;
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{OpenObject, RingBufferBuilder};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What `skep build --cargo` makes of the BPF object.
#[allow(dead_code, clippy::all, missing_docs)]
mod skel {
    include!(concat!(env!("OUT_DIR"), "/@{identifier}.skel.rs"));
}

/// Samples where the CPUs spend their time
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Only the process PID
    #[arg(short, long, value_name = "PID")]
    pid: Option<i32>,
    // No round number: what is in step with a clock would always be seen.
    /// Samples a second
    #[arg(short, long, value_name = "HZ", default_value_t = 49)]
    frequency: u32,
}

/// The deepest stack that is seen.
const DEPTH: usize = 64;

/// A sample, as src/@{identifier}.h describes it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sample {
    pid: i32,
    cpu: u32,
    comm: [u8; 16],
    kernel_bytes: i32,
    user_bytes: i32,
    kernel_stack: [u64; DEPTH],
    user_stack: [u64; DEPTH],
}

fn main() -> Result<()> {
    let args = Args::parse();

    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let mut open = skel::@{type_name}SkelBuilder::default().open(&mut storage)?;
    // Constants are set between open and load; later they are read-only.
    let constants = open.maps.rodata_data.as_deref_mut().context("there are no constants")?;
    constants.target_pid = args.pid.unwrap_or(0);
    let skel = open.load().context("cannot load the BPF program; this needs root")?;

    let mut links = Vec::new();
    for cpu in 0..i32::try_from(libbpf_rs::num_possible_cpus()?)? {
        let clock = match open_clock(cpu, args.frequency) {
            // There could be such a CPU, but it is not online.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
            clock => clock.with_context(|| format!("cannot sample CPU {cpu}"))?,
        };
        links.push(skel.progs.on_tick.attach_perf_event(clock)?);
    }

    let functions = kernel_functions();
    let mut builder = RingBufferBuilder::new();
    builder.add(&skel.maps.samples, |bytes| {
        if let Some(sample) = read(bytes) {
            print_sample(&sample, &functions);
        }
        0
    })?;
    let events = builder.build()?;

    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed))?;

    eprintln!("{} CPUs, {} samples a second", links.len(), args.frequency);
    while !stopped.load(Ordering::Relaxed) {
        match events.poll(Duration::from_millis(100)) {
            // A signal ends the wait, and Ctrl-C is one.
            Err(error) if error.kind() == libbpf_rs::ErrorKind::Interrupted => {}
            result => result.context("cannot read the ring buffer")?,
        }
    }
    Ok(())
}

/// The sample that these bytes are.
fn read(bytes: &[u8]) -> Option<Sample> {
    // SAFETY: there are enough bytes, and any make a sample.
    (bytes.len() >= size_of::<Sample>())
        .then(|| unsafe { bytes.as_ptr().cast::<Sample>().read_unaligned() })
}

/// A clock that ticks on one CPU. Machines without counters of their own, such
/// as virtual ones, have a clock in software.
fn open_clock(cpu: i32, frequency: u32) -> io::Result<i32> {
    // linux/perf_event.h: kinds of events, and of each kind one.
    const HARDWARE_CYCLES: (u32, u64) = (0, 0);
    const SOFTWARE_CLOCK: (u32, u64) = (1, 0);
    const CLOSE_ON_EXEC: u64 = 1 << 3;
    let open = |(kind, which): (u32, u64)| {
        let mut attr = perf_event_attr {
            size: size_of::<perf_event_attr>() as u32,
            type_: kind,
            config: which,
            ..Default::default()
        };
        attr.__bindgen_anon_1.sample_freq = frequency.into();
        attr.set_freq(1);
        // SAFETY: `attr` lives longer than the call and knows its size.
        match unsafe { libc::syscall(libc::SYS_perf_event_open, &attr, -1, cpu, -1, CLOSE_ON_EXEC) } {
            -1 => Err(io::Error::last_os_error()),
            clock => Ok(clock as i32),
        }
    };
    open(HARDWARE_CYCLES).or_else(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => open(SOFTWARE_CLOCK),
        _ => Err(error),
    })
}

/// Where the kernel's functions are. Without root the addresses are hidden.
fn kernel_functions() -> BTreeMap<u64, String> {
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    symbols
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let is_function = matches!(words.next()?, "t" | "T");
            (is_function && address > 0).then_some((address, words.next()?.to_owned()))
        })
        .collect()
}

fn print_sample(sample: &Sample, functions: &BTreeMap<u64, String>) {
    let Sample { pid, cpu, .. } = *sample;
    println!("{} (process {pid}) on CPU {cpu}", text(&sample.comm));
    println!("  kernel");
    for &address in frames(&sample.kernel_stack, sample.kernel_bytes) {
        // The last function that does not lie behind the address.
        match functions.range(..=address).next_back() {
            Some((start, name)) => println!("    {name}+{:#x}", address - start),
            None => println!("    {address:#x}"),
        }
    }
    println!("  user");
    // The process may be gone by now.
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    for &address in frames(&sample.user_stack, sample.user_bytes) {
        match maps.lines().find_map(|line| place_in_file(line, address)) {
            Some((file, offset)) => println!("    {file}+{offset:#x}"),
            None => println!("    {address:#x}"),
        }
    }
    println!();
}

/// The part of a stack that is filled.
fn frames(stack: &[u64; DEPTH], bytes: i32) -> &[u64] {
    let count = usize::try_from(bytes).unwrap_or(0) / size_of::<u64>();
    &stack[..count.min(DEPTH)]
}

/// A user address as file and offset, which `addr2line -e FILE OFFSET` and its
/// kind make a line of; `line` is one of /proc/PID/maps.
fn place_in_file(line: &str, address: u64) -> Option<(&str, u64)> {
    let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    let offset = hexadecimal(words.nth(1)?)?;
    let file = words.nth(2)?;
    (start <= address && address < end).then(|| (file, address - start + offset))
}

/// The text in front of the zero that ends it.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}
