//! One section of any ELF file, of any machine: what BTF is taken from.

use super::Error;
use object::read::elf::{FileHeader, SectionHeader as _};
use object::{Endianness, elf};

/// The content of the first section with a name, or nothing if the file has
/// no such section.
///
/// # Errors
/// If the bytes are not an ELF file, or one that is cut off or damaged.
pub fn section<'b>(bytes: &'b [u8], name: &str) -> Result<Option<&'b [u8]>, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Error::NotElf { looks_like: None });
    }
    match bytes.get(4) {
        Some(1) => find::<elf::FileHeader32<Endianness>>(bytes, name),
        _ => find::<elf::FileHeader64<Endianness>>(bytes, name),
    }
}

fn find<'b, H: FileHeader<Endian = Endianness>>(
    bytes: &'b [u8],
    name: &str,
) -> Result<Option<&'b [u8]>, Error> {
    let damaged = |error: object::read::Error| Error::Damaged { what: error.to_string() };
    let header = H::parse(bytes).map_err(|_| Error::Truncated { what: "the ELF header" })?;
    let endian = header.endian().map_err(damaged)?;
    let sections = header
        .sections(endian, bytes)
        .map_err(|_| Error::Truncated { what: "the table of sections" })?;
    let Some((_, section)) = sections.section_by_name(endian, name.as_bytes()) else {
        return Ok(None);
    };
    section.data(endian, bytes).map(Some).map_err(|_| Error::Truncated { what: "the section" })
}
