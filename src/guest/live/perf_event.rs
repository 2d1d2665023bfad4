//! A clock that interrupts: what `perf_event` programs are attached to.

use std::io;

/// `PERF_TYPE_SOFTWARE` of include/uapi/linux/perf_event.h.
const SOFTWARE: u32 = 1;
/// `PERF_COUNT_SW_CPU_CLOCK`.
const CPU_CLOCK: u64 = 0;
/// `PERF_COUNT_SW_TASK_CLOCK` to `PERF_COUNT_SW_EMULATION_FAULTS`, by name.
const EVENTS: [(&str, u64); 8] = [
    ("cpu-clock", CPU_CLOCK),
    ("task-clock", 1),
    ("page-faults", 2),
    ("context-switches", 3),
    ("cpu-migrations", 4),
    ("minor-faults", 5),
    ("major-faults", 6),
    ("alignment-faults", 7),
];
/// `freq` of `struct perf_event_attr`: the period is a frequency.
const FREQUENCY: u64 = 1 << 10;

/// The first version of `struct perf_event_attr`, 64 bytes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    address: u64,
}

/// `EVENT[:FREQUENCY]`, such as `cpu-clock:99`.
pub fn parse(text: &str) -> Result<(u64, u64), String> {
    let (name, rate) = text.split_once(':').unwrap_or((text, "99"));
    let event = EVENTS.iter().find(|(known, _)| *known == name);
    let Some((_, event)) = event else {
        let known: Vec<&str> = EVENTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no event `{name}`; there are: {}", known.join(", ")));
    };
    let rate = rate.parse().map_err(|_| format!("`{rate}` is no frequency in hertz"))?;
    Ok((*event, rate))
}

/// Opens the event on one processor; the descriptor.
pub fn open(event: u64, rate: u64, processor: i32) -> io::Result<i32> {
    /// `PERF_FLAG_FD_CLOEXEC`.
    const CLOEXEC: u64 = 8;
    let size = size_of::<Attributes>() as u32;
    let attributes = Attributes {
        kind: SOFTWARE,
        size,
        config: event,
        sample: rate,
        flags: FREQUENCY,
        ..Default::default()
    };
    // SAFETY: the attributes have the size they give; every process (-1), one
    // processor, no group.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const attributes, -1, processor, -1, CLOEXEC)
    };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_names_and_rates() {
        assert_eq!(parse("cpu-clock"), Ok((0, 99)));
        assert_eq!(parse("page-faults:1"), Ok((2, 1)));
        assert!(parse("clock").unwrap_err().contains("cpu-clock"));
        assert!(parse("cpu-clock:often").is_err());
    }
}
