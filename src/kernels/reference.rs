//! Kernel references: how people name the kernels they want.

use super::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// Who makes and packs a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Distribution {
    /// Debian, through apt.
    Debian,
    /// Ubuntu, through apt.
    Ubuntu,
    /// Fedora, through dnf.
    Fedora,
}

impl Distribution {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Debian, Self::Ubuntu, Self::Fedora];

    /// The name in references: `debian`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Ubuntu => "ubuntu",
            Self::Fedora => "fedora",
        }
    }

    /// The name people write: `Debian`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Debian => "Debian",
            Self::Ubuntu => "Ubuntu",
            Self::Fedora => "Fedora",
        }
    }

    /// The suites that skep knows by name, with the kernel series each ships;
    /// those without one move, or are Fedora's, whose kernels are replaced by
    /// newer series all along.
    pub(super) fn suites(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Self::Debian => &[
                ("bullseye", Some("5.10")),
                ("bookworm", Some("6.1")),
                ("trixie", Some("6.12")),
                ("forky", None),
                ("sid", None),
            ],
            Self::Ubuntu => &[
                ("focal", Some("5.4")),
                ("jammy", Some("5.15")),
                ("noble", Some("6.8")),
                ("plucky", Some("6.14")),
                ("questing", Some("6.17")),
            ],
            Self::Fedora => &[],
        }
    }

    /// The flavour that is made for virtual machines: small, and with
    /// everything BPF needs. Empty where there is only one.
    pub(super) fn flavour(self) -> &'static str {
        match self {
            Self::Debian => "cloud-amd64",
            Self::Ubuntu => "virtual",
            Self::Fedora => "",
        }
    }
}

/// A kernel, as named by a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The kernel this machine runs: `host`.
    Host,
    /// An image, an ELF `vmlinux`, a package or a directory that holds one.
    File(PathBuf),
    /// The newest kernel of a distribution's suite: `debian/trixie`,
    /// `ubuntu/noble/generic`, `fedora/42`.
    Packaged {
        /// Whose it is.
        distribution: Distribution,
        /// The suite's code name, or Fedora's number.
        suite: String,
        /// The kernel's flavour; what is best in a virtual machine unless
        /// named.
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
        if let Some(packaged) = packaged(text) {
            return Ok(packaged);
        }
        if is_version(text) {
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

    /// The newest kernel of a suite in its usual flavour.
    pub(super) fn suite(distribution: Distribution, suite: &str) -> Self {
        let flavour = distribution.flavour().to_owned();
        Self::Packaged { distribution, suite: suite.to_owned(), flavour }
    }

    /// The suites that ship kernels of a version's series, Debian's first.
    pub(super) fn suites_of(version: &str) -> Vec<Self> {
        let series = |known: &str| {
            version == known
                || version.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'))
        };
        let of = |distribution: Distribution| {
            let suites = distribution.suites().iter();
            suites
                .filter(|(_, known)| known.is_some_and(series))
                .map(move |(suite, _)| Self::suite(distribution, suite))
        };
        Distribution::ALL.into_iter().flat_map(of).collect()
    }

    /// Every reference that can be fetched by a name known beforehand, for
    /// lists and hints.
    pub fn known() -> impl Iterator<Item = String> {
        Distribution::ALL.into_iter().flat_map(|distribution| {
            let suites = distribution.suites().iter();
            suites.map(move |(suite, _)| format!("{}/{suite}", distribution.as_str()))
        })
    }

    /// Whether it means the same kernel on every machine, so that a project
    /// can be pinned to it.
    pub fn is_portable(&self) -> bool {
        !matches!(self, Self::Host)
    }
}

impl fmt::Display for Reference {
    /// The shortest text that means the same kernel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Packaged { distribution, suite, flavour } => {
                write!(f, "{}/{suite}", distribution.as_str())?;
                if flavour != distribution.flavour() {
                    write!(f, "/{flavour}")?;
                }
                Ok(())
            }
            Self::Version(version) => f.write_str(version),
        }
    }
}

/// `DISTRIBUTION/SUITE[/FLAVOUR]`. A suite that is not known is believed (new
/// ones come every half year) unless it looks like a mistyped one.
fn packaged(text: &str) -> Option<Reference> {
    let (distribution, rest) = text.split_once('/')?;
    let distribution =
        Distribution::ALL.into_iter().find(|known| known.as_str() == distribution)?;
    let (suite, flavour) = match rest.split_once('/') {
        Some((suite, flavour)) => (suite, flavour),
        None => (rest, distribution.flavour()),
    };
    let good = match distribution {
        Distribution::Fedora => {
            let is_number = !suite.is_empty() && suite.bytes().all(|byte| byte.is_ascii_digit());
            (is_number || suite == "rawhide") && flavour.is_empty()
        }
        Distribution::Debian | Distribution::Ubuntu => {
            let is_word = suite.len() > 2 && suite.bytes().all(|byte| byte.is_ascii_lowercase());
            is_word && !is_mistyped(distribution, suite) && is_flavour(flavour)
        }
    };
    let suite = match (distribution, suite) {
        (Distribution::Debian, "unstable") => "sid",
        (_, suite) => suite,
    };
    good.then(|| Reference::Packaged {
        distribution,
        suite: suite.to_owned(),
        flavour: flavour.to_owned(),
    })
}

/// Whether a suite is none that is known, but nearly one.
fn is_mistyped(distribution: Distribution, suite: &str) -> bool {
    let known = || distribution.suites().iter().map(|(name, _)| *name);
    known().all(|name| name != suite)
        && known().any(|name| strsim::damerau_levenshtein(name, suite) <= 2)
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
    let is_package = [".deb", ".rpm"].iter().any(|end| tail.ends_with(end));
    digits(major) && digits(&minor) && tail_is_plain && !is_package
}

/// A flavour becomes part of a package's name, so it must look like one.
fn is_flavour(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        && !text.starts_with('-')
}

fn nearest(text: &str) -> Option<String> {
    std::iter::once("host".to_owned())
        .chain(Reference::known())
        // `trixie` alone is meant as `debian/trixie`.
        .map(|name| {
            let bare = name.split_once('/').map_or(name.as_str(), |(_, bare)| bare);
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
                .into_iter()
                .chain(["ubuntu/noble", "ubuntu/noble/generic-hwe-24.04", "ubuntu/resolute"])
                .chain(["fedora/42", "fedora/rawhide"])
        {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("debian/unstable").unwrap().to_string(), "debian/sid");
        assert_eq!(parse("ubuntu/noble/virtual").unwrap().to_string(), "ubuntu/noble");
        for text in ["./x", "/boot/vmlinuz", "linux.deb", "k.rpm", "bzImage", "../k/", "6.1.deb"] {
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
            ("ubuntu/nobel", Some("ubuntu/noble")),
            ("noble", Some("ubuntu/noble")),
            ("fedora/42/x", None),
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
    fn a_version_leads_to_the_suites_that_ship_it() {
        let suites = |version| {
            let suites = Reference::suites_of(version);
            suites.iter().map(Reference::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(suites("6.12"), "debian/trixie");
        assert_eq!(suites("6.1.170"), "debian/bookworm");
        assert_eq!(suites("5.15"), "ubuntu/jammy");
        assert_eq!(suites("6.13"), "");
    }
}
