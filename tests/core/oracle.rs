//! libbpf's own relocation code. Its functions are hidden from users of the
//! library, but they are in the archive that libbpf-sys builds; the structs
//! are those of its `relo_core.h` (libbpf 1.7).

use libbpf_sys::{bpf_core_relo, bpf_insn, btf};
use skep::bpf::{Endian, Insn};
use skep::btf::TypeId;
use skep::btf::ext::CoreRelo;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

const SPEC_MAX_LEN: usize = 64;

#[repr(C)]
struct Cand {
    btf: *const btf,
    id: u32,
}

#[repr(C)]
struct CandList {
    cands: *mut Cand,
    len: c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Accessor {
    type_id: u32,
    idx: u32,
    name: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Spec {
    btf: *const btf,
    spec: [Accessor; SPEC_MAX_LEN],
    root_type_id: u32,
    relo_kind: c_int,
    len: c_int,
    raw_spec: [c_int; SPEC_MAX_LEN],
    raw_len: c_int,
    bit_offset: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Res {
    orig_val: u64,
    new_val: u64,
    poison: bool,
    validate: bool,
    fail_memsz_adjust: bool,
    orig_sz: u32,
    orig_type_id: u32,
    new_sz: u32,
    new_type_id: u32,
}

unsafe extern "C" {
    fn bpf_core_essential_name_len(name: *const c_char) -> usize;
    fn bpf_core_add_cands(
        local: *mut Cand,
        essential_len: usize,
        target: *const btf,
        target_name: *const c_char,
        start: c_int,
        cands: *mut CandList,
    ) -> c_int;
    fn bpf_core_calc_relo_insn(
        program: *const c_char,
        relo: *const bpf_core_relo,
        index: c_int,
        local: *const btf,
        cands: *mut CandList,
        scratch: *mut Spec,
        result: *mut Res,
    ) -> c_int;
    fn bpf_core_patch_insn(
        program: *const c_char,
        insn: *mut bpf_insn,
        insn_index: c_int,
        relo: *const bpf_core_relo,
        index: c_int,
        result: *const Res,
    ) -> c_int;
}

/// BTF, read by libbpf.
pub struct Btf(*mut btf);

impl Btf {
    pub fn new(bytes: &[u8], base: Option<&Self>) -> Self {
        // SAFETY: libbpf copies the bytes; a base outlives what is split from
        // it, as the tests drop it last.
        let btf = unsafe {
            libbpf_sys::libbpf_set_print(None);
            let base = base.map_or(ptr::null_mut(), |base| base.0);
            libbpf_sys::btf__new_split(bytes.as_ptr().cast(), bytes.len() as u32, base)
        };
        assert!(!btf.is_null(), "libbpf reads the BTF");
        Self(btf)
    }

    fn name(&self, id: u32) -> *const c_char {
        // SAFETY: the test's BTF was read by skep too, so the type is there.
        unsafe {
            let ty = libbpf_sys::btf__type_by_id(self.0, id);
            libbpf_sys::btf__name_by_offset(self.0, (*ty).name_off)
        }
    }
}

impl Drop for Btf {
    fn drop(&mut self) {
        // SAFETY: made by btf__new_split, freed once.
        unsafe { libbpf_sys::btf__free(self.0) }
    }
}

/// What libbpf makes of one relocation.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Nothing if the instruction is to be poisoned.
    pub value: Option<u64>,
    pub original: u64,
    pub is_checked: bool,
    /// The target's type, path and offset in bits, if there is a match.
    pub target: Option<(TypeId, Vec<u32>, u32)>,
    /// The instructions afterwards; nothing if libbpf refuses the object then.
    pub insns: Option<Vec<Insn>>,
}

/// Resolves relocations of one object, in order, as
/// `bpf_object__relocate_core` does.
pub struct Libbpf<'b> {
    local: &'b Btf,
    kernel: &'b Btf,
    modules: &'b [Btf],
    cands: HashMap<u32, Vec<Cand>>,
    /// The last relocation and what it came to.
    last: (bpf_core_relo, Res),
}

impl<'b> Libbpf<'b> {
    pub fn new(local: &'b Btf, kernel: &'b Btf, modules: &'b [Btf]) -> Self {
        let last = (bpf_core_relo::default(), Res::default());
        Self { local, kernel, modules, cands: HashMap::new(), last }
    }

    /// Nothing if libbpf refuses the object.
    pub fn resolve(&mut self, relo: &CoreRelo, insns: &[Insn]) -> Option<Answer> {
        let relo = bpf_core_relo {
            insn_off: relo.offset,
            type_id: relo.ty.0,
            access_str_off: relo.access,
            kind: relo.kind,
        };
        const LOCAL: u32 = libbpf_sys::BPF_CORE_TYPE_ID_LOCAL;
        if relo.kind != LOCAL && !self.cands.contains_key(&relo.type_id) {
            let found = self.candidates(relo.type_id)?;
            self.cands.insert(relo.type_id, found);
        }
        let mut none = Vec::new();
        let known = self.cands.get_mut(&relo.type_id).unwrap_or(&mut none);
        let mut list = CandList { cands: known.as_mut_ptr(), len: known.len() as c_int };
        // SAFETY: all are plain data, for which zero is a value.
        let mut scratch: Box<[Spec; 3]> = Box::new(unsafe { std::mem::zeroed() });
        let mut result = Res::default();
        // SAFETY: the arguments are what bpf_core_resolve_relo passes.
        let error = unsafe {
            bpf_core_calc_relo_insn(
                c"test".as_ptr(),
                &relo,
                0,
                self.local.0,
                &mut list,
                scratch.as_mut_ptr(),
                &mut result,
            )
        };
        known.truncate(list.len as usize);
        if error != 0 {
            return None;
        }
        let target = &scratch[2];
        let target = (!target.btf.is_null()).then(|| {
            let path = &target.raw_spec[..target.raw_len as usize];
            let path = path.iter().map(|index| *index as u32).collect();
            (TypeId(target.root_type_id), path, target.bit_offset)
        });
        self.last = (relo, result);
        Some(Answer {
            value: (!result.poison).then_some(result.new_val),
            original: result.orig_val,
            is_checked: result.validate,
            target,
            insns: self.patch(insns),
        })
    }

    /// The instructions after the last relocation was applied to them;
    /// nothing if libbpf refuses the object then.
    pub fn patch(&self, insns: &[Insn]) -> Option<Vec<Insn>> {
        let mut raw: Vec<bpf_insn> = insns.iter().map(to_raw).collect();
        let (relo, result) = &self.last;
        // SAFETY: a 64-bit load is followed by its second half.
        let error =
            unsafe { bpf_core_patch_insn(c"test".as_ptr(), raw.as_mut_ptr(), 0, relo, 0, result) };
        (error == 0).then(|| raw.iter().map(from_raw).collect())
    }

    /// As `bpf_core_find_cands`.
    fn candidates(&self, id: u32) -> Option<Vec<Cand>> {
        let name = self.local.name(id);
        // SAFETY: a string of the BTF.
        if unsafe { CStr::from_ptr(name) }.is_empty() {
            return None;
        }
        let mut list = CandList { cands: ptr::null_mut(), len: 0 };
        let mut add = |target: &Btf, start: u32| {
            let mut local = Cand { btf: self.local.0, id };
            // SAFETY: as bpf_core_find_cands calls it.
            let error = unsafe {
                let length = bpf_core_essential_name_len(name);
                let what = c"target".as_ptr();
                bpf_core_add_cands(&mut local, length, target.0, what, start as c_int, &mut list)
            };
            assert_eq!(error, 0);
            list.len
        };
        if add(self.kernel, 1) == 0 {
            // SAFETY: the kernel's BTF lives.
            let start = unsafe { libbpf_sys::btf__type_cnt(self.kernel.0) };
            for module in self.modules {
                add(module, start);
            }
        }
        let found = (0..list.len as usize).map(|at| {
            // SAFETY: libbpf has allocated and filled as many.
            let cand = unsafe { &*list.cands.add(at) };
            Cand { btf: cand.btf, id: cand.id }
        });
        let found = found.collect();
        // SAFETY: allocated by libbpf with the C library.
        unsafe { libc::free(list.cands.cast()) };
        Some(found)
    }
}

fn to_raw(insn: &Insn) -> bpf_insn {
    // SAFETY: both are eight bytes of plain data.
    unsafe { std::mem::transmute(insn.to_bytes(Endian::Little)) }
}

fn from_raw(insn: &bpf_insn) -> Insn {
    // SAFETY: both are eight bytes of plain data.
    Insn::from_bytes(unsafe { std::mem::transmute_copy(insn) }, Endian::Little)
}
