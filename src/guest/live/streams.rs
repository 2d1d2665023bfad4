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

/// What came in and was not handed on yet.
#[derive(Default)]
struct Collected {
    records: Vec<u8>,
    lost: Vec<(u32, u64)>,
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
    perf: Vec<*mut sys::perf_buffer>,
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
        let context = self.context();
        // SAFETY: as above.
        let buffer = unsafe {
            sys::perf_buffer__new(
                fd,
                PAGES,
                Some(from_perf),
                Some(lost_of_perf),
                context,
                ptr::null(),
            )
        };
        if !buffer.is_null() {
            self.perf.push(buffer);
        }
        !buffer.is_null()
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
            fds.extend(self.perf.iter().map(|&buffer| sys::perf_buffer__epoll_fd(buffer)));
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
            for &buffer in &self.perf {
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
            for &buffer in &self.perf {
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

unsafe extern "C" fn from_perf(context: *mut c_void, _: c_int, data: *mut c_void, size: u32) {
    // SAFETY: as above.
    unsafe { collect(context, data, size as usize) };
}

unsafe extern "C" fn lost_of_perf(context: *mut c_void, _: c_int, count: u64) {
    // SAFETY: as above.
    unsafe {
        let context = &*context.cast::<Context>();
        (*context.collected).lost.push((context.stream, count));
    }
}
