//! LZO: the container that `lzop` writes around blocks (lzop's `lzop.c`;
//! lib/decompress_unlzo.c), and the blocks themselves (LZO1X,
//! Documentation/staging/lzo.rst).

/// How a stream of `lzop` begins.
pub(super) const MAGIC: &[u8] = b"\x89LZO\0\r\n\x1a\n";

/// No block is larger (lzop's own limit).
const MAX_BLOCK: usize = 64 << 20;

/// Why a stream cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// It unpacks to more than was allowed.
    TooLarge,
    /// It is damaged.
    Damaged(&'static str),
}

const ENDS_EARLY: Error = Error::Damaged("it ends early");

/// Takes numbers off the front of a stream.
struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ENDS_EARLY)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number, most significant byte first.
    fn number(&mut self, bytes: usize) -> Result<u32, Error> {
        let fold = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Ok(self.take(bytes)?.iter().fold(0, fold))
    }

    fn byte(&mut self) -> Result<usize, Error> {
        self.number(1).map(|byte| byte as usize)
    }
}

/// Unpacks a stream of `lzop` to at most `limit` bytes. What follows its end
/// is not looked at, and its checksums are not either: what is unpacked is
/// checked by whoever uses it.
pub(super) fn unpack(stream: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    /// The first version with two more fields.
    const LONG_HEADER: u32 = 0x0940;
    const HAS_FILTER: u32 = 0x800;
    /// Checksums (Adler-32, CRC-32) of the bytes before and after packing.
    const PLAIN_SUMS: [u32; 2] = [0x1, 0x100];
    const PACKED_SUMS: [u32; 2] = [0x2, 0x200];
    let mut input = Input(stream.strip_prefix(MAGIC).ok_or(Error::Damaged("it is not LZO"))?);
    let version = input.number(2)?;
    input.take(2)?;
    let is_long = version >= LONG_HEADER;
    input.take(if is_long { 2 } else { 0 })?;
    let method = input.byte()?;
    if !(1..=3).contains(&method) {
        return Err(Error::Damaged("its method is not known"));
    }
    input.take(usize::from(is_long))?;
    let flags = input.number(4)?;
    input.take(if flags & HAS_FILTER == 0 { 0 } else { 4 })?;
    // Mode and time; the upper half of the time came later.
    input.take(if is_long { 12 } else { 8 })?;
    let name = input.byte()?;
    input.take(name)?;
    input.take(4)?;
    let sums = |kinds: [u32; 2]| kinds.iter().filter(|kind| flags & **kind != 0).count() * 4;
    let mut unpacked = Vec::new();
    loop {
        let size = input.number(4)? as usize;
        if size == 0 {
            return Ok(unpacked);
        }
        let packed = input.number(4)? as usize;
        if size > MAX_BLOCK || packed > size {
            return Err(Error::Damaged("a block is too large"));
        }
        if unpacked.len() as u64 + size as u64 > limit {
            return Err(Error::TooLarge);
        }
        input.take(sums(PLAIN_SUMS))?;
        if packed == size {
            // Packing would not have made it smaller.
            unpacked.extend_from_slice(input.take(size)?);
            continue;
        }
        input.take(sums(PACKED_SUMS))?;
        let start = unpacked.len();
        block(input.take(packed)?, &mut unpacked, size)?;
        if unpacked.len() - start != size {
            return Err(Error::Damaged("a block unpacks to another size than it says"));
        }
    }
}

/// How many literals the last instruction copied, as far as the next one
/// depends on it: more than three count as `MANY`.
const MANY: usize = 4;

/// Unpacks one LZO1X block of at most `size` bytes behind what is in `out`,
/// which no match reaches back to.
fn block(packed: &[u8], out: &mut Vec<u8>, size: usize) -> Result<(), Error> {
    let start = out.len();
    let mut input = Input(packed);
    let mut literals = 0;
    if let Some(first) = packed.first().map(|first| usize::from(*first))
        && first > 17
    {
        input.byte()?;
        literal(&mut input, out, first - 17)?;
        literals = (first - 17).min(MANY);
    }
    loop {
        let op = input.byte()?;
        let (distance, length, after) = match op {
            0..16 if literals == 0 => {
                let run = 3 + length(&mut input, op, 15)?;
                if out.len() - start + run > size {
                    return Err(Error::Damaged("it unpacks to more than it says"));
                }
                literal(&mut input, out, run)?;
                literals = MANY;
                continue;
            }
            0..16 => {
                let distance = (input.byte()? << 2) + (op >> 2);
                let (nearest, length) = if literals == MANY { (2049, 3) } else { (1, 2) };
                (distance + nearest, length, op)
            }
            16..32 => {
                let length = 2 + length(&mut input, op & 7, 7)?;
                let (distance, after) = distance(&mut input)?;
                let distance = 16384 + ((op & 8) << 11) + distance;
                if distance == 16384 {
                    return Ok(());
                }
                (distance, length, after)
            }
            32..64 => {
                let length = 2 + length(&mut input, op & 31, 31)?;
                let (distance, after) = distance(&mut input)?;
                (distance + 1, length, after)
            }
            64..128 => ((input.byte()? << 3) + (op >> 2 & 7) + 1, 3 + (op >> 5 & 1), op),
            _ => ((input.byte()? << 3) + (op >> 2 & 7) + 1, 5 + (op >> 5 & 3), op),
        };
        literals = after & 3;
        if out.len() - start + length + literals > size {
            return Err(Error::Damaged("it unpacks to more than it says"));
        }
        let from = (out.len() - start).checked_sub(distance).map(|from| from + start);
        let from = from.ok_or(Error::Damaged("a match reaches back too far"))?;
        if distance >= length {
            out.extend_from_within(from..from + length);
        } else {
            // A match may repeat what it is just writing.
            (from..from + length).for_each(|at| out.push(out[at]));
        }
        literal(&mut input, out, literals)?;
    }
}

fn literal(input: &mut Input<'_>, out: &mut Vec<u8>, count: usize) -> Result<(), Error> {
    out.extend_from_slice(input.take(count)?);
    Ok(())
}

/// A length whose bits in the instruction are `bits`; if those are zero, they
/// stand for `base`, and bytes follow: 255 for each that is zero, and the
/// first that is not.
fn length(input: &mut Input<'_>, bits: usize, base: usize) -> Result<usize, Error> {
    if bits != 0 {
        return Ok(bits);
    }
    let zeros = input.0.iter().take_while(|byte| **byte == 0).count();
    input.take(zeros)?;
    if zeros > MAX_BLOCK / 255 {
        return Err(Error::Damaged("a length is too large"));
    }
    Ok(base + zeros * 255 + input.byte()?)
}

/// A distance in fourteen bits of two bytes, and what the other two bits are
/// in.
fn distance(input: &mut Input<'_>) -> Result<(usize, usize), Error> {
    let low = input.byte()?;
    let both = input.byte()? << 8 | low;
    Ok((both >> 2, low))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A stream of one version's header and blocks as they are.
    fn stream(blocks: &[(usize, &[u8])]) -> Vec<u8> {
        let mut stream = MAGIC.to_vec();
        stream.extend([0x10, 0x40, 0x20, 0xa0, 0x09, 0x40, 3, 9]);
        stream.extend([3, 0, 0, 1]);
        stream.extend([0; 12]);
        stream.extend([1, b'x', 1, 2, 3, 4]);
        for (size, packed) in blocks {
            stream.extend((*size as u32).to_be_bytes());
            stream.extend((packed.len() as u32).to_be_bytes());
            stream.extend(b"ADLR");
            stream.extend(*packed);
        }
        stream.extend([0; 4]);
        stream
    }

    /// Bytes packed as literals, which is LZO too.
    pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
        let blocks: Vec<(usize, Vec<u8>)> = bytes
            .chunks(4096)
            .map(|chunk| {
                // A run of zeros is left out of the literals, and made by a
                // match that repeats one of them.
                let zeros = chunk.iter().rev().take_while(|byte| **byte == 0).count();
                let kept = (chunk.len() - zeros.saturating_sub(1)).max(19);
                let mut packed = vec![0];
                packed.extend(run(kept - 3, 15));
                packed.extend(&chunk[..kept]);
                let repeated = chunk.len() - kept;
                if repeated > 33 {
                    packed.push(0x20);
                    packed.extend(run(repeated - 2, 31));
                    packed.extend([0, 0]);
                } else if repeated > 0 {
                    return (chunk.len(), chunk.to_vec());
                }
                packed.extend([0x11, 0, 0]);
                if packed.len() < chunk.len() {
                    (chunk.len(), packed)
                } else {
                    (chunk.len(), chunk.to_vec())
                }
            })
            .collect();
        let blocks: Vec<(usize, &[u8])> =
            blocks.iter().map(|(size, packed)| (*size, &packed[..])).collect();
        stream(&blocks)
    }

    fn run(length: usize, base: usize) -> Vec<u8> {
        let rest = length - base;
        let zeros = (rest - 1) / 255;
        let mut bytes = vec![0; zeros];
        bytes.push((rest - zeros * 255) as u8);
        bytes
    }

    #[test]
    fn every_instruction_is_followed() {
        // Five literals; a match of each kind, with literals behind some.
        let packed = [
            22,
            b'a',
            b'b',
            b'c',
            b'd',
            b'e', // first byte: 5 literals
            0b0100_1101,
            0,
            b'f', // 3 bytes from 4 back, one literal behind
            0b0000_0110,
            0,
            b'g',
            b'h', // 2 bytes from 2 back, two literals
            0b1010_0000,
            1, // 6 bytes from 9 back
            0b0000_0001,
            b'i',
            b'j',
            b'k',
            b'l', // four literals
            0b0010_0011,
            12,
            0, // 5 bytes from 4 back: it repeats itself
            0x11,
            0,
            0,
        ];
        let mut out = b"before".to_vec();
        block(&packed, &mut out, 100).unwrap();
        assert_eq!(&out[..], b"beforeabcdebcdfdfghebcdfdijklijkli");
        let damaged = |bytes: &[u8]| block(bytes, &mut Vec::new(), 100).unwrap_err();
        assert_eq!(
            damaged(&[20, 1, 2, 3, 64, 200]),
            Error::Damaged("a match reaches back too far")
        );
        assert_eq!(damaged(&[0]), ENDS_EARLY);
        let mut out = Vec::new();
        let long = [0, 250];
        let long = [&long[..], &[7; 300]].concat();
        assert_eq!(
            block(&long, &mut out, 100),
            Err(Error::Damaged("it unpacks to more than it says"))
        );
    }

    /// What `lzop -9` made of a text.
    const REAL: &[u8] = include_bytes!("lzo.sample");

    #[test]
    fn what_lzop_writes_is_read() {
        let text: String =
            (0..40).map(|n| format!("bees {} fly, bees {n} sting\n", n * 7)).collect();
        assert_eq!(unpack(REAL, 1 << 20).as_deref(), Ok(text.as_bytes()));
        assert_eq!(unpack(REAL, 100), Err(Error::TooLarge));
        for end in 0..REAL.len() {
            assert!(unpack(&REAL[..end], 1 << 20).is_err(), "{end} bytes");
        }
    }
}
