//! BTF somewhere in bytes that say nothing of where: a kernel's memory image
//! has it between its other data.

use super::Btf;
use super::header::Header;
use std::ops::Range;

/// The most places that are looked at; a kernel's image has a handful.
const MAX_PLACES: usize = 4096;

impl Btf {
    /// Where the largest BTF lies that `is_it` accepts. A kernel has, besides
    /// its own, that of the BPF programs it comes with.
    ///
    /// Places that begin like BTF are read one after the other, the largest
    /// first, until four times as many bytes were read as there are.
    pub fn search(bytes: &[u8], is_it: impl Fn(&Self) -> bool) -> Option<Range<usize>> {
        let mut places: Vec<Range<usize>> =
            starts(bytes).filter_map(|at| extent(bytes, at)).take(MAX_PLACES).collect();
        places.sort_by_key(|place| std::cmp::Reverse(place.len()));
        let mut left = bytes.len().saturating_mul(4);
        places.into_iter().find(|place| {
            let Some(less) = left.checked_sub(place.len()) else { return false };
            left = less;
            Self::parse(&bytes[place.clone()]).is_ok_and(|btf| is_it(&btf))
        })
    }
}

/// Where magic, version 1 and no flags stand, in either byte order.
fn starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.windows(4).enumerate().filter_map(|(at, four)| {
        // One comparison for nearly all places.
        (four[2] == 1 && matches!(four, [0x9f, 0xeb, 1, 0] | [0xeb, 0x9f, 1, 0])).then_some(at)
    })
}

/// The bytes that BTF at a place would have, if its header and the ends of its
/// strings are as they must be.
fn extent(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = bytes.get(at..)?;
    let header = Header::read(rest).ok()?;
    let strings = rest.get(header.strings.clone())?;
    let is_whole = strings.first() == Some(&0) && strings.last() == Some(&0);
    let end = header.strings.end.max(header.types.end).max(header.layout.end);
    (is_whole && !header.types.is_empty()).then_some(at..at + end)
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Endian, Kind};
    use super::*;

    fn btf(name: &str, endian: Endian) -> Vec<u8> {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        b.composite(Kind::Struct, name, 4, &[("a", int, 0, 0)]);
        b.finish(endian)
    }

    #[test]
    fn the_largest_that_is_wanted_is_found_wherever_it_lies() {
        for endian in [Endian::Little, Endian::Big] {
            let (small, large) = (btf("s", endian), btf("a_longer_name", endian));
            let mut image = vec![0x9f, 0xeb, 1, 0, 0x9f, 0xeb, 1, 0, 24];
            image.extend(&small);
            image.extend(b"abc");
            let start = image.len();
            image.extend(&large);
            let end = image.len();
            image.extend([0x9f; 100]);
            assert_eq!(Btf::search(&image, |_| true), Some(start..end));
            let is_small = |btf: &Btf| btf.find(Kind::Struct, "s").is_some();
            assert_eq!(Btf::search(&image, is_small), Some(9..9 + small.len()));
            assert_eq!(Btf::search(&image, |_| false), None);
            assert_eq!(Btf::search(&image[..end - 1], |_| true), Some(9..9 + small.len()));
        }
        assert_eq!(Btf::search(b"", |_| true), None);
    }

    #[test]
    fn many_beginnings_are_not_read_for_ever() {
        // Each seems to go on to the end.
        let mut image = Vec::new();
        while image.len() < 1 << 20 {
            let rest = (2u32 << 20) - image.len() as u32;
            image.extend([0x9f, 0xeb, 1, 0]);
            for word in [24, 0, (rest - 64) & !3, (rest - 64) & !3, 32] {
                image.extend(word.to_le_bytes());
            }
        }
        image.resize(2 << 20, 0);
        assert_eq!(Btf::search(&image, |btf| btf.len() > 1_000_000), None);
    }
}
