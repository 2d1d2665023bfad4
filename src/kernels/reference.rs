//! Kernel references: how people name the kernels they want.

use super::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// Debian's suites whose kernels skep knows to fetch, with the kernel series
/// each ships; sid's moves.
const DEBIAN: &[(&str, Option<&str>)] = &[
    ("bullseye", Some("5.10")),
    ("bookworm", Some("6.1")),
    ("trixie", Some("6.12")),
    ("forky", None),
    ("sid", None),
];

/// The flavour of Debian's kernels that is made for virtual machines: small,
/// and with everything BPF needs built in.
const CLOUD: &str = "cloud-amd64";

/// A kernel, as named by a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The kernel this machine runs: `host`.
    Host,
    /// An image, an ELF `vmlinux`, a package or a directory that holds one.
    File(PathBuf),
    /// The newest kernel of a Debian suite: `debian/trixie`,
    /// `debian/trixie/amd64`.
    Debian {
        /// The suite's code name.
        suite: String,
        /// The kernel's flavour, `cloud-amd64` unless named.
        flavour: String,
    },
    /// The newest kernel that is stored or can be fetched of a series or
    /// release: `6.12`.
    Version(String),
}

impl Reference {
    /// Reads what a user wrote. `exists` says whether a path is there: an
    /// existing file needs no `./` before it.
    ///
    /// # Errors
    /// [`Error::Reference`] with the nearest name that would be understood.
    pub fn parse(text: &str, exists: impl Fn(&Path) -> bool) -> Result<Self, Error> {
        if text == "host" {
            return Ok(Self::Host);
        }
        if let Some(rest) = text.strip_prefix("debian/") {
            let (suite, flavour) = rest.split_once('/').unwrap_or((rest, CLOUD));
            let suite = if suite == "unstable" { "sid" } else { suite };
            let known = DEBIAN.iter().any(|(name, _)| *name == suite);
            if known && is_flavour(flavour) {
                return Ok(Self::Debian { suite: suite.into(), flavour: flavour.into() });
            }
        } else if is_version(text) {
            return Ok(Self::Version(text.to_owned()));
        }
        let path = Path::new(text);
        let is_path = path.is_absolute()
            || text.starts_with("./")
            || text.starts_with("../")
            || text.ends_with(".deb")
            || text.ends_with(".rpm");
        if is_path || (!text.is_empty() && exists(path)) {
            return Ok(Self::File(path.to_owned()));
        }
        Err(Error::Reference { text: text.to_owned(), nearest: nearest(text) })
    }

    /// The suite that ships kernels of a version's series.
    pub(super) fn suite_of(version: &str) -> Option<Self> {
        let series = |known: &str| {
            version == known
                || version.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'))
        };
        let (suite, _) = DEBIAN.iter().find(|(_, known)| known.is_some_and(series))?;
        Some(Self::Debian { suite: (*suite).into(), flavour: CLOUD.into() })
    }

    /// Every reference that can be fetched by name, for lists and hints.
    pub fn known() -> impl Iterator<Item = String> {
        DEBIAN.iter().map(|(suite, _)| format!("debian/{suite}"))
    }
}

impl fmt::Display for Reference {
    /// The shortest text that means the same kernel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Debian { suite, flavour } if flavour == CLOUD => write!(f, "debian/{suite}"),
            Self::Debian { suite, flavour } => write!(f, "debian/{suite}/{flavour}"),
            Self::Version(version) => f.write_str(version),
        }
    }
}

/// `6.12`, `6.12.48`, `6.12.48+deb13-cloud-amd64`: digits, a dot, digits.
fn is_version(text: &str) -> bool {
    let mut parts = text.splitn(2, '.');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let Some(major) = parts.next() else { return false };
    let Some(rest) = parts.next() else { return false };
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let tail = &rest[minor.len()..];
    let tail_is_plain =
        tail.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~_".contains(&byte));
    digits(major) && digits(&minor) && tail_is_plain && !tail.ends_with(".deb")
}

/// A flavour becomes part of a package's name, so it must look like one.
fn is_flavour(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
}

fn nearest(text: &str) -> Option<String> {
    std::iter::once("host".to_owned())
        .chain(Reference::known())
        // `trixie` alone is meant as `debian/trixie`.
        .map(|name| {
            let bare = name.strip_prefix("debian/").unwrap_or(&name);
            let score = strsim::jaro_winkler(text, &name).max(strsim::jaro_winkler(text, bare));
            (score, name)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.75)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Reference, Error> {
        Reference::parse(text, |path| path == Path::new("bzImage"))
    }

    #[test]
    fn every_kind_is_read_and_written() {
        for text in
            ["host", "debian/trixie", "debian/sid/amd64", "6.12", "6.12.48+deb13-cloud-amd64"]
        {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("debian/unstable").unwrap().to_string(), "debian/sid");
        for text in ["./x", "/boot/vmlinuz", "linux.deb", "bzImage", "../k/", "6.1.deb"] {
            assert!(matches!(parse(text), Ok(Reference::File(_))), "{text}");
        }
        assert!(matches!(parse("6.12"), Ok(Reference::Version(_))));
    }

    #[test]
    fn what_is_not_understood_gets_the_nearest_name() {
        for (text, near) in [
            ("debian/trixi", Some("debian/trixie")),
            ("bookworm", Some("debian/bookworm")),
            ("hots", Some("host")),
            ("", None),
            ("zzz", None),
            ("debian/trixie/../x", Some("debian/trixie")),
        ] {
            match parse(text) {
                Err(Error::Reference { nearest, .. }) => {
                    assert_eq!(nearest.as_deref(), near, "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_version_leads_to_the_suite_that_ships_it() {
        let suite = |version| Reference::suite_of(version).map(|suite| suite.to_string());
        assert_eq!(suite("6.12").as_deref(), Some("debian/trixie"));
        assert_eq!(suite("6.1").as_deref(), Some("debian/bookworm"));
        assert_eq!(suite("6.1.170").as_deref(), Some("debian/bookworm"));
        assert_eq!(suite("6.13"), None);
    }
}
