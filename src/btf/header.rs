//! The header of BTF, and the byte order.

use super::Error;
use std::ops::Range;

/// The magic number of `.BTF` and `.BTF.ext`, which also tells the byte order.
const MAGIC: u16 = 0xeb9f;

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// The least significant byte comes first.
    Little,
    /// The most significant byte comes first.
    Big,
}

impl Endian {
    /// The byte order of BTF or BTF.ext that begins with these bytes.
    pub(super) fn detect(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.first_chunk() {
            None if bytes.is_empty() => Err(Error::Empty),
            Some(&magic) if u16::from_le_bytes(magic) == MAGIC => Ok(Self::Little),
            Some(&magic) if u16::from_be_bytes(magic) == MAGIC => Ok(Self::Big),
            _ => Err(Error::NotBtf),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// The header: where the sections lie, as ranges of the whole data.
#[derive(Debug)]
pub(super) struct Header {
    pub endian: Endian,
    pub types: Range<usize>,
    pub strings: Range<usize>,
    /// Sizes of kinds, for kinds this reader does not know; Linux 7.
    pub layout: Range<usize>,
}

/// The bytes of the smallest header: magic, version, flags, length, and two
/// pairs of offset and length.
const MIN_HEADER: usize = 24;

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let endian = Endian::detect(bytes)?;
        let word = |at: usize| {
            bytes.get(at..at + 4).and_then(|word| word.first_chunk()).map(|word| endian.u32(*word))
        };
        let cut = |needed: u64| Error::Truncated {
            what: "the header",
            needed,
            present: bytes.len() as u64,
        };
        let version = *bytes.get(2).ok_or_else(|| cut(MIN_HEADER as u64))?;
        if version != 1 {
            return Err(Error::Version(version));
        }
        let length = word(4).ok_or_else(|| cut(MIN_HEADER as u64))? as usize;
        if length < MIN_HEADER {
            return Err(Error::Header("it says it is shorter than a header is"));
        }
        if bytes.len() < length {
            return Err(cut(length as u64));
        }
        let section = |at: usize, what: &'static str| -> Result<Range<usize>, Error> {
            // Both words are inside the header, whose length was checked.
            let (offset, size) = (word(at).unwrap_or(0), word(at + 4).unwrap_or(0));
            let end = length as u64 + u64::from(offset) + u64::from(size);
            if end > bytes.len() as u64 {
                let present = bytes.len() as u64;
                return Err(Error::Truncated { what, needed: end, present });
            }
            let start = length + offset as usize;
            Ok(start..start + size as usize)
        };
        let types = section(8, "the type section")?;
        let strings = section(16, "the string section")?;
        let layout = if length >= 32 { section(24, "the layout section")? } else { length..length };
        if !types.len().is_multiple_of(4) {
            return Err(Error::Header("the type section's length is not a multiple of 4"));
        }
        if types.start < strings.end && strings.start < types.end {
            return Err(Error::Header("types and strings overlap"));
        }
        Ok(Self { endian, types, strings, layout })
    }
}
