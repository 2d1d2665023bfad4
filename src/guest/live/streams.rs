//! Ring and perf buffers: what programs write into them, collected.

use super::super::load::{self, Object};
use crate::wire::records;
use libbpf_sys as sys;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

/// How many records are taken from a ring before something else gets a turn.
const AT_ONCE: u64 = 64 << 10;
/// Pages of a perf buffer, per processor.
const PAGES: u64 = 128;
/// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_BPF_OUTPUT`, `PERF_SAMPLE_RAW` and
/// `PERF_FORMAT_LOST` of include/uapi/linux/perf_event.h.
const SOFTWARE: u32 = 1;
const BPF_OUTPUT: u64 = 10;
const RAW: u64 = 1 << 10;
const COUNT_LOST: u64 = 1 << 4;
/// `PERF_RECORD_LOST` and `PERF_RECORD_SAMPLE`.
const LOST: u32 = 2;
const SAMPLE: u32 = 9;

/// What came in and was not handed on yet.
#[derive(Default)]
struct Collected {
    records: Vec<u8>,
    lost: Vec<(u32, u64)>,
    /// All that was ever in `lost`.
    told: Vec<(u32, u64)>,
}

/// What a callback of libbpf is given.
struct Context {
    collected: *mut Collected,
    stream: u32,
}

/// The buffers of an object's maps.
pub struct Streams {
    names: Vec<String>,
    rings: *mut sys::ring_buffer,
    /// With the numbers of their streams.
    perf: Vec<(u32, *mut sys::perf_buffer)>,
    /// libbpf has pointers to them; both live as long as the buffers.
    collected: Box<Collected>,
    #[expect(clippy::vec_box, reason = "they must not move")]
    contexts: Vec<Box<Context>>,
}

impl Streams {
    /// Opens the buffers of all maps that are one.
    pub fn open(object: &Object) -> Self {
        let mut streams = Self {
            names: Vec::new(),
            rings: ptr::null_mut(),
            perf: Vec::new(),
            collected: Box::default(),
            contexts: Vec::new(),
        };
        for map in object.maps() {
            // SAFETY: the map belongs to the object, which is alive.
            let (kind, fd, name) = unsafe {
                (
                    sys::bpf_map__type(map),
                    sys::bpf_map__fd(map),
                    load::text(sys::bpf_map__name(map)),
                )
            };
            if fd < 0 {
                continue;
            }
            let opened = match kind {
                sys::BPF_MAP_TYPE_RINGBUF => streams.ring(fd),
                sys::BPF_MAP_TYPE_PERF_EVENT_ARRAY => streams.perf(fd),
                _ => continue,
            };
            if opened {
                streams.names.push(name);
            } else {
                streams.contexts.pop();
            }
        }
        streams
    }

    fn context(&mut self) -> *mut c_void {
        let stream = self.names.len() as u32;
        let collected = &raw mut *self.collected;
        self.contexts.push(Box::new(Context { collected, stream }));
        let last = self.contexts.last_mut().map(|context| &raw mut **context);
        last.map_or(ptr::null_mut(), <*mut Context>::cast)
    }

    fn ring(&mut self, fd: c_int) -> bool {
        let context = self.context();
        // SAFETY: the descriptor is a map's; the context lives as long as the
        // buffer.
        unsafe {
            if self.rings.is_null() {
                self.rings = sys::ring_buffer__new(fd, Some(from_ring), context, ptr::null());
                !self.rings.is_null()
            } else {
                sys::ring_buffer__add(self.rings, fd, Some(from_ring), context) == 0
            }
        }
    }

    fn perf(&mut self, fd: c_int) -> bool {
        let stream = self.names.len() as u32;
        let context = self.context();
        // Kernels before 6.0 do not tell how many were lost in all.
        for read_format in [COUNT_LOST, 0] {
            // SAFETY: plain data, that is valid when it is zero.
            let mut attributes: sys::perf_event_attr = unsafe { std::mem::zeroed() };
            attributes.type_ = SOFTWARE;
            attributes.size = size_of_val(&attributes) as u32;
            attributes.config = BPF_OUTPUT;
            attributes.sample_type = RAW;
            attributes.read_format = read_format;
            attributes.__bindgen_anon_2.wakeup_events = 1;
            // SAFETY: as above.
            let buffer = unsafe {
                let attributes = &raw mut attributes;
                let none = ptr::null();
                sys::perf_buffer__new_raw(fd, PAGES, attributes, Some(from_perf), context, none)
            };
            if !buffer.is_null() {
                self.perf.push((stream, buffer));
                return true;
            }
        }
        false
    }

    /// What the kernel has lost of each stream and not told: it tells with the
    /// next record, and there may be none any more.
    pub fn untold(&mut self) -> Vec<(u32, u64)> {
        let mut all = Vec::new();
        for &(stream, buffer) in &self.perf {
            // SAFETY: a buffer that was opened and is not closed; room for
            // what is read.
            let lost = |at: usize| unsafe {
                let mut counts = [0_u64; 2];
                let fd = sys::perf_buffer__buffer_fd(buffer, at as u64);
                let size = size_of_val(&counts);
                let count = libc::read(fd, counts.as_mut_ptr().cast(), size);
                // The value, then what was lost, if the kernel counts that.
                if count == size as isize { counts[1] } else { 0 }
            };
            // SAFETY: as above.
            let buffers = unsafe { sys::perf_buffer__buffer_cnt(buffer) } as usize;
            let sum: u64 = (0..buffers).map(lost).sum();
            let told = self.collected.told.iter().filter(|(of, _)| *of == stream);
            let told: u64 = told.map(|(_, count)| count).sum();
            if sum > told {
                all.push((stream, sum - told));
            }
        }
        all
    }

    /// The maps' names; a stream's number is its place here.
    pub fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// What to poll.
    pub fn fds(&self) -> Vec<RawFd> {
        let mut fds = Vec::new();
        // SAFETY: buffers that were opened and are not closed.
        unsafe {
            if !self.rings.is_null() {
                fds.push(sys::ring_buffer__epoll_fd(self.rings));
            }
            let perf = self.perf.iter();
            fds.extend(perf.map(|&(_, buffer)| sys::perf_buffer__epoll_fd(buffer)));
        }
        fds
    }

    /// Takes what came in: records, and how many of a stream were lost.
    pub fn take(&mut self) -> (&[u8], Vec<(u32, u64)>) {
        self.collected.records.clear();
        // SAFETY: as above. The callbacks write through pointers to what was
        // collected, which nobody else refers to meanwhile.
        unsafe {
            if !self.rings.is_null() {
                sys::ring_buffer__consume_n(self.rings, AT_ONCE);
            }
            for &(_, buffer) in &self.perf {
                sys::perf_buffer__consume(buffer);
            }
        }
        let lost = std::mem::take(&mut self.collected.lost);
        (&self.collected.records, lost)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // SAFETY: opened by us, closed once; null is let through.
        unsafe {
            sys::ring_buffer__free(self.rings);
            for &(_, buffer) in &self.perf {
                sys::perf_buffer__free(buffer);
            }
        }
    }
}

/// Takes a record of `size` bytes.
///
/// # Safety
/// The context is one of ours and alive, and so are the bytes.
unsafe fn collect(context: *mut c_void, data: *const c_void, size: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let context = &*context.cast::<Context>();
        let record = std::slice::from_raw_parts(data.cast::<u8>(), size);
        records::push(&mut (*context.collected).records, context.stream, record);
    }
}

unsafe extern "C" fn from_ring(context: *mut c_void, data: *mut c_void, size: u64) -> c_int {
    // SAFETY: libbpf hands back the context it was given, with a record.
    unsafe { collect(context, data, size as usize) };
    0
}

/// Takes what the kernel wrote into a perf buffer: `struct perf_event_header`,
/// and behind it the length and bytes of a record, or how many were lost.
unsafe extern "C" fn from_perf(
    context: *mut c_void,
    _: c_int,
    event: *mut sys::perf_event_header,
) -> sys::bpf_perf_event_ret {
    // SAFETY: libbpf hands back the context it was given, with a whole event,
    // whose size stands in its header.
    unsafe {
        let body = event.add(1).cast::<u8>();
        match (*event).type_ {
            SAMPLE => {
                let size = body.cast::<u32>().read_unaligned();
                let room = usize::from((*event).size).saturating_sub(size_of_val(&*event) + 4);
                collect(context, body.add(4).cast(), room.min(size as usize));
            }
            LOST => {
                let count = body.add(8).cast::<u64>().read_unaligned();
                let context = &*context.cast::<Context>();
                let collected = &mut *context.collected;
                collected.lost.push((context.stream, count));
                match collected.told.iter_mut().find(|(stream, _)| *stream == context.stream) {
                    Some((_, sum)) => *sum += count,
                    None => collected.told.push((context.stream, count)),
                }
            }
            _ => {}
        }
    }
    sys::LIBBPF_PERF_EVENT_CONT
}
