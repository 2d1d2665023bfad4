//! Executables and shared libraries of user programs: what a dynamic linker
//! reads of them, and the part of them that is loaded.

use object::Endianness;
use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, ET_DYN, ET_EXEC, FileHeader64, PT_LOAD,
};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

type Header = FileHeader64<Endianness>;

/// What a dynamic linker has to know of a 64-bit ELF file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executable {
    /// The machine it is for (`e_machine`).
    pub machine: u16,
    /// The dynamic linker it asks for; a library and a static program ask for
    /// none.
    pub interpreter: Option<String>,
    /// The libraries it needs (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// Where they are looked for first (`DT_RPATH`), unless there is a
    /// [`Executable::runpath`]; also those that these need.
    pub rpath: Vec<String>,
    /// Where only its own are looked for (`DT_RUNPATH`).
    pub runpath: Vec<String>,
}

impl Executable {
    /// Reads a file. Nothing, if it is no 64-bit executable or library, or is
    /// damaged: then no dynamic linker takes it either.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = Header::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let kind = header.e_type(endian);
        if kind != ET_EXEC && kind != ET_DYN {
            return None;
        }
        let segments = header.program_headers(endian, bytes).ok()?;
        let mut file = Self { machine: header.e_machine(endian).0, ..Self::default() };
        for segment in segments {
            if let Some(path) = segment.interpreter(endian, bytes).ok()? {
                file.interpreter = Some(String::from_utf8(path.to_vec()).ok()?);
            }
        }
        let Some(entries) =
            segments.iter().find_map(|segment| segment.dynamic(endian, bytes).ok()?)
        else {
            return Some(file);
        };
        let strings = entries.iter().find(|entry| entry.tag(endian) == DT_STRTAB)?.val(endian);
        let text = |offset: u64| -> Option<String> {
            let address = strings.checked_add(offset)?;
            let segment = segments.iter().find(|segment| {
                let start = segment.p_vaddr(endian);
                segment.p_type(endian) == PT_LOAD
                    && address >= start
                    && address - start < segment.p_filesz(endian)
            })?;
            let data = segment.data(endian, bytes).ok()?;
            let rest = data.get(usize::try_from(address - segment.p_vaddr(endian)).ok()?..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            String::from_utf8(rest[..end].to_vec()).ok()
        };
        let dirs = |offset| -> Option<Vec<String>> {
            let dirs = text(offset)?;
            Some(dirs.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect())
        };
        for entry in entries {
            let (tag, value) = (entry.tag(endian), entry.val(endian));
            match tag {
                DT_NEEDED => file.needed.push(text(value)?),
                DT_RPATH => file.rpath = dirs(value)?,
                DT_RUNPATH => file.runpath = dirs(value)?,
                _ => {}
            }
        }
        Some(file)
    }
}

/// The beginning of an ELF file that holds all its segments, with the section
/// table taken out of its header: debug information and symbols lie behind.
pub fn loaded_part(mut elf: Vec<u8>) -> Option<Vec<u8>> {
    let header = Header::parse(&*elf).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, &*elf).ok()?;
    let table = header.e_phoff(endian).checked_add(size_of_val(segments) as u64)?;
    let mut end = table.max(size_of::<Header>() as u64);
    for segment in segments {
        let (offset, size) = segment.file_range(endian);
        end = end.max(offset.checked_add(size)?);
    }
    let end = usize::try_from(end).ok()?;
    if end > elf.len() {
        return None;
    }
    elf.truncate(end);
    // `e_shoff`; `e_shentsize` stays; `e_shnum` and `e_shstrndx`.
    elf[40..48].fill(0);
    elf[60..64].fill(0);
    Some(elf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs;
    use std::path::Path;

    fn own() -> Vec<u8> {
        fs::read(Path::new("/proc/self/exe")).unwrap()
    }

    #[test]
    fn the_running_test_names_its_linker_and_libraries() {
        let file = Executable::read(&own()).unwrap();
        let linker = file.interpreter.unwrap();
        assert!(linker.starts_with("/lib") && linker.contains("ld-"), "{linker}");
        assert!(file.needed.iter().any(|name| name.starts_with("libc.so")), "{:?}", file.needed);
        // What is loaded says the same.
        let part = loaded_part(own()).unwrap();
        assert!(part.len() < own().len());
        assert_eq!(Executable::read(&part).unwrap().needed, file.needed);
    }

    #[test]
    fn what_is_no_program_or_damaged_is_none() {
        assert_eq!(Executable::read(b"#!/bin/sh\n"), None);
        assert_eq!(Executable::read(b"\x7fELF\x02\x01"), None);
        assert_eq!(loaded_part(b"#!/bin/sh".to_vec()), None);
        let own = own();
        // Segments that lie beyond the end.
        assert_eq!(loaded_part(own[..200].to_vec()), None);
        for end in (0..4096).step_by(7) {
            drop(Executable::read(&own[..end]));
        }
        let mut damaged = own[..own.len().min(1 << 20)].to_vec();
        for at in 0..1024 {
            damaged[at] ^= 0xff;
            drop(Executable::read(&damaged));
        }
    }
}
