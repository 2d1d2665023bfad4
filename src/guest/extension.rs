//! What a `freplace` program needs before it can be loaded: another program,
//! already loaded, that has the function it replaces. An application's loader
//! brings the two together; here the other one is looked for in the same
//! object.

use super::load::{self, Object, text};
use crate::wire::Load;
use libbpf_sys as sys;
use std::ffi::{CStr, CString};
use std::mem::ManuallyDrop;

/// Loads the program whose function `extension` replaces and names it to
/// libbpf. Gives a sentence about it; none if the section names no function or
/// no program of the object has it, which libbpf will complain about.
pub(super) fn find_target(
    request: &Load,
    bytes: &[u8],
    extension: *mut sys::bpf_program,
) -> Option<String> {
    // SAFETY: the program belongs to an object that is alive.
    let section = unsafe { text(sys::bpf_program__section_name(extension)) };
    let name = section.strip_prefix("freplace/")?;
    let function = CString::new(name).ok()?;
    let programs = Object::open(&request.name, bytes).ok()?.programs().count();
    (0..programs).find_map(|index| {
        // Never closed: the target must stay loaded for as long as the child
        // lives.
        let object = ManuallyDrop::new(Object::open(&request.name, bytes).ok()?);
        let target = object.choose(index)?;
        // SAFETY: the programs belong to objects that are alive.
        unsafe {
            if sys::bpf_program__type(target) == sys::BPF_PROG_TYPE_EXT {
                return None;
            }
            object.fix_up(load::FEW);
            if sys::bpf_object__load(object.raw()) != 0 {
                return None;
            }
            let fd = sys::bpf_program__fd(target);
            let is_set = has_function(fd, &function)
                && sys::bpf_program__set_attach_target(extension, fd, function.as_ptr()) == 0;
            let of = text(sys::bpf_program__name(target));
            is_set.then(|| format!("`{of}` was loaded first, for its function `{name}`"))
        }
    })
}

/// Whether a loaded program has this function. Its BTF is the whole object's
/// and knows more functions than the program has.
fn has_function(fd: i32, name: &CStr) -> bool {
    // SAFETY: zeroes are a valid `bpf_prog_info`, which asks for no arrays.
    let mut info = unsafe { std::mem::zeroed::<sys::bpf_prog_info>() };
    let mut size = size_of_val(&info) as u32;
    // SAFETY: the pointers lead to what they are said to.
    let function = unsafe {
        if sys::bpf_prog_get_info_by_fd(fd, &mut info, &mut size) != 0 {
            return false;
        }
        let btf = sys::btf__load_from_kernel_by_id(info.btf_id);
        if btf.is_null() {
            return false;
        }
        let function = sys::btf__find_by_name_kind(btf, name.as_ptr(), sys::BTF_KIND_FUNC);
        sys::btf__free(btf);
        function
    };
    let Ok(function) = u32::try_from(function) else { return false };
    let mut functions = vec![sys::bpf_func_info::default(); info.nr_func_info as usize];
    let mut request = sys::bpf_prog_info {
        nr_func_info: info.nr_func_info,
        func_info: functions.as_mut_ptr() as u64,
        func_info_rec_size: size_of::<sys::bpf_func_info>() as u32,
        // SAFETY: as above.
        ..unsafe { std::mem::zeroed() }
    };
    // SAFETY: `functions` has room for as many records as are asked for.
    let error = unsafe { sys::bpf_prog_get_info_by_fd(fd, &mut request, &mut size) };
    error == 0 && functions.iter().any(|info| info.type_id == function)
}
