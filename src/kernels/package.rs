//! Packages; and Debian's, read without dpkg: an `ar` archive of `debian-binary`,
//! `control.tar.*` and `data.tar.*` (deb(5)).
//!
//! Only what belongs to the kernel is kept. Everything is bounded, because a package can come from anywhere.

use super::modules;
use super::rpm::{looks_like_rpm, read_rpm};
use std::fmt;
use std::io::{self, Read};
use std::path::{Component, Path};

/// No kernel image and no configuration in a package is larger.
const MAX_FILE: u64 = 256 << 20;
/// What is read of one archive at most, unpacked.
const MAX_ARCHIVE: u64 = 1 << 30;

/// What skep takes out of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// The `Package` field.
    pub name: String,
    /// The `Version` field.
    pub version: String,
    /// The kernel image, if there is one.
    pub image: Option<Vec<u8>>,
    /// The kernel's configuration, if it stands before or beside the image.
    pub config: Option<Vec<u8>>,
    /// The kernel's modules: the files' names, and their content as it was
    /// packed.
    pub modules: Vec<(String, Vec<u8>)>,
}

impl Package {
    /// Takes a file of the archive if it is wanted.
    pub(super) fn take(
        &mut self,
        path: &Path,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), PackageError> {
        let names = names(path);
        match kind_of(&names) {
            // An image of no bytes stands for one that is made when the
            // package is installed.
            Kind::Image if size > 0 && self.image.is_none() => {
                self.image = Some(read_file(content, size, path)?);
            }
            Kind::Config if self.config.is_none() => {
                self.config = Some(read_file(content, size, path)?);
            }
            Kind::Module => {
                let bytes = read_file(content, size, path)?;
                self.modules.extend(names.into_iter().next_back().map(|name| (name, bytes)));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Why a package cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageError(String);

impl PackageError {
    pub(super) fn new(what: &str) -> Self {
        Self(what.into())
    }

    /// The file does not begin like a package at all.
    pub(super) fn not_a_package() -> Self {
        Self("it does not begin like a package".into())
    }
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PackageError {}

/// Whether the bytes begin like a package of a kind that skep reads.
pub fn looks_like_package(bytes: &[u8]) -> bool {
    looks_like_deb(bytes) || looks_like_rpm(bytes)
}

/// Reads a package of any of these kinds.
pub fn read(bytes: &[u8]) -> Result<Package, PackageError> {
    if looks_like_rpm(bytes) { read_rpm(bytes) } else { read_deb(bytes) }
}

/// Whether the bytes begin like a Debian package.
fn looks_like_deb(bytes: &[u8]) -> bool {
    bytes.starts_with(b"!<arch>\ndebian-binary")
}

/// Reads a Debian package.
fn read_deb(bytes: &[u8]) -> Result<Package, PackageError> {
    let mut package = Package::default();
    let mut data_seen = false;
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(PackageError::not_a_package)?;
    while let Some((name, mut entry)) = next_entry(&mut rest)? {
        if let Some(suffix) = name.strip_prefix("control.tar") {
            read_control(&mut unpacker(suffix, &mut entry)?, &mut package)?;
        } else if let Some(suffix) = name.strip_prefix("data.tar") {
            data_seen = true;
            read_data(&mut unpacker(suffix, &mut entry)?, &mut package)?;
        }
    }
    if !data_seen {
        return Err(PackageError("it ends before its files begin".into()));
    }
    Ok(package)
}

/// How an `ar` archive begins.
const MAGIC: &[u8] = b"!<arch>\n";

/// Takes the next file of an `ar` archive: its name, and its content as far as
/// it is there. Packages have short names only (deb(5)), so that nothing of
/// what `ar` has for long ones is needed.
fn next_entry<'b>(rest: &mut &'b [u8]) -> Result<Option<(String, &'b [u8])>, PackageError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let ends_early = || PackageError("it ends early".into());
    let (header, behind) = rest.split_first_chunk::<60>().ok_or_else(ends_early)?;
    let wrong = || PackageError("the header of a file in it is damaged".into());
    let text = |range: std::ops::Range<usize>| {
        std::str::from_utf8(&header[range]).map(str::trim_end).map_err(|_| wrong())
    };
    if header[58..] != *b"`\n" {
        return Err(wrong());
    }
    let name = text(0..16)?.trim_end_matches('/').to_owned();
    let size: u64 = text(48..58)?.parse().map_err(|_| wrong())?;
    let end = usize::try_from(size).unwrap_or(usize::MAX).min(behind.len());
    let (content, behind) = behind.split_at(end);
    // Files begin at even places.
    *rest = if size % 2 == 1 { behind.get(1..).unwrap_or_default() } else { behind };
    Ok(Some((name, content)))
}

pub(super) fn damaged(error: &io::Error) -> PackageError {
    PackageError(match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends early".into(),
        _ => error.to_string(),
    })
}

/// The reader that undoes what an archive's suffix names.
pub(super) fn unpacker<'r>(
    suffix: &str,
    reader: impl Read + 'r,
) -> Result<Box<dyn Read + 'r>, PackageError> {
    let unpacked: Box<dyn Read + 'r> = match suffix {
        "" => Box::new(reader),
        ".gz" => Box::new(flate2::read::GzDecoder::new(reader)),
        ".xz" => Box::new(liblzma::read::XzDecoder::new(reader)),
        ".lzma" => {
            let stream = liblzma::stream::Stream::new_lzma_decoder(MAX_FILE)
                .map_err(|error| damaged(&error.into()))?;
            Box::new(liblzma::read::XzDecoder::new_stream(reader, stream))
        }
        ".bz2" => Box::new(bzip2::read::BzDecoder::new(reader)),
        ".zst" => {
            Box::new(zstd::stream::read::Decoder::new(reader).map_err(|error| damaged(&error))?)
        }
        other => {
            let other = other.trim_start_matches('.');
            return Err(PackageError(format!("skep cannot unpack its `{other}` archive")));
        }
    };
    Ok(Box::new(unpacked.take(MAX_ARCHIVE)))
}

fn read_control(reader: &mut dyn Read, package: &mut Package) -> Result<(), PackageError> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(|error| damaged(&error))? {
        let entry = entry.map_err(|error| damaged(&error))?;
        let is_control = entry.path().is_ok_and(|path| names(&path) == ["control"]);
        if !is_control {
            continue;
        }
        let mut text = Vec::new();
        entry.take(1 << 20).read_to_end(&mut text).map_err(|error| damaged(&error))?;
        let text = String::from_utf8_lossy(&text);
        package.name = field(&text, "Package").unwrap_or_default().to_owned();
        package.version = field(&text, "Version").unwrap_or_default().to_owned();
        return Ok(());
    }
    Ok(())
}

/// A one-line field of Debian's control format.
pub(super) fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn read_data(reader: &mut dyn Read, package: &mut Package) -> Result<(), PackageError> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(|error| damaged(&error))? {
        let mut entry = entry.map_err(|error| damaged(&error))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Ok(path) = entry.path().map(|path| path.into_owned()) else { continue };
        let size = entry.size();
        package.take(&path, size, &mut entry)?;
    }
    Ok(())
}

/// Reads a file of an archive whole, if it is of a size that it may have.
fn read_file(reader: &mut dyn Read, size: u64, path: &Path) -> Result<Vec<u8>, PackageError> {
    if size > MAX_FILE {
        return Err(PackageError(format!("{} claims to be huge", path.display())));
    }
    let mut bytes = Vec::new();
    reader.take(size).read_to_end(&mut bytes).map_err(|error| damaged(&error))?;
    if bytes.len() as u64 != size {
        return Err(PackageError::new("it ends early"));
    }
    Ok(bytes)
}

#[derive(PartialEq, Eq)]
enum Kind {
    Image,
    Config,
    Module,
    Other,
}

/// Where distributions put a kernel: Debian up to 6.x in `boot/`, Debian from
/// 7.x and others in `usr/lib/modules/RELEASE/`.
fn kind_of(names: &[String]) -> Kind {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names[..] {
        ["boot", name] if name.starts_with("vmlinuz") => Kind::Image,
        ["boot", name] if name.starts_with("config-") => Kind::Config,
        ["usr", "lib", "modules", _, ref rest @ ..] | ["lib", "modules", _, ref rest @ ..] => {
            match *rest {
                ["vmlinuz"] => Kind::Image,
                ["config"] => Kind::Config,
                [.., name] if modules::name(name).is_some() => Kind::Module,
                _ => Kind::Other,
            }
        }
        _ => Kind::Other,
    }
}

/// The plain names of a path, without `./`.
fn names(path: &Path) -> Vec<String> {
    let plain = |component| match component {
        Component::Normal(name) => Some(std::ffi::OsStr::to_string_lossy(name).into_owned()),
        _ => None,
    };
    path.components().filter_map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn deb(suffix: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
        use std::io::Write as _;
        let pack = |bytes: Vec<u8>| match suffix {
            ".xz" => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap()
            }
            ".zst" => zstd::encode_all(&bytes[..], 1).unwrap(),
            ".gz" => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => bytes,
        };
        let control = tar(&[("./control", b"Package: linux-image-9\nVersion: 9.1-2\n")]);
        let mut builder = ar::Builder::new(Vec::new());
        for (name, bytes) in [
            ("debian-binary".to_owned(), b"2.0\n".to_vec()),
            (format!("control.tar{suffix}"), pack(control)),
            (format!("data.tar{suffix}"), pack(tar(files))),
        ] {
            let header = ar::Header::new(name.into_bytes(), bytes.len() as u64);
            builder.append(&header, &bytes[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn both_layouts_and_every_compressor_are_read() {
        for suffix in ["", ".gz", ".xz", ".zst"] {
            for image in ["./boot/vmlinuz-9", "./usr/lib/modules/9/vmlinuz"] {
                let bytes =
                    deb(suffix, &[("./boot/config-9", b"CONFIG_X=y"), (image, b"kernel bytes")]);
                let package = read_deb(&bytes).unwrap();
                assert_eq!(package.name, "linux-image-9");
                assert_eq!(package.version, "9.1-2");
                assert_eq!(package.image.as_deref(), Some(&b"kernel bytes"[..]));
                assert_eq!(package.config.as_deref(), Some(&b"CONFIG_X=y"[..]));
            }
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let whole = deb("", &[("./boot/vmlinuz-9", b"kernel")]);
        let changed = |at: usize, text: &str| {
            let mut bytes = whole.clone();
            bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
            read_deb(&bytes)
        };
        // A name in a table that is not there is one like any other.
        assert!(changed(8, "/90             ").unwrap().image.is_some());
        assert!(changed(8 + 48, "9999999999").is_err());
        assert!(changed(8 + 48, "ten       ").is_err());
        let said = |bytes: &[u8]| read_deb(bytes).unwrap_err().to_string();
        assert_eq!(said(b"!<arch>\nx"), "it ends early");
        assert_eq!(said(b"!<arch>\n"), "it ends before its files begin");
        assert_eq!(said(b"ELF"), "it does not begin like a package");
        let mut bytes = whole;
        bytes[8 + 58] = b'x';
        assert_eq!(said(&bytes), "the header of a file in it is damaged");
    }

    #[test]
    fn a_package_without_a_kernel_has_none() {
        let package = read_deb(&deb(".xz", &[("./usr/bin/true", b"x")])).unwrap();
        assert_eq!(package.image, None);
    }

    #[test]
    fn every_prefix_is_an_error_or_has_the_whole_kernel() {
        let kernel = [b'k'; 3000];
        for suffix in ["", ".xz", ".zst", ".gz"] {
            let bytes = deb(suffix, &[("./boot/vmlinuz-9", &kernel)]);
            for cut in 0..bytes.len() {
                match read_deb(&bytes[..cut]) {
                    Err(_) => {}
                    Ok(package) => match package.image {
                        Some(image) => assert_eq!(image, kernel),
                        // An uncompressed archive may end at any entry.
                        None => assert!(suffix.is_empty(), "{suffix} cut at {cut}"),
                    },
                }
            }
        }
    }
}
