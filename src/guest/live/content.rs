//! What maps hold.

use super::super::load;
use crate::wire::Content;
use libbpf_sys as sys;
use std::ptr;

/// More entries than this are not told.
const MOST: u32 = 10_000;

/// What a map holds, with the bytes of its entries; none of a map that has no
/// entries to look at.
pub fn of(map: *const sys::bpf_map) -> Option<(Content, Vec<u8>)> {
    // SAFETY: the map belongs to a live object; the string is copied.
    let (kind, name, is_constant, key_size, value_size, fd) = unsafe {
        (
            sys::bpf_map__type(map),
            load::text(sys::bpf_map__name(map)),
            // Constants, `extern`s of the kernel's configuration, and strings:
            // libbpf lets no program write what it makes of their sections.
            sys::bpf_map__is_internal(map)
                && sys::bpf_map__map_flags(map) & sys::BPF_F_RDONLY_PROG != 0,
            sys::bpf_map__key_size(map),
            sys::bpf_map__value_size(map),
            sys::bpf_map__fd(map),
        )
    };
    if fd < 0 || is_constant {
        return None;
    }
    let (values, value_stride) = match kind {
        sys::BPF_MAP_TYPE_HASH
        | sys::BPF_MAP_TYPE_ARRAY
        | sys::BPF_MAP_TYPE_LRU_HASH
        | sys::BPF_MAP_TYPE_LPM_TRIE
        | sys::BPF_MAP_TYPE_STACK_TRACE => (1, value_size),
        sys::BPF_MAP_TYPE_PERCPU_HASH
        | sys::BPF_MAP_TYPE_PERCPU_ARRAY
        | sys::BPF_MAP_TYPE_LRU_PERCPU_HASH => {
            // SAFETY: a plain call.
            let processors = unsafe { sys::libbpf_num_possible_cpus() };
            (u32::try_from(processors).ok()?, value_size.next_multiple_of(8))
        }
        _ => return None,
    };
    let mut content = Content {
        map: name,
        key_size,
        value_size,
        value_stride,
        values,
        entries: 0,
        is_cut: false,
        is_last: false,
    };
    let mut blob = Vec::new();
    let mut key: Option<Vec<u8>> = None;
    let mut next = vec![0; key_size as usize];
    let mut value = vec![0; (values * value_stride) as usize];
    loop {
        let before = key.as_ref().map_or(ptr::null(), |key| key.as_ptr());
        // SAFETY: room for a key; the key before, if any, has its size.
        let error =
            unsafe { sys::bpf_map_get_next_key(fd, before.cast(), next.as_mut_ptr().cast()) };
        if error != 0 {
            break;
        }
        if content.entries == MOST {
            content.is_cut = true;
            break;
        }
        // SAFETY: a key, and room for all processors' values.
        let error = unsafe {
            sys::bpf_map_lookup_elem(fd, next.as_ptr().cast(), value.as_mut_ptr().cast())
        };
        // An entry may be gone by now.
        if error == 0 {
            blob.extend_from_slice(&next);
            blob.extend_from_slice(&value);
            content.entries += 1;
        }
        key.get_or_insert_default().clone_from(&next);
    }
    Some((content, blob))
}
