//! Programs given as bare instructions: what the kernel says of them.

use crate::wire::{Probe, Probed};
use libbpf_sys as sys;
use std::ffi::c_char;

/// Room for a log, in bytes. Programs that ask a question are short.
const LOG: usize = 4096;
/// What of a log is reported, in bytes.
const TAIL: usize = 512;

/// Loads one program and lets it go again.
pub fn ask(probe: &Probe) -> Probed {
    let mut log = vec![0_u8; LOG];
    let mut options = sys::bpf_prog_load_opts {
        sz: size_of::<sys::bpf_prog_load_opts>() as u64,
        attempts: 1,
        expected_attach_type: probe.attach_type,
        attach_btf_id: probe.attach_btf_id,
        prog_flags: probe.flags,
        log_level: 1,
        log_size: LOG as u32,
        log_buf: log.as_mut_ptr().cast::<c_char>(),
        ..Default::default()
    };
    // SAFETY: names and options are alive for the call; an instruction is
    // eight bytes, and so many are there.
    let fd = unsafe {
        sys::bpf_prog_load(
            probe.program_type,
            c"probe".as_ptr(),
            c"GPL".as_ptr(),
            probe.insns.as_ptr().cast(),
            probe.insns.len() as u64,
            &mut options,
        )
    };
    if fd >= 0 {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(fd) };
    }
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(LOG);
    let text = String::from_utf8_lossy(&log[..end]);
    let text = text.split("processed ").next().unwrap_or_default().trim_end();
    let mut start = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    Probed { errno: (-fd).max(0), log: text[start..].to_owned() }
}
