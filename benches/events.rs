//! How many records of a ring buffer `skep run` reads and prints in a second:
//! bytes as a guest hands them on, through the types of a real object, into
//! each format, into a pipe that is read.
//!
//! `cargo bench --bench events [-- RECORDS]`; needs clang. CPU time is what
//! counts on a machine that has other things to do.
#![allow(missing_docs, clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used)]

use skep::elf::Object;
use skep::ops::run::events::{Reader, Types};
use skep::ops::run::{Happening, Told};
use skep::report::{Context, live};
use skep::wire::records;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Two events: one of numbers and a name, one with a path, too.
const SOURCE: &str = r#"
#define SEC(name) __attribute__((section(name), used))
struct small { unsigned long long ts; unsigned int pid; unsigned int uid; int ret; int flags; char comm[16]; };
struct large { unsigned long long ts; unsigned int pid; unsigned int uid; int ret; int flags; char comm[16]; char path[64]; };
struct small *one; struct large *other;
struct { int (*type)[27]; int (*max_entries)[4096]; } events SEC(".maps");
SEC("socket") int use(void *ctx) { return one != 0 || other != 0; }
char LICENSE[] SEC("license") = "GPL";
"#;

/// Records that a guest hands on at once.
const AT_ONCE: u64 = 4096;
/// What the shell writes at once.
const WRITTEN: usize = 64 << 10;

fn object() -> Object {
    let dir = std::env::temp_dir().join(format!("skep-events-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (source, object) = (dir.join("events.bpf.c"), dir.join("events.bpf.o"));
    std::fs::write(&source, SOURCE).unwrap();
    let named = std::env::var("SKEP_CLANG").ok();
    let known = ["clang", "clang-20", "clang-19", "clang-18", "clang-17"].map(str::to_owned);
    let compiles = |clang: String| {
        let mut clang = Command::new(clang);
        clang.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-c"]);
        clang.arg(&source).arg("-o").arg(&object);
        clang.status().is_ok_and(|status| status.success())
    };
    assert!(named.into_iter().chain(known).any(compiles), "no clang compiles for BPF");
    let bytes = std::fs::read(&object).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    Object::parse(&bytes).unwrap()
}

fn blob(size: usize, seed: u64) -> Vec<u8> {
    let mut blob = Vec::new();
    let mut number = seed;
    for at in 0..AT_ONCE {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut record = vec![0; size];
        record[..8].copy_from_slice(&(1_000_000_000 + at * 1_234_567).to_le_bytes());
        record[8..12].copy_from_slice(&((number >> 44) as u32 & 0xffff).to_le_bytes());
        record[12..16].copy_from_slice(&1000_u32.to_le_bytes());
        let ret = if at % 5 == 0 { -2_i32 } else { (at % 64) as i32 };
        record[16..20].copy_from_slice(&ret.to_le_bytes());
        record[20..24].copy_from_slice(&0x80000_u32.to_le_bytes());
        let comm: &[u8] = [&b"systemd-journal"[..], b"cat", b"nginx"][at as usize % 3];
        record[24..24 + comm.len()].copy_from_slice(comm);
        if size > 40 {
            let path = format!("/usr/lib/x86_64-linux-gnu/lib{:x}.so.6", number >> 40);
            record[40..40 + path.len()].copy_from_slice(path.as_bytes());
        }
        records::push(&mut blob, 0, &record);
    }
    blob
}

/// The CPU time of this process.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for a time.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() {
    let wanted = std::env::args().skip(1).find_map(|arg| arg.parse::<u64>().ok());
    let rounds = wanted.unwrap_or(2_000_000).div_ceil(AT_ONCE);
    let object = object();
    let types = Types::of_object(&object);
    let streams = ["events".to_owned()];
    let kernels = ["debian/trixie".to_owned()];
    let cx = Context::bare();
    println!("{:24} {:>14} {:>14} {:>10}", "", "per s of CPU", "per s", "MB");
    for (size, what) in [(40, "40 bytes, 6 columns"), (104, "104 bytes, 7 columns")] {
        let blob = blob(size, size as u64);
        for format in ["nothing", "rows", "key=value", "JSON"] {
            let mut cat = Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .expect("there is `cat`");
            let mut pipe = cat.stdin.take().unwrap();
            let mut reader = Reader::new(&types, &streams);
            let mut sides = live::Sides::default();
            let (mut text, mut bytes) = (String::new(), 0);
            let (start, used) = (Instant::now(), cpu());
            let mut count = 0;
            for _ in 0..rounds {
                count += reader.tell(&blob, u64::MAX, &mut |happening: &Happening| {
                    let told = Told { kernels: &kernels, side: 0, happening };
                    match format {
                        "rows" => sides.human(&told, &cx, &mut text),
                        "key=value" => live::short(&told, &mut text),
                        "JSON" => live::json(&told, &mut text),
                        _ => {
                            std::hint::black_box(happening);
                        }
                    }
                    if text.len() >= WRITTEN {
                        bytes += text.len();
                        pipe.write_all(text.as_bytes()).unwrap();
                        text.clear();
                    }
                });
            }
            let (wall, used) = (start.elapsed(), cpu() - used);
            drop(pipe);
            cat.wait().unwrap();
            let rate = |time: Duration| (count as f64 / time.as_secs_f64()).round();
            println!(
                "{:24} {:14} {:14} {:10}",
                format!("{what}, {format}"),
                rate(used),
                rate(wall),
                bytes / 1_000_000
            );
        }
    }
}
