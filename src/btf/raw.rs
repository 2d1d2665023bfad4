//! The records as they lie there, for engines that read all of a kernel's
//! BTF and must not spend time on views.

use super::types::{self, Kind, TypeId};
use super::{Btf, names, read};

pub(crate) use read::Record;

/// Records by number, and strings: what a whole [`Btf`] has, and an
/// [`Outline`](super::Outline), in which references may go anywhere.
pub(crate) trait Records {
    /// One past the last type's number.
    fn end(&self) -> u32;
    /// The record of a type, if there is one.
    fn record(&self, id: u32) -> Option<Record<'_>>;
    /// The bytes of the string at an offset; empty if there is none.
    fn text(&self, offset: u32) -> &[u8];
}

impl Records for Btf {
    fn end(&self) -> u32 {
        self.len()
    }

    #[inline]
    fn record(&self, id: u32) -> Option<Record<'_>> {
        Self::record(self, id)
    }

    #[inline]
    fn text(&self, offset: u32) -> &[u8] {
        self.bytes_of(offset)
    }
}

/// The bytes of BTF with these words as its types and these strings.
pub(crate) fn assemble(types: &[u32], strings: &[u8]) -> Vec<u8> {
    super::rewrite::assemble(types, strings)
}

/// The record of a type, if there is one.
#[inline]
pub(crate) fn record(btf: &Btf, id: u32) -> Option<Record<'_>> {
    btf.record(id)
}

/// The numbers of the types of some kinds, in order.
#[inline]
pub(crate) fn ids_of(btf: &Btf, wanted: fn(Kind) -> bool) -> impl Iterator<Item = u32> {
    let base = btf.first_own().0;
    let own = btf.own_kinds().iter().enumerate();
    let own = own.filter(move |(_, kind)| wanted(**kind)).map(move |(at, _)| base + at as u32);
    (1..base).filter(move |id| wanted(btf.kind(TypeId(*id)))).chain(own)
}

/// The first words of a record's rest, which are there by the record's kind.
#[inline]
pub(crate) fn words<const N: usize>(rest: &[u8]) -> [u32; N] {
    types::words(rest)
}

/// The first word of a record's rest.
#[inline]
pub(crate) fn word(rest: &[u8]) -> u32 {
    types::words::<1>(rest)[0]
}

/// The bytes of the string at an offset.
#[inline]
pub(crate) fn bytes(btf: &Btf, offset: u32) -> &[u8] {
    btf.bytes_of(offset)
}

/// The bytes of the string at an offset up to the first that fits, and that
/// byte; 0 if the string ends there. The end of a string must fit.
#[inline]
pub(crate) fn until(btf: &Btf, offset: u32, stop: impl Fn(u8) -> bool) -> (&[u8], u8) {
    if offset < btf.base_strings {
        return btf.base.as_ref().map_or((&[], 0), |base| until(base, offset, stop));
    }
    let strings = &btf.data[btf.strings.clone()];
    let rest = strings.get((offset - btf.base_strings) as usize..).unwrap_or_default();
    let end = rest.iter().position(|byte| stop(*byte)).unwrap_or(0);
    (&rest[..end], rest.get(end).copied().unwrap_or(0))
}

/// The own strings from an offset on; nothing for those of the base.
#[inline]
pub(crate) fn rest(btf: &Btf, offset: u32) -> &[u8] {
    let strings = &btf.data[btf.strings.clone()];
    strings.get(offset.wrapping_sub(btf.base_strings) as usize..).unwrap_or_default()
}

/// How many bytes of strings the base has.
pub(crate) fn base_strings(btf: &Btf) -> u32 {
    btf.base_strings
}

/// All own strings.
pub(crate) fn strings(btf: &Btf) -> &[u8] {
    rest(btf, btf.base_strings)
}

/// How many bytes come before the first zero byte; 0 if there is none.
#[inline]
pub(crate) fn length(bytes: &[u8]) -> usize {
    read::length(bytes)
}

/// The offset in bits of a member, and the width of a bit-field.
#[inline]
pub(crate) fn member_bits(btf: &Btf, flag: bool, ty: u32, offset: u32) -> (u32, Option<u8>) {
    btf.member_bits(flag, ty, offset)
}

/// How many bytes the BTF has, its base included.
pub(crate) fn data_len(btf: &Btf) -> usize {
    btf.data.len() + btf.base.as_ref().map_or(0, |base| data_len(base))
}

/// A hash of a name.
#[inline]
pub(crate) fn hash(name: &[u8]) -> u32 {
    names::hash(name)
}
