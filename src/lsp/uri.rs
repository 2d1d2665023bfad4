//! File names as editors write them: `file:` URIs, percent-encoded (RFC 8089,
//! RFC 3986).

use lsp_types::Uri;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

/// The URI of an absolute path.
pub fn of_path(path: &Path) -> Option<Uri> {
    let mut text = "file://".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Uri::from_str(&text).ok()
}

/// The absolute path that a URI stands for, if it is a local file's.
pub fn to_path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    // Behind an authority, which is empty or this machine, the path begins.
    let path = &rest[rest.find('/')?..];
    let path = path.split(['?', '#']).next()?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_there_and_back() {
        for name in ["/a/b.c", "/größe und mehr/漢字 100%.c", "/a#b?c&d=e:f@g+h", "/"] {
            let uri = of_path(Path::new(name)).unwrap();
            assert_eq!(to_path(&uri).unwrap(), Path::new(name), "{}", uri.as_str());
        }
        let uri = of_path(Path::new("/ä b")).unwrap();
        assert_eq!(uri.as_str(), "file:///%C3%A4%20b");
    }

    #[test]
    fn editors_encode_differently() {
        let path = |text: &str| to_path(&Uri::from_str(text).unwrap());
        assert_eq!(path("file:///c%3a/x%2Ac"), Some("/c:/x*c".into()));
        assert_eq!(path("file://localhost/x"), Some("/x".into()));
        assert_eq!(path("untitled:Untitled-1"), None);
        assert_eq!(path("file://host"), None);
    }
}
