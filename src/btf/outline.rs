//! Where the records of BTF lie, and nothing else: what is needed to find a
//! few types among a kernel's 150,000.
//!
//! Reading BTF ([`Btf::parse`]) checks every type, because every type may be
//! walked to afterwards. Who needs a few hundred copies these out of an
//! outline, and reads and checks the copy. An outline promises only that each
//! record lies whole inside the bytes; numbers and offsets in it may be wrong,
//! and references may go in circles.
//!
//! [`Btf::parse`]: super::Btf::parse

use super::data::Data;
use super::header::Header;
use super::raw::Records;
use super::read::{Layout, MAX_TYPES, Record, length, unknown_layout};
use super::types::{Kind, words};
use super::{Endian, Error};
use std::ops::Range;

/// The outline of BTF that stands on its own, in little-endian order.
#[derive(Debug)]
pub struct Outline {
    data: Data,
    strings: Range<usize>,
    /// Where each record begins; then where the last ends.
    offsets: Vec<u32>,
    /// The structs, unions, enumerations, typedefs and forward declarations,
    /// in order.
    named: Vec<u32>,
    /// The declaration tags, in order.
    tags: Vec<u32>,
    /// Whether some enumeration says that its values have a sign.
    enums_have_signs: bool,
    /// Whether an integer uses only some of its bits.
    has_partial_ints: bool,
}

impl Outline {
    /// Finds the records.
    ///
    /// # Errors
    /// If the bytes are not BTF, are in big-endian order, or a record is cut.
    pub fn parse(data: impl Into<Data>) -> Result<Self, Error> {
        let data = data.into();
        let header = Header::read(&data)?;
        if header.endian == Endian::Big {
            return Err(Error::Header("it is in big-endian order"));
        }
        if data.len() > u32::MAX as usize {
            return Err(Error::Header("it is larger than 4 GiB"));
        }
        let types = &data[header.types.clone()];
        // A record has about 24 bytes on average.
        let mut offsets = Vec::with_capacity(types.len() / 20);
        let (mut named, mut tags) = (Vec::new(), Vec::new());
        let (mut enums_have_signs, mut has_partial_ints) = (false, false);
        let mut at = 0;
        while let Some([name, info, third]) = types.get(at..at + 12).map(words) {
            let id = offsets.len() as u32 + 1;
            if id as usize > MAX_TYPES {
                return Err(Error::Header("it has too many types"));
            }
            let (kind, count) = (Kind::of(info), info & 0xff_ffff);
            let layout = match kind {
                Kind::Void => return Err(Error::ty(id, "has no kind")),
                Kind::Unknown => unknown_layout(&data[header.layout.clone()], id, info)?,
                kind => Layout::of(kind),
            };
            match kind {
                Kind::Struct | Kind::Union | Kind::Fwd if name == 0 => {}
                Kind::Struct | Kind::Union | Kind::Fwd | Kind::Typedef => named.push(id),
                Kind::Enum | Kind::Enum64 => {
                    enums_have_signs |= info >> 31 == 1 || kind == Kind::Enum64;
                    named.push(id);
                }
                Kind::DeclTag => tags.push(id),
                Kind::Int => {
                    let [encoding] = types.get(at + 12..).map_or([0], words);
                    has_partial_ints |=
                        encoding & 0xff != third.saturating_mul(8) || encoding >> 16 & 0xff != 0;
                }
                _ => {}
            }
            offsets.push((header.types.start + at) as u32);
            at += 12 + layout.info as usize + layout.element as usize * count as usize;
        }
        if at != types.len() {
            let needed = header.types.start as u64 + at as u64 + 12;
            let present = data.len() as u64;
            return Err(Error::Truncated { what: "the last type", needed, present });
        }
        offsets.push(header.types.end as u32);
        let strings = header.strings;
        Ok(Self { data, strings, offsets, named, tags, enums_have_signs, has_partial_ints })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The structs and unions with a name, the enumerations, typedefs and
    /// forward declarations, in order.
    pub(crate) fn named(&self) -> &[u32] {
        &self.named
    }

    /// The declaration tags, in order.
    pub(crate) fn tags(&self) -> &[u32] {
        &self.tags
    }

    /// Whether some enumeration says that its values have a sign; BTF from
    /// before Linux 6.0 has none.
    pub(crate) fn enums_have_signs(&self) -> bool {
        self.enums_have_signs
    }

    /// Whether an integer uses only some of its bits, as bit-fields had it
    /// before kind_flag.
    pub(crate) fn has_partial_ints(&self) -> bool {
        self.has_partial_ints
    }
}

impl Records for Outline {
    fn end(&self) -> u32 {
        self.offsets.len() as u32
    }

    #[inline]
    fn record(&self, id: u32) -> Option<Record<'_>> {
        let [start, end] = *self.offsets.get(id.checked_sub(1)? as usize..)?.first_chunk()?;
        let bytes = self.data.get(start as usize..end as usize)?;
        let (head, rest) = bytes.split_first_chunk::<12>()?;
        let [name, info, third] = words(head);
        Some(Record { name, info, third, rest })
    }

    #[inline]
    fn text(&self, offset: u32) -> &[u8] {
        let rest = self.data[self.strings.clone()].get(offset as usize..).unwrap_or_default();
        &rest[..length(rest)]
    }
}
