//! Kernel images: from what a boot loader loads to the ELF file `vmlinux`
//! inside, which QEMU boots faster and which holds the kernel's BTF.
//!
//! The layout of an x86 bzImage is that of Documentation/arch/x86/boot.rst:
//! at 0x1f1 the number of 512-byte set-up sectors (0 means 4), at 0x202 the
//! mark `HdrS`, at 0x20e where the release string lies, at 0x248 and 0x24c
//! (protocol 2.08) offset and length of the compressed payload, counted from
//! behind the set-up sectors. Four bytes with the size behind the compressed
//! stream belong to the payload for every compressor but gzip
//! (scripts/Makefile.lib, `size_append`).
//!
//! Other machines' kernels are not booted, but have BTF ([`unpacked`]). arm64's
//! and RISC-V's `Image` is the kernel's memory as it is, with a header
//! (Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst). It
//! may be compressed as a whole, and then stand in an EFI program that unpacks
//! itself: `MZ`, at 4 `zimg`, at 8 and 12 offset and length of the payload
//! (drivers/firmware/efi/libstub/zboot-header.S).

use super::lzo;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

/// No kernel is larger unpacked; whatever claims to be is not unpacked on.
pub const MAX_VMLINUX: u64 = 1 << 30;

/// Why the bytes are not a kernel that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// It is no kernel image of a known kind.
    Unknown,
    /// It is a kernel image for another architecture.
    Architecture(&'static str),
    /// It ends before its own header says it does.
    Truncated {
        /// The bytes there are.
        have: u64,
        /// The bytes there should be.
        need: u64,
    },
    /// The payload is compressed in a way that skep cannot undo.
    Compression(String),
    /// The compressed payload is damaged.
    Payload(String),
    /// The payload unpacks to more than [`MAX_VMLINUX`].
    TooLarge,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it is neither a bzImage nor an ELF vmlinux"),
            Self::Architecture(name) => {
                write!(f, "it is an image for {name}, and skep boots x86-64 kernels")
            }
            Self::Truncated { have, need } => {
                write!(f, "it ends after {have} bytes, but its header asks for {need}")
            }
            Self::Compression(name) => write!(f, "its payload is compressed with {name}"),
            Self::Payload(reason) => write!(f, "its compressed payload is damaged: {reason}"),
            Self::TooLarge => write!(f, "it unpacks to more than {} MiB", MAX_VMLINUX >> 20),
        }
    }
}

impl std::error::Error for ImageError {}

/// The `vmlinux` ELF file in a kernel image: the image itself if it is one,
/// else its payload, unpacked.
pub fn vmlinux(image: &[u8]) -> Result<Cow<'_, [u8]>, ImageError> {
    if image.starts_with(b"\x7fELF") {
        check_elf(image)?;
        return Ok(Cow::Borrowed(image));
    }
    if let Some(machine) = foreign(image) {
        return Err(ImageError::Architecture(machine));
    }
    let elf = unpack(payload(image)?, MAX_VMLINUX)?;
    check_elf(&elf)?;
    Ok(Cow::Owned(elf))
}

/// A kernel of any machine as it is in memory or in an ELF file, out of an
/// image of any kind.
///
/// # Errors
/// As [`vmlinux`]'s, but for the machine.
pub fn unpacked(image: &[u8]) -> Result<Cow<'_, [u8]>, ImageError> {
    if image.starts_with(b"\x7fELF") || raw_machine(image).is_some() {
        return Ok(Cow::Borrowed(image));
    }
    let packed = if is_compressed(image) { image } else { payload(image)? };
    Ok(Cow::Owned(unpack(packed, MAX_VMLINUX)?))
}

/// The machine of an image that QEMU's x86-64 does not boot, if the image
/// tells it.
pub fn foreign(image: &[u8]) -> Option<&'static str> {
    raw_machine(image).or_else(|| is_zboot(image).then_some("arm64 or RISC-V"))
}

/// The machine of a kernel that is as it will be in memory.
fn raw_machine(image: &[u8]) -> Option<&'static str> {
    match (image.get(0x30..0x38)?, image.get(0x38..0x3c)?) {
        (_, b"ARM\x64") => Some("arm64"),
        (b"RISCV\0\0\0", _) | (_, b"RSC\x05") => Some("RISC-V"),
        _ => None,
    }
}

fn is_zboot(image: &[u8]) -> bool {
    image.starts_with(b"MZ") && image.get(4..8) == Some(b"zimg")
}

/// A file that was compressed as a whole, such as a module or a debug
/// `vmlinux`, as it was before; nothing for other files.
///
/// # Errors
/// As [`vmlinux`]'s for what is damaged or too large.
pub fn decompressed(file: &[u8]) -> Result<Option<Vec<u8>>, ImageError> {
    is_compressed(file).then(|| unpack(file, MAX_VMLINUX)).transpose()
}

fn is_compressed(file: &[u8]) -> bool {
    matches!(
        file,
        [0x1f, 0x8b, ..]
            | [0xfd, b'7', b'z', b'X', b'Z', ..]
            | [0x28, 0xb5, 0x2f, 0xfd, ..]
            | [0x02, 0x21, 0x4c, 0x18, ..]
            | [0x04, 0x22, 0x4d, 0x18, ..]
            | [b'B', b'Z', b'h', ..]
            | [0x5d, 0, 0, ..]
    ) || file.starts_with(lzo::MAGIC)
}

/// The release in a kernel image, as `uname -r` prints it.
pub fn release(image: &[u8]) -> Option<String> {
    let text = if is_bzimage(image) {
        // A 16-bit offset, less 0x200, to a string ending in a zero byte.
        let offset = usize::from(u16_at(image, 0x20e)?);
        image.get(offset + 0x200..)?
    } else {
        // The banner, `Linux version %s (`, in init/version.c.
        let mark = b"Linux version ";
        let start = find(image, |rest| {
            rest.starts_with(mark) && rest.get(mark.len()).is_some_and(u8::is_ascii_digit)
        })?;
        &image[start + mark.len()..]
    };
    let end = text.iter().position(|&byte| byte == b' ' || byte == 0)?;
    let release = std::str::from_utf8(text.get(..end.min(128))?).ok()?;
    (!release.is_empty()).then(|| release.to_owned())
}

/// Whether the bytes begin like something [`vmlinux`] may understand.
pub fn looks_like_image(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF") || is_bzimage(bytes)
}

fn is_bzimage(image: &[u8]) -> bool {
    image.get(0x202..0x206) == Some(b"HdrS")
}

fn payload(image: &[u8]) -> Result<&[u8], ImageError> {
    let truncated = |need| ImageError::Truncated { have: image.len() as u64, need };
    if is_zboot(image) {
        let field = |at| u32_at(image, at).map(u64::from).ok_or(truncated(0x10));
        let (start, length) = (field(8)?, field(12)?);
        return slice(image, start, start + length);
    }
    if !is_bzimage(image) {
        return Err(ImageError::Unknown);
    }
    let version = u16_at(image, 0x206).ok_or(truncated(0x250))?;
    if version < 0x208 {
        return Err(ImageError::Compression(format!(
            "boot protocol {}.{:02}, older than 2.08",
            version >> 8,
            version & 0xff
        )));
    }
    let field = |at| u32_at(image, at).map(u64::from).ok_or(truncated(0x250));
    let sectors = match image[0x1f1] {
        0 => 4,
        n => u64::from(n),
    };
    let start = (sectors + 1) * 512 + field(0x248)?;
    slice(image, start, start + field(0x24c)?)
}

fn slice(image: &[u8], start: u64, end: u64) -> Result<&[u8], ImageError> {
    let truncated = ImageError::Truncated { have: image.len() as u64, need: end };
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) => image.get(start..end).ok_or(truncated),
        _ => Err(truncated),
    }
}

/// Unpacks a payload by what its first bytes say, to at most `limit` bytes.
fn unpack(payload: &[u8], limit: u64) -> Result<Vec<u8>, ImageError> {
    let read_all = |reader: &mut dyn Read| read_all(reader, limit);
    match payload {
        [0x1f, 0x8b, ..] => read_all(&mut flate2::read::GzDecoder::new(payload)),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => read_all(&mut liblzma::read::XzDecoder::new(payload)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(payload);
            let decoder = decoder.map_err(|error| ImageError::Payload(error.to_string()))?;
            read_all(&mut decoder.single_frame())
        }
        [0x02, 0x21, 0x4c, 0x18, ..] => lz4_legacy(&payload[4..], limit),
        [0x04, 0x22, 0x4d, 0x18, ..] => read_all(&mut lz4_flex::frame::FrameDecoder::new(payload)),
        [b'B', b'Z', b'h', ..] => read_all(&mut bzip2::read::BzDecoder::new(payload)),
        [0x5d, 0, 0, ..] => {
            let stream = liblzma::stream::Stream::new_lzma_decoder(MAX_VMLINUX)
                .map_err(|error| ImageError::Payload(error.to_string()))?;
            read_all(&mut liblzma::read::XzDecoder::new_stream(payload, stream))
        }
        payload if payload.starts_with(lzo::MAGIC) => {
            lzo::unpack(payload, limit).map_err(|error| match error {
                lzo::Error::TooLarge => ImageError::TooLarge,
                lzo::Error::Damaged(reason) => ImageError::Payload(reason.into()),
            })
        }
        [0x7f, b'E', b'L', b'F', ..] => Ok(payload.to_vec()),
        _ => Err(ImageError::Compression("something skep does not know".into())),
    }
}

fn read_all(reader: &mut dyn Read, limit: u64) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    match reader.take(limit + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > limit => Err(ImageError::TooLarge),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ImageError::Payload("it ends early".into()))
        }
        Err(error) => Err(ImageError::Payload(error.to_string())),
    }
}

/// The blocks behind the mark of `lz4 -l`: each its compressed length, then
/// the bytes, which unpack to at most 8 MiB. The payload's own size in four
/// bytes stands behind the last one.
fn lz4_legacy(mut rest: &[u8], limit: u64) -> Result<Vec<u8>, ImageError> {
    const BLOCK: usize = 8 << 20;
    let damaged = |reason: &str| ImageError::Payload(reason.to_owned());
    let mut unpacked = Vec::new();
    let mut block = vec![0; BLOCK];
    while rest.len() > 4 {
        let length = u32_at(rest, 0).ok_or_else(|| damaged("a block has no length"))?;
        let bytes = rest.get(4..4 + length as usize).ok_or_else(|| damaged("it ends early"))?;
        let n = lz4_flex::block::decompress_into(bytes, &mut block)
            .map_err(|error| damaged(&error.to_string()))?;
        unpacked.extend_from_slice(&block[..n]);
        if unpacked.len() as u64 > limit {
            return Err(ImageError::TooLarge);
        }
        rest = &rest[4 + length as usize..];
    }
    Ok(unpacked)
}

/// Checks that an ELF file is an x86-64 kernel and that everything its
/// program headers name is there.
fn check_elf(elf: &[u8]) -> Result<(), ImageError> {
    let truncated = |need| ImageError::Truncated { have: elf.len() as u64, need };
    let header = elf.get(..64).ok_or(truncated(64))?;
    if header[4] != 2 || header[5] != 1 {
        return Err(ImageError::Architecture("a 32-bit or big-endian machine"));
    }
    match u16_at(header, 18) {
        Some(62) => {}
        Some(183) => return Err(ImageError::Architecture("arm64")),
        Some(247) => return Err(ImageError::Unknown),
        _ => return Err(ImageError::Architecture("another machine")),
    }
    let table = u64_at(header, 32).unwrap_or(0);
    let count = u64::from(u16_at(header, 56).unwrap_or(0));
    if count == 0 {
        return Err(ImageError::Unknown);
    }
    for index in 0..count {
        let at = table.saturating_add(index * 56);
        let entry = usize::try_from(at)
            .ok()
            .and_then(|at| elf.get(at..at.checked_add(56)?))
            .ok_or(truncated(at.saturating_add(56)))?;
        let (offset, size) = (u64_at(entry, 8).unwrap_or(0), u64_at(entry, 32).unwrap_or(0));
        let end = offset.saturating_add(size);
        if end > elf.len() as u64 {
            return Err(truncated(end));
        }
    }
    Ok(())
}

/// Whether a `vmlinux` says where it can be entered in 32-bit mode: a note
/// `XEN_ELFNOTE_PHYS32_ENTRY` (18) of the owner `Xen`, without which QEMU does
/// not boot an ELF kernel.
pub fn has_pvh_entry(vmlinux: &[u8]) -> bool {
    const PT_NOTE: u32 = 4;
    let table = u64_at(vmlinux, 32).unwrap_or(0);
    let count = u64::from(u16_at(vmlinux, 56).unwrap_or(0));
    let notes = |index: u64| {
        let at = usize::try_from(table.checked_add(index * 56)?).ok()?;
        if u32_at(vmlinux, at)? != PT_NOTE {
            return None;
        }
        let offset = usize::try_from(u64_at(vmlinux, at + 8)?).ok()?;
        let size = usize::try_from(u64_at(vmlinux, at + 32)?).ok()?;
        vmlinux.get(offset..offset.checked_add(size)?)
    };
    (0..count).filter_map(notes).any(|notes| {
        // Length of the owner's name with its zero byte, of the content, type.
        let mark: Vec<u8> = [4_u32, 0, 18].iter().flat_map(|word| word.to_le_bytes()).collect();
        notes.windows(16).any(|note| {
            note[..4] == mark[..4] && note[8..12] == mark[8..] && note[12..] == *b"Xen\0"
        })
    })
}

fn find(bytes: &[u8], mut is_it: impl FnMut(&[u8]) -> bool) -> Option<usize> {
    bytes
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| byte == b'L')
        .map(|(at, _)| at)
        .find(|&at| is_it(&bytes[at..]))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// An ELF header with one program header of the whole file.
    fn elf() -> Vec<u8> {
        let mut elf = vec![0; 64 + 56 + 9000];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 62;
        elf[32] = 64;
        elf[56] = 1;
        let size = elf.len() as u64;
        elf[64 + 32..64 + 40].copy_from_slice(&size.to_le_bytes());
        elf[200..228].copy_from_slice(b"Linux version 6.1.0-9 (gcc)\0");
        elf
    }

    /// A bzImage with two set-up sectors around a payload.
    fn bzimage(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 512 * 3 + 16];
        image[0x1f1] = 2;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image[0x300..0x30a].copy_from_slice(b"6.1.0-9 (x");
        image.extend_from_slice(payload);
        image
    }

    fn with_size(mut stream: Vec<u8>) -> Vec<u8> {
        stream.extend_from_slice(&(elf().len() as u32).to_le_bytes());
        stream
    }

    fn payloads() -> Vec<(&'static str, Vec<u8>)> {
        let elf = elf();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&elf).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&elf).unwrap();
        let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
        let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
        let mut lzma = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        lzma.write_all(&elf).unwrap();
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(&elf).unwrap();
        let mut lz4 = vec![0x02, 0x21, 0x4c, 0x18];
        for block in elf.chunks(4096) {
            let packed = lz4_flex::block::compress(block);
            lz4.extend_from_slice(&(packed.len() as u32).to_le_bytes());
            lz4.extend_from_slice(&packed);
        }
        let mut framed = lz4_flex::frame::FrameEncoder::new(Vec::new());
        framed.write_all(&elf).unwrap();
        vec![
            ("lz4 frame", with_size(framed.finish().unwrap())),
            ("gzip", gz.finish().unwrap()),
            ("xz", with_size(xz.finish().unwrap())),
            ("lzma", with_size(lzma.finish().unwrap())),
            ("bzip2", with_size(bz.finish().unwrap())),
            ("lz4", with_size(lz4)),
            ("lzo", with_size(lzo::tests::packed(&elf))),
            ("zstd", with_size(zstd::encode_all(&elf[..], 1).unwrap())),
        ]
    }

    #[test]
    fn every_compressor_is_undone() {
        for (name, payload) in payloads() {
            let image = bzimage(&payload);
            assert_eq!(vmlinux(&image).as_deref(), Ok(&elf()[..]), "{name}");
            assert_eq!(release(&image).as_deref(), Some("6.1.0-9"), "{name}");
        }
        assert_eq!(release(&elf()).as_deref(), Some("6.1.0-9"));
    }

    #[test]
    fn every_prefix_and_every_flipped_byte_is_survived() {
        for (name, payload) in payloads() {
            let image = bzimage(&payload);
            for cut in 0..image.len() {
                assert!(vmlinux(&image[..cut]).is_err(), "{name} cut at {cut}");
            }
            for at in 0..payload.len() {
                let mut image = image.clone();
                image[512 * 3 + 16 + at] ^= 0x55;
                // Some compressors have no checksum: only no panic is asked.
                drop(vmlinux(&image));
            }
        }
    }

    #[test]
    fn half_an_image_says_how_much_is_missing() {
        let image = bzimage(&payloads().remove(0).1);
        let half = &image[..image.len() / 2 + 800];
        let error = vmlinux(half).unwrap_err();
        assert_eq!(
            error,
            ImageError::Truncated { have: half.len() as u64, need: image.len() as u64 }
        );
        assert!(matches!(vmlinux(&elf()[..500]), Err(ImageError::Truncated { .. })));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let limit = elf().len() as u64 - 1;
        for (name, payload) in payloads() {
            assert_eq!(unpack(&payload, limit), Err(ImageError::TooLarge), "{name}");
            assert!(unpack(&payload, limit + 1).is_ok(), "{name}");
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(vmlinux(b""), Err(ImageError::Unknown));
        assert_eq!(vmlinux(b"#!/bin/sh\n"), Err(ImageError::Unknown));
        let mut arm = vec![0; 64];
        arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
        assert_eq!(vmlinux(&arm), Err(ImageError::Architecture("arm64")));
        assert_eq!(unpacked(&arm).as_deref(), Ok(&arm[..]));
        // In an EFI program that unpacks itself.
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&arm).unwrap();
        let packed = gz.finish().unwrap();
        let mut efi = b"MZ\0\0zimg\x18\0\0\0".to_vec();
        efi.extend((packed.len() as u32).to_le_bytes());
        efi.extend([0; 8]);
        efi.extend(&packed);
        assert_eq!(vmlinux(&efi), Err(ImageError::Architecture("arm64 or RISC-V")));
        assert_eq!(unpacked(&efi).as_deref(), Ok(&arm[..]));
        for cut in 0..efi.len() {
            assert!(unpacked(&efi[..cut]).is_err(), "cut at {cut}");
        }
        let mut object = elf();
        object[18] = 247;
        assert_eq!(vmlinux(&object), Err(ImageError::Unknown));
    }
}
