//! The first load, before anybody asks for one.
//!
//! libbpf tries out what a kernel can do when it first needs to know (a dozen
//! tiny programs, maps and pieces of BTF) and remembers the answers, and the
//! kernel too does some things once: before 5.18 it parses its own BTF for
//! the first program. So a small object is loaded by the process that all
//! others are forked from, and what was learned is part of a snapshot.

use crate::base::libbpf;
use libbpf_sys as sys;

/// A section of an object: its name, type (`sh_type`), flags, content, and
/// the two fields that mean something to its type (`sh_link`, `sh_info`).
struct Section(&'static str, u32, u64, Vec<u8>, u32, u32);

// elf(5).
const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
/// The section with the program.
const PROGRAM: u16 = 3;
/// The section with a constant.
const CONSTANT: u16 = 5;

/// Loads the object. A kernel that refuses it has an answer to every other
/// one, too: what went wrong is told then.
pub fn up() {
    let Some(bytes) = object() else { return };
    libbpf::listen();
    let options = sys::bpf_object_open_opts {
        sz: size_of::<sys::bpf_object_open_opts>() as u64,
        object_name: c"warm".as_ptr(),
        ..Default::default()
    };
    // SAFETY: the bytes outlive the object, which is closed once.
    unsafe {
        let object = sys::bpf_object__open_mem(bytes.as_ptr().cast(), bytes.len() as u64, &options);
        if !object.is_null() {
            sys::bpf_object__load(object);
            sys::bpf_object__close(object);
        }
    }
    drop(libbpf::said());
}

/// An XDP program that reads kernel memory with a helper, a constant, and BTF:
/// what makes libbpf ask the most.
fn object() -> Option<Vec<u8>> {
    let program: [[u8; 8]; 7] = [
        [0xbf, 0xa1, 0, 0, 0, 0, 0, 0],             // r1 = r10
        [0x07, 0x01, 0, 0, 0xf8, 0xff, 0xff, 0xff], // r1 += -8
        [0xb7, 0x02, 0, 0, 8, 0, 0, 0],             // r2 = 8
        [0xb7, 0x03, 0, 0, 0, 0, 0, 0],             // r3 = 0
        [0x85, 0, 0, 0, 113, 0, 0, 0],              // call probe_read_kernel
        [0xb7, 0, 0, 0, 2, 0, 0, 0],                // r0 = XDP_PASS
        [0x95, 0, 0, 0, 0, 0, 0, 0],                // exit
    ];
    let size = size_of_val(&program) as u64;
    let names = b"\0warm\0license\0constant\0".to_vec();
    let mut symbols = vec![0; 24];
    // Global: 0x12 a function, 0x11 data.
    for (name, info, section, size) in
        [(1, 0x12, PROGRAM, size), (6, 0x11, 4, 4), (14, 0x11, CONSTANT, 8_u64)]
    {
        symbols.extend_from_slice(&u32::to_le_bytes(name));
        symbols.extend_from_slice(&[info, 0]);
        symbols.extend_from_slice(&section.to_le_bytes());
        symbols.extend_from_slice(&[0; 8]);
        symbols.extend_from_slice(&size.to_le_bytes());
    }
    Some(elf(vec![
        Section(".strtab", SHT_STRTAB, 0, names, 0, 0),
        Section(".symtab", SHT_SYMTAB, 0, symbols, 1, 1),
        Section("xdp", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, program.concat(), 0, 0),
        Section("license", SHT_PROGBITS, SHF_ALLOC, b"GPL\0".to_vec(), 0, 0),
        Section(".rodata", SHT_PROGBITS, SHF_ALLOC, vec![1; 8], 0, 0),
        Section(".BTF", SHT_PROGBITS, 0, btf()?, 0, 0),
    ]))
}

/// BTF with one type.
fn btf() -> Option<Vec<u8>> {
    // SAFETY: libbpf's own object, freed once; the raw data is its and copied
    // before.
    unsafe {
        let btf = sys::btf__new_empty();
        if btf.is_null() {
            return None;
        }
        sys::btf__add_int(btf, c"int".as_ptr(), 4, sys::BTF_INT_SIGNED as i32);
        let mut size = 0;
        let data = sys::btf__raw_data(btf, &mut size).cast::<u8>();
        let bytes =
            (!data.is_null()).then(|| std::slice::from_raw_parts(data, size as usize).to_vec());
        sys::btf__free(btf);
        bytes
    }
}

/// A relocatable ELF file for BPF with these sections, behind the empty one
/// that always comes first. Their names are added.
fn elf(mut sections: Vec<Section>) -> Vec<u8> {
    const HEADER: usize = 64;
    sections.push(Section(".shstrtab", SHT_STRTAB, 0, Vec::new(), 0, 0));
    let mut names = vec![0];
    let offsets: Vec<u32> = sections
        .iter()
        .map(|section| {
            let at = names.len() as u32;
            names.extend_from_slice(section.0.as_bytes());
            names.push(0);
            at
        })
        .collect();
    if let Some(last) = sections.last_mut() {
        last.3 = names;
    }
    let count = sections.len() as u16;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(HEADER, 0);
    let mut table = vec![0; 64];
    for (Section(_, kind, flags, content, link, info), name) in sections.iter().zip(offsets) {
        file.resize(file.len().next_multiple_of(8), 0);
        let align: u64 = 8;
        let entry: u64 = if *kind == SHT_SYMTAB { 24 } else { 0 };
        table.extend_from_slice(&name.to_le_bytes());
        table.extend_from_slice(&kind.to_le_bytes());
        for word in [*flags, 0, file.len() as u64, content.len() as u64] {
            table.extend_from_slice(&word.to_le_bytes());
        }
        table.extend_from_slice(&link.to_le_bytes());
        table.extend_from_slice(&info.to_le_bytes());
        table.extend_from_slice(&align.to_le_bytes());
        table.extend_from_slice(&entry.to_le_bytes());
        file.extend_from_slice(content);
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let start = file.len() as u64;
    file.extend_from_slice(&table);
    // `e_type` (relocatable), `e_machine` (BPF), `e_version`.
    file[16..24].copy_from_slice(&[1, 0, 247, 0, 1, 0, 0, 0]);
    file[40..48].copy_from_slice(&start.to_le_bytes());
    file[52..54].copy_from_slice(&64_u16.to_le_bytes());
    file[58..60].copy_from_slice(&64_u16.to_le_bytes());
    file[60..62].copy_from_slice(&(count + 1).to_le_bytes());
    file[62..64].copy_from_slice(&count.to_le_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::super::load::text;
    use super::*;

    #[test]
    fn the_object_is_one_that_libbpf_opens() {
        let bytes = object().unwrap();
        // SAFETY: the bytes outlive the object, which is closed once.
        unsafe {
            let object = sys::bpf_object__open_mem(
                bytes.as_ptr().cast(),
                bytes.len() as u64,
                std::ptr::null(),
            );
            assert!(!object.is_null());
            let program = sys::bpf_object__next_program(object, std::ptr::null_mut());
            assert_eq!(text(sys::bpf_program__name(program)), "warm");
            assert_eq!(text(sys::bpf_program__section_name(program)), "xdp");
            let map = sys::bpf_object__next_map(object, std::ptr::null());
            assert!(!map.is_null());
            sys::bpf_object__close(object);
        }
    }
}
