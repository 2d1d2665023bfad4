//! A clock that interrupts, or a counter: what `perf_event` programs are
//! attached to.

use std::io;

/// `PERF_TYPE_HARDWARE` and `PERF_TYPE_SOFTWARE` of
/// include/uapi/linux/perf_event.h.
const HARDWARE: u32 = 0;
const SOFTWARE: u32 = 1;
/// What `enum perf_hw_id` and `enum perf_sw_ids` count, by the names that perf
/// has for it, with its type and number.
const EVENTS: [(&str, Event); 15] = [
    ("cpu-clock", Event(SOFTWARE, 0)),
    ("task-clock", Event(SOFTWARE, 1)),
    ("page-faults", Event(SOFTWARE, 2)),
    ("context-switches", Event(SOFTWARE, 3)),
    ("cpu-migrations", Event(SOFTWARE, 4)),
    ("minor-faults", Event(SOFTWARE, 5)),
    ("major-faults", Event(SOFTWARE, 6)),
    ("alignment-faults", Event(SOFTWARE, 7)),
    ("cpu-cycles", Event(HARDWARE, 0)),
    ("instructions", Event(HARDWARE, 1)),
    ("cache-references", Event(HARDWARE, 2)),
    ("cache-misses", Event(HARDWARE, 3)),
    ("branch-instructions", Event(HARDWARE, 4)),
    ("branch-misses", Event(HARDWARE, 5)),
    ("bus-cycles", Event(HARDWARE, 6)),
];

/// The type and the number of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event(u32, u64);
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
pub fn parse(text: &str) -> Result<(Event, u64), String> {
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
pub fn open(event: Event, rate: u64, processor: i32) -> io::Result<i32> {
    /// `PERF_FLAG_FD_CLOEXEC`.
    const CLOEXEC: u64 = 8;
    let size = size_of::<Attributes>() as u32;
    let attributes = Attributes {
        kind: event.0,
        size,
        config: event.1,
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
        assert_eq!(parse("cpu-clock"), Ok((Event(SOFTWARE, 0), 99)));
        assert_eq!(parse("page-faults:1"), Ok((Event(SOFTWARE, 2), 1)));
        assert_eq!(parse("cache-misses:1000"), Ok((Event(HARDWARE, 3), 1000)));
        assert!(parse("clock").unwrap_err().contains("cpu-clock"));
        assert!(parse("cpu-clock:often").is_err());
    }
}
