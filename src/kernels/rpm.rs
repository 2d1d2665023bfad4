//! RPM packages, read without rpm: a lead, two headers of the same form, and
//! a packed cpio archive (rpm's `docs/manual/format_v4.md`).
//!
//! As with Debian's, only what belongs to the kernel is kept, and everything is
//! bounded.

use super::package::{Package, PackageError, damaged, unpacker};
use std::io::Read;
use std::path::Path;

/// How a package begins.
const LEAD: &[u8] = b"\xed\xab\xee\xdb";
const LEAD_SIZE: usize = 96;
/// How a header begins, with its version.
const HEADER: &[u8] = b"\x8e\xad\xe8\x01";

/// Tags of the header (rpm's `rpmtag.h`).
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;

/// No name in an archive is longer.
const MAX_NAME: usize = 4096;

/// Whether the bytes begin like an RPM package.
pub fn looks_like_rpm(bytes: &[u8]) -> bool {
    bytes.starts_with(LEAD)
}

/// Reads an RPM package.
pub fn read_rpm(bytes: &[u8]) -> Result<Package, PackageError> {
    let rest = bytes.get(LEAD_SIZE..).ok_or_else(ends_early)?;
    let (_, signature) = Header::read(rest)?;
    // The second header begins at a multiple of eight.
    let start = LEAD_SIZE + signature.next_multiple_of(8);
    let rest = bytes.get(start..).ok_or_else(ends_early)?;
    let (header, length) = Header::read(rest)?;
    let text = |tag| header.string(tag).unwrap_or_default();
    let version = match header.string(RELEASE) {
        Some(release) => format!("{}-{release}", text(VERSION)),
        None => text(VERSION),
    };
    let mut package = Package { name: text(NAME), version, ..Package::default() };
    let payload = rest.get(length..).unwrap_or_default();
    // What it says of its compressor is what its first bytes say.
    let suffix = match payload {
        [0x1f, 0x8b, ..] => ".gz",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => ".xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ".zst",
        [b'B', b'Z', b'h', ..] => ".bz2",
        [0x5d, 0, 0, ..] => ".lzma",
        [b'0', b'7', ..] => "",
        [] => return Err(PackageError::new("it ends before its files begin")),
        _ => return Err(PackageError::new("skep cannot unpack its archive")),
    };
    read_cpio(&mut unpacker(suffix, payload)?, &mut package)?;
    Ok(package)
}

fn ends_early() -> PackageError {
    PackageError::new("it ends early")
}

/// A header: an index of tags, and what they stand for.
struct Header<'b> {
    index: &'b [u8],
    store: &'b [u8],
}

impl<'b> Header<'b> {
    /// Reads the header that some bytes begin with; says how long it is.
    fn read(bytes: &'b [u8]) -> Result<(Self, usize), PackageError> {
        let head = bytes.get(..16).ok_or_else(ends_early)?;
        if !head.starts_with(HEADER) {
            return Err(PackageError::new("one of its headers is damaged"));
        }
        let (count, size) = (number(&head[8..12]) as usize, number(&head[12..]) as usize);
        let index = bytes[16..].get(..count.saturating_mul(16)).ok_or_else(ends_early)?;
        let store = bytes[16 + index.len()..].get(..size).ok_or_else(ends_early)?;
        Ok((Self { index, store }, 16 + index.len() + store.len()))
    }

    /// The text of a tag.
    fn string(&self, tag: u32) -> Option<String> {
        let entry = self.index.chunks_exact(16).find(|entry| number(&entry[..4]) == tag)?;
        let text = self.store.get(number(&entry[8..12]) as usize..)?;
        let end = text.iter().take(256).position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&text[..end]).into_owned())
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The archive's "new ASCII" form (cpio(5)): of each file a header of
/// hexadecimal numbers, its name and its content, each padded to four bytes.
fn read_cpio(reader: &mut dyn Read, package: &mut Package) -> Result<(), PackageError> {
    loop {
        let mut head = [0; 110];
        reader.read_exact(&mut head).map_err(|error| damaged(&error))?;
        match &head[..6] {
            b"070701" | b"070702" => {}
            b"07070X" => return Err(PackageError::new("it has files of more than 4 GiB")),
            _ => return Err(PackageError::new("its archive is damaged")),
        }
        let field = |at: usize| {
            let text = std::str::from_utf8(&head[at..at + 8]).unwrap_or_default();
            u32::from_str_radix(text, 16).map_err(|_| PackageError::new("its archive is damaged"))
        };
        let (mode, size, name_size) = (field(14)?, u64::from(field(54)?), field(94)? as usize);
        if !(1..=MAX_NAME).contains(&name_size) {
            return Err(PackageError::new("its archive is damaged"));
        }
        let mut name = vec![0; (110 + name_size).next_multiple_of(4) - 110];
        reader.read_exact(&mut name).map_err(|error| damaged(&error))?;
        let name = String::from_utf8_lossy(&name[..name_size - 1]).into_owned();
        if name == "TRAILER!!!" {
            return Ok(());
        }
        let path = Path::new(&name);
        let is_file = mode & 0o170_000 == 0o100_000;
        let mut content = reader.take(size.next_multiple_of(4));
        if is_file {
            package.take(path, size, &mut content)?;
        }
        // The rest of it, which is padding or all.
        std::io::copy(&mut content, &mut std::io::sink()).map_err(|error| damaged(&error))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn cpio(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, content) in files.iter().chain([&("TRAILER!!!", &b""[..])]) {
            let (mode, size, name_size) = (0o100_644, content.len(), name.len() + 1);
            let head = format!("070701{:08x}{mode:08x}{:056x}", 1, 0);
            // Inode and mode; owner, group, links and time as zeros; then size,
            // four numbers of devices, the name's length and a checksum.
            let head = format!("{}{size:08x}{:032x}{name_size:08x}{:08x}", &head[..54], 0, 0);
            assert_eq!(head.len(), 110);
            out.extend(head.bytes().chain(name.bytes()).chain([0]));
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend(*content);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    fn header(tags: &[(u32, &str)]) -> Vec<u8> {
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for (tag, text) in tags {
            for word in [*tag, 6, store.len() as u32, 1] {
                index.extend(word.to_be_bytes());
            }
            store.extend(text.bytes().chain([0]));
        }
        let mut out = [HEADER, &[0; 4]].concat();
        out.extend((tags.len() as u32).to_be_bytes());
        out.extend((store.len() as u32).to_be_bytes());
        out.extend(index);
        out.extend(store);
        out
    }

    fn rpm(payload: &[u8]) -> Vec<u8> {
        let mut out = LEAD.to_vec();
        out.resize(LEAD_SIZE, 0);
        out.extend(header(&[(62, "sig")]));
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend(header(&[(NAME, "kernel-core"), (VERSION, "6.12.4"), (RELEASE, "200.fc41")]));
        out.extend(payload);
        out
    }

    const FILES: &[(&str, &[u8])] = &[
        ("./boot/vmlinuz-6.12.4", b""),
        ("./lib/modules/6.12.4/config", b"CONFIG_X=y"),
        ("./lib/modules/6.12.4/vmlinuz", b"kernel bytes"),
    ];

    #[test]
    fn the_kernel_is_found_whatever_the_compressor() {
        let plain = cpio(FILES);
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&plain).unwrap();
        let zst = zstd::encode_all(&plain[..], 1).unwrap();
        for payload in [plain, xz.finish().unwrap(), gz.finish().unwrap(), zst] {
            let package = read_rpm(&rpm(&payload)).unwrap();
            assert_eq!((&*package.name, &*package.version), ("kernel-core", "6.12.4-200.fc41"));
            assert_eq!(package.image.as_deref(), Some(&b"kernel bytes"[..]));
            assert_eq!(package.config.as_deref(), Some(&b"CONFIG_X=y"[..]));
        }
    }

    #[test]
    fn every_prefix_and_every_flipped_byte_is_survived() {
        let whole = rpm(&cpio(FILES));
        for end in 0..whole.len() {
            if let Ok(package) = read_rpm(&whole[..end]) {
                assert_eq!(package.image.as_deref(), Some(&b"kernel bytes"[..]), "{end} bytes");
            }
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            drop(read_rpm(&bytes));
        }
        let said = |bytes: &[u8]| read_rpm(bytes).unwrap_err().to_string();
        assert_eq!(said(LEAD), "it ends early");
        assert_eq!(said(&rpm(b"")), "it ends before its files begin");
        assert_eq!(said(&rpm(b"what?")), "skep cannot unpack its archive");
    }
}
