//! How long reading BTF and writing C take, in milliseconds of CPU time.
//!
//! `cargo bench --bench btf [-- FILE…]`; the default is the running kernel's
//! BTF. Numbers mean something only beside others of the same run.
#![allow(missing_docs, clippy::disallowed_methods, clippy::print_stdout)]

use skep::btf::{Btf, Kind};
use skep::vmlinux::{self, Request};
use std::hint::black_box;
use std::time::Instant;

/// The fastest of some runs, in milliseconds: what a busy machine disturbs
/// least.
fn fastest(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[0]
}

fn main() {
    let mut files: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if files.is_empty() {
        files.push("/sys/kernel/btf/vmlinux".into());
    }
    for file in files {
        let bytes = std::fs::read(&file).expect("the file is readable");
        println!("{file}: {} bytes", bytes.len());
        println!("  copy    {:8.3}", fastest(|| drop(black_box(bytes.clone()))));
        println!("  read    {:8.3}", fastest(|| drop(black_box(Btf::parse(bytes.clone())))));
        let names = || {
            let btf = Btf::parse(bytes.clone()).expect("the file is BTF");
            black_box(btf.find(Kind::Struct, "task_struct"));
        };
        println!("  + names {:8.3}", fastest(names));
        let btf = Btf::parse(bytes.clone()).expect("the file is BTF");
        println!(
            "  write C {:8.3}",
            fastest(|| drop(black_box(vmlinux::header(&btf, &Request::default()))))
        );
    }
}
